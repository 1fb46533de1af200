"""The labels of a test set alone, from a file or from a dataset: all that is needed where predictions are given."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from modescape.app.datasets.load import DATASETS, load
from modescape.app.datasets.number_files import READERS, Numbers, read_numbers, without_index
from modescape.core.shapes import Int
from modescape.errors import DataError

NAMES = ("labels", "targets", "test_targets", "test_labels", "label", "target", "test_label", "y_test", "y")
"""What the array or column of labels may be called; the first that is there is taken."""


@dataclass(frozen=True)
class Labels:
    """The class of every example, the names of the classes if they are known, and where both are from."""

    name: str
    targets: Int[Tensor, " example"]
    classes: tuple[str, ...]
    source: str
    licence: str = "unknown"


def read_labels(name: str, data_dir: Path | None) -> Labels:
    """Labels from a file (npz, safetensors, CSV, Parquet), or those of a dataset's test split, by its name.

    Raises ``DataError`` for a file without labels, and for labels that are no whole numbers from 0 on.
    """
    if name in DATASETS:
        whole = load(name, data_dir=data_dir)
        return Labels(name, whole.splits["test"].targets, whole.classes, whole.source, whole.licence)
    path = Path(name)
    if path.suffix.lower() not in READERS:
        raise DataError(
            f"labels {name}: there is no such dataset ({', '.join(DATASETS)}), and files may be {', '.join(READERS)}"
        )
    found = read_numbers(path)
    values = _values(found)
    if values.ndim != 1 or values.dtype.kind not in "iuf" or len(values) == 0:
        raise DataError(f"{path}: labels are {values.dtype} {list(values.shape)}, expected whole numbers [example]")
    wrong = ~((values >= 0) & (values == np.floor(values)) & (values < 2**31))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"{path}: {wrong.sum()} labels are no classes, the first in row {row} ({values[row]}); number the classes "
            "from 0 on"
        )
    names = found.arrays.get("classes")
    classes = tuple(str(one) for one in names) if names is not None and names.dtype.kind == "U" else ()
    return Labels(path.name, torch.from_numpy(values.astype(np.int64)), classes, f"{path.name}, a file of labels")


def _values(found: Numbers) -> np.ndarray:
    columns = without_index(found, found.arrays) if found.table else found.arrays
    for name in NAMES:
        if name in columns:
            return columns[name]
    if len(columns) == 1:
        return next(iter(columns.values()))
    raise DataError(
        f"{found.path} holds {found.contents}, and none is called {', '.join(NAMES[:3])}: name the labels so, or save "
        "them alone"
    )
