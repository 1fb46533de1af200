"""CIFAR-10-C and CIFAR-100-C as published: a folder of arrays, or the tar archive that holds it, never unpacked.

Source: Hendrycks and Dietterich 2019, https://zenodo.org/records/2535967 and https://zenodo.org/records/3555552
(CC BY 4.0). Each FAMILY.npy is uint8 [50000, 32, 32, 3], the 10,000 test images at severity 1, then at 2, and so on.
"""

import tarfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from modescape.app.datasets.arrays import HEADER_LIMIT, Part, prove, rows_of_npy, whole
from modescape.app.datasets.dataset import Dataset
from modescape.errors import DataError

SOURCE = "official archive"
SEVERITIES = 5

FOLDERS = {"cifar10": "CIFAR-10-C", "cifar100": "CIFAR-100-C"}
"""The folder of arrays for each dataset; the archive is called so too, with .tar."""

MD5 = {
    "cifar10": {
        "brightness": "md5:0a81ef75e0b523c3383219c330a85d48",
        "contrast": "md5:3c8262171c51307f916c30a3308235a8",
        "defocus_blur": "md5:7d1322666342a0702b1957e92f6254bc",
        "elastic_transform": "md5:9421657c6cd452429cf6ce96cc412b5f",
        "fog": "md5:7b397314b5670f825465fbcd1f6e9ccd",
        "frost": "md5:31f6ab3bce1d9934abfb0cc13656f141",
        "gaussian_blur": "md5:c33370155bc9b055fb4a89113d3c559d",
        "gaussian_noise": "md5:ecaf8b9a2399ffeda7680934c33405fd",
        "glass_blur": "md5:7361fb4019269e02dbf6925f083e8629",
        "impulse_noise": "md5:2090e01c83519ec51427e65116af6b1a",
        "jpeg_compression": "md5:2b9cc4c864e0193bb64db8d7728f8187",
        "motion_blur": "md5:fffa5f852ff7ad299cfe8a7643f090f4",
        "pixelate": "md5:0f14f7e2db14288304e1de10df16832f",
        "saturate": "md5:1cfae0964219c5102abbb883e538cc56",
        "shot_noise": "md5:3a7239bb118894f013d9bf1984be7f11",
        "snow": "md5:bb238de8555123da9c282dea23bd6e55",
        "spatter": "md5:8a5a3903a7f8f65b59501a6093b4311e",
        "speckle_noise": "md5:ef00b87611792b00df09c0b0237a1e30",
        "zoom_blur": "md5:6ea8e63f1c5cdee1517533840641641b",
    },
    "cifar100": {
        "brightness": "md5:f22d7195aecd6abb541e27fca230c171",
        "contrast": "md5:322bb385f1d05154ee197ca16535f71e",
        "defocus_blur": "md5:d923e3d9c585a27f0956e2f2ad832564",
        "elastic_transform": "md5:a0792bd6581f6810878be71acedfc65a",
        "fog": "md5:4efc7ebd5e82b028bdbe13048e3ea564",
        "frost": "md5:3a39c6823bdfaa0bf8b12fe7004b8117",
        "gaussian_blur": "md5:5204ba0d557839772ef5a4196a052c3e",
        "gaussian_noise": "md5:ecc4d366eac432bdf25c024086f5e97d",
        "glass_blur": "md5:0bf384f38e5ccbf8dd479d9059b913e1",
        "impulse_noise": "md5:3b3c210ddfa0b5cb918ff4537a429fef",
        "jpeg_compression": "md5:c851b7f1324e1d2ffddeb76920576d11",
        "motion_blur": "md5:732a7e2e54152ff97c742d4c388c5516",
        "pixelate": "md5:96c00c60f144539e14cffb02ddbd0640",
        "saturate": "md5:c0697e9fdd646916a61e9c312c77bf6b",
        "shot_noise": "md5:b0a1fa6e1e465a747c1b204b1914048a",
        "snow": "md5:0237be164583af146b7b144e73b43465",
        "spatter": "md5:12ccf41d62564d36e1f6a6ada5022728",
        "speckle_noise": "md5:e3f215b1a0f9fd9fd6f0d1cf94a7ce99",
        "zoom_blur": "md5:0204613400c034a81c4830d5df81cb82",
    },
}
"""Of the published files, as torch-uncertainty and several other packages check them. The seven that ``rebuilt`` makes
have these checksums indeed."""


@dataclass(frozen=True)
class Archived:
    """One family of a published archive, proven by checksum."""

    part: Part
    expected: str
    shape: tuple[int, ...]

    @property
    def digest(self) -> str:
        """The checksum of the whole file, "md5:hex"."""
        return self.expected

    def inputs(self, severity: int) -> Tensor:
        """Images of one severity, uint8 [example, channel, height, width]; raises ``DataError`` if they changed."""
        prove(self.part, self.expected, self.part.size)
        examples = self.shape[0] // SEVERITIES
        rows = slice(examples * (severity - 1), examples * severity)
        images = rows_of_npy(self.part, ("|u1",), self.shape, rows)
        return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def find(dataset: Dataset, family: str, folder: Path) -> Archived | None:
    """The family's published file, if the folder has it. Raises ``DataError`` if it or the labels are wrong."""
    if dataset.name not in FOLDERS:
        return None
    part = _locate(folder, FOLDERS[dataset.name], f"{family}.npy")
    if part is None:
        return None
    examples, channels, height, width = dataset.splits["test"].inputs.shape
    shape = (SEVERITIES * examples, height, width, channels)
    rows_of_npy(part, ("|u1",), shape, slice(0, 0))
    expected = prove(part, MD5[dataset.name][family], HEADER_LIMIT + int(np.prod(shape)))
    _check_labels(dataset, folder)
    return Archived(part, expected, shape)


def _check_labels(dataset: Dataset, folder: Path) -> None:
    targets = dataset.splits["test"].targets.cpu().numpy()
    part = _locate(folder, FOLDERS[dataset.name], "labels.npy")
    if part is None:
        raise DataError(
            f"{folder / FOLDERS[dataset.name]} lacks labels.npy, which shows the order of the images; put it there"
        )
    labels = rows_of_npy(part, ("|u1", "<i4", "<i8"), (SEVERITIES * len(targets),))
    if not np.array_equal(labels, np.tile(targets, SEVERITIES)):
        raise DataError(f"{part} does not list the classes of the test split five times; put the official file there")


def _locate(folder: Path, name: str, file: str) -> Part | None:
    path = folder / name / file
    if path.is_file():
        return whole(path)
    archive = folder / f"{name}.tar"
    if not archive.is_file():
        return None
    try:
        state = archive.stat()
        found = _members(archive, state.st_mtime_ns, state.st_size).get(f"{name}/{file}")
    except (tarfile.TarError, OSError, EOFError) as problem:
        raise DataError(f"{archive} cannot be read: {problem}. Put a sound copy there, or remove it") from problem
    if found is None:
        raise DataError(f"{archive} lacks {name}/{file}: it is cut short or another archive. Put a sound copy there")
    return found


@lru_cache(maxsize=8)
def _members(archive: Path, _changed: int, size: int) -> dict[str, Part]:
    """Where each regular member of an uncompressed archive lies; nothing is unpacked."""
    found = {}
    with tarfile.open(archive, mode="r:") as members:
        for member in members:
            if member.isreg() and not member.issparse() and member.offset_data + member.size <= size:
                found[member.name] = Part(archive, member.offset_data, member.size, member.name)
    return found
