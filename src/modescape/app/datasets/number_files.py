"""Arrays and tables of numbers from files of others: npz, safetensors, CSV, Parquet. Nothing in a file is ever run."""

import csv
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
from safetensors import SafetensorError

from modescape.errors import DataError, in_a_line

DELIMITERS = (",", ";", "\t")


@dataclass(frozen=True)
class Numbers:
    """What a file holds: arrays by name; or one table, columns in order, whose names are None if it has no header."""

    path: Path
    arrays: Mapping[str, np.ndarray]
    table: bool = False
    named: bool = True

    @property
    def contents(self) -> str:
        """What there is, in messages."""
        told = [f"{name} {values.dtype} {list(values.shape)}" for name, values in self.arrays.items()]
        return ", ".join(told[:8]) + (f" and {len(told) - 8} more" if len(told) > 8 else "") or "nothing"


def read_numbers(path: Path) -> Numbers:
    """The numbers of a file. Raises ``DataError`` for one that is missing, empty, damaged or not all numbers."""
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path}: files may be {', '.join(READERS)}; save it as one of these")
    try:
        if path.stat().st_size == 0:
            raise DataError(f"{path} is empty; save it again")
        return reader(path)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}; check the name") from error


def _npz(path: Path) -> Numbers:
    try:
        with np.load(path, allow_pickle=False) as found:
            return Numbers(path, {name: found[name] for name in found.files})
    except (ValueError, TypeError, AttributeError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        reason = (
            "holds Python objects, which are never read" if "allow_pickle" in str(error) else "is no sound npz file"
        )
        raise DataError(f"{path} {reason}; save plain arrays of numbers with numpy.savez") from error


def _safetensors(path: Path) -> Numbers:
    try:
        tensors = safetensors.torch.load_file(path)
    except (SafetensorError, ValueError, KeyError) as error:
        raise DataError(f"{path} is no sound safetensors file: {in_a_line(error)}; save it again") from error
    # numpy knows no bfloat16.
    wide = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    exact = {name: tensor if str(tensor.dtype) == "torch.float64" else wide[name] for name, tensor in tensors.items()}
    return Numbers(path, {name: tensor.numpy() for name, tensor in exact.items()})


def _csv(path: Path) -> Numbers:
    import pyarrow
    from pyarrow import csv as arrow_csv

    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            first = stream.readline()
        delimiter = max(DELIMITERS, key=first.count)
        cells = next(csv.reader([first], delimiter=delimiter), [])
        header = not all(_is_number(cell) for cell in cells)
        table = arrow_csv.read_csv(
            path,
            read_options=arrow_csv.ReadOptions(autogenerate_column_names=not header),
            parse_options=arrow_csv.ParseOptions(delimiter=delimiter),
        )
    except (UnicodeDecodeError, pyarrow.ArrowInvalid) as error:
        raise DataError(f"{path} is no table that can be read: {in_a_line(error)}; save it as plain CSV") from error
    return _table(path, table, header)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _parquet(path: Path) -> Numbers:
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError) as error:
        raise DataError(f"{path} is no sound Parquet file: {in_a_line(error)}; save it again") from error
    return _table(path, table, header=True)


def _table(path: Path, table: Any, header: bool) -> Numbers:
    if table.num_rows == 0 or table.num_columns == 0:
        raise DataError(f"{path} has no rows; save it again with a row for each example")
    columns: dict[str, np.ndarray] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        columns[name] = _column(path, name, column)
    if len(columns) < table.num_columns:
        raise DataError(f"{path} has two columns of one name; name each differently")
    return Numbers(path, columns, table=True, named=header)


def _column(path: Path, name: str, column: Any) -> np.ndarray:
    from pyarrow import compute, types

    where, kind = f"{path}, column {name or '(without a name)'}", column.type
    if column.null_count:
        # Where a table has no number, neither has it one for CSV's "nan".
        row = compute.is_null(column).to_pylist().index(True)
        raise DataError(f"{where}: {column.null_count} cells are empty or NaN, the first in row {row}; fill them")
    if types.is_nested(kind):
        raise DataError(f"{where} is nested ({kind}); save a flat column of numbers for each class")
    if not types.is_integer(kind) and not types.is_floating(kind):
        shown = str(column[0].as_py())[:40]
        raise DataError(
            f"{where} is {kind} and not numbers (row 0 has {shown!r}); save numbers alone, classes from 0 on"
        )
    return np.asarray(column.to_numpy())


READERS: dict[str, Callable[[Path], Numbers]] = {
    ".npz": _npz,
    ".safetensors": _safetensors,
    ".csv": _csv,
    ".parquet": _parquet,
}
"""Extension -> reader."""


def without_index(found: Numbers, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Columns of a table without a first one that only counts the rows, as pandas writes it."""
    names = list(columns)
    if len(names) > 1 and len(columns[names[0]]) > 2:
        first = columns[names[0]]
        if first.dtype.kind in "iu" and np.array_equal(first - first[0], np.arange(len(first))):
            return {name: columns[name] for name in names[1:]}
    return dict(columns)
