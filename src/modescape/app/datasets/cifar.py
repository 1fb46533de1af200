"""CIFAR-10 and CIFAR-100 from their official files: binary or pickled batches, in a folder or in the archive."""

from pathlib import Path

import numpy as np
import torch

from modescape.app.datasets.dataset import Dataset
from modescape.app.datasets.layouts import Layout
from modescape.app.datasets.locate import find_place, not_found
from modescape.app.datasets.places import Place
from modescape.app.datasets.records import read_class_names, read_records
from modescape.core.splits import Split


def load_cifar(name: str, data_dir: Path | None) -> Dataset:
    """50,000 training and 10,000 test images: uint8 [example, 3, 32, 32], in the official order.

    CIFAR-100 has its 100 fine classes. The binary layout is preferred where both are there. Every batch is verified
    against its official checksum. Raises ``DataError`` if no complete copy is found (saying where it was looked for)
    or if a batch is damaged.
    """
    place = find_place(name, data_dir)
    if place is None:
        raise not_found(name, data_dir)
    return Dataset(
        name=name,
        splits=_read_splits(place),
        classes=read_class_names(place),
        source=f"{name.upper().replace('CIFAR', 'CIFAR-')} (Krizhevsky 2009), https://www.cs.toronto.edu/~kriz/cifar.html",
        licence="none stated; cite Krizhevsky 2009",
    )


def _read_splits(place: Place) -> dict[str, Split]:
    starts, sizes = _offsets(place.layout)
    # Filled in place: joining the batches afterwards would hold every image twice.
    inputs = {split: np.empty((size, 3, 32, 32), np.uint8) for split, size in sizes.items()}
    targets = {split: np.empty(size, np.int64) for split, size in sizes.items()}
    labels = len(place.layout.label_keys)
    for read in read_records(place):
        rows = slice(starts[read.batch.name], starts[read.batch.name] + read.batch.records)
        inputs[read.batch.split][rows] = read.values[:, labels:].reshape(-1, 3, 32, 32)
        targets[read.batch.split][rows] = read.values[:, labels - 1]
    return {split: Split(torch.from_numpy(inputs[split]), torch.from_numpy(targets[split])) for split in sizes}


def _offsets(layout: Layout) -> tuple[dict[str, int], dict[str, int]]:
    """First row of each batch in its split, and the size of each split."""
    starts, sizes = {}, {"train": 0, "test": 0}
    for batch in layout.batches:
        starts[batch.name] = sizes[batch.split]
        sizes[batch.split] += batch.records
    return starts, sizes
