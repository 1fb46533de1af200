"""Enlarging as linear maps: order-1 interpolation of scipy, applied to many images at once."""

from functools import lru_cache
from typing import Any

import numpy as np
from scipy import ndimage, sparse

from modescape.app.datasets.shifts.array import Array


@lru_cache(maxsize=256)
def _weights(length: int, factor: float) -> Array:
    """Weights [length, length] of the central part of an axis, enlarged by the factor and cut to its old length."""
    kept = int(np.ceil(length / factor))
    start = (length - kept) // 2
    # What scipy makes of unit vectors are its own weights, the rounding of its coordinates included.
    enlarged = ndimage.zoom(np.eye(kept), (factor, 1), order=1)
    trim = (len(enlarged) - length) // 2
    weights = np.zeros((length, length))
    weights[:, start : start + kept] = enlarged[trim : trim + length]
    return weights


@lru_cache(maxsize=128)
def centre_zoom(height: int, width: int, factor: float) -> Any:
    """Sparse matrix that enlarges a flattened image [height * width] about its centre and keeps its size."""
    return sparse.csr_matrix(sparse.kron(_weights(height, factor), _weights(width, factor)))


def apply(matrix: Any, images: Array) -> Array:
    """The linear map of every channel of every image [example, height, width, channel], in float64."""
    flat = images.transpose(1, 2, 0, 3).reshape(images.shape[1] * images.shape[2], -1)
    out: Array = matrix @ np.ascontiguousarray(flat, np.float64)
    return out.reshape(*images.shape[1:3], len(images), -1).transpose(2, 0, 1, 3)


def stretch(fields: Array, height: int, width: int) -> Array:
    """Fields [example, rows, columns] drawn on a coarser grid, enlarged to an image's size; corners stay corners."""
    if fields.shape[1:] == (height, width):
        return fields
    down, across = (_interpolation(have, want) for have, want in zip(fields.shape[1:], (height, width), strict=True))
    large: Array = np.einsum("hr,nrc,wc->nhw", down, fields, across, optimize=True)
    return large


@lru_cache(maxsize=64)
def _interpolation(have: int, want: int) -> Array:
    at = np.linspace(0, have - 1, want)
    lower = np.minimum(at.astype(int), max(have - 2, 0))
    weights = np.zeros((want, have))
    weights[np.arange(want), lower] = 1 - (at - lower)
    weights[np.arange(want), np.minimum(lower + 1, have - 1)] += at - lower
    return weights
