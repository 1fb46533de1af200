"""A result table: columns of equal length that follow a schema."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Kind = Literal["int", "float", "text", "flag"]

_DTYPES: dict[str, Any] = {"int": np.int64, "float": np.float64, "text": np.str_, "flag": np.bool_}


@dataclass(frozen=True)
class Column:
    """One column: its name, the kind of its values, what they mean and in which unit."""

    name: str
    kind: Kind
    meaning: str
    unit: str = ""


@dataclass(frozen=True)
class Schema:
    """The columns of one table."""

    name: str
    meaning: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(column.name for column in self.columns)


@dataclass(frozen=True)
class Table:
    """Columns of equal length that follow a schema.

    Values are converted to the column's kind (int64, float64, text, bool) on construction; a missing or unknown
    column, or columns of unequal length, raise ``ValueError``.
    """

    schema: Schema
    columns: Mapping[str, np.ndarray]

    def __post_init__(self) -> None:
        given, wanted = set(self.columns), set(self.schema.names)
        if given != wanted:
            raise ValueError(
                f"table {self.schema.name}: missing columns {sorted(wanted - given)}, "
                f"unknown columns {sorted(given - wanted)}"
            )
        typed = {c.name: np.asarray(self.columns[c.name], dtype=_DTYPES[c.kind]) for c in self.schema.columns}
        shapes = {name: values.shape for name, values in typed.items()}
        if len(set(shapes.values())) > 1 or any(len(shape) != 1 for shape in shapes.values()):
            raise ValueError(f"table {self.schema.name}: columns must be flat and of equal length, got {shapes}")
        object.__setattr__(self, "columns", typed)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns[name]

    def rows(self) -> list[dict[str, Any]]:
        """The rows as dictionaries of plain Python values."""
        lists = {name: values.tolist() for name, values in self.columns.items()}
        return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]


def from_rows(schema: Schema, rows: Sequence[Mapping[str, Any]]) -> Table:
    """The table with one row for each mapping; every mapping names every column."""
    return Table(schema, {name: np.array([row[name] for row in rows]) for name in schema.names})


def title_of(name: str) -> str:
    """A name that stands in a table, such as "low_rank_gaussian", as a reader would write it."""
    proper = {"pca": "PCA", "swag": "SWAG", "gaussian": "Gaussian", "laplace": "Laplace", "bezier": "Bezier"}
    return " ".join(proper.get(word, word) for word in name.split("_")).replace("low rank", "low-rank")
