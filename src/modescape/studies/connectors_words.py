"""The answers of the study ``connectors`` as sentences, each computed from its numbers."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from modescape.studies.words import UNTRAINED, Row, interval, number, over, percent, small
from modescape.tables import ANSWERS, Table, from_rows, title_of

STRAIGHT, STAR = "straight", "star"
_JOINED, _BROKEN = 0.02, 0.1
"""Drops of accuracy up to which solutions count as joined, and from which on they do not (the paper's "to check")."""

_OWN = 0.75
"""Disagreement of the middle with an end over that between the ends, from which on its function is its own: 0.5 is the
least that there can be.
"""
_ABOVE_CHANCE = 0.05

Rows = Mapping[str, Mapping[str, Row]]
"""Connector -> quantity -> its numbers."""


def answers(numbers: Sequence[Mapping[str, Any]], looked_at: str, classes: int) -> Table:
    """What was found, by connector; of those that bend the one whose training loss stays lowest leads.

    So the choice looks at no example of the split that the answers are about.
    """
    rows: dict[str, dict[str, Row]] = {}
    for one in numbers:
        missing = {end: math.nan for end in ("low", "high") if one[end] is None}
        rows.setdefault(one["connector"], {})[one["of"]] = {**one, **missing}
    bent = [name for name in rows if name not in (STRAIGHT, STAR)]
    lead = min(bent or list(rows), key=lambda name: _training_loss(rows[name]))
    untrained = rows[lead]["accuracy_ends"]["value"] < 1 / classes + _ABOVE_CHANCE
    told = [("accuracy_drop", lead, _lead(rows, lead, looked_at) + (UNTRAINED if untrained else ""))]
    told.append(("disagreement_middle", lead, _function(rows[lead], lead, looked_at)))
    if STRAIGHT in rows:
        told.append(("accuracy_lowest", STRAIGHT, _straight(rows[STRAIGHT], classes)))
    told += [("train_barrier", name, _barrier(rows[name], name)) for name in rows]
    told += [("accuracy_drop", name, _drop(rows[name], name)) for name in rows if name != lead]
    told += [("length_ratio", name, _length(rows[name], name)) for name in rows if name != STRAIGHT]
    told.append(("disagreement_ends", lead, _ends(rows[lead], looked_at)))
    told.append(("accuracy_ends", lead, _accuracy(rows[lead], looked_at)))
    table = []
    for quantity, name, sentence in told:
        row = {**rows[name][quantity], "quantity": f"{quantity}_{name}", "sentence": sentence}
        table.append({column: row[column] for column in ANSWERS.names})
    return from_rows(ANSWERS, table)


def _training_loss(rows: Mapping[str, Row]) -> tuple[float, float]:
    """The highest on the way, where paths without a barrier are all as high as their ends, and then the mean."""
    return round(rows["train_highest"]["value"], 2), rows["train_mean"]["value"]


def _points(fraction: float) -> str:
    return f"{100 * fraction:.1f} points"


def called(name: str) -> str:
    """A connector within a sentence."""
    known = {
        STRAIGHT: "the straight line",
        "bent": "the bent path (points moved one by one)",
        "polygon": "the path with one bend",
        "bezier": "the Bezier curve",
        "elastic_band": "the elastic band",
        STAR: "the star through one shared point",
    }
    return known.get(name, title_of(name))


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _lead(rows: Rows, lead: str, looked_at: str) -> str:
    drop = rows[lead]["accuracy_drop"]
    facts = (
        f"along {called(lead)} accuracy on {looked_at} examples falls at most {_points(drop['value'])} below that of "
        f"the ends{interval(drop, _points)}; {over(drop, 'path', _points)}"
    )
    if STRAIGHT in rows and lead != STRAIGHT:
        facts += f"; along the straight line by {_points(rows[STRAIGHT]['accuracy_drop']['value'])}"
    if drop["value"] <= _JOINED:
        wall = STRAIGHT in rows and rows[STRAIGHT]["accuracy_drop"]["value"] > _BROKEN
        told = (
            "Solutions are joined by paths of low loss, though not by straight ones" if wall else "Solutions are joined"
        )
        return f"{told}: {facts}."
    if drop["value"] <= _BROKEN:
        return f"Solutions are joined only nearly: {facts}."
    return f"No path of low loss was found between solutions: {facts}."


def _function(rows: Mapping[str, Row], name: str, looked_at: str) -> str:
    row, ends = rows["disagreement_middle"], rows["disagreement_ends"]
    # What disagrees with neither end where these agree disagrees with each on half of what they disagree on.
    own = row["value"] > _OWN * ends["value"] and ends["value"] > 0
    told = "The path passes through other functions" if own else "Along the path one end's function becomes the other's"
    return (
        f"{told}: in the middle of {called(name)} the network disagrees with an end on {percent(row['value'])} of the "
        f"{looked_at} examples{interval(row, percent)}, the ends with each other on {percent(ends['value'])}; "
        f"{over(row, 'path', percent)}."
    )


def _straight(rows: Mapping[str, Row], classes: int) -> str:
    row = rows["accuracy_lowest"]
    return (
        f"On the straight line between two solutions accuracy falls to {percent(row['value'])}"
        f"{interval(row, percent)}, where chance is {percent(1 / classes)}; {over(row, 'path', percent)}."
    )


def _barrier(rows: Mapping[str, Row], name: str) -> str:
    row = rows["train_barrier"]
    return (
        f"Along {called(name)} the training loss rises by {small(row['value'])} nats above the line between the losses "
        f"of the ends; {over(row, 'path', small)}."
    )


def _drop(rows: Mapping[str, Row], name: str) -> str:
    row = rows["accuracy_drop"]
    return (
        f"Along {called(name)} accuracy falls at most {_points(row['value'])} below that of the ends"
        f"{interval(row, _points)}; {over(row, 'path', _points)}."
    )


def _length(rows: Mapping[str, Row], name: str) -> str:
    row = rows["length_ratio"]
    times = f"{number(row['value'])} times as long as the straight line"
    return f"{_capital(called(name))} is {times}; {over(row, 'path', number)}."


def _ends(rows: Mapping[str, Row], looked_at: str) -> str:
    row = rows["disagreement_ends"]
    return (
        f"The ends predict different classes on {percent(row['value'])} of the {looked_at} examples"
        f"{interval(row, percent)}; {over(row, 'pair', percent)}."
    )


def _accuracy(rows: Mapping[str, Row], looked_at: str) -> str:
    row = rows["accuracy_ends"]
    return (
        f"The ends are right on {percent(row['value'])} of the {looked_at} examples{interval(row, percent)}; "
        f"{over(row, 'pair', percent)}."
    )
