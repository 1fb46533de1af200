"""Snow, frost and fog, drawn with the parameters of CIFAR-10-C.

Fields of weather are drawn on a grid whose shorter side has at most 32 points and stretched to larger images.
"""

import numpy as np

from modescape.app.datasets.shifts import zoom
from modescape.app.datasets.shifts.array import Array, gaussian
from modescape.app.datasets.shifts.blur import streak
from modescape.app.datasets.shifts.chance import Chance
from modescape.app.datasets.shifts.colour import luminance
from modescape.app.datasets.shifts.family import Parameters
from modescape.app.datasets.shifts.grid import coarse


def snow(images: Array, parameters: Parameters, chance: Chance) -> Array:
    """Whiten the scene (share of the old in parameter 7) and add flakes, and the same turned by 180 degrees.

    Flakes are normal numbers (mean 1, deviation 2), enlarged (3), dark ones removed (below 4), blown downwards (reach
    5, deviation 6).
    """
    mean, spread, enlarged, least, reach, blown, kept = parameters
    count, rows, columns = coarse(images)
    flakes = zoom.apply(
        zoom.centre_zoom(rows, columns, enlarged), mean + spread * chance.normal(count, rows, columns, 1)
    )
    flakes = np.trunc(np.clip(np.where(flakes < least, 0, flakes), 0, 1) * 255) / 255
    angles = np.radians(chance.uniform(-135, -45, count))
    blown_flakes = np.rint(streak(flakes, (reach, blown), angles)[..., 0] * 255) / 255
    layer = zoom.stretch(blown_flakes, *images.shape[1:3])[..., None]
    white = np.maximum(images, luminance(images) * 1.5 + 0.5)
    snowy: Array = kept * images + (1 - kept) * white + layer + layer[:, ::-1, ::-1]
    return snowy


def fog(images: Array, parameters: Parameters, chance: Chance) -> Array:
    """Add a fractal field of some strength (parameter 1; smoother with 2) and keep the brightest value."""
    strength, decay = parameters
    _, height, width, _ = images.shape
    field = _plasma(len(images), max(height, width), decay, chance)[:, :height, :width, None]
    brightest = images.max(axis=(1, 2, 3), keepdims=True)
    foggy: Array = (images + strength * field) * brightest / (brightest + strength)
    return foggy


def frost(images: Array, parameters: Parameters, chance: Chance) -> Array:
    """Mix the image (weight in parameter 1) with ice (weight 2).

    CIFAR-10-C takes pieces of photographs of ice. Here the ice is made: ridges of smooth noise at three sizes, longer
    than wide, in the mean colour and with the spread of those photographs.
    """
    kept, share = parameters
    count, rows, columns = coarse(images)
    ice = zoom.stretch(_ridges(count, rows, columns, chance), *images.shape[1:3])[..., None]
    tint = ICE[chance.whole(0, len(ICE), count)][:, None, None, :]
    if images.shape[-1] == 1:
        tint = luminance(tint)
    frosty: Array = kept * images + share * np.clip(tint + ICE_SPREAD * ice, 0, 1)
    return frosty


ICE = np.array([(0.30, 0.58, 0.65), (0.79, 0.81, 0.84), (0.79, 0.81, 0.84), (0.54, 0.60, 0.65), (0.44, 0.48, 0.53)])
"""Mean red, green and blue of the photographs, one of which is as likely as another."""

ICE_SPREAD = 0.08
"""Standard deviation of the ice; those of the photographs are from 0.05 to 0.14."""


def _ridges(count: int, rows: int, columns: int, chance: Chance) -> Array:
    """Fields [example, rows, columns], each of mean 0 and deviation 1."""
    side = max(rows, columns)
    total: Array = np.zeros((count, side, side))
    for along, across, weight in ((8, 3, 1.0), (4, 1.5, 0.9), (1.6, 0.6, 0.6)):
        smooth = gaussian(chance.normal(count, side, side).astype(np.float64), (0, along, across), edge="wrap")
        turned = chance.whole(0, 2, count, 1, 1) == 1
        total += weight * np.exp(-((_standard(np.where(turned, smooth.swapaxes(1, 2), smooth)) / 0.5) ** 2))
    return _standard(total[:, :rows, :columns])


def _standard(fields: Array) -> Array:
    centred: Array = fields - fields.mean(axis=(1, 2), keepdims=True)
    standard: Array = centred / np.maximum(centred.std(axis=(1, 2), keepdims=True), 1e-9)
    return standard


def _plasma(count: int, side: int, decay: float, chance: Chance) -> Array:
    """Height maps [example, size, size] from 0 to 1 by the diamond-square rule; size is a power of two >= side."""
    size = 1 << (side - 1).bit_length()
    heights = np.zeros((count, size, size))
    step, wobble = size, 100.0

    def wobbled(sums: Array) -> Array:
        moved: Array = sums / 4 + wobble * chance.uniform(-wobble, wobble, *sums.shape)
        return moved

    while step >= 2:
        half = step // 2
        corners = heights[:, ::step, ::step]
        pairs = corners + np.roll(corners, -1, axis=1)
        heights[:, half::step, half::step] = wobbled(pairs + np.roll(pairs, -1, axis=2))
        centres, corners = heights[:, half::step, half::step], heights[:, ::step, ::step]
        beside = centres + np.roll(centres, 1, axis=1) + corners + np.roll(corners, -1, axis=2)
        heights[:, ::step, half::step] = wobbled(beside)
        above = centres + np.roll(centres, 1, axis=2) + corners + np.roll(corners, -1, axis=1)
        heights[:, half::step, ::step] = wobbled(above)
        step, wobble = half, wobble / decay
    heights -= heights.min(axis=(1, 2), keepdims=True)
    heights /= heights.max(axis=(1, 2), keepdims=True)
    return heights
