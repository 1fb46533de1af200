"""The tables of the study ``diversity_accuracy`` from its numbers."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from modescape.core.diversity.disagreement import normalised_disagreement
from modescape.core.diversity.limits import family, lower_limit, upper_limit
from modescape.studies.abstract import Result, Results
from modescape.studies.diversity_accuracy_words import with_sentences
from modescape.studies.members import members_table
from modescape.studies.setup import Setup
from modescape.tables import ANSWERS, CURVES, ENSEMBLES, EXPONENTS, PLANE, Table, from_rows

BASE = "base"
_POINTS = 121


def tables_of(setup: Setup, results: Results, measured: Result) -> Mapping[str, Table]:
    """Every table of the study."""
    facts, points = measured.facts, measured.files["points"]
    exponents = measured.files["exponents"]["numbers"]
    return {
        "answers": _answers(measured),
        "members": members_table(setup, results, facts["steps"]),
        "plane": _plane(points, facts),
        "curves": _curves(points, exponents, facts),
        "exponents": _exponents(points, exponents, facts),
        "ensembles": _ensembles(measured),
    }


def _answers(measured: Result) -> Table:
    names = ("value", "low", "high", "least", "most", "count")
    numbers = measured.files["rows"]["numbers"].tolist()
    rows = [
        {"quantity": quantity, **dict(zip(names, row, strict=True)), "count": int(row[-1])}
        for quantity, row in zip(measured.facts["quantities"], numbers, strict=True)
    ]
    return from_rows(ANSWERS, with_sentences(rows, measured.facts))


def _plane(points: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Table:
    kinds = np.array(facts["kinds"])[points["kind"].numpy()]
    columns = {name: points[name].numpy() for name in PLANE.names if name != "kind"}
    bases = from_rows(PLANE, [_base_row(points, base) for base in facts["bases"]])
    return Table(
        PLANE,
        {name: np.concatenate([bases[name], kinds if name == "kind" else columns[name]]) for name in PLANE.names},
    )


def _base_row(points: Mapping[str, Tensor], base: int) -> dict[str, Any]:
    mine = points["origin"] == base
    nothing = dict.fromkeys(PLANE.names, 0.0)
    said = {"kind": BASE, "origin": base, "number": base, "scale": np.nan}
    return {**nothing, **said, **{name: float(points[f"base_{name}"][mine][0]) for name in ("accuracy", "nll")}}


def _curves(points: Mapping[str, Tensor], exponents: Tensor, facts: Mapping[str, Any]) -> Table:
    classes = facts["classes"]
    rows: list[dict[str, Any]] = []
    for place, base in enumerate(facts["bases"]):
        accuracy = float(points["base_accuracy"][points["origin"] == base][0])
        rows += limit_rows(base, accuracy, classes)
        # Close to the base a curve turns within a small share of flipped labels: the grid is even in its logarithm.
        flipped = torch.logspace(-9, 0, _POINTS, dtype=torch.float64)
        for name, (exponent, *_) in zip(facts["subspaces"], exponents[place].tolist(), strict=True):
            if not np.isnan(exponent):
                found = family(flipped, torch.tensor(exponent), torch.tensor(accuracy).double(), classes)
                rows += _curve(name, base, *found)
    return from_rows(CURVES, rows)


def limit_rows(base: int, accuracy: float, classes: int) -> Iterator[dict[str, Any]]:
    """Both limit curves of a base's plane, as rows of the table ``curves``."""
    grid = torch.linspace(1 / classes, accuracy, _POINTS, dtype=torch.float64)
    yield from _curve("upper", base, grid, upper_limit(grid, accuracy, classes))
    yield from _curve("lower", base, grid, lower_limit(grid, accuracy, classes))


def _curve(name: str, base: int, accuracy: Tensor, disagreement: Tensor) -> Iterator[dict[str, Any]]:
    normalised = normalised_disagreement(disagreement, 1 - accuracy)
    for x, y in zip(accuracy.tolist(), normalised.tolist(), strict=True):
        yield {"curve": name, "origin": base, "accuracy": x, "normalised_disagreement": y}


def _exponents(points: Mapping[str, Tensor], exponents: Tensor, facts: Mapping[str, Any]) -> Table:
    rows = []
    for place, base in enumerate(facts["bases"]):
        for name, (exponent, low, high) in zip(facts["subspaces"], exponents[place].tolist(), strict=True):
            mine = (points["origin"] == base) & (points["kind"] == facts["kinds"].index(name))
            row = {"subspace": name, "origin": base, "exponent": exponent, "low": low, "high": high}
            rows.append({**row, "count": int(mine.sum())})
    return from_rows(EXPONENTS, rows)


def _ensembles(measured: Result) -> Table:
    numbers = measured.files["ensembles"]["numbers"].tolist()
    names = ("jensen_shannon", "low", "high", "accuracy")
    return from_rows(
        ENSEMBLES,
        [
            {**row, **dict(zip(names, values, strict=True))}
            for row, values in zip(measured.facts["ensembles"], numbers, strict=True)
        ],
    )
