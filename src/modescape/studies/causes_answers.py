"""What makes networks differ, in numbers and words."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor

from modescape.core.scores.intervals import bootstrap_means, percentile_interval
from modescape.core.seeds import generator
from modescape.studies.words import interval, over, percent, signed_points, small
from modescape.tables import ANSWERS, Table, from_rows

TITLES = {
    "everything": "everything",
    "init": "the initialisation alone",
    "order": "the order of the data alone",
    "augment": "augmentation alone",
    "dropout": "dropout alone",
}


def answers(compared: Mapping[str, Mapping[str, Tensor]], facts: Mapping[str, Any], draws: int, root: int) -> Table:
    """One row for each cause, then initialisation against order. Intervals are over the same resampled examples."""
    differ = {cause: _differ(tensors["classes"]) for cause, tensors in compared.items()}
    sizes = [len(values) for values in differ.values()]
    resampled = bootstrap_means(torch.cat(list(differ.values())), draws, generator(root, "bootstrap", "causes"))
    means = {c: part.mean(dim=1) for c, part in zip(differ, resampled.split(sizes, dim=1), strict=True)}
    rows = [_row(f"disagreement_{cause}", values.mean(dim=1), means[cause]) for cause, values in differ.items()]
    if {"init", "order"} <= differ.keys():
        apart = differ["init"].mean() - differ["order"].mean()
        rows.append(_row("init_minus_order", apart[None], means["init"] - means["order"]))
    rows += [_row(f"similarity_{cause}", _upper(tensors["similarity"]), None) for cause, tensors in compared.items()]
    # Without it nothing is compared with it.
    whole = next((row for row in rows if row["quantity"] == "disagreement_everything"), {"value": 0.0})
    return from_rows(ANSWERS, [row | {"sentence": _sentence(row, whole, facts)} for row in _most_telling(rows)])


def _most_telling(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The comparison first: it is the question."""
    return sorted(rows, key=lambda row: row["quantity"] != "init_minus_order")


def _differ(classes: Tensor) -> Tensor:
    """Whether each pair's classes differ [pair, example]."""
    pairs = torch.tensor(list(combinations(range(len(classes)), 2)))
    return (classes[pairs[:, 0]] != classes[pairs[:, 1]]).double()


def _upper(matrix: Tensor) -> Tensor:
    first, second = torch.triu_indices(len(matrix), len(matrix), offset=1)
    return matrix[first, second]


def _row(quantity: str, values: Tensor, resampled: Tensor | None) -> dict[str, Any]:
    low, high = (np.nan, np.nan) if resampled is None else percentile_interval(resampled)
    return {
        "quantity": quantity,
        "value": float(values.mean()),
        "low": low,
        "high": high,
        "least": float(values.min()),
        "most": float(values.max()),
        "count": len(values),
    }


def _sentence(row: Mapping[str, Any], whole: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    kind, _, cause = row["quantity"].partition("_")
    if row["quantity"] == "init_minus_order":
        return _against(row)
    if kind == "similarity":
        return (
            f"The weights of two networks in whose training {TITLES[cause]} differs have a cosine of "
            f"{small(row['value'])}."
        )
    relative = f", {row['value'] / whole['value']:.2f} times as many as if everything differs" if whole["value"] else ""
    share = "" if cause == "everything" else relative
    return (
        f"Two networks in whose training {TITLES[cause]} differs predict different classes on "
        f"{percent(row['value'])} of the {facts['split']} examples{interval(row, percent)}{share}; "
        f"{over(row, 'pair', percent)}."
    )


def _against(row: Mapping[str, Any]) -> str:
    told = f"{signed_points(row['value'])} of disagreement{interval(row, signed_points)}"
    if row["low"] > 0:
        return f"Another initialisation makes networks differ more than another order of the data: {told}."
    if row["high"] < 0:
        return f"Another order of the data makes networks differ more than another initialisation: {told}."
    alike = "Another initialisation and another order of the data make networks differ alike"
    return f"{alike}: {told}, which includes zero."
