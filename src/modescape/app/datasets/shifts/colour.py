"""Contrast, brightness and saturation by the rules of CIFAR-10-C, to the last bit.

Which operation comes after which is part of the rule: results are cut to whole numbers, not rounded, so that the last
bit of a float64 decides about many a pixel.
"""

import numpy as np

from modescape.app.datasets.shifts.array import Array
from modescape.app.datasets.shifts.chance import Chance
from modescape.app.datasets.shifts.family import Parameters


def contrast(images: Array, parameters: Parameters, _chance: Chance) -> Array:
    """Shrink the distance from each channel's mean over the image by a factor (parameter 1)."""
    means = images.mean(axis=(1, 2), keepdims=True)
    changed: Array = (images - means) * parameters[0] + means
    return changed


def brightness(images: Array, parameters: Parameters, _chance: Chance) -> Array:
    """Add a constant (parameter 1) to the value of hue, saturation and value."""
    hue, saturation, value = _to_hsv(images)
    return _from_hsv(hue, saturation, np.clip(value + parameters[0], 0, 1))


def saturate(images: Array, parameters: Parameters, _chance: Chance) -> Array:
    """Multiply the saturation (parameter 1) and add to it (parameter 2)."""
    hue, saturation, value = _to_hsv(images)
    return _from_hsv(hue, np.clip(saturation * parameters[0] + parameters[1], 0, 1), value)


def luminance(images: Array) -> Array:
    """Grey of an image, [example, height, width, 1], by the weights of ITU-R BT.601."""
    return images @ np.array([[0.299], [0.587], [0.114]], images.dtype)


def _to_hsv(images: Array) -> tuple[Array, Array, Array]:
    red, green, blue = images[..., 0], images[..., 1], images[..., 2]
    value = images.max(axis=-1)
    spread = value - images.min(axis=-1)
    # Grey has no hue and black no saturation: any divisor will do there, for the numerators are 0.
    divisor = np.where(spread == 0, 1.0, spread)
    saturation = spread / np.where(value == 0, 1.0, value)
    hue = np.where(red == value, (green - blue) / divisor, 0.0)
    hue = np.where(green == value, 2.0 + (blue - red) / divisor, hue)
    hue = np.where(blue == value, 4.0 + (red - green) / divisor, hue)
    return np.where(spread == 0, 0.0, (hue / 6.0) % 1.0), saturation, value


def _from_hsv(hue: Array, saturation: Array, value: Array) -> Array:
    sector = np.floor(hue * 6)
    within = hue * 6 - sector
    low = value * (1 - saturation)
    falling = value * (1 - within * saturation)
    rising = value * (1 - (1 - within) * saturation)
    which = sector.astype(np.uint8) % 6
    red = np.choose(which, (value, falling, low, low, rising, value))
    green = np.choose(which, (rising, value, value, falling, low, low))
    blue = np.choose(which, (low, low, rising, value, value, falling))
    return np.stack((red, green, blue), axis=-1)
