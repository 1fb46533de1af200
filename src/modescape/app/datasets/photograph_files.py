"""Images in files: found in folders, one for each class, and decoded when they are asked for."""

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from modescape.app.datasets.decoding import OneByOne, pool
from modescape.core.decoded import Box, Cut
from modescape.errors import DataError

VERSION = 1
"""Changes whenever the same file gives other values than before."""

SIZE = 224
"""Pixels a side, unless another size is asked for."""

SUFFIXES = (".jpeg", ".jpg", ".png", ".bmp", ".webp")

MOST_PIXELS = 2**26
"""Of one image: 67 megapixels take 200 MB once decoded, on each thread."""


@dataclass(frozen=True, eq=False)
class Found:
    """Files under a folder, by their names from there on, their sizes in bytes, and the numbers of their classes."""

    folder: Path
    names: tuple[str, ...]
    sizes: np.ndarray
    classes: np.ndarray

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hex, over names and sizes: no image is read."""
        told = "".join(f"{size} {name}\n" for name, size in zip(self.names, self.sizes, strict=True))
        return hashlib.sha256(told.encode()).hexdigest()


class Photographs(OneByOne):
    """Images of files, uint8 [example, 3, size, size].

    As they are evaluated: the shorter side is resized to 256 / 224 of ``size``, and the middle is taken. As pieces: cut
    out of the stored image and resized. Both by Pillow's bilinear filter, which averages where it shrinks, as in
    torchvision; ``resized`` is False for images that have their size already, of which the middle is taken as it is.
    Whatever Pillow reads becomes colour: grey is repeated, CMYK converted, transparency dropped, the orientation that a
    camera noted is ignored, as is customary. A file that cannot be used is named in a ``DataError``.

    The digest counts names and sizes of files and not what is in them: reading 150 GB would take longer than many a
    study. An image that is replaced by another of the same name and size is not noticed.
    """

    def __init__(self, found: Found, size: int = SIZE, resized: bool = True) -> None:
        super().__init__((3, size, size), torch.arange(len(found.names)))
        self.found, self.size, self.resized = found, size, resized

    @property
    def digest(self) -> str:
        """See ``Decoded``."""
        rows = hashlib.sha256(self.rows.numpy().tobytes()).hexdigest()
        told = f"photographs {VERSION} {self.size} {self.resized} {self.found.digest} {rows}"
        return hashlib.sha256(told.encode()).hexdigest()

    def sized(self, size: int) -> "Photographs":
        """The same images at another size."""
        other = Photographs(self.found, size, self.resized)
        other.rows = self.rows
        return other

    def unreadable(self) -> list[str]:
        """What is wrong with each of the images that cannot be decoded, in their order."""

        def told(number: int) -> str:
            try:
                self.one(number, None)
            except DataError as error:
                return str(error)
            return ""

        return [told for told in pool().map(told, self.rows.tolist()) if told]

    def one(self, number: int, cut: Cut | None) -> Tensor:
        """See ``OneByOne``."""
        show = (lambda image: _whole(image, self.size, self.resized)) if cut is None else _piece(cut, self.size)
        return _decoded(self.found.folder / self.found.names[number], show)


Shown = Callable[[Image.Image], Image.Image]


def _decoded(path: Path, show: Shown) -> Tensor:
    try:
        with Image.open(path) as image:
            width, height = image.size
            if width * height > MOST_PIXELS:
                raise DataError(f"{path} has {width} x {height} pixels, more than {MOST_PIXELS:,}; shrink it")
            if image.mode.startswith(("I", "F")):
                raise DataError(f"{path} has more than 8 bits a channel (mode {image.mode}); save it with 8")
            seen = show(image.convert("RGB"))
        return torch.from_numpy(np.asarray(seen).transpose(2, 0, 1).copy())
    except DataError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{path} has too many pixels ({error}); shrink it") from error
    # Pillow's readers raise whatever a damaged file leads them to.
    except Exception as error:
        raise DataError(f"{path} cannot be decoded ({error}); put a sound copy there, or remove it") from error


def _whole(image: Image.Image, size: int, resized: bool) -> Image.Image:
    if resized:
        image = _shrunk(image, round(size * 256 / 224))
    left, top = (round((side - size) / 2) for side in image.size)
    # Where an image is smaller than the middle that is asked for, black comes in.
    return image.crop((left, top, left + size, top + size))


def _shrunk(image: Image.Image, shorter: int) -> Image.Image:
    """The shorter side is given, the other keeps the ratio, cut to whole pixels as in torchvision."""
    width, height = image.size
    if width <= height:
        wanted = (shorter, max(shorter, int(shorter * height / width)))
    else:
        wanted = (max(shorter, int(shorter * width / height)), shorter)
    return image.resize(wanted, Image.Resampling.BILINEAR)


def _piece(cut: Cut, size: int) -> Shown:
    def show(image: Image.Image) -> Image.Image:
        box: Box = cut(image.height, image.width)
        corners = (box.left, box.top, box.left + box.width, box.top + box.height)
        seen = image.crop(corners).resize((size, size), Image.Resampling.BILINEAR)
        return seen.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if box.mirrored else seen

    return show


def class_folders(folder: Path) -> tuple[str, ...]:
    """Names of the folders in a folder, sorted; hidden ones do not count. Raises ``DataError``."""
    try:
        with os.scandir(folder) as entries:
            return tuple(sorted(e.name for e in entries if e.is_dir() and not e.name.startswith(".")))
    except OSError as error:
        raise DataError(f"{folder} cannot be searched: {error.strerror or error}") from error


def images_in(folder: Path) -> list[tuple[str, int]]:
    """Names and sizes of a folder's images, sorted by name; other files do not count. Raises ``DataError``."""
    try:
        with os.scandir(folder) as entries:
            return sorted((e.name, e.stat().st_size) for e in entries if _is_image(e.name) and e.is_file())
    except OSError as error:
        raise DataError(f"{folder} cannot be searched: {error.strerror or error}") from error


def _is_image(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def find_images(folder: Path, classes: tuple[str, ...]) -> Found:
    """All images of these classes, in an order without any pattern: that of the SHA-256 of their names.

    So the first or the last so many of them are of all classes, and the order is the same everywhere. Names are listed
    by several threads, since a folder on the network answers slowly.
    """
    listed = list(pool().map(lambda name: images_in(folder / name), classes))
    rows = [(f"{name}/{file}", size, i) for i, name in enumerate(classes) for file, size in listed[i]]
    return mixed(folder, rows)


def mixed(folder: Path, rows: list[tuple[str, int, int]]) -> Found:
    """Names, sizes and classes in the order of the SHA-256 of what stands behind the last slash of the names."""
    rows = sorted(rows, key=lambda row: (hashlib.sha256(re.sub(r".*/", "", row[0]).encode()).digest(), row[0]))
    names, sizes, classes = zip(*rows, strict=True) if rows else ((), (), ())
    return Found(folder, tuple(names), np.array(sizes, np.int64), np.array(classes, np.int64))
