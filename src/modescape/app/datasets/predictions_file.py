"""What others predicted, from a file: probabilities, logits or classes of one member or of a stack of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modescape.app.datasets.number_files import Numbers, read_numbers, without_index
from modescape.errors import DataError

NAMES = {
    "logits": ("logits", "log_probabilities", "log_probs"),
    "probabilities": ("probabilities", "probs"),
    "classes": ("classes", "predicted_classes"),
}
"""What an array may be called that is surely of this kind; ``predictions`` may be of any."""
ANY = "predictions"

TOLERANCE = 1e-3
"""By how much the probabilities of an example may miss 1: three decimals of ten classes may."""

SHOWN = 3


@dataclass(frozen=True)
class Predicted:
    """One member's predictions: [example, class] probabilities or logits, or [example] classes.

    ``columns`` are the names of the classes, where a table has them.
    """

    where: str
    kind: str
    values: np.ndarray
    columns: tuple[str, ...] = ()


def read_predictions(path: Path, kind: str | None = None) -> list[Predicted]:
    """The members of one file: an array [example, class] or [member, example, class], classes [example] or
    [member, example]; or a table with a column for each class, or with one column of classes.

    ``kind`` says what the numbers are; None takes it from them, see ``kind_of``. Raises ``DataError`` that names the
    file and the first rows at fault.
    """
    found = read_numbers(path)
    name, values, columns = _table(found) if found.table else _array(found, kind)
    where = str(path)
    if values.dtype.kind not in "iuf" or values.size == 0:
        raise DataError(f"{where}: {name or 'what it holds'} is {values.dtype} {list(values.shape)}, expected numbers")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        # An array of one axis has a number for each row.
        rows = np.any(~np.isfinite(values.reshape(-1, values.shape[-1] if values.ndim > 1 else 1)), axis=1)
        raise DataError(f"{where}: NaN or infinite numbers in {_rows(rows)}; repair or remove them")
    meant = kind or _named_kind(name) or kind_of(where, values)
    stack = _stack(where, values, meant, found.table)
    check = {"probabilities": _check_probabilities, "classes": _check_classes}.get(meant)
    if check is not None:
        for member in stack:
            check(where, member)
    places = [where] if len(stack) == 1 else [f"{where}, member {place}" for place in range(len(stack))]
    return [Predicted(place, meant, member, columns) for place, member in zip(places, stack, strict=True)]


def _table(found: Numbers) -> tuple[str, np.ndarray, tuple[str, ...]]:
    columns = without_index(found, found.arrays)
    names = tuple(columns) if found.named and len(columns) > 1 else ()
    values = np.column_stack(list(columns.values()))
    return "", values[:, 0] if values.shape[1] == 1 else values, names


def _array(found: Numbers, kind: str | None) -> tuple[str, np.ndarray, tuple[str, ...]]:
    wanted = NAMES[kind] if kind else tuple(name for names in NAMES.values() for name in names)
    known = [name for name in (*wanted, ANY) if name in found.arrays]
    if not known:
        known = [name for name, values in found.arrays.items() if values.ndim >= 2 and values.dtype.kind == "f"]
    if not known and len(found.arrays) == 1:
        known = list(found.arrays)
    if len(known) != 1:
        raise DataError(
            f"{found.path} holds {found.contents}; exactly one array may be called {', '.join((*NAMES, ANY))}, or tell "
            "with --kind which one is meant"
        )
    return known[0], found.arrays[known[0]], ()


def _named_kind(name: str) -> str | None:
    return next((kind for kind, names in NAMES.items() if name in names), None)


def kind_of(where: str, values: np.ndarray) -> str:
    """What numbers are, when nobody says it.

    Whole numbers of an integer type are classes. Where most rows sum to 1, all must be probabilities. Otherwise they
    are logits, unless all lie from 0 to 1: then one cannot tell, and ``DataError`` is raised.
    """
    if values.dtype.kind in "iu":
        return "classes"
    rows = values.reshape(-1, values.shape[-1])
    if values.ndim == 1:
        raise DataError(f"{where}: one number for each example, and they are not whole: give one for each class")
    if np.mean(_sums_to_one(rows)) > 0.5:
        return "probabilities"
    if rows.min() >= 0 and rows.max() <= 1:
        raise DataError(
            f"{where}: all numbers lie from 0 to 1, but {_rows(~_sums_to_one(rows))} do not sum to 1; repair the "
            "probabilities, or say --kind logits"
        )
    return "logits"


def _sums_to_one(rows: np.ndarray) -> np.ndarray:
    close: np.ndarray = np.abs(rows.astype(np.float64).sum(axis=1) - 1) <= TOLERANCE
    return close


def _stack(where: str, values: np.ndarray, kind: str, table: bool) -> list[np.ndarray]:
    """A list of members, [example, class] or for classes [example]."""
    if kind == "classes" and values.dtype.kind == "f" and values.ndim >= 2:
        # Of probabilities or logits no more is wanted than the class.
        values = values.argmax(axis=-1)
    if kind == "classes" and table and values.ndim == 2:
        raise DataError(f"{where}: {values.shape[1]} columns of whole numbers; give one column of classes, or --kind")
    axes = "[example] or [member, example]" if kind == "classes" else "[example, class] or [member, example, class]"
    one = 1 if kind == "classes" else 2
    if values.ndim not in (one, one + 1) or (kind != "classes" and values.shape[-1] < 2):
        raise DataError(f"{where}: {kind} are {list(values.shape)}, expected {axes} with two classes or more")
    return [values] if values.ndim == one else list(values)


def _check_probabilities(where: str, values: np.ndarray) -> None:
    negative = (values < 0).any(axis=1)
    if negative.any():
        raise DataError(f"{where}: negative probabilities in {_rows(negative)}; repair them, or say --kind logits")
    wrong = ~_sums_to_one(values)
    if wrong.any():
        raise DataError(
            f"{where}: probabilities do not sum to 1 within {TOLERANCE:g} in {_rows(wrong)}; repair them, or say "
            "--kind logits"
        )


def _check_classes(where: str, values: np.ndarray) -> None:
    wrong = (values < 0) | (values != np.floor(values))
    if wrong.any():
        raise DataError(f"{where}: no classes, numbered from 0 on, in {_rows(wrong)}; correct them")


def _rows(wrong: Any) -> str:
    places = np.flatnonzero(wrong)
    shown = ", ".join(str(place) for place in places[:SHOWN])
    return f"{len(places):,} of {len(wrong):,} rows ({shown}{', ...' if len(places) > SHOWN else ''})"
