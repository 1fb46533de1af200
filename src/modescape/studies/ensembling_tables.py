"""The tables of the study ``ensembling`` from its numbers."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from modescape.core.scores.intervals import percentile_interval
from modescape.core.scores.size_curve import equivalent, forecast
from modescape.ensemble_tables import COSTS, EQUIVALENTS, FORECAST, SCORES, VERDICTS
from modescape.studies.abstract import Result, Results
from modescape.studies.ensembling_answers import answers
from modescape.studies.ensembling_measures import BOARD_TASK, FORECAST_TASK, measure_name
from modescape.studies.members import members_table, segments
from modescape.studies.methods import INDEPENDENT, Chosen, chosen_in, draw_name
from modescape.studies.predicting import predict_name
from modescape.studies.score_board import Board, Ensemble, board_of
from modescape.studies.setup import Setup
from modescape.studies.verdict import SCORE, verdicts
from modescape.tables import ANSWERS, Table, from_rows

FORETOLD_SIZES = 20
"""Largest ensemble that a forecast is made for, unless more networks were trained."""


def tables_of(setup: Setup, results: Results, slack: float, split: str) -> Mapping[str, Table]:
    """Every table of the study, of the methods that were measured."""
    listed = results.read(BOARD_TASK)
    assert listed is not None, "the study tells why where nothing was measured"
    methods = [chosen_in(method) for method in listed.facts["methods"]]
    found = {m.name: read for m in methods if (read := results.read(measure_name(m.name))) is not None}
    board = board_of({name: (r.facts["counts"], r.facts["scores"], r.files) for name, r in found.items()})
    trainings = [seconds for m in methods if math.isfinite(seconds := _training(setup, results, m))]
    ordinary = trainings[0] if trainings else math.nan
    costs = [row for m in methods for row in _costs(setup, results, m, found[m.name].facts, split, ordinary)]
    relative = {(row["method"], row["samples"]): row["relative"] for row in costs}
    judged = list(verdicts(board, relative, slack))
    foretold = list(_forecast(results.read(FORECAST_TASK) if listed.facts["forecast"] else None, board))
    equivalents = list(_equivalents(board))
    told = answers(board, judged, equivalents, foretold, listed.facts["classes"])
    return {
        "answers": from_rows(ANSWERS, told),
        "members": members_table(setup, results, listed.facts["steps"]),
        "verdicts": from_rows(VERDICTS, judged),
        "scores": from_rows(SCORES, list(board.rows(split))),
        "equivalents": from_rows(EQUIVALENTS, equivalents),
        "forecast": from_rows(FORECAST, foretold),
        "costs": from_rows(COSTS, costs),
    }


def _costs(
    setup: Setup, results: Results, chosen: Chosen, facts: Mapping[str, Any], split: str, ordinary: float
) -> Iterator[dict[str, Any]]:
    """What a method costs at each of its numbers of samples; drawing is charged in full for any of them.

    ``ordinary`` are the core-seconds to train one network.
    """
    drawing = 0.0
    if chosen.draws:
        drawing = _mean([results.seconds(draw_name(chosen.name, o)) for o in facts["origins"]])
    predicting = results.seconds(predict_name(chosen.name, split)) / (len(facts["origins"]) * chosen.samples)
    # A network of another variant takes as many steps and counts as one: differences of seconds are the machine's.
    # Where drawing was not timed the cost is unknown, and no budget is known to allow it.
    relative = 1.0 + (drawing / ordinary if drawing and ordinary else 0.0 if drawing == 0.0 else math.nan)
    for count in facts["counts"]:
        yield {
            "method": chosen.name,
            "samples": count,
            "training": _training(setup, results, chosen),
            "drawing": drawing,
            "relative": relative,
            "networks": len(facts["origins"]),
            "prediction": predicting * count,
            "parameters": facts["parameters"] * count,
        }


def _training(setup: Setup, results: Results, chosen: Chosen) -> float:
    """Core-seconds to train one network of a variant to its end, on average; NaN if that is not on record."""
    chains = [segments(setup, origin, chosen.variant) for origin in range(chosen.networks)]
    done = [chain for chain in chains if chain and results.failure(chain[-1]) is None]
    return _mean([sum(results.seconds(name) for name in chain) for chain in done])


def _mean(values: list[float]) -> float:
    """The mean of what is on record: a run that was killed may have lost a time."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _equivalents(board: Board) -> Iterator[dict[str, Any]]:
    independent = [board.of(one, SCORE) for one in board.ensembles(INDEPENDENT)]
    curve = torch.stack(independent, dim=1)
    for ensemble in board.ensembles():
        values = board.of(ensemble, SCORE)
        found = equivalent(curve, values)
        yield {
            **ensemble._asdict(),
            "calibrated_nll": float(values[0]),
            "equivalent": float(found[0]),
            **dict(zip(("low", "high"), percentile_interval(found[1:]), strict=True)),
        }


def _forecast(measured: Result | None, board: Board) -> Iterator[dict[str, Any]]:
    """What the curve of the first few networks foretells."""
    if measured is None:
        return
    fitted, networks = measured.facts["fitted"], len(board.ensembles(INDEPENDENT))
    last = max(2 * fitted, networks, FORETOLD_SIZES)
    at = torch.arange(1, last + 1, dtype=torch.float64)
    draws, jackknife = measured.files["curves"]["draws"], measured.files["curves"]["jackknife"]
    for place, score in enumerate(measured.facts["scores"]):
        # A law of sizes falls; accuracy rises.
        sign = -1.0 if score == "accuracy" else 1.0
        found = sign * forecast(at[:fitted], sign * draws[:, place].T, at)
        without = sign * forecast(at[: fitted - 1], sign * jackknife[:, place], at)
        last_known = draws[fitted - 1, place]
        spread = _deviation(found, without, fitted)
        own = without - without[:, fitted - 1 : fitted]
        gain_spread = _deviation(found - last_known[:, None], own, fitted)
        # What all of the first networks share moves their own ensemble as a whole and a larger one the less, the more
        # others it has: of its variance 1 - fitted/size stays in the difference.
        shared = (1 - fitted / at).clamp(min=0) * _of_networks(without, fitted)[fitted - 1]
        gain_spread = (gain_spread.square() + shared).sqrt()
        for size in range(1, last + 1):
            value, gain = float(found[0, size - 1]), float(found[0, size - 1] - last_known[0])
            apart, gain_apart = 1.96 * float(spread[size - 1]), 1.96 * float(gain_spread[size - 1])
            there = Ensemble(INDEPENDENT, size, 1)
            known = float(board.of(there, score)[0]) if there in board else math.nan
            yield {
                "score": score,
                "fitted": fitted,
                "solutions": size,
                "value": value,
                "low": value - apart,
                "high": value + apart,
                "measured": known,
                "gain": gain,
                "gain_low": gain - gain_apart,
                "gain_high": gain + gain_apart,
                "gain_measured": known - float(last_known[0]),
            }


def _deviation(draws: Tensor, without: Tensor, networks: int) -> Tensor:
    """Standard deviation of each size: over examples by their bootstrap, over networks by the jackknife, joined."""
    return (draws[1:].var(dim=0) + _of_networks(without, networks)).sqrt()


def _of_networks(without: Tensor, networks: int) -> Tensor:
    """The jackknife's variance: curves [left out, size] without each of the networks."""
    return (networks - 1) / networks * (without - without.mean(dim=0)).square().sum(dim=0)
