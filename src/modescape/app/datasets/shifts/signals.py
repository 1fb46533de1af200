"""Corruptions of signals, in units of the training split's standard deviation and in fractions of the length.

None of these is published with a dataset; the severities were chosen so that the mildest is hardly seen and the
strongest leaves a signal of MNIST-1D recognisable.
"""

import numpy as np

from modescape.app.datasets.shifts.array import Array, gaussian
from modescape.app.datasets.shifts.chance import Chance
from modescape.app.datasets.shifts.family import Family, Parameters


def gaussian_noise(signals: Array, parameters: Parameters, chance: Chance) -> Array:
    """Add normal noise of one standard deviation (parameter 1) at every point."""
    return signals + parameters[0] * chance.normal(*signals.shape)


def impulse_noise(signals: Array, parameters: Parameters, chance: Chance) -> Array:
    """Set a fraction of the points (parameter 1) to +3 or -3 standard deviations, either as likely."""
    hit = chance.uniform(0, 1, *signals.shape)
    amount = parameters[0]
    return np.where(hit < amount, np.where(hit < amount / 2, 3.0, -3.0), signals)


def scale(signals: Array, parameters: Parameters, _chance: Chance) -> Array:
    """Shrink the signal towards the training mean by a factor (parameter 1)."""
    return signals * parameters[0]


def drift(signals: Array, parameters: Parameters, chance: Chance) -> Array:
    """Add a straight line from minus to plus some standard deviations (parameter 1), rising or falling by chance."""
    sign = 2.0 * chance.whole(0, 2, len(signals), 1, 1) - 1
    return signals + parameters[0] * sign * np.linspace(-1, 1, signals.shape[-1])


def delay(signals: Array, parameters: Parameters, chance: Chance) -> Array:
    """Move by a fraction of the length (parameter 1), forwards or backwards by chance; ends go on as they are."""
    length = signals.shape[-1]
    sign = 2 * chance.whole(0, 2, len(signals), 1, 1) - 1
    at = np.clip(np.arange(length) + sign * max(1, round(parameters[0] * length)), 0, length - 1)
    return np.take_along_axis(signals, np.broadcast_to(at, signals.shape), axis=-1)


def smoothing(signals: Array, parameters: Parameters, _chance: Chance) -> Array:
    """Weigh the surroundings by a normal density whose standard deviation is a fraction of the length (parameter 1)."""
    return gaussian(signals, (0, 0, parameters[0] * signals.shape[-1]))


def gap(signals: Array, parameters: Parameters, chance: Chance) -> Array:
    """Set a stretch of a fraction of the length (parameter 1), somewhere, to the training mean."""
    length = signals.shape[-1]
    missing = max(1, round(parameters[0] * length))
    start = chance.whole(0, length - missing + 1, len(signals), 1, 1)
    at = np.arange(length)
    return np.where((at >= start) & (at < start + missing), 0.0, signals)


SIGNALS: dict[str, Family] = {
    "gaussian_noise": Family(gaussian_noise, ((0.1,), (0.2,), (0.3,), (0.5,), (0.8,))),
    "impulse_noise": Family(impulse_noise, ((0.02,), (0.05,), (0.1,), (0.15,), (0.25,))),
    "scale": Family(scale, ((0.85,), (0.7,), (0.55,), (0.4,), (0.25,))),
    "drift": Family(drift, ((0.25,), (0.5,), (0.75,), (1.0,), (1.5,))),
    "delay": Family(delay, ((0.025,), (0.05,), (0.1,), (0.15,), (0.2,))),
    "smoothing": Family(smoothing, ((0.0125,), (0.02,), (0.03,), (0.045,), (0.07,))),
    "gap": Family(gap, ((0.05,), (0.1,), (0.15,), (0.2,), (0.3,))),
}
"""The families of signals, [channel, length]."""
