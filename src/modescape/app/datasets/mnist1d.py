"""MNIST-1D, signals of 40 points in ten classes, drawn by its own package from the seed of the original."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from modescape.app.datasets.dataset import Dataset
from modescape.core.splits import Split


def load_mnist1d() -> Dataset:
    """4,000 training and 1,000 test signals: float32 [example, 1, 40].

    They equal the published file mnist1d_data.pkl up to rounding (2.4e-7). Nothing is downloaded, and the global
    random generators, which the package seeds, are left as they were.
    """
    from mnist1d.data import get_dataset_args, make_dataset

    with _global_chance_restored():
        made = make_dataset(get_dataset_args())
    return Dataset(
        name="mnist1d",
        splits={"train": _split(made["x"], made["y"]), "test": _split(made["x_test"], made["y_test"])},
        classes=tuple("0123456789"),
        source="MNIST-1D (Greydanus and Kobak 2024), drawn by the package mnist1d with seed 42",
        licence="Apache-2.0",
    )


def _split(signals: np.ndarray, labels: np.ndarray) -> Split:
    inputs = torch.from_numpy(signals.astype(np.float32)).unsqueeze(1)
    return Split(inputs, torch.from_numpy(labels.astype(np.int64)))


@contextmanager
def _global_chance_restored() -> Iterator[None]:
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)
