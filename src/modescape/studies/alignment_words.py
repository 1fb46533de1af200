"""The answers of the study ``alignment`` as sentences, each computed from its numbers."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from modescape.studies.words import UNTRAINED, Row, interval, over, percent, small

Rows = Mapping[str, Row]
Facts = Mapping[str, Any]

LITTLE, LOST = 0.1, 0.02
"""What is left of a barrier, as a fraction, where it counts as gone."""

_MATCHED = {"weights": "matched by weights", "activations": "matched by activations"}


def with_sentences(rows: Sequence[Row], facts: Facts) -> list[dict[str, Any]]:
    """The rows, each with its sentence; ``facts`` are the best method, the split and the accuracy of guessing."""
    named = {row["quantity"]: row for row in rows}
    told = [{**row, "sentence": _sentence(row, named, facts)} for row in rows]
    if named["accuracy_ends"]["low"] <= facts["chance"]:
        told[0]["sentence"] += UNTRAINED
    return told


def _sentence(row: Row, rows: Rows, facts: Facts) -> str:
    quantity: str = row["quantity"]
    if quantity == "barrier_left":
        return _lead(row, rows, facts)
    name, _, method = quantity.rpartition("_")
    split = facts["split"]
    if quantity == "disagreement":
        return (
            f"Two solutions predict different classes for {percent(row['value'])} of the {split} examples"
            f"{interval(row, percent)}, in whatever order their hidden units are; {over(row, 'pair', percent)}."
        )
    if quantity == "accuracy_ends":
        return (
            f"The solutions are right on {percent(row['value'])} of the {split} examples{interval(row, percent)}; "
            f"{over(row, 'pair', percent)}."
        )
    way = _way(method)
    if name in ("barrier", "barrier_train"):
        where = "train" if name == "barrier_train" else split
        return (
            f"On the line between two solutions {way} the loss on {where} examples rises {small(row['value'])} nats "
            f"above the straight line between its ends{interval(row, small)}; {over(row, 'pair', small)}."
        )
    if name == "similarity":
        return f"The similarity of two solutions {way} is {small(row['value'])}; {over(row, 'pair', small)}."
    if name == "middle_accuracy":
        return (
            f"Halfway between two solutions {way} the accuracy is {percent(row['value'])}{interval(row, percent)}; "
            f"{over(row, 'pair', percent)}."
        )
    return (
        f"Halfway between two solutions {way} a network disagrees with either on {percent(row['value'])} of the "
        f"{split} examples{interval(row, percent)}; {over(row, 'pair', percent)}."
    )


def _way(method: str) -> str:
    return "as they are" if method == "none" else _MATCHED[method]


def _lead(row: Row, rows: Rows, facts: Facts) -> str:
    before, after = rows["barrier_none"], rows[f"barrier_{facts['best']}"]
    numbers = (
        f"the barrier between two solutions is {small(before['value'])} nats before and {small(after['value'])} after "
        f"their hidden units are {_MATCHED[facts['best']]}"
    )
    if math.isnan(row["value"]):
        return f"There is no barrier between these solutions, even as they are: {numbers}."
    left = f"{numbers}, {percent(row['value'])} of it{interval(row, percent)}; {over(row, 'pair', percent)}"
    lost = rows["accuracy_ends"]["value"] - rows[f"middle_accuracy_{facts['best']}"]["value"]
    if row["high"] <= LITTLE and lost <= LOST:
        return f"These solutions are one mode but for the order of their hidden units: {left}."
    found = "A better order may exist than the one that was found."
    if row["high"] < 1:
        return f"Another order of hidden units does not make these solutions one mode: {left}. {found}"
    return f"Another order of hidden units does not even lower the barrier between these solutions: {left}. {found}"
