"""The tables of the study ``cross_sections`` from its results."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from modescape.landscape_tables import ERRORS, GRID, MARKS, SECTIONS
from modescape.studies.abstract import Result
from modescape.studies.cross_sections_answers import answers
from modescape.tables import ANSWERS, Table, from_rows

Columns = Mapping[str, np.ndarray]


def tables_of(results: Sequence[Result]) -> dict[str, Table]:
    """Answers, cross-sections, grids, errors and marks."""
    return {
        "answers": from_rows(ANSWERS, answers(results)),
        "sections": from_rows(SECTIONS, [_section(result.facts) for result in results]),
        "grid": Table(GRID, _joined([_grid(result) for result in results])),
        "errors": from_rows(ERRORS, [row for result in results for row in _errors(result)]),
        "marks": Table(MARKS, _joined([_marks(result) for result in results])),
    }


def _section(facts: Mapping[str, Any]) -> dict[str, Any]:
    rows, columns = facts["shape"]
    return {
        "section": facts["name"],
        **{name: facts[name] for name in ("kind", "layout", "split", "examples", "evaluated")},
        "members": " ".join(map(str, facts["members"])),
        "axis_a": facts["titles"][0],
        "axis_b": facts["titles"][1],
        "rows": rows,
        "columns": columns,
    }


def _grid(result: Result) -> Columns:
    """A row for each point and quantity, the quantities one after the other."""
    numbers, (rows, columns) = result.files["grid"], result.facts["shape"]
    values = {name.removeprefix("value."): t for name, t in numbers.items() if name.startswith("value.")}
    row, column = (part.ravel() for part in np.indices((rows, columns)))
    shared = {"row": row, "column": column}
    shared |= {name: numbers[name].numpy() for name in ("a", "b", "x", "y", "evaluated")}
    found = {name: np.tile(part, len(values)) for name, part in shared.items()}
    found["quantity"] = np.repeat(np.array(list(values)), rows * columns)
    found["value"] = np.concatenate([value.numpy() for value in values.values()])
    return found | {"section": np.full(len(found["value"]), result.facts["name"])}


def _errors(result: Result) -> list[dict[str, Any]]:
    numbers, facts = result.files["errors"], result.facts
    columns = zip(
        facts["quantities"], *(numbers[n].tolist() for n in ("largest", "rms", "largest_fraction")), strict=True
    )
    return [
        {
            "section": facts["name"],
            "quantity": quantity,
            "checked": facts["checked"],
            "largest": largest,
            "rms": rms,
            "largest_fraction": fraction,
        }
        for quantity, largest, rms, fraction in columns
    ]


def _marks(result: Result) -> Columns:
    labels = result.facts["marks"]
    kinds, members, numbers = zip(*labels, strict=True)
    found = {name: value.numpy() for name, value in result.files["marks"].items()}
    found |= {"kind": np.array(kinds), "member": np.array(members), "number": np.array(numbers)}
    return found | {"section": np.full(len(labels), result.facts["name"])}


def _joined(parts: Sequence[Columns]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
