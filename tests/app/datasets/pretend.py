"""Small datasets with something to see in them, for corruptions; and what is published, in small."""

import hashlib
import io
import os
from pathlib import Path

import numpy as np
import torch

from modescape.app.datasets.dataset import Dataset
from modescape.app.datasets.shifts.array import gaussian
from modescape.core.splits import Split

# Read here: a fixture hides it from every test.
DATA = os.environ.get("MODESCAPE_DATA")


def real_data() -> Path:
    """The folder with the real datasets, for tests at real size; these fail without it."""
    assert DATA, "name the folder that holds CIFAR-10: MODESCAPE_DATA=DIR"
    return Path(DATA)


def scenes(count: int, height: int, width: int, channels: int, seed: int = 5) -> torch.Tensor:
    """Smooth colours with a bright and a dark shape: uint8 [example, channel, height, width]."""
    chance = np.random.default_rng(seed)
    fields = gaussian(chance.normal(size=(count, height, width, channels)), (0, 2, 2, 0), edge="wrap")
    images = 110 + 220 * fields
    for image in images:
        row, column = chance.integers(0, height // 2), chance.integers(0, width // 2)
        image[row : row + height // 3, column : column + width // 4] += 90
        image[height - row - height // 3 : height - row, width - column - width // 3 : width - column] *= 0.4
    return torch.from_numpy(np.clip(images, 0, 255).astype(np.uint8).transpose(0, 3, 1, 2).copy())


def speckles(count: int, side: int = 32) -> torch.Tensor:
    """Every value its own, the same on every machine: uint8 [example, 3, side, side]."""
    raw = np.random.PCG64(11).random_raw(count * 3 * side * side)
    return torch.from_numpy((raw >> np.uint64(56)).astype(np.uint8).reshape(count, 3, side, side))


def dataset_of(inputs: torch.Tensor, name: str = "toy", train: torch.Tensor | None = None) -> Dataset:
    """A dataset whose test split has these inputs, in ten classes by turns."""
    test = Split(inputs, torch.arange(len(inputs)) % 10)
    before = inputs if train is None else train
    splits = {"train": Split(before, torch.arange(len(before)) % 10), "test": test}
    return Dataset(name, splits, tuple("0123456789"), "made up", "none")


def npy(values: np.ndarray) -> bytes:
    saved = io.BytesIO()
    np.save(saved, values, allow_pickle=False)
    return saved.getvalue()


def digest(raw: bytes, algorithm: str = "md5") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, raw).hexdigest()}"
