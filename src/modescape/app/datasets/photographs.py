"""Unknown inputs that need no file: pieces of the two photographs that come with scikit-learn, and plain noise."""

import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from modescape.app.datasets.dataset import Dataset
from modescape.app.datasets.fitting import fit
from modescape.app.datasets.shifts.chance import Chance
from modescape.app.datasets.shifts.colour import luminance
from modescape.app.datasets.shifts.corrupting import range_of
from modescape.app.datasets.shifts.one_by_one import Made
from modescape.core.decoded import Decoded
from modescape.core.splits import scaling_of

SOURCE = "pieces of scikit-learn's photographs china.jpg and flower.jpg (CC BY 2.0, danielbuechele and vultilion)"
NOISE_SOURCE = "normal noise of the training split's mean and spread, drawn anew"

FLAT = 24
"""Pieces whose grey levels, of 255, differ by less show nothing and are left out."""

NOISE_FROM = 10_000
"""Training examples whose mean and spread the noise has."""

ROW_STEP = 4
"""Signals are cut from every fourth row: neighbouring rows are all but the same."""


def pieces(dataset: Dataset) -> Tensor:
    """Pieces of the photographs in the form of the dataset's inputs.

    For images of at least 32 pixels a side: tiles in colour, as they are. For smaller ones: grey tiles of photographs
    shrunk by two, each stretched to the whole range. For signals: parts of grey rows, each of the training split's mean
    and standard deviation.
    """
    inputs = dataset.splits["train"].inputs
    if inputs.ndim == 3:
        return _signals(dataset.splits["train"].tensor)
    height, width = inputs.shape[2:]
    if min(height, width) >= 32:
        tiles = np.concatenate([_tiles(photograph, height, width) for photograph in photographs()])
        return fit(tiles[_range_of_tiles(tiles) >= FLAT], dataset)
    small = [_halved(photograph) for photograph in photographs()]
    tiles = np.concatenate([_tiles(_grey(photograph), height, width) for photograph in small]).astype(np.float64)
    spread = _range_of_tiles(tiles)
    tiles, spread = tiles[spread >= FLAT], spread[spread >= FLAT, None, None, None]
    stretched = (tiles - tiles.min(axis=(1, 2, 3), keepdims=True)) / spread * 255
    return fit(np.rint(stretched).astype(np.uint8), dataset)


def noise(dataset: Dataset, root: int) -> Tensor | Decoded:
    """As many examples as the test split has: normal noise, each channel with the mean and spread of the first
    10,000 training examples.

    Values beyond the range of images are cut. Chance descends from the root seed by ``unknown/noise``. Where images are
    decoded from files, the noise is made one by one, by ``unknown/noise/NUMBER``, with the mean and spread of those
    that the scaling is computed from.
    """
    train, test = dataset.splits["train"].inputs, dataset.splits["test"].inputs
    if isinstance(test, Decoded):
        standard = scaling_of("standard", train)
        mean, spread = standard.shift.view(-1, 1, 1).double(), 1 / standard.factor.view(-1, 1, 1).double()

        def one(number: int) -> Tensor:
            drawn = torch.from_numpy(Chance(root, "unknown", "noise", number).normal(*test.shape[1:]))
            return (drawn * spread + mean).clamp(0, 255).round().to(torch.uint8)

        return Made(test, one, f"noise {root}")
    inputs = train[:NOISE_FROM]
    channels = inputs.transpose(0, 1).reshape(inputs.shape[1], -1)
    view = (1, -1) + (1,) * (inputs.ndim - 2)
    mean = torch.stack([channel.double().mean() for channel in channels]).view(view)
    spread = torch.stack([channel.double().std(correction=0) for channel in channels]).view(view)
    values = torch.from_numpy(Chance(root, "unknown", "noise").normal(*test.shape)) * spread + mean
    if inputs.ndim == 4:
        values = values.clamp(0, range_of(dataset).high)
    return (values if inputs.is_floating_point() else values.round()).to(inputs.dtype)


@lru_cache(maxsize=1)
def photographs() -> tuple[np.ndarray, ...]:
    """The two photographs, uint8 [height, width, 3]."""
    import sklearn.datasets

    folder = Path(sklearn.datasets.__file__).parent / "images"
    found = []
    for name in ("china.jpg", "flower.jpg"):
        with Image.open(folder / name) as picture:
            found.append(np.asarray(picture.convert("RGB")))
    return tuple(found)


@lru_cache(maxsize=1)
def photographs_digest() -> str:
    """SHA-256, in hex, of the pixels: codecs may differ in a level here and there."""
    return hashlib.sha256(b"".join(photograph.tobytes() for photograph in photographs())).hexdigest()


def _signals(inputs: Tensor) -> Tensor:
    channels, length = inputs.shape[1:]
    rows = np.concatenate([_tiles(_grey(image)[::ROW_STEP], channels, length) for image in photographs()])
    parts = rows[_range_of_tiles(rows) >= FLAT][..., 0].astype(np.float64)
    parts = (parts - parts.mean(axis=(1, 2), keepdims=True)) / parts.std(axis=(1, 2), keepdims=True)
    values = torch.from_numpy(parts) * float(inputs.double().std(correction=0)) + float(inputs.double().mean())
    return values.to(inputs.dtype)


def _tiles(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Tiles side by side, [tile, height, width, channel], of an image [height, width, channel]."""
    down, across = image.shape[0] // height, image.shape[1] // width
    cut = image[: down * height, : across * width].reshape(down, height, across, width, -1)
    return cut.transpose(0, 2, 1, 3, 4).reshape(down * across, height, width, -1)


def _halved(image: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(image).reduce(2))


def _grey(image: np.ndarray) -> np.ndarray:
    grey: np.ndarray = np.rint(luminance(image[None].astype(np.float64))[0]).astype(np.uint8)
    return grey


def _range_of_tiles(tiles: np.ndarray) -> np.ndarray:
    ranges: np.ndarray = np.ptp(tiles.astype(np.int16), axis=(1, 2, 3))
    return ranges
