"""The verdict: at equal cost, which method has the best calibrated negative log-likelihood, and by how much."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from modescape.studies.methods import INDEPENDENT
from modescape.studies.score_board import Board, Ensemble, estimate

SCORE = "calibrated_nll"

BUDGETS = (1, 2, 5, 10, 20, 50, 100)


def verdicts(board: Board, relative: Mapping[tuple[str, int], float], slack: float) -> Iterator[dict[str, Any]]:
    """The rows of the table ``verdicts``.

    ``relative`` says what a method with so many samples costs for one solution, in trainings of one independent
    network. Every method may spend as many solutions, and for inference samples, as its budget allows; of these its
    best ensemble counts.
    """
    networks = max(ensemble.solutions for ensemble in board.ensembles(INDEPENDENT))
    budgets = sorted({budget for budget in BUDGETS if budget <= networks} | {networks})

    def affordable(budget: int) -> Callable[[Ensemble], bool]:
        most = budget * (1 + slack)
        return lambda one: one.solutions * relative[one.method, one.samples] <= most

    for budget in budgets:
        yield _verdict(board, "training", budget, affordable(budget))
    for budget in budgets:
        yield _verdict(board, "inference", budget, lambda one, most=budget: one.passes <= most)  # type: ignore[misc]


def _verdict(board: Board, cost: str, budget: int, allowed: Callable[[Ensemble], bool]) -> dict[str, Any]:
    best_of: dict[str, Ensemble] = {}
    for ensemble in filter(allowed, board.ensembles()):
        known = best_of.get(ensemble.method)
        if known is None or board.of(ensemble, SCORE)[0] < board.of(known, SCORE)[0]:
            best_of[ensemble.method] = ensemble
    ranked = sorted(best_of.values(), key=lambda one: float(board.of(one, SCORE)[0]))
    best = ranked[0]
    others = [one for one in ranked if one.method != best.method]
    rival = best_of[INDEPENDENT] if best.method != INDEPENDENT else (others[0] if others else best)
    apart = estimate(board.of(best, SCORE) - board.of(rival, SCORE))
    return {
        "cost": cost,
        "budget": budget,
        **best._asdict(),
        "calibrated_nll": float(board.of(best, SCORE)[0]),
        "rival": rival.method,
        "rival_solutions": rival.solutions,
        "rival_samples": rival.samples,
        "difference": apart.value,
        "low": apart.low,
        "high": apart.high,
        "decided": apart.high < 0 or apart.low > 0,
    }
