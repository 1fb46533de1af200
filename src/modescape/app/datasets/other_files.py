"""Images of others in files: what the files are called, what proves them, how they are read."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from modescape.app.datasets.arrays import Part, arrays_of_npz, prove, whole
from modescape.errors import DataError

FIGURES = ("cifar10", "cifar100")
"""Datasets that know neither digits nor letters nor clothes."""


@dataclass(frozen=True)
class Images:
    """A set of images in one file.

    ``digest`` is "algorithm:hex" of the file and ``size`` its bytes. ``read`` gives uint8 [example, height, width, 1 or
    3] and ``examples`` of them. ``knows_none`` names the datasets none of whose classes is in it; with ``listed`` False
    it is had by name only.
    """

    file: str
    digest: str
    size: int
    examples: int
    read: Callable[[Path], np.ndarray]
    knows_none: tuple[str, ...]
    source: str
    listed: bool = True

    def part(self, folder: Path) -> Part:
        """The file, proven. Raises ``DataError`` if it is not there or has another checksum."""
        path = folder / self.file
        if not path.is_file():
            raise DataError(
                f"{self.file} ({self.source}) was not found in {folder}; put it there, or name the folder that holds "
                "it: --data-dir DIR"
            )
        part = whole(path)
        prove(part, self.digest, self.size)
        return part

    def load(self, folder: Path) -> np.ndarray:
        """The images. Raises ``DataError`` if they are not ``examples`` small images."""
        path = self.part(folder).path
        try:
            images = self.read(path)
        except (OSError, ValueError, TypeError, KeyError, SyntaxError, Image.DecompressionBombError) as problem:
            raise DataError(f"{path} cannot be read: {problem}. Put the official file there") from problem
        if images.dtype != np.uint8 or images.ndim != 4 or len(images) != self.examples:
            raise DataError(f"{path} holds {images.dtype} {list(images.shape)}, {self.examples} images expected")
        return images


TINY_SIZES = (10_000, 9_722_307)
"""Images of Tiny ImageNet's validation set, and the bytes of their JPEG files one after another."""


def _svhn(path: Path) -> np.ndarray:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        return np.asarray(loadmat(path, variable_names=["X"])["X"]).transpose(3, 0, 1, 2)
    except MatReadError as problem:
        raise ValueError(problem) from problem


def _mosaic(path: Path) -> np.ndarray:
    """Tiles of 32 pixels, row after row, in one picture."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    down, across = pixels.shape[0] // 32, pixels.shape[1] // 32
    return pixels.reshape(down, 32, across, 32, 3).transpose(0, 2, 1, 3, 4).reshape(-1, 32, 32, 3)


def _tiny_imagenet(path: Path, all_classes: bool) -> np.ndarray:
    count, size = TINY_SIZES
    forms = {
        "jpeg": ("|u1", (size,)),
        "offsets": ("<i4", (count + 1,)),
        "labels": ("|u1", (count,)),
        "overlaps_cifar10": ("|b1", (200,)),
    }
    found = arrays_of_npz(path, forms)
    offsets, raw = found["offsets"], found["jpeg"].tobytes()
    overlapping = found["overlaps_cifar10"][found["labels"]]
    rows = np.flatnonzero(~overlapping | all_classes)
    return np.stack([_jpeg(raw[offsets[row] : offsets[row + 1]]) for row in rows])


def _jpeg(raw: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(raw), formats=("JPEG",)) as picture:
        return np.asarray(picture.convert("RGB"))


def _usps(path: Path) -> np.ndarray:
    # Stored as twice a thousandth of the grey value between 0 and 1.
    levels = arrays_of_npz(path, {"test_x": ("<u2", (2007, 16, 16))})["test_x"] / 2000 * 255
    return np.rint(levels).astype(np.uint8)[..., None]


def _grey28(path: Path, name: str) -> np.ndarray:
    return arrays_of_npz(path, {name: ("|u1", (1000, 28, 28))})[name][..., None]


_GREY28 = ("gray28_small.npz", "sha256:41d66745026d375d37c74ce8d4f11a72ad98f06cc6440f2f7c13c06e03180da1", 2147245)
_TINY = (
    "tinyimagenet32_val_jpeg.npz",
    "sha256:178d9bb20f8d209e72ebf2f077f7222742f570157e5b9f81d310c70260d28d56",
    3604097,
)

FILES: dict[str, Images] = {
    "svhn": Images(
        "test_32x32.mat",
        "md5:eb5a983be6a315427106f1b164d9cef3",
        64275384,
        26032,
        _svhn,
        FIGURES,
        "SVHN test images (Netzer et al. 2011), http://ufldl.stanford.edu/housenumbers/",
    ),
    "textures": Images(
        "dtd10_textures_32px.webp",
        "sha256:d3523a377c7514dc8b9d2f86358968887ee969fabb39a2adfc74f8c8196c45bd",
        1972370,
        1200,
        _mosaic,
        (*FIGURES, "digits"),
        "DTD textures, 10 of 47 categories at 32 pixels (Cimpoi et al. 2014; research use)",
    ),
    "tinyimagenet": Images(
        *_TINY,
        8700,
        partial(_tiny_imagenet, all_classes=False),
        ("cifar10",),
        "Tiny ImageNet validation images at 32 pixels without the 26 of 200 classes that overlap CIFAR-10 "
        "(non-commercial research)",
    ),
    "tinyimagenet_all": Images(
        *_TINY,
        10000,
        partial(_tiny_imagenet, all_classes=True),
        ("cifar10",),
        "Tiny ImageNet validation images at 32 pixels, 26 of whose 200 classes overlap CIFAR-10 "
        "(non-commercial research)",
        listed=False,
    ),
    "usps": Images(
        "usps.npz",
        "sha256:ddce11f57ce63dda0fd7fbc3f3be91fc59848faf81c3f50803cc348c537925d5",
        718395,
        2007,
        _usps,
        FIGURES,
        "USPS test digits (Hull 1994)",
    ),
    "mnist": Images(
        *_GREY28,
        1000,
        partial(_grey28, name="mnist_test_x"),
        FIGURES,
        "MNIST test digits, 100 of each class (LeCun et al. 1998)",
    ),
    "fashion": Images(
        *_GREY28,
        1000,
        partial(_grey28, name="fashion_test_x"),
        (*FIGURES, "digits"),
        "Fashion-MNIST test images, 100 of each class (Xiao et al. 2017)",
    ),
    "notmnist": Images(
        *_GREY28,
        1000,
        partial(_grey28, name="notmnist_test_x"),
        (*FIGURES, "digits"),
        "notMNIST letters, 100 of each class (Bulatov 2011)",
    ),
}
"""Unknown inputs by name. Files beside the official ones are compact copies, described where they were made."""
