"""Pixelation, to the last bit of CIFAR-10-C, and JPEG compression, whose last bits depend on the codec."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image

from modescape.app.datasets.shifts.array import Array
from modescape.app.datasets.shifts.chance import Chance
from modescape.app.datasets.shifts.family import Parameters


def pixelate(images: Array, parameters: Parameters, _chance: Chance) -> Array:
    """Shrink to a fraction of the size (parameter 1) and enlarge again, by means over boxes."""
    height, width = images.shape[1:3]
    small = (max(1, int(width * parameters[0])), max(1, int(height * parameters[0])))

    def shrink(image: Image.Image) -> Image.Image:
        return image.resize(small, Image.Resampling.BOX).resize((width, height), Image.Resampling.BOX)

    return _each(images, shrink)


def jpeg_compression(images: Array, parameters: Parameters, _chance: Chance) -> Array:
    """Save as JPEG of some quality (parameter 1) and read again."""

    def compress(image: Image.Image) -> Image.Image:
        saved = io.BytesIO()
        image.save(saved, "JPEG", quality=int(parameters[0]))
        return Image.open(saved)

    return _each(images, compress)


def _each(images: Array, change: Callable[[Image.Image], Image.Image]) -> Array:
    levels = np.rint(images * 255).astype(np.uint8)
    if levels.shape[-1] == 1:
        levels = levels[..., 0]
    changed = np.stack([np.asarray(change(Image.fromarray(image))) for image in levels])
    return changed.reshape(images.shape) / 255
