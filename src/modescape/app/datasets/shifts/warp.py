"""Elastic transform: a random affine map, then a smooth field of displacements, with the parameters of CIFAR-10-C."""

import numpy as np

from modescape.app.datasets.shifts import zoom
from modescape.app.datasets.shifts.array import Array, Whole, gaussian
from modescape.app.datasets.shifts.chance import Chance
from modescape.app.datasets.shifts.family import Parameters
from modescape.app.datasets.shifts.grid import coarse, growth


def elastic_transform(images: Array, parameters: Parameters, chance: Chance) -> Array:
    """Move three points by up to a share of the side (parameter 3), and the image with them; then displace pixels.

    Displacements are uniform noise, smoothed (deviation 2, a share of the side), times a strength (1, a share as well).
    """
    strength, smooth, reach = parameters
    count, height, width, _ = images.shape
    rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    maps = _affine_maps(count, height, width, reach * min(height, width), chance)
    points = np.stack([columns, rows, np.ones_like(rows)], axis=-1).reshape(-1, 3).astype(np.float64)
    at = (points @ maps).reshape(count, height, width, 2)
    images = sample(images.astype(np.float32), at[..., 1], at[..., 0], edge_twice=False)
    down, across = (_displacements(images, strength, smooth, chance) for _ in range(2))
    return sample(images, rows + down, columns + across, edge_twice=True)


def sample(images: Array, rows: Array, columns: Array, edge_twice: bool) -> Array:
    """Images [example, height, width, channel] at real-valued places [example, height, width], bilinear.

    Beyond the edge images are mirrored, with the pixel at the edge there once or twice.
    """
    top, left = np.floor(rows), np.floor(columns)
    down = (rows - top).astype(images.dtype)[..., None]
    right = (columns - left).astype(images.dtype)[..., None]
    height, width, channels = images.shape[1:]
    first = np.arange(len(images))[:, None, None] * height
    upper, lower = (first + _mirrored(top.astype(np.int64) + by, height, edge_twice) for by in (0, 1))
    before, after = (_mirrored(left.astype(np.int64) + by, width, edge_twice) for by in (0, 1))
    pixels = images.reshape(-1, channels)

    def take(row: Whole, column: Whole) -> Array:
        found: Array = pixels[row * width + column]
        return found

    above: Array = take(upper, before) * (1 - right) + take(upper, after) * right
    below: Array = take(lower, before) * (1 - right) + take(lower, after) * right
    between: Array = above * (1 - down) + below * down
    return between


def _mirrored(index: Whole, length: int, edge_twice: bool) -> Whole:
    period = 2 * length if edge_twice else 2 * length - 2
    index = index % period
    return np.where(index < length, index, period - index - (1 if edge_twice else 0))


def _affine_maps(count: int, height: int, width: int, reach: float, chance: Chance) -> Array:
    """Matrices [example, 3, 2] that give for (column, row, 1) of the new image the place in the old one."""
    middle_row, middle_column, arm = height // 2, width // 2, min(height, width) // 3
    offsets = np.array([[arm, arm], [arm, -arm], [-arm, -arm]])
    old = np.array([middle_column, middle_row]) + offsets
    new = old + chance.uniform(-reach, reach, count, 3, 2)
    return np.linalg.solve(np.concatenate([new, np.ones((count, 3, 1))], axis=-1), np.broadcast_to(old, new.shape))


def _displacements(images: Array, strength: float, smooth: float, chance: Chance) -> Array:
    count, rows, columns = coarse(images)
    side = min(rows, columns)
    sigma = smooth * side
    noise = chance.uniform(-1, 1, count, rows, columns).astype(np.float64)
    field = gaussian(noise, (0, sigma, sigma), edge="reflect", truncate=3) * strength * side
    return zoom.stretch(field, *images.shape[1:3]) * growth(images)
