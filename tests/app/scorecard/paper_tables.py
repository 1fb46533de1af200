"""Small tables of a run that somebody made by hand: known numbers in every place that the checklist reads."""

import itertools
import math

from modescape.tables import STUDIES, Table, from_rows

NAN = math.nan


def answers(study, **values):
    """Answers of a study, by quantity: a value, or value, low, high, least, most."""
    rows = []
    for quantity, given in values.items():
        numbers = given if isinstance(given, tuple) else (given, NAN, NAN, NAN, NAN)
        columns = dict(zip(("value", "low", "high", "least", "most"), numbers, strict=True))
        rows.append({"quantity": quantity, **columns, "count": 1, "sentence": f"{quantity} is so."})
    return from_rows(STUDIES[study]["answers"], rows)


def pairs(last=2, members=3):
    """All pairs of checkpoints; similarity and disagreement tell which pair it is."""
    places = [(m, c) for m in range(members) for c in range(last + 1)]
    rows = [
        {
            "member_a": a,
            "checkpoint_a": at,
            "member_b": b,
            "checkpoint_b": to,
            "disagreement": 0.1 * (a + b) + 0.01 * (at + to),
            "similarity": 0.5 + 0.1 * a + 0.01 * at,
            "similarity_without_norm": 0.02 * (b - a) if (at, to) == (last, last) else 9.0,
        }
        for (a, at), (b, to) in itertools.combinations(places, 2)
    ]
    return from_rows(STUDIES["trajectories"]["pairs"], rows)


def checkpoints(last=2, members=3):
    names = ("step", "training_loss", "accuracy", "nll", "norm")
    rows = [
        {"member": m, "checkpoint": c, "epoch": float(c), **dict.fromkeys(names, 1)}
        for m in range(members)
        for c in range(last + 1)
    ]
    return from_rows(STUDIES["trajectories"]["checkpoints"], rows)


def plane(points):
    """Points of the diversity-accuracy plane: kind, origin, accuracy, normalised disagreement."""
    others = ("scale", "disagreement", "nll", "kl_from_base", "kl_to_base", "jensen_shannon", "total_variation")
    rows = [
        {"kind": k, "origin": o, "number": 0, "accuracy": a, "normalised_disagreement": d, **dict.fromkeys(others, NAN)}
        for k, o, a, d in points
    ]
    return from_rows(STUDIES["diversity_accuracy"]["plane"], rows)


def curves(base, classes, origin=0, wrong=0.0):
    """The limit curves of one base, ``wrong`` by so much where they meet."""
    columns = ("curve", "origin", "accuracy", "normalised_disagreement")
    rows = [
        ("upper", origin, 1 / classes, 1.0 + wrong),
        ("upper", origin, base, 1.6),
        ("lower", origin, 1 / classes, 1.0),
        ("lower", origin, base, 0.0),
    ]
    return from_rows(STUDIES["diversity_accuracy"]["curves"], [dict(zip(columns, row, strict=True)) for row in rows])


def severities(values, method="independent", solutions=5, samples=1, score="jensen_shannon"):
    """A score by severity, in no order."""
    rows = [
        {
            "severity": severity,
            "method": method,
            "solutions": solutions,
            "samples": samples,
            "score": score,
            "value": value,
            **dict.fromkeys(("low", "high", "least", "most"), value),
        }
        for severity, value in sorted(enumerate(values), key=lambda place: -place[1])
    ]
    return from_rows(STUDIES["shift"]["severities"], rows)


def connectors(*paths):
    """Paths: connector, first, second, ends' accuracy, lowest accuracy, middle's and ends' disagreement."""
    names = ("connector", "first", "second", "ends_accuracy", "lowest_accuracy", "middle_disagreement")
    names += ("ends_disagreement",)
    others = ("train_barrier", "barrier", "lowest_at", "length", "ratio")
    rows = [{**dict(zip(names, path, strict=True)), **dict.fromkeys(others, 1.0)} for path in paths]
    return from_rows(STUDIES["connectors"]["connectors"], rows)


def empty(study, name):
    schema = STUDIES[study][name]
    return Table(schema, {column: [] for column in schema.names})
