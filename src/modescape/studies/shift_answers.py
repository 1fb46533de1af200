"""The answers of the study ``shift`` in words: what is kept under shift, who differs, who notices unknown inputs."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from torch import Tensor

from modescape.studies.ensembling_answers import answer_row, called, warned
from modescape.studies.methods import BOOTSTRAP, INDEPENDENT
from modescape.studies.score_board import Board, Ensemble, estimate
from modescape.studies.shift_measures import CLEAN, FEW
from modescape.studies.words import interval, percent, signed_points, small
from modescape.tables import title_of

Boards = Mapping[str, Board]


def answers(boards: Boards, by_severity: Mapping[int, Board], detection: Boards, classes: int) -> list[dict[str, Any]]:
    """The rows of the table ``answers``."""
    found = [
        *_verdict(by_severity),
        *_accuracy(by_severity),
        *_divergence(by_severity),
        *_natural(boards),
        *_unknown(boards),
        *_detection(detection),
    ]
    return warned(found or [_nothing(boards)], boards[CLEAN], classes)


def _nothing(boards: Boards) -> dict[str, Any]:
    one = Ensemble(INDEPENDENT, 1, 1)
    right = estimate(boards[CLEAN].of(one, "accuracy"))
    return answer_row("accuracy", right, f"One network is right on {percent(right.value)} of the test examples.")


def _verdict(boards: Mapping[int, Board]) -> Iterator[dict[str, Any]]:
    """The best calibrated likelihood at the highest severity, at equal numbers of trained networks."""
    worst = max(boards)
    if worst == 0:
        return
    board = boards[worst]
    for size in sorted({one.solutions for one in board.ensembles(INDEPENDENT)}, reverse=True):
        alone = Ensemble(INDEPENDENT, size, 1)
        rivals = [one for one in board.ensembles() if one.solutions == size]
        best = min(rivals, key=lambda one: float(board.of(one, "calibrated_nll")[0]))
        if best == alone:
            others = [one for one in rivals if one != alone]
            other = min(others, key=lambda one: float(board.of(one, "calibrated_nll")[0]), default=None)
        else:
            other = alone
        if other is None:
            continue
        apart = estimate(board.of(other, "calibrated_nll") - board.of(best, "calibrated_nll"))
        decided = "" if apart.low > 0 else ", which includes zero"
        likelihood = small(float(board.of(best, "calibrated_nll")[0]))
        sentence = (
            f"At severity {worst}, from {'one trained network' if size == 1 else f'{size} trained networks'}, the best "
            f"calibrated likelihood is that of {called(*best)} ({likelihood} nats): {small(apart.value)} nats better "
            f"than {called(*other)}{interval(vars(apart), small)}{decided}."
        )
        yield answer_row(f"verdict_severity_{worst}_networks_{size}", apart, sentence)


def _accuracy(boards: Mapping[int, Board]) -> Iterator[dict[str, Any]]:
    worst = max(boards)
    if worst == 0:
        return
    for one in boards[0].ensembles(INDEPENDENT):
        found = [board.of(one, "accuracy") for board in boards.values()]
        drop = estimate(found[-1] - found[0])
        told = ", ".join(percent(float(draws[0])) for draws in found)
        yield answer_row(
            f"accuracy_{one.solutions}",
            drop,
            f"Accuracy of {called(*one)} at severity {', '.join(map(str, boards))}: {told}; "
            f"{signed_points(drop.value)}{interval(vars(drop), signed_points)} from the first to the last.",
        )


def _few(board: Board) -> list[tuple[str, Tensor]]:
    """Method -> draws of the divergence of few members, the most diverse first."""
    found = []
    for name in board.methods:
        one = Ensemble(name, FEW, 1) if name in (INDEPENDENT, BOOTSTRAP) else Ensemble(name, 1, FEW)
        if one in board:
            found.append((name, board.of(one, "jensen_shannon")))
    return sorted(found, key=lambda pair: -float(pair[1][0]))


def _ordered(found: list[tuple[str, Tensor]]) -> str:
    return ", ".join(f"{title_of(name)} {small(float(draws[0]))}" for name, draws in found)


def _divergence(boards: Mapping[int, Board]) -> Iterator[dict[str, Any]]:
    worst = max(boards)
    if worst == 0 or len(_few(boards[0])) < 2:
        return
    rising: list[str] = []
    falling: list[str] = []
    for name, _ in _few(boards[0]):
        values = [float(dict(_few(board))[name][0]) for board in boards.values() if name in dict(_few(board))]
        (rising if all(a < b for a, b in pairwise(values)) else falling).append(title_of(name))
    first, last = _few(boards[0]), _few(boards[worst])
    grown = estimate(dict(last)[first[0][0]] - first[0][1])
    if not falling:
        rises = "rises with every severity for all methods"
    elif not rising:
        rises = "rises with every severity for no method"
    else:
        rises = f"rises with every severity for {', '.join(rising)} and does not for {', '.join(falling)}"
    yield answer_row(
        "jensen_shannon",
        grown,
        f"Jensen-Shannon divergence of {FEW} members (nats) {rises}. Without shift: {_ordered(first)}; at "
        f"severity {worst}: {_ordered(last)}.",
        count=len(first),
    )


def _natural(boards: Boards) -> Iterator[dict[str, Any]]:
    for name, board in boards.items():
        if name.startswith("natural/"):
            one = board.ensembles(INDEPENDENT)[-1]
            drop = estimate(board.of(one, "accuracy"))
            clean = float(boards[CLEAN].of(one, "accuracy")[0])
            yield answer_row(
                f"accuracy_{name}",
                drop,
                f"On {name} {called(*one)} are right on {percent(drop.value)}{interval(vars(drop), percent)}, on the "
                f"test split on {percent(clean)}.",
            )


def _unknown(boards: Boards) -> Iterator[dict[str, Any]]:
    for name, board in boards.items():
        if name.startswith("unknown/") and len(found := _few(board)) > 1:
            yield answer_row(
                f"jensen_shannon_{name}",
                estimate(found[0][1]),
                f"On {name.removeprefix('unknown/')} the divergence of {FEW} members is, in nats: {_ordered(found)}.",
                count=len(found),
            )


def _detection(detection: Boards) -> Iterator[dict[str, Any]]:
    """For each unknown dataset: the best ensemble and detector from the most networks, and one network's."""
    for name, board in detection.items():
        rows = [score for score in board.scores if score.endswith("/auroc")]
        most = max(one.solutions for one in board.ensembles(INDEPENDENT))
        ranked = sorted(
            ((float(board.of(one, score)[0]), one, score) for one in board.ensembles() for score in rows),
            key=lambda entry: -entry[0] if entry[0] == entry[0] else 1.0,
        )
        _, best, score = ranked[0]
        independent = Ensemble(INDEPENDENT, most, 1)
        own = max(rows, key=lambda entry: float(board.of(independent, entry)[0]))
        found, reference = estimate(board.of(best, score)), estimate(board.of(independent, own))
        reached = f"{small(reference.value)}{interval(vars(reference), small)} with {_detector(own)}"
        beside = (
            f"; {called(*independent)} {'reaches' if most == 1 else 'reach'} {reached}" if best != independent else ""
        )
        yield answer_row(
            f"auroc_{name}",
            found,
            f"{name.removeprefix('unknown/')} is told from the test split best by {called(*best)} with "
            f"{_detector(score)}: AUROC {small(found.value)}{interval(vars(found), small)}{beside}.",
        )


def _detector(score: str) -> str:
    return {
        "entropy": "the entropy",
        "maximum_probability": "the largest probability",
        "epistemic": "the epistemic part of the entropy",
        "energy": "the energy",
    }.get(score.partition("/")[0], score)
