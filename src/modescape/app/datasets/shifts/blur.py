"""Blurs. Gaussian, zoom and defocus blur follow CIFAR-10-C to the last bit; glass and motion blur are drawn."""

import numpy as np

from modescape.app.datasets.shifts import zoom
from modescape.app.datasets.shifts.array import Array, gaussian
from modescape.app.datasets.shifts.chance import Chance
from modescape.app.datasets.shifts.family import Parameters
from modescape.app.datasets.shifts.grid import growth


def gaussian_blur(images: Array, parameters: Parameters, _chance: Chance) -> Array:
    """Weigh the surroundings by a normal density of some pixels' standard deviation (parameter 1)."""
    return _gaussian(images, parameters[0] * growth(images))


def defocus_blur(images: Array, parameters: Parameters, _chance: Chance) -> Array:
    """Mean over a disk (radius in parameter 1) whose rim is softened (standard deviation in parameter 2)."""
    kernel = _soft_disk(parameters[0], parameters[1], growth(images)).astype(np.float64)
    reach = len(kernel) // 2
    height, width = images.shape[1:3]
    padded = np.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="reflect")
    total = np.zeros_like(images)
    for row, column in np.argwhere(kernel > NEGLIGIBLE**3):
        total += kernel[row, column] * padded[:, row : row + height, column : column + width]
    return total


def zoom_blur(images: Array, parameters: Parameters, _chance: Chance) -> Array:
    """Mean of the image and its enlargements by 1.00, 1.01, ... below a factor (parameter 1), in float32."""
    images = images.astype(np.float32)
    factors = np.arange(1, parameters[0], 0.01)
    total = np.zeros_like(images)
    for factor in factors:
        total += zoom.apply(zoom.centre_zoom(*images.shape[1:3], float(factor)), images).astype(np.float32)
    return (images + total) / np.float32(len(factors) + 1)


def glass_blur(images: Array, parameters: Parameters, chance: Chance) -> Array:
    """Blur (standard deviation in parameter 1), move pixels about (reach 2, rounds 3), and blur again.

    As in the published code, whose exchange of pixels through views copies one of them: a pixel becomes one of those at
    most a reach above or to its left, and less than a reach below or to its right.
    """
    sigma, reach, rounds = parameters[0] * growth(images), round(parameters[1] * growth(images)), int(parameters[2])
    count, height, width, _ = images.shape
    levels = np.trunc(_gaussian(images, sigma) * 255)
    rows, columns = np.arange(reach + 1, height - reach + 1), np.arange(reach + 1, width - reach + 1)
    example = np.arange(count)[:, None, None]
    for _ in range(rounds):
        down, across = chance.whole(-reach, reach, 2, count, len(rows), len(columns))
        moved = levels[example, rows[:, None] + down, columns + across]
        levels[:, reach + 1 : height - reach + 1, reach + 1 : width - reach + 1] = moved
    return _gaussian(levels / 255, sigma)


def motion_blur(images: Array, parameters: Parameters, chance: Chance) -> Array:
    """Trail along a direction up to 45 degrees from the horizontal: reach (parameter 1), standard deviation (2)."""
    angles = np.radians(chance.uniform(-45, 45, len(images)))
    return np.rint(streak(images, parameters, angles) * 255) / 255


def streak(images: Array, parameters: Parameters, angles: Array) -> Array:
    """One-sided Gaussian mean along a line of each image's own angle (radians), by ImageMagick's choice of pixels.

    Beyond the edge an image goes on as its edge. Result is float32.
    """
    sigma = parameters[1] * growth(images)
    taps = 2 * int(np.ceil(parameters[0] * growth(images))) + 1
    weights = np.exp(-(np.arange(taps) ** 2) / (2 * sigma**2))
    weights /= weights.sum()
    count, height, width, _ = images.shape
    images = images.astype(np.float32)
    total = np.zeros_like(images)
    example = np.arange(count)[:, None, None]
    for tap in np.flatnonzero(weights > NEGLIGIBLE):
        across = np.ceil(tap * np.cos(angles) - 0.5).astype(int)[:, None]
        down = np.ceil(tap * np.sin(angles) - 0.5).astype(int)[:, None]
        rows = np.clip(np.arange(height) + down, 0, height - 1)[:, :, None]
        columns = np.clip(np.arange(width) + across, 0, width - 1)[:, None, :]
        total += np.float32(weights[tap]) * images[example, rows, columns]
    return total


NEGLIGIBLE = 1e-5
"""Weights below this one move no value by a level of 255."""


def _soft_disk(radius: float, softness: float, growth: float) -> Array:
    """Weights in float32, rounded where OpenCV rounds them: 32-bit steps decide about the last bit of flat areas."""
    radius, softness, soft = radius * growth, softness * growth, round(growth)
    reach = int(radius) + soft
    across = np.arange(-reach - soft, reach + soft + 1)
    disk = (across**2 + across[:, None] ** 2 <= radius**2).astype(np.float32)
    disk /= disk.sum()
    bell = np.exp(-(np.arange(-float(soft), soft + 1) ** 2) / (2 * softness**2))
    bell = (bell / bell.sum()).astype(np.float32)
    return _softened(_softened(disk, bell).T, bell).T


def _softened(rows: Array, bell: Array) -> Array:
    """Rows, shorter by as much as the bell reaches, weighed by it from the middle outwards."""
    soft = len(bell) // 2
    total: Array = rows[:, soft:-soft] * bell[soft]
    for step in range(1, soft + 1):
        before, after = rows[:, soft - step : -soft - step], rows[:, soft + step : rows.shape[1] - soft + step]
        total = total + (before + after) * bell[soft - step]
    return total


def _gaussian(images: Array, sigma: float) -> Array:
    return gaussian(images, (0, sigma, sigma, 0))
