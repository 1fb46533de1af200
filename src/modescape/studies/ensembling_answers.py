"""The answers of the study ``ensembling``: the verdict first, then what each number means, in words."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from modescape.studies.methods import BOOTSTRAP, CYCLES, INDEPENDENT, LATE
from modescape.studies.score_board import Board, Ensemble, Estimate, estimate
from modescape.studies.words import UNTRAINED, Row, interval, percent, signed_points, small
from modescape.tables import title_of

Rows = Sequence[Mapping[str, Any]]
PAPER_SIZES = (2, 5)
FEW = 5
"""Members of the ensembles whose Jensen-Shannon divergences the paper compares."""


def answers(board: Board, verdicts: Rows, equivalents: Rows, forecast: Rows, classes: int) -> list[dict[str, Any]]:
    """The rows of the table ``answers``."""
    found = [
        *_verdicts(verdicts),
        *_gains(board),
        *_around_one(board),
        *_equivalent(board, equivalents),
        *_divergences(board),
        *_bagging(board),
        *_foretold(forecast),
        *_diversity(board),
    ]
    return warned(found, board, classes)


def warned(rows: list[dict[str, Any]], board: Board, classes: int) -> list[dict[str, Any]]:
    """The rows, the first of which warns where networks predict no better than chance."""
    if estimate(board.of(Ensemble(INDEPENDENT, 1, 1), "accuracy")).low <= 1 / classes:
        rows[0]["sentence"] += UNTRAINED
    return rows


def called(method: str, solutions: int, samples: int) -> str:
    """An ensemble in words."""
    networks = "one network" if solutions == 1 else f"{solutions} networks"
    if method == INDEPENDENT:
        return "one network" if solutions == 1 else f"{solutions} independent networks"
    if method == BOOTSTRAP:
        return f"{networks} on bootstrap samples"
    few = "" if samples == 1 else f", {samples} members each" if solutions > 1 else f", {samples} members"
    return f"{title_of(method)} of {networks}{few}"


def answer_row(quantity: str, found: Estimate, sentence: str, **more: Any) -> dict[str, Any]:
    """A row of the table ``answers``."""
    spread = {"least": found.value, "most": found.value, "count": 1}
    return {"quantity": quantity, **vars(found), **spread, **more, "sentence": sentence}


def _verdicts(rows: Rows) -> Iterator[dict[str, Any]]:
    """The verdicts at the largest budgets first: those decide about what is shipped."""
    for cost in ("training", "inference"):
        for row in sorted((row for row in rows if row["cost"] == cost), key=lambda row: -row["budget"]):
            if row["budget"] == 1 and cost == "inference" and row["method"] == row["rival"]:
                continue
            found = Estimate(row["difference"], row["low"], row["high"])
            yield answer_row(f"verdict_{cost}_{row['budget']}", found, verdict_sentence(row))


def verdict_sentence(row: Mapping[str, Any]) -> str:
    """One verdict in words."""
    budget = row["budget"]
    if row["cost"] == "training":
        at = f"At the training cost of {'one network' if budget == 1 else f'{budget} networks'}"
    else:
        at = f"At {budget} forward pass{'' if budget == 1 else 'es'} for a prediction"
    best = called(row["method"], row["solutions"], row["samples"])
    told = f"{at}, the best calibrated likelihood is that of {best} ({small(row['calibrated_nll'])} nats)"
    if row["method"] == row["rival"]:
        return f"{told}; there is nothing else to choose."
    rival = called(row["rival"], row["rival_solutions"], row["rival_samples"])
    apart = f"{small(abs(row['difference']))} nats better than {rival}{interval(_turned(row), small)}"
    if row["decided"]:
        return f"{told}: {apart}."
    return f"{told}, but not decidedly: {apart}, which includes zero."


def _turned(row: Mapping[str, Any]) -> Row:
    """The interval of how much better the best is."""
    return {"low": -row["high"], "high": -row["low"]}


def _apart(board: Board, one: Ensemble, other: Ensemble, score: str) -> Estimate:
    return estimate(board.of(one, score) - board.of(other, score))


def _gains(board: Board) -> Iterator[dict[str, Any]]:
    single = Ensemble(INDEPENDENT, 1, 1)
    largest = max(ensemble.solutions for ensemble in board.ensembles(INDEPENDENT))
    for size in sorted({size for size in (*PAPER_SIZES, largest) if 1 < size <= largest}):
        one = Ensemble(INDEPENDENT, size, 1)
        right, brier = _apart(board, one, single, "accuracy"), _apart(board, one, single, "brier")
        sentence = (
            f"{called(*one)} are right on {percent(float(board.of(one, 'accuracy')[0]))} of the examples, "
            f"{signed_points(right.value)}{interval(vars(right), signed_points)} compared with one; the Brier score "
            f"changes by {small(brier.value)}{interval(vars(brier), small)}."
        )
        yield answer_row(f"gain_{size}", right, sentence)


def _sampled(board: Board) -> list[str]:
    """Methods whose members lie around the solutions of independent networks."""
    return [name for name in board.methods if name not in (INDEPENDENT, BOOTSTRAP, CYCLES)]


def _best_gain(board: Board, solutions: int) -> tuple[Ensemble, Estimate] | None:
    """The method whose members around so many solutions gain most accuracy over the solutions alone."""
    alone = Ensemble(INDEPENDENT, solutions, 1)
    ones = [Ensemble(name, solutions, board.largest(name)) for name in _sampled(board)]
    ones = [one for one in ones if one in board]
    if not ones or alone not in board:
        return None
    best = max(ones, key=lambda one: float(board.of(one, "accuracy")[0]))
    return best, _apart(board, best, alone, "accuracy")


def _around_one(board: Board) -> Iterator[dict[str, Any]]:
    for solutions in (1, max(PAPER_SIZES)):
        found = _best_gain(board, solutions)
        if found is None:
            continue
        best, right = found
        brier = _apart(board, best, Ensemble(INDEPENDENT, solutions, 1), "brier")
        what = "one network" if solutions == 1 else f"an ensemble of {solutions}"
        sentence = (
            f"Members around {'its solution' if solutions == 1 else 'each solution'} add at most "
            f"{signed_points(right.value)}{interval(vars(right), signed_points)} to {what} ({called(*best)}; the best "
            f"of {len(_sampled(board))} methods by these very examples); the Brier score changes by "
            f"{small(brier.value)}{interval(vars(brier), small)}."
        )
        yield answer_row(f"subspace_gain_{solutions}", right, sentence)


def _equivalent(board: Board, rows: Rows) -> Iterator[dict[str, Any]]:
    """The best method of one solution, in independent networks."""
    ones = [r for r in rows if r["solutions"] == 1 and r["method"] in _sampled(board)]
    if not ones:
        return
    best = min(ones, key=lambda row: float(row["calibrated_nll"]))
    worth = "more than all that were trained" if math.isinf(best["equivalent"]) else f"{best['equivalent']:.1f}"
    sentence = (
        f"Around one network, the best of these methods by these very examples is "
        f"{called(best['method'], 1, best['samples'])}: worth {worth} independent networks by calibrated likelihood"
        f"{interval(best, lambda value: f'{value:.1f}')}."
    )
    yield answer_row("equivalent_of_one", Estimate(best["equivalent"], best["low"], best["high"]), sentence)


def _divergences(board: Board) -> Iterator[dict[str, Any]]:
    """Jensen-Shannon divergence of five members: independent, of one trajectory, of each subspace."""
    found: list[tuple[str, Tensor]] = []
    for name in board.methods:
        one = Ensemble(name, FEW, 1) if name in (INDEPENDENT, BOOTSTRAP) else Ensemble(name, 1, FEW)
        if one in board:
            found.append((name, board.of(one, "jensen_shannon")))
    if len(found) < 2:
        return
    ordered = sorted(found, key=lambda pair: -float(pair[1][0]))
    told = ", ".join(f"{title_of(name)} {small(float(draws[0]))}" for name, draws in ordered)
    first = next((pair for pair in found if pair[0] == INDEPENDENT), ordered[0])
    sentence = f"Jensen-Shannon divergence of {FEW} members in nats, the most diverse first: {told}."
    yield answer_row("jensen_shannon", estimate(first[1]), sentence, count=len(found))
    by_name = dict(found)
    if INDEPENDENT in by_name and LATE in by_name:
        ratio = estimate(by_name[INDEPENDENT] / by_name[LATE])
        if not math.isfinite(ratio.value):
            return
        yield answer_row(
            "jensen_shannon_ratio",
            ratio,
            f"That of independent networks is {ratio.value:.1f} times that of late checkpoints of one training"
            f"{interval(vars(ratio), lambda value: f'{value:.1f}')}.",
        )


def _bagging(board: Board) -> Iterator[dict[str, Any]]:
    most = [max((one.solutions for one in board.ensembles(name)), default=0) for name in (BOOTSTRAP, INDEPENDENT)]
    size = min(most)
    if size < 1:
        return
    apart = _apart(board, Ensemble(BOOTSTRAP, size, 1), Ensemble(INDEPENDENT, size, 1), "calibrated_nll")
    networks = "A network" if size == 1 else f"{size} networks"
    yield answer_row(
        "bootstrap",
        apart,
        f"{networks} trained on bootstrap samples {'has' if size == 1 else 'have'} a calibrated likelihood that is "
        f"{_signed(apart.value)} nats from that of the same on all data{interval(vars(apart), _signed)}; above 0 is "
        "worse.",
    )


def _foretold(rows: Rows) -> Iterator[dict[str, Any]]:
    mine = [row for row in rows if row["score"] == "calibrated_nll"]
    if not mine:
        return
    fitted = mine[0]["fitted"]
    known = [row for row in mine if row["solutions"] > fitted and not math.isnan(row["measured"])]
    row = known[-1] if known else next(row for row in mine if row["solutions"] == 2 * fitted)
    found = Estimate(row["gain"], row["gain_low"], row["gain_high"])
    sentence = (
        f"From the first {fitted} networks alone it is foretold that {row['solutions']} change their calibrated "
        f"likelihood by {_signed(found.value)} nats{interval(vars(found), _signed)}; below 0 is better"
    )
    if known:
        held = "within" if found.low <= row["gain_measured"] <= found.high else "outside"
        sentence += f". Measured were {_signed(row['gain_measured'])}, {held} the interval"
    yield answer_row("forecast", found, f"{sentence}.")


def _diversity(board: Board) -> Iterator[dict[str, Any]]:
    largest = max(ensemble.solutions for ensemble in board.ensembles(INDEPENDENT))
    one = Ensemble(INDEPENDENT, largest, 1)
    if largest < 2:
        return
    ratio = estimate(board.of(one, "disagreement_error_ratio"))
    rate = estimate(board.of(one, "improvement_rate"))
    if not math.isfinite(ratio.value) or not math.isfinite(rate.value):
        return
    yield answer_row(
        "disagreement_error_ratio",
        ratio,
        f"Independent networks disagree {ratio.value:.2f} times as often as they err{interval(vars(ratio), _two)}; "
        f"their ensemble avoids {percent(rate.value)} of a network's errors{interval(vars(rate), percent)}.",
    )


def _two(value: float) -> str:
    return f"{value:.2f}"


def _signed(value: float) -> str:
    return f"{value:+.3f}"
