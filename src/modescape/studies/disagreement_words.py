"""The answers of the study ``disagreement`` as sentences, each computed from its numbers."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from modescape.studies.disagreement_measures import ENSEMBLE
from modescape.studies.words import UNTRAINED, Row, interval, number, over, percent, signed_points, small

Rows = Sequence[Row]
MANY = 5
"""Networks that are told one by one, at most; of more their range is told."""


def answers(networks: Rows, pairs: Rows, numbers: Tensor, facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of the table ``answers``."""
    found = [*_pairs(pairs, numbers, facts), *_networks(networks, facts), *_of_references(networks)]
    best = max(row["high"] for row in networks if row["score"] == "accuracy")
    if best <= 1 / facts["classes"]:
        found[0]["sentence"] += UNTRAINED
    return found


def _pairs(pairs: Rows, numbers: Tensor, facts: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if not pairs:
        return
    names = ("value", "low", "high", "least", "most")
    apart, normalised = (dict(zip(names, row, strict=True)) for row in numbers.tolist())
    row: dict[str, Any] = {"quantity": "disagreement", **apart, "count": len(pairs)}
    sentence = (
        f"Two networks predict different classes for {percent(row['value'])} of the {facts['split']} examples"
        f"{interval(row, percent)}; {over(row, 'pair', percent)}."
    )
    yield {**row, "sentence": sentence}
    row = {"quantity": "normalised_disagreement", **normalised, "count": 2 * len(pairs)}
    if math.isnan(row["value"]):
        yield {**row, "sentence": "Normalised disagreement has no value: no network makes an error."}
    else:
        sentence = (
            f"They disagree {number(row['value'])} times as often as the one that is compared errs"
            f"{interval(row, number)}; {over(row, 'ordered pair', number)}. About 1 is what unrelated errors give."
        )
        yield {**row, "sentence": sentence}
    values = [pair["jensen_shannon"] for pair in pairs]
    if facts["classes_alone"]:
        sentence = "The files have classes alone: likelihood, calibration and divergences need probabilities."
        blank = dict.fromkeys(names, math.nan)
        yield {"quantity": "classes_alone", **blank, "count": len(facts["members"]), "sentence": sentence}
        return
    row = {"quantity": "jensen_shannon", "low": math.nan, "high": math.nan, "count": len(values)}
    row |= {"value": sum(values) / len(values), "least": min(values), "most": max(values)}
    sentence = f"The Jensen-Shannon divergence between two is {small(row['value'])} nats; {over(row, 'pair', small)}."
    yield {**row, "sentence": sentence}


def _networks(networks: Rows, facts: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    rows = [row for row in networks if row["score"] == "accuracy"]
    if len(facts["members"]) > MANY:
        yield _ranged("accuracy_member", rows[:-1], f"Alone they are right on {{}} of the {facts['split']} examples.")
        rows = rows[-1:]
    for row in rows:
        own = {other["score"]: other for other in networks if other["network"] == row["network"]}
        whole = row["network"] == ENSEMBLE
        most = "the class that most of them predict" if facts["classes_alone"] else "the mean of their probabilities"
        who = f"All together, by {most}," if whole else f"Network {row['network']}"
        verb = "they are" if whole else "is"
        sentence = f"{who} {verb} right on {percent2(row['value'])} of the {facts['split']} examples"
        sentence += interval(row, percent)
        if whole:
            alone = [r["value"] for r in networks if r["score"] == "accuracy" and r["network"] != ENSEMBLE]
            sentence += f", {signed_points(row['value'] - max(alone))} compared with the best of them"
        if "nll" in own:
            nll, error = own["nll"]["value"], own["calibration_error"]["value"]
            sentence += f"; negative log-likelihood {small(nll)} nats, calibration error {small(error)}"
        yield _row(f"accuracy_{row['network']}", row, f"{sentence}.")


def percent2(value: float) -> str:
    """A fraction as a percentage with two decimals: of 10,000 examples one counts."""
    return f"{100 * value:.2f}%"


_REFERENCES = {
    "people_cross_entropy": ("Cross-entropy with people's votes, in nats (less is nearer)", small),
    "posterior_agreement": ("Agreement with the reference posterior's class", percent2),
    "posterior_total_variation": ("Total variation to the reference posterior", small),
}


def _of_references(networks: Rows) -> Iterator[dict[str, Any]]:
    for score, (title, show) in _REFERENCES.items():
        rows = [row for row in networks if row["score"] == score]
        if not rows:
            continue
        few = rows if len(rows) <= MANY + 1 else rows[-1:]
        told = ", ".join(f"{_called(row['network'])} {show(row['value'])}{interval(row, show)}" for row in few)
        if few != rows:
            values = [row["value"] for row in rows[:-1]]
            told = f"one network {show(min(values))} to {show(max(values))}, {told}"
        yield _row(score, rows[-1], f"{title}: {told}.")


def _ranged(quantity: str, rows: Rows, sentence: str) -> dict[str, Any]:
    values = [row["value"] for row in rows]
    found = {"value": sum(values) / len(values), "least": min(values), "most": max(values), "count": len(values)}
    told = f"{percent2(found['value'])} ({percent2(found['least'])} to {percent2(found['most'])})"
    return {"quantity": quantity, "low": math.nan, "high": math.nan, **found, "sentence": sentence.format(told)}


def _called(network: str) -> str:
    return "all together" if network == ENSEMBLE else f"network {network}"


def _row(quantity: str, row: Row, sentence: str) -> dict[str, Any]:
    found = {name: row[name] for name in ("value", "low", "high")}
    return {
        "quantity": quantity,
        **found,
        "least": row["value"],
        "most": row["value"],
        "count": 1,
        "sentence": sentence,
    }
