"""The answers of the study ``trajectories`` as sentences, each computed from its numbers."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def _percent(value: float) -> str:
    return f"{100 * value:.1f}%"


def _interval(row: Row, show: Callable[[float], str]) -> str:
    if math.isnan(row["low"]):
        return ""
    if math.isinf(row["high"]):
        return f" (95% interval {show(row['low'])} or more)"
    return f" (95% interval {show(row['low'])} to {show(row['high'])})"


def _between(row: Row, show: Callable[[float], str]) -> str:
    return f"{show(row['least'])} to {show(row['most'])}"


def _over(row: Row, noun: str, show: Callable[[float], str]) -> str:
    if row["count"] == 1:
        return f"one {noun}"
    return f"over {row['count']} {noun}s {_between(row, show)}"


def _number(value: float) -> str:
    return f"{value:.2f}"


def _small(value: float) -> str:
    return f"{value:.3f}"


def _ratio(rows: Mapping[str, Row], split: str) -> str:
    row, between, within = (
        rows[name] for name in ("disagreement_ratio", "disagreement_between", "disagreement_within")
    )
    facts = (
        f"networks from different initialisations disagree on {_percent(between['value'])} of the {split} examples, "
        f"checkpoints in the last quarter of one trajectory on {_percent(within['value'])}"
    )
    if within["value"] == 0:
        times = "a ratio without bound" if between["value"] > 0 else "no difference at all"
    else:
        times = f"{row['value']:.1f} times as often{_interval(row, lambda v: f'{v:.1f}')}"
    if between["value"] > 0 and (row["low"] > 1 or within["value"] == 0):
        return f"Each run stays in one function and different runs end in different ones: {facts}, {times}."
    return f"Different runs are not told apart from checkpoints of one run here: {facts}, {times}."


def _disagreement_between(rows: Mapping[str, Row], split: str) -> str:
    row = rows["disagreement_between"]
    return (
        f"Two solutions predict different classes on {_percent(row['value'])} of the {split} examples"
        f"{_interval(row, _percent)}; {_over(row, 'pair', _percent)}."
    )


def _disagreement_within(rows: Mapping[str, Row], split: str) -> str:
    row = rows["disagreement_within"]
    return (
        f"Two checkpoints in the last quarter of one trajectory predict different classes on {_percent(row['value'])} "
        f"of the {split} examples{_interval(row, _percent)}; {_over(row, 'pair', _percent)}."
    )


def _normalised(rows: Mapping[str, Row], split: str) -> str:
    row = rows["normalised_disagreement"]
    if math.isnan(row["value"]):
        return f"Normalised disagreement has no value: no solution makes an error on the {split} examples."
    meaning = "close to the error rate, as for calibrated networks" if 0.7 <= row["value"] <= 1.1 else None
    meaning = meaning or ("below the error rate" if row["value"] < 1 else "above the error rate")
    return (
        f"Disagreement between solutions is {_number(row['value'])} of the error rate{_interval(row, _number)}, "
        f"over ordered pairs {_between(row, _number)}: {meaning}."
    )


def _similarity_between(rows: Mapping[str, Row], split: str) -> str:
    row = rows["similarity_between"]
    largest = max(abs(row["least"]), abs(row["most"]))
    orthogonal = "nearly orthogonal" if largest < 0.05 else "not orthogonal"
    return (
        f"The weights of two solutions have a cosine of {_small(row['value'])}, "
        f"{_over(row, 'pair', _small)}: {orthogonal}."
    )


def _similarity_without_norm(rows: Mapping[str, Row], split: str) -> str:
    row = rows["similarity_between_without_norm"]
    return (
        f"Without the parameters of normalisation layers that cosine is {_small(row['value'])}, "
        f"{_over(row, 'pair', _small)}."
    )


def _purity(rows: Mapping[str, Row], split: str) -> str:
    row = rows["purity_second_half"]
    return (
        f"In the second half of the trajectories {_percent(row['value'])} of the checkpoints have a checkpoint of "
        f"their own run as nearest neighbour in the embeddings of predictions; "
        f"{_over(row, 'embedding', _percent)}."
    )


def _accuracy_member(rows: Mapping[str, Row], split: str) -> str:
    row = rows["accuracy_member"]
    return (
        f"A single solution is right on {_percent(row['value'])} of the {split} examples{_interval(row, _percent)}; "
        f"{_over(row, 'member', _percent)}."
    )


def _accuracy_ensemble(rows: Mapping[str, Row], split: str) -> str:
    row, members = rows["accuracy_ensemble"], rows["accuracy_member"]["count"]
    return (
        f"The ensemble of the {members} solutions is right on {_percent(row['value'])} of the {split} examples"
        f"{_interval(row, _percent)}."
    )


def _gain(rows: Mapping[str, Row], split: str) -> str:
    row = rows["ensemble_gain"]
    points = f"{100 * row['value']:+.1f} points"
    interval = _interval(row, lambda value: f"{100 * value:+.1f}")
    sure = "" if row["low"] > 0 or row["high"] < 0 else ", which chance in the choice of examples could explain"
    return f"Averaging probabilities changes accuracy by {points}{interval}{sure}."


def _start_end(rows: Mapping[str, Row], split: str) -> str:
    row = rows["disagreement_start_end"]
    return (
        f"From initialisation to solution a network changes its prediction on {_percent(row['value'])} of the {split} "
        f"examples{_interval(row, _percent)}; {_over(row, 'member', _percent)}."
    )


def _similarity_start_end(rows: Mapping[str, Row], split: str) -> str:
    row = rows["similarity_start_end"]
    return (
        f"The cosine between a member's initialisation and its solution is {_small(row['value'])}; "
        f"{_over(row, 'member', _small)}."
    )


_SENTENCES: dict[str, Callable[[Mapping[str, Row], str], str]] = {
    "disagreement_ratio": _ratio,
    "disagreement_between": _disagreement_between,
    "disagreement_within": _disagreement_within,
    "normalised_disagreement": _normalised,
    "similarity_between": _similarity_between,
    "similarity_between_without_norm": _similarity_without_norm,
    "purity_second_half": _purity,
    "accuracy_member": _accuracy_member,
    "accuracy_ensemble": _accuracy_ensemble,
    "ensemble_gain": _gain,
    "disagreement_start_end": _start_end,
    "similarity_start_end": _similarity_start_end,
}


def with_sentences(rows: Sequence[Row], split: str, chance: float) -> list[dict[str, Any]]:
    """The rows, each with its sentence; ``chance`` is the accuracy of guessing."""
    by_name = {row["quantity"]: row for row in rows}
    told = [{**row, "sentence": _SENTENCES[row["quantity"]](by_name, split)} for row in rows]
    if by_name["accuracy_member"]["low"] <= chance:
        told[0]["sentence"] += " But these networks predict no better than chance: of trained ones this says nothing."
    return told
