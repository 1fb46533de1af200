"""How lengths and fields of noise follow the size of images."""

from modescape.app.datasets.shifts.array import Array

BASE = 32
"""Side of the images for which the parameters were published."""


def growth(images: Array) -> float:
    """By how much lengths in pixels grow: the shorter side over 32. Images are [example, height, width, channel].

    On smaller images lengths stay as they are: a blur of a fraction of a pixel would change nothing.
    """
    return max(1.0, float(min(images.shape[1:3])) / BASE)


def coarse(images: Array) -> tuple[int, int, int]:
    """Examples, rows and columns of the grid on which a field for these images is drawn."""
    count, height, width, _ = images.shape
    return count, round(height / growth(images)), round(width / growth(images))
