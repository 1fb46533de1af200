"""Noise in every pixel of its own; the parameters are those of CIFAR-10-C (Hendrycks and Dietterich 2019)."""

import numpy as np

from modescape.app.datasets.shifts.array import Array
from modescape.app.datasets.shifts.chance import Chance
from modescape.app.datasets.shifts.family import Parameters


def gaussian_noise(images: Array, parameters: Parameters, chance: Chance) -> Array:
    """Add normal noise of one standard deviation (parameter 1)."""
    return images + parameters[0] * chance.normal(*images.shape)


def shot_noise(images: Array, parameters: Parameters, chance: Chance) -> Array:
    """Count photons: Poisson numbers whose mean is the value times the photons of white (parameter 1)."""
    return chance.poisson(images * parameters[0]) / parameters[0]


def impulse_noise(images: Array, parameters: Parameters, chance: Chance) -> Array:
    """Set a fraction of all values (parameter 1) to 0 or 1, either as likely."""
    hit = chance.uniform(0, 1, *images.shape)
    amount = parameters[0]
    return np.where(hit < amount, (hit < amount / 2).astype(images.dtype), images)


def speckle_noise(images: Array, parameters: Parameters, chance: Chance) -> Array:
    """Add normal noise whose standard deviation is a fraction (parameter 1) of the value."""
    return images + images * (parameters[0] * chance.normal(*images.shape))
