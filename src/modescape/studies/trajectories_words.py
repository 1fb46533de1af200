"""The answers of the study ``trajectories`` as sentences, each computed from its numbers."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from modescape.studies.words import UNTRAINED, Row, interval, number, over, percent, small, spanned


def _ratio(rows: Mapping[str, Row], split: str) -> str:
    row, between, within = (
        rows[name] for name in ("disagreement_ratio", "disagreement_between", "disagreement_within")
    )
    facts = (
        f"networks from different initialisations disagree on {percent(between['value'])} of the {split} examples, "
        f"checkpoints in the last quarter of one trajectory on {percent(within['value'])}"
    )
    if within["value"] == 0:
        times = "a ratio without bound" if between["value"] > 0 else "no difference at all"
    else:
        times = f"{row['value']:.1f} times as often{interval(row, lambda v: f'{v:.1f}')}"
    if between["value"] > 0 and (row["low"] > 1 or within["value"] == 0):
        return f"Each run stays in one function and different runs end in different ones: {facts}, {times}."
    return f"Different runs are not told apart from checkpoints of one run here: {facts}, {times}."


def _disagreement_between(rows: Mapping[str, Row], split: str) -> str:
    row = rows["disagreement_between"]
    return (
        f"Two solutions predict different classes on {percent(row['value'])} of the {split} examples"
        f"{interval(row, percent)}; {over(row, 'pair', percent)}."
    )


def _disagreement_within(rows: Mapping[str, Row], split: str) -> str:
    row = rows["disagreement_within"]
    return (
        f"Two checkpoints in the last quarter of one trajectory predict different classes on {percent(row['value'])} "
        f"of the {split} examples{interval(row, percent)}; {over(row, 'pair', percent)}."
    )


def _normalised(rows: Mapping[str, Row], split: str) -> str:
    row = rows["normalised_disagreement"]
    if math.isnan(row["value"]):
        return f"Normalised disagreement has no value: no solution makes an error on the {split} examples."
    meaning = "close to the error rate, as for calibrated networks" if 0.7 <= row["value"] <= 1.1 else None
    meaning = meaning or ("below the error rate" if row["value"] < 1 else "above the error rate")
    return (
        f"Disagreement between solutions is {number(row['value'])} of the error rate{interval(row, number)}, "
        f"over ordered pairs {spanned(row, number)}: {meaning}."
    )


def _similarity_between(rows: Mapping[str, Row], split: str) -> str:
    row = rows["similarity_between"]
    largest = max(abs(row["least"]), abs(row["most"]))
    orthogonal = "nearly orthogonal" if largest < 0.05 else "not orthogonal"
    return (
        f"The weights of two solutions have a cosine of {small(row['value'])}, "
        f"{over(row, 'pair', small)}: {orthogonal}."
    )


def _similarity_without_norm(rows: Mapping[str, Row], split: str) -> str:
    row = rows["similarity_between_without_norm"]
    return (
        f"Without the parameters of normalisation layers that cosine is {small(row['value'])}, "
        f"{over(row, 'pair', small)}."
    )


def _purity(rows: Mapping[str, Row], split: str) -> str:
    row = rows["purity_second_half"]
    return (
        f"In the second half of the trajectories {percent(row['value'])} of the checkpoints have a checkpoint of "
        f"their own run as nearest neighbour in the embeddings of predictions; "
        f"{over(row, 'embedding', percent)}."
    )


def _accuracy_member(rows: Mapping[str, Row], split: str) -> str:
    row = rows["accuracy_member"]
    return (
        f"A single solution is right on {percent(row['value'])} of the {split} examples{interval(row, percent)}; "
        f"{over(row, 'member', percent)}."
    )


def _accuracy_ensemble(rows: Mapping[str, Row], split: str) -> str:
    row, members = rows["accuracy_ensemble"], rows["accuracy_member"]["count"]
    return (
        f"The ensemble of the {members} solutions is right on {percent(row['value'])} of the {split} examples"
        f"{interval(row, percent)}."
    )


def _gain(rows: Mapping[str, Row], split: str) -> str:
    row = rows["ensemble_gain"]
    points = f"{100 * row['value']:+.1f} points"
    ends = interval(row, lambda value: f"{100 * value:+.1f}")
    sure = "" if row["low"] > 0 or row["high"] < 0 else ", which chance in the choice of examples could explain"
    return f"Averaging probabilities changes accuracy by {points}{ends}{sure}."


def _start_end(rows: Mapping[str, Row], split: str) -> str:
    row = rows["disagreement_start_end"]
    return (
        f"From initialisation to solution a network changes its prediction on {percent(row['value'])} of the {split} "
        f"examples{interval(row, percent)}; {over(row, 'member', percent)}."
    )


def _similarity_start_end(rows: Mapping[str, Row], split: str) -> str:
    row = rows["similarity_start_end"]
    return (
        f"The cosine between a member's initialisation and its solution is {small(row['value'])}; "
        f"{over(row, 'member', small)}."
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
        told[0]["sentence"] += UNTRAINED
    return told
