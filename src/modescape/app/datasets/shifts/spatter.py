"""Spatter: drops of water or mud on the lens, with the parameters of CIFAR-10-C.

The published code finds the rims of drops with OpenCV. Here are the same steps for many fields at once: edges by
Canny's rule, distances from them (exact, where OpenCV's are within 3 %), an equalised histogram, an embossing filter.
"""

import numpy as np
from scipy import ndimage

from modescape.app.datasets.shifts import zoom
from modescape.app.datasets.shifts.array import Array, Truth, correlate, gaussian, mean3, slope
from modescape.app.datasets.shifts.chance import Chance
from modescape.app.datasets.shifts.family import Parameters
from modescape.app.datasets.shifts.grid import coarse

WATER = (175 / 255, 238 / 255, 238 / 255)
MUD = (63 / 255, 42 / 255, 20 / 255)
LOW, HIGH = 50, 150
"""Gradients, in levels, of pixels that may belong to an edge, and of those that surely do."""

FAR = 20
EMBOSS = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])
NEIGHBOURS = np.array([np.zeros((3, 3)), np.ones((3, 3)), np.zeros((3, 3))])


def spatter(images: Array, parameters: Parameters, chance: Chance) -> Array:
    """Cover colour images with drops where smooth noise is high.

    Noise has a mean (parameter 1) and deviation (2) before it is smoothed (3); drops are where it exceeds a level (4).
    Water (parameter 6 is 0) shines with some strength (5), mud (1) covers with rims of some softness (5).
    """
    mean, spread, smooth, least, amount, mud = parameters
    count, rows, columns = coarse(images)
    rough = mean + spread * chance.normal(count, rows, columns).astype(np.float64)
    field = gaussian(rough, (0, smooth, smooth))
    if mud:
        cover = gaussian((field > least).astype(np.float64), (0, amount, amount))
        cover = zoom.stretch(np.where(cover < 0.8, 0.0, cover), *images.shape[1:3])[..., None]
        muddy: Array = images * (1 - cover) + cover * np.array(MUD)
        return muddy
    drops = np.trunc(np.where(field < least, 0.0, field) * 255)
    shine = drops * _relief(drops)
    highest = shine.max(axis=(1, 2), keepdims=True)
    shine = amount * shine / np.where(highest == 0, 1.0, highest)
    wet: Array = images + zoom.stretch(shine, *images.shape[1:3])[..., None] * np.array(WATER)
    return wet


def _relief(drops: Array) -> Array:
    """Light and shade by the distance from the nearest rim; whole numbers from 0 to 255."""
    distance = np.minimum(_distances(edges(drops)), FAR)
    distance = np.trunc(mean3(distance))
    raised = correlate(equalised(distance), EMBOSS)
    return np.rint(mean3(np.clip(raised, 0, 255)))


def edges(fields: Array) -> Truth:
    """Canny's edges of fields [example, rows, columns] from 0 to 255: bool of the same shape."""
    down, across = slope(fields, 1), slope(fields, 2)
    size = np.abs(down) + np.abs(across)
    padded = np.pad(size, ((0, 0), (1, 1), (1, 1)))

    def beside(by_row: int, by_column: int) -> Array:
        rows, columns = fields.shape[1:]
        return padded[:, 1 + by_row : 1 + by_row + rows, 1 + by_column : 1 + by_column + columns]

    flat = np.abs(down) < np.abs(across) * np.tan(np.pi / 8)
    steep = np.abs(down) > np.abs(across) * np.tan(3 * np.pi / 8)
    falling = (down < 0) != (across < 0)
    highest = np.select(
        [flat, steep, falling],
        [
            (size > beside(0, -1)) & (size >= beside(0, 1)),
            (size > beside(-1, 0)) & (size >= beside(1, 0)),
            (size > beside(-1, 1)) & (size > beside(1, -1)),
        ],
        (size > beside(-1, -1)) & (size > beside(1, 1)),
    )
    likely = highest & (size > LOW)
    pieces, _ = ndimage.label(likely, NEIGHBOURS)
    sure = np.unique(pieces[likely & (size > HIGH)])
    return np.isin(pieces, sure[sure > 0])


def _distances(rims: Truth) -> Array:
    # One transform for all fields: they are so far apart that each sees its own rims alone.
    if not rims.any():
        return np.full(rims.shape, float(FAR))
    away: Array = ndimage.distance_transform_edt(~rims, sampling=(1e6, 1, 1))
    return away


def equalised(levels: Array) -> Array:
    """Whole levels, from 0 to ``FAR``, of each field by the share of pixels that are no higher, from 0 to 255."""
    pixels = levels[0].size
    counts = np.stack([(levels == level).sum(axis=(1, 2)) for level in range(FAR + 1)], axis=1)
    lowest = np.argmax(counts > 0, axis=1)
    first = np.take_along_axis(counts, lowest[:, None], axis=1)
    above = np.maximum(pixels - first, 1)
    table = np.rint(np.maximum(np.cumsum(counts, axis=1) - first, 0) * 255 / above)
    table = np.where(first == pixels, lowest[:, None], table)
    return np.take_along_axis(table, levels.reshape(len(levels), -1).astype(int), axis=1).reshape(levels.shape)
