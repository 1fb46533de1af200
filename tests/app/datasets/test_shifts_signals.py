"""Formulas of signals against their slow twins."""

import math

import numpy as np
import pytest
import torch

from modescape.app.datasets.extra import extra, families
from modescape.app.datasets.load import load
from modescape.app.datasets.shifts import signals
from modescape.app.datasets.shifts.chance import Chance

SHAPE = (6, 2, 40)


@pytest.fixture(scope="module")
def waves() -> np.ndarray:
    return np.random.default_rng(1).normal(size=SHAPE).cumsum(axis=-1) / 4


def chance() -> Chance:
    return Chance(4, "twin")


def test_families() -> None:
    assert families(load("mnist1d")) == tuple(signals.SIGNALS)
    assert set(signals.SIGNALS) == {"gaussian_noise", "impulse_noise", "scale", "drift", "delay", "smoothing", "gap"}


def test_noise() -> None:
    still = np.full((500, 1, 40), 0.5)
    added = signals.gaussian_noise(still, (0.3,), chance()) - still
    assert abs(added.mean()) < 0.01 and abs(added.std() - 0.3) < 0.01
    hit = signals.impulse_noise(still, (0.1,), chance())
    shares = [(hit == value).mean() for value in (3, -3, 0.5)]
    assert np.allclose(shares, [0.05, 0.05, 0.9], atol=0.01)


def test_scale(waves: np.ndarray) -> None:
    assert np.allclose(signals.scale(waves, (0.4,), chance()), 0.4 * waves)


def test_drift(waves: np.ndarray) -> None:
    added = signals.drift(waves, (0.75,), chance()) - waves
    rising = [[0.75 * (2 * point / 39 - 1) for point in range(40)]] * 2
    ways = {tuple(np.sign(line[:, -1])) for line in added}
    assert ways == {(1, 1), (-1, -1)}
    for line in added:
        assert np.allclose(line * np.sign(line[0, -1]), rising)


def test_delay(waves: np.ndarray) -> None:
    moved = signals.delay(waves, (0.1,), chance())
    forwards = 0
    for before, after in zip(waves, moved, strict=True):
        later = np.concatenate([before[:, :1].repeat(4, axis=1), before[:, :-4]], axis=1)
        sooner = np.concatenate([before[:, 4:], before[:, -1:].repeat(4, axis=1)], axis=1)
        forwards += np.array_equal(after, later)
        assert np.array_equal(after, later) or np.array_equal(after, sooner)
    assert 0 < forwards < len(waves)


def test_smoothing(waves: np.ndarray) -> None:
    smooth = signals.smoothing(waves, (0.03,), chance())
    reach = int(4 * 1.2 + 0.5)
    weights = [math.exp(-(step**2) / (2 * 1.2**2)) for step in range(-reach, reach + 1)]
    for at in np.ndindex(*SHAPE):
        near = [waves[(*at[:2], min(max(at[2] + step, 0), 39))] for step in range(-reach, reach + 1)]
        assert math.isclose(smooth[at], np.dot(weights, near) / sum(weights), abs_tol=1e-12)


def test_gap(waves: np.ndarray) -> None:
    cut = signals.gap(waves, (0.15,), chance())
    starts = set()
    for before, after in zip(waves, cut, strict=True):
        (missing,) = np.nonzero((after != before).any(axis=0))
        assert len(missing) == 6 == missing[-1] - missing[0] + 1
        assert (after[:, missing] == 0).all()
        starts.add(missing[0])
    assert len(starts) > 2


def test_units_are_those_of_the_training_split() -> None:
    dataset = load("mnist1d")
    train, test = dataset.splits["train"].inputs.double(), dataset.splits["test"].inputs.double()
    shrunk = extra(dataset, "shift/scale/4", None, 0).load().inputs
    assert shrunk.dtype == torch.float32
    assert torch.allclose(shrunk.double(), train.mean() + 0.4 * (test - train.mean()), atol=1e-6)
    noisy = extra(dataset, "shift/gaussian_noise/5", None, 0).load().inputs
    assert abs(float((noisy - test).std() / train.std()) - 0.8) < 0.01


def test_a_signal_of_one_value_everywhere() -> None:
    from pretend import dataset_of

    dataset = dataset_of(torch.full((4, 1, 12), 7.0))
    for family in families(dataset):
        assert extra(dataset, f"shift/{family}/5", None, 0).load().inputs.isfinite().all()
