"""CIFAR-10.1: images collected anew in the way of CIFAR-10, with classes of their own.

Source: Recht, Roelofs, Schmidt and Shankar 2018, https://github.com/modestyachts/CIFAR-10.1 (MIT).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from modescape.app.datasets.arrays import checksum, rows_of_npy, whole
from modescape.app.datasets.beyond import Extra, digest_of
from modescape.core.splits import Split
from modescape.errors import DataError

SOURCE = "CIFAR-10.1 {version} (Recht et al. 2018), checksum not published"
CLASSES = 10


@dataclass(frozen=True)
class Natural:
    """A version of the data: uint8 [example, 32, 32, 3] in one file, whole numbers from 0 to 9 in another."""

    dataset: str
    version: str
    examples: int

    @property
    def files(self) -> tuple[str, str]:
        """The files of images and of classes."""
        return f"cifar10.1_{self.version}_data.npy", f"cifar10.1_{self.version}_labels.npy"

    def lacks(self, folder: Path) -> tuple[str, ...]:
        """The files that are not in the folder."""
        return tuple(name for name in self.files if not (folder / name).is_file())

    def extra(self, name: str, folder: Path) -> Extra:
        """The split. Raises ``DataError`` for missing files and for arrays of another form."""
        if lacks := self.lacks(folder):
            raise DataError(
                f"{name} needs {' and '.join(lacks)}, not found in {folder}; get it from "
                "https://github.com/modestyachts/CIFAR-10.1 (folder datasets), or name the folder: --data-dir DIR"
            )
        self._arrays(folder)
        digest = digest_of("natural", *self._checksums(folder))
        return Extra(
            name, self.examples, SOURCE.format(version=self.version), digest, lambda: self._split(folder, digest)
        )

    def _checksums(self, folder: Path) -> list[str]:
        return [checksum(whole(folder / file), "sha256") for file in self.files]

    def _split(self, folder: Path, digest: str) -> Split:
        if digest_of("natural", *self._checksums(folder)) != digest:
            raise DataError(f"{folder / self.files[0]} has changed while it was in use; run the command again")
        images, labels = self._arrays(folder)
        inputs = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
        return Split(inputs, torch.from_numpy(labels.astype(np.int64)))

    def _arrays(self, folder: Path) -> tuple[np.ndarray, np.ndarray]:
        images_path, labels_path = (folder / file for file in self.files)
        images = rows_of_npy(whole(images_path), ("|u1",), (self.examples, 32, 32, 3))
        labels = rows_of_npy(whole(labels_path), ("|u1", "|i1", "<i4", "<i8"), (self.examples,))
        if labels.min() < 0 or labels.max() >= CLASSES:
            raise DataError(f"{labels_path} has labels outside 0 to {CLASSES - 1}. Put the official file there")
        return images, labels


NATURAL = {
    "natural/cifar10_1": Natural("cifar10", "v6", 2000),
    "natural/cifar10_1_v4": Natural("cifar10", "v4", 2021),
}
"""Newly collected data by full name. The second overlaps the first in nine of ten images."""
