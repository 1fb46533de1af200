"""The answers of the study ``diversity_accuracy`` as sentences, each computed from its numbers."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from modescape.studies.words import Row, interval, number, over, percent, points, small
from modescape.tables import title_of

Rows = Mapping[str, Row]
Facts = Mapping[str, Any]


def _equal(facts: Facts) -> str:
    return f"at most {points(facts['tolerance'])} less accurate"


def _gap(rows: Rows, facts: Facts) -> str:
    row, independent, best = (
        rows[name] for name in ("gap", "independent_normalised_disagreement", "sample_of_equal_accuracy")
    )
    if math.isnan(row["value"]):
        return f"The gap has no value: no solution makes an error on the {facts['split']} examples."
    told = (
        f"a solution from another initialisation has a normalised disagreement of {number(independent['value'])}, "
        f"the most diverse sample around one solution that is {_equal(facts)} has {number(best['value'])}: "
        f"{number(abs(row['value']))} {'more' if row['value'] >= 0 else 'less'}{interval(row, number)}"
    )
    if row["low"] > 0:
        return f"Sampling around one solution does not replace other solutions: {told}."
    if row["high"] < 0:
        return f"Sampling around one solution is more diverse than other solutions here: {told}."
    return f"Samples around one solution and other solutions are not told apart here: {told}."


def _independent(rows: Rows, facts: Facts) -> str:
    row = rows["independent_normalised_disagreement"]
    return (
        f"Independent solutions disagree with the base on {number(row['value'])} times as many {facts['split']} "
        f"examples as they get wrong{interval(row, number)}; {over(row, 'pair', number)}."
    )


def _of_equal_accuracy(rows: Rows, facts: Facts) -> str:
    row = rows["sample_of_equal_accuracy"]
    return (
        f"Among the samples that are {_equal(facts)} than an independent solution, the most diverse has "
        f"{number(row['value'])}{interval(row, number)}; {over(row, 'pair', number)}."
    )


def _dominated(rows: Rows, facts: Facts) -> str:
    row = rows["dominated"]
    count, pairs = round(row["value"] * row["count"]), "of a base and an independent solution"
    equal = "sample around the base that is as accurate and as diverse as the independent solution"
    if row["count"] == 1:
        return f"The one pair {pairs} has {'a' if count else 'no'} {equal}."
    return f"{count or 'None'} of {row['count']} pairs {pairs} {'has' if count <= 1 else 'have'} a {equal}."


def _near_base(rows: Rows, facts: Facts) -> str:
    row = rows["sample_near_base"]
    return (
        f"Within {points(facts['tolerance'])} of the base's accuracy the most diverse sample has a normalised "
        f"disagreement of {number(row['value'])}{interval(row, number)}; {over(row, 'base', number)}."
    )


def _accuracy_base(rows: Rows, facts: Facts) -> str:
    row = rows["accuracy_base"]
    return (
        f"The base solution is right on {percent(row['value'])} of the {facts['split']} examples"
        f"{interval(row, percent)}; {over(row, 'base', percent)}."
    )


def _accuracy_independent(rows: Rows, facts: Facts) -> str:
    row = rows["accuracy_independent"]
    return (
        f"Independent solutions are right on {percent(row['value'])}{interval(row, percent)}; "
        f"{over(row, 'pair', percent)}."
    )


def _exponent(rows: Rows, name: str) -> str:
    row = rows[f"exponent_{name}"]
    if math.isnan(row["value"]):
        return f"The cloud of {title_of(name)} never leaves the base: it has no exponent."
    return (
        f"The cloud of {title_of(name)} follows the curve with exponent {number(row['value'])}{interval(row, number)} "
        f"(1 is the lower limit; smaller is more diverse at equal accuracy); {over(row, 'base', number)}."
    )


def _divergence(rows: Rows, name: str, facts: Facts) -> str:
    row = rows[f"divergence_{name}"]
    whose = {
        "independent": "independent solutions",
        "trajectory": "late checkpoints of one trajectory",
    }.get(name, f"members drawn by {title_of(name)}")
    value = f"{small(row['value'])} nats{interval(row, small)}"
    asked, tried, kept = (
        sum(row[count] for row in facts["ensembles"] if row["kind"] == name) for count in ("asked", "tried", "kept")
    )
    few = f"; {kept} of {asked} were kept in {tried} tries" if kept < tried else ""
    return f"An ensemble of {whose} has a Jensen-Shannon divergence of {value}{few}."


def _ordered(rows: Rows) -> str:
    """The divergences from the largest to the smallest."""
    found = sorted((name for name in rows if name.startswith("divergence_")), key=lambda name: -rows[name]["value"])
    told = ", ".join(f"{title_of(name.removeprefix('divergence_'))} {small(rows[name]['value'])}" for name in found)
    return f" In order: {told}."


_SENTENCES: dict[str, Callable[[Rows, Facts], str]] = {
    "gap": _gap,
    "independent_normalised_disagreement": _independent,
    "sample_of_equal_accuracy": _of_equal_accuracy,
    "dominated": _dominated,
    "sample_near_base": _near_base,
    "accuracy_base": _accuracy_base,
    "accuracy_independent": _accuracy_independent,
}


def with_sentences(rows: Sequence[Row], facts: Facts) -> list[dict[str, Any]]:
    """The rows, each with its sentence; the first warns where the networks predict no better than chance."""
    by_name = {row["quantity"]: row for row in rows}
    told: list[dict[str, Any]] = []
    for row in rows:
        kind, _, name = row["quantity"].partition("_")
        if kind == "exponent":
            sentence = _exponent(by_name, name)
        elif kind == "divergence":
            sentence = _divergence(by_name, name, facts) + (_ordered(by_name) if name == "independent" else "")
        else:
            sentence = _SENTENCES[row["quantity"]](by_name, facts)
        told.append({**row, "sentence": sentence})
    if by_name["accuracy_base"]["low"] <= 1 / facts["classes"]:
        told[0]["sentence"] += " But the base predicts no better than chance: of trained networks this says nothing."
    return told
