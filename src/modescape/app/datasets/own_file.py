"""A dataset of one's own: arrays in an npz file."""

import zipfile
from pathlib import Path

import numpy as np
import torch

from modescape.app.datasets.dataset import Dataset
from modescape.core.engine.notes import say
from modescape.core.splits import Split
from modescape.errors import DataError

FORM = (
    "it needs train_inputs [example, channel, ...], train_targets [example], test_inputs and test_targets; "
    "or inputs and targets alone; and may have classes, their names"
)

MOST_CLASSES = 100_000


def load_file(path: Path) -> Dataset:
    """The arrays of an npz file: ``train_inputs``, ``train_targets``, ``test_inputs``, ``test_targets``.

    With ``inputs`` and ``targets`` alone, the same examples are both splits, which is said. Inputs are uint8 or become
    float32. Raises ``DataError`` for a file that cannot be read, and for arrays that are missing or have another form;
    nothing in a file is ever run.
    """
    arrays = _arrays(path)
    source = f"{path.name}, a file of one's own"
    if {"inputs", "targets"} <= arrays.keys():
        if any(name.startswith(("train_", "test_")) for name in arrays):
            raise DataError(f"{path} has inputs beside train_inputs or test_inputs; keep one of both forms: {FORM}")
        source += ", with one set of examples: what is called test is what is called train"
        say(f"{path.name} has one set of examples: what is called test is what is called train")
        arrays |= {f"{split}_{kind}": arrays[kind] for split in ("train", "test") for kind in ("inputs", "targets")}
    missing = [n for n in (f"{s}_{k}" for s in ("train", "test") for k in ("inputs", "targets")) if n not in arrays]
    if missing:
        raise DataError(f"{path} has no {missing[0]}; {FORM}")
    splits = {split: _split(path, split, arrays) for split in ("train", "test")}
    classes = 1 + max(int(split.targets.max()) if len(split) else 0 for split in splits.values())
    names = [str(name) for name in arrays.get("classes", np.arange(classes))]
    # The whole file name: a file called cifar10.npz is not CIFAR-10.
    return Dataset(path.name, splits, tuple(names), source, "unknown")


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as found:
            return {name: found[name] for name in found.files}
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, TypeError, AttributeError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is no npz of plain arrays; {FORM}") from error


def _split(path: Path, split: str, arrays: dict[str, np.ndarray]) -> Split:
    inputs, targets = arrays[f"{split}_inputs"], arrays[f"{split}_targets"]
    if targets.ndim != 1 or not np.issubdtype(targets.dtype, np.integer):
        raise DataError(
            f"{path}: {split}_targets are {targets.dtype} {list(targets.shape)}, expected whole numbers [example]"
        )
    if inputs.dtype.kind not in "biuf":
        raise DataError(f"{path}: {split}_inputs are {inputs.dtype}, expected real numbers")
    if len(targets) and not 0 <= int(targets.min()) <= int(targets.max()) < MOST_CLASSES:
        raise DataError(
            f"{path}: {split}_targets run from {targets.min()} to {targets.max()}; number the classes from 0 on"
        )
    if inputs.ndim == 0 or len(inputs) != len(targets):
        raise DataError(f"{path}: {split}_inputs are {list(inputs.shape)} for {len(targets)} {split}_targets")
    kept = inputs if inputs.dtype == np.uint8 else inputs.astype(np.float32)
    return Split(torch.from_numpy(np.ascontiguousarray(kept)), torch.from_numpy(targets.astype(np.int64)))
