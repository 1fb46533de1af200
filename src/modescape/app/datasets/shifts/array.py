"""The arrays of the formulas, and scipy's filters for many of them at once."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Array = npt.NDArray[np.floating[Any]]
Whole = npt.NDArray[np.int64]
Truth = npt.NDArray[np.bool_]

Edge = Literal["nearest", "mirror", "reflect", "wrap"]
"""How an array goes on beyond its edge: as its edge; mirrored, with the edge once or twice; or from its other end."""


def gaussian(values: Array, sigmas: Sequence[float], edge: Edge = "nearest", truncate: float = 4.0) -> Array:
    """Weigh surroundings by a normal density of one standard deviation for each axis; 0 leaves an axis alone."""
    smooth: Array = ndimage.gaussian_filter(values, sigmas, mode=edge, truncate=truncate)
    return smooth


def mean3(fields: Array) -> Array:
    """Mean over the 3 x 3 surroundings in fields [example, rows, columns]."""
    mean: Array = ndimage.uniform_filter(fields, (1, 3, 3), mode="mirror")
    return mean


def correlate(fields: Array, kernel: npt.NDArray[Any]) -> Array:
    """Weighted sums of the surroundings in fields [example, rows, columns]; the kernel is [rows, columns]."""
    sums: Array = ndimage.correlate(fields, kernel[None], mode="mirror")
    return sums


def slope(fields: Array, axis: int) -> Array:
    """Sobel's filter along axis 1 or 2 of fields [example, rows, columns].

    scipy's own would smooth along every other axis, and so from example to example.
    """
    smooth = ndimage.correlate1d(fields, [1.0, 2.0, 1.0], axis=3 - axis, mode="nearest")
    slopes: Array = ndimage.correlate1d(smooth, [-1.0, 0.0, 1.0], axis=axis, mode="nearest")
    return slopes
