"""What every subspace promises, one suite over all of them, and wrong ones that it must reject."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from contracts import subspace_suite as suite
from references import subspaces as closed
from torch import nn

from modescape.core.models.dropout import hold_dropout
from modescape.core.settings import settings
from modescape.core.splits import Split, scaling_of
from modescape.core.subspaces.abstract import Problem, Subspace, each, mean_of, moved, normal, scale_of
from modescape.core.subspaces.activation_dropout import ActivationDropout, with_masks
from modescape.core.subspaces.catalogue import EXTRAS, SUBSPACES
from modescape.core.subspaces.diagonal_gaussian import DiagonalGaussian
from modescape.core.subspaces.keep import Keep
from modescape.core.subspaces.low_rank_gaussian import LowRankGaussian
from modescape.core.subspaces.random_direction import RandomDirection
from modescape.core.subspaces.random_pca import RandomPCA
from modescape.core.subspaces.swag import SWAG
from modescape.core.subspaces.weight_average import WeightAverage
from modescape.core.subspaces.weight_dropout import WeightDropout
from modescape.core.weights import Trajectory, Weights, of_module

CASES = {
    "random_direction": RandomDirection(scale=3.0),
    "weight_dropout": WeightDropout(scale=0.4),
    "activation_dropout": ActivationDropout(scale=0.8),
    "diagonal_gaussian": DiagonalGaussian(scale=0.7, last=3),
    "low_rank_gaussian": LowRankGaussian(scale=0.6, rank=2, last=4),
    "low_rank_gaussian, spread": LowRankGaussian(scale=0.6, rank=2, last=4, axes="spread"),
    "random_pca, spread": RandomPCA(scale=0.6, rank=3, samples=5, distance=4.0, axes="spread"),
    "random_pca, keep": RandomPCA(scale=0.6, rank=3, samples=5, distance=4.0, keep=Keep(least=0.5)),
    "weight_average": WeightAverage(scale=0.6, last=4),
    "swag": SWAG(scale=0.8, rank=3, last=4),
    "swag, least": SWAG(scale=0.8, rank=2, last=2),
}
"""Few checkpoints or samples, so that one more or less in a sum or a denominator is no small thing."""


def network():
    """35 weights in six tensors, two dropout layers with other rates, and batch-norm with its statistics."""
    first = [nn.Flatten(), nn.Dropout(0.2), nn.Linear(2, 4), nn.BatchNorm1d(4), nn.ReLU()]
    return nn.Sequential(*first, nn.Dropout(0.4), nn.Linear(4, 3))


def walk(held, length=12):
    """A random walk of checkpoints whose steps and buffers differ between weights and along the way."""
    start, chance = of_module(network(), origin=7), suite.chance(3)

    def wander(tensor):
        sizes = 0.1 + 0.3 * torch.rand(tensor.shape, generator=chance)
        steps = sizes * torch.randn((length, *tensor.shape[1:]), generator=chance)
        return torch.randn(tensor.shape, generator=chance) + steps.cumsum(dim=0)

    def grow(tensor):
        numbers = torch.arange(1, length + 1).reshape(-1, *[1] * (tensor.ndim - 1))
        return (numbers * (tensor + 1)).to(tensor.dtype)

    params = {name: wander(tensor) for name, tensor in start.params.items()}
    buffers = {name: grow(tensor) for name, tensor in start.buffers.items()}
    weights = Weights(params, buffers, (7,) * length)
    trajectory = Trajectory(weights, tuple(range(0, 10 * length, 10)), "member/7")
    return with_masks(trajectory, hold_dropout(network(), torch.zeros(2, 2))) if held else trajectory


def a_problem():
    """A problem whose score lets about half of all members pass a threshold of a half."""
    inputs = torch.randn(40, 2, generator=suite.chance(4))
    train = Split(inputs, torch.randint(0, 3, (40,), generator=suite.chance(5)))

    def score(weights):
        return 0.5 + 0.5 * math.sin(sum(float(tensor.double().sum()) for tensor in weights.params.values()))

    return Problem(network(), train, scaling_of("raw", inputs), score, root=11)


@cache
def case(label, uniform=False):
    """The four arguments of a check."""
    subspace = replace(CASES[label], uniform=uniform)
    trajectory = walk(subspace.holds_masks)
    problem = a_problem()
    expected = closed.CLOSED_FORMS[label.split(",")[0]](subspace, trajectory, problem)
    return subspace, trajectory, problem, expected


@pytest.mark.parametrize("check", suite.CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
@pytest.mark.parametrize("uniform", [False, True], ids=["fixed", "uniform"])
@pytest.mark.parametrize("label", CASES)
def test_every_subspace_keeps(label, uniform, check):
    check(*case(label, uniform))


def test_every_subspace_that_needs_no_extra_is_a_case():
    assert {label.split(",")[0] for label in CASES} == SUBSPACES.keys() - EXTRAS.keys()
    assert all(type(subspace) is SUBSPACES[label.split(",")[0]] for label, subspace in CASES.items())


@pytest.mark.parametrize("label", CASES)
def test_no_members_cannot_be_drawn(label):
    subspace, trajectory, problem, _ = case(label)
    with pytest.raises(ValueError, match="count must be at least 1 member, got 0"):
        suite.sample(subspace, trajectory, problem, 0)


def deviations(subspace, trajectory, count):
    drawn = closed.vectors(subspace, suite.sample(subspace, trajectory, None, count))
    return np.linalg.norm(drawn - closed.vectors(subspace, trajectory.solution), axis=1)


def test_a_random_direction_is_as_long_as_its_scale_over_all_weights():
    found = deviations(RandomDirection(scale=3.0, uniform=False), walk(False), 50)
    # each of 35 weights up to 4 is rounded by at most 1.2e-7 twice: 6 * 2.4e-7 in all, if all conspire
    assert np.allclose(found, 3.0, atol=1.5e-6, rtol=0)


def test_lengths_of_random_directions_are_uniform():
    found = deviations(RandomDirection(scale=3.0, uniform=True), walk(False), 1000)
    assert found.max() <= 3.0 + 1.5e-6
    for quantile in (0.1, 0.25, 0.5, 0.75, 0.9):
        # the fraction below a quantile has the standard error of a coin
        error = (quantile * (1 - quantile) / 1000) ** 0.5
        assert abs((found < 3.0 * quantile).mean() - quantile) < 4 * error


def test_a_weight_that_is_dropped_is_zero_and_the_others_grow():
    trajectory = walk(False)
    subspace = WeightDropout(scale=0.4, uniform=False)
    drawn = closed.vectors(subspace, suite.sample(subspace, trajectory, None, 20))
    grown = drawn[drawn != 0] / np.broadcast_to(closed.vectors(subspace, trajectory.solution), drawn.shape)[drawn != 0]
    # three roundings of 6e-8 on the way to the quotient
    assert np.allclose(grown, 1 / 0.6, rtol=3e-7)
    assert 0 < (drawn == 0).mean() < 1


def test_a_mask_is_zero_or_keeps_the_mean():
    subspace, trajectory, problem, _ = case("activation_dropout")
    drawn = closed.vectors(subspace, suite.sample(subspace, trajectory, problem, 300))
    for columns, rate in ((drawn[:, :2], 0.2), (drawn[:, 2:], 0.4)):
        variance = 0.8**2 * rate / (1 - rate)
        falls = variance / (1 + variance)
        assert np.allclose(columns[columns != 0], 1 / (1 - falls), rtol=1e-6)
        # the standard error of a fraction
        assert abs((columns == 0).mean() - falls) < 4 * (falls * (1 - falls) / columns.size) ** 0.5


def test_activation_dropout_needs_masks():
    with pytest.raises(ValueError, match="member/7 hold no masks"):
        ActivationDropout().fit(walk(False))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: WeightDropout(scale=1.0), "scale is a rate and must lie below 1, got 1.0"),
        (lambda: WeightDropout(plane_scale=1.0), "plane_scale is a rate and must lie below 1, got 1.0"),
        (lambda: DiagonalGaussian(last=1), "last must be at least 2"),
        (lambda: WeightAverage(last=1), "last must be at least 2"),
        (lambda: LowRankGaussian(rank=0), "rank must be at least 1"),
        (lambda: LowRankGaussian(rank=5, last=5), "last must be above rank"),
        (lambda: RandomPCA(rank=0), "rank must be at least 1"),
        (lambda: RandomPCA(rank=4, samples=4), "samples must be above rank"),
        (lambda: RandomPCA(distance=0.0), "distance must be above 0"),
        (lambda: SWAG(rank=1), "rank must be at least 2"),
        (lambda: SWAG(rank=5, last=4), "last must be at least rank"),
    ],
)
def test_impossible_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_axes_that_the_checkpoints_do_not_span_are_refused():
    weights = walk(False).weights[[0, 1, 0, 1, 0, 1]]
    flat = Trajectory(weights, tuple(range(6)), "member/7")
    with pytest.raises(ValueError, match=r"low_rank_gaussian has rank 2, but the 4 points .* span only 1 axes"):
        LowRankGaussian(rank=2, last=4).fit(flat)


def test_random_pca_needs_more_kept_samples_than_axes():
    trajectory = walk(False)
    only = iter([1.0, 0.9] + [0.0] * 100)
    problem = replace(a_problem(), score=lambda weights: next(only))
    with pytest.raises(ValueError, match=r"2 of 8 samples kept\) has rank 3: it needs 4 points, got 2"):
        RandomPCA(rank=3, samples=8, keep=Keep(least=0.5)).fit(trajectory, problem)


class PerTensor(Subspace):
    """A direction of unit length in every tensor."""

    def fit(self, trajectory, problem=None):
        return trajectory.solution

    def draw(self, state, count, generator):
        def member():
            distance = scale_of(self, generator) / len(state.params) ** 0.5
            noise = {name: normal(tensor, generator) for name, tensor in state.params.items()}
            return moved(state, lambda name, _: distance * noise[name] / noise[name].norm())

        return each(count, member)


@settings
class TornSwag(Subspace):
    """Draws the low-rank part anew for every tensor."""

    rank: int = 3
    last: int = 4
    checkpoints_needed = 4

    def fit(self, trajectory, problem=None):
        return SWAG(rank=self.rank, last=self.last).fit(trajectory)

    def draw(self, state, count, generator):
        def step(name, tensor):
            shared = torch.randn(self.rank, generator=generator) / (self.rank - 1) ** 0.5
            low_rank = torch.einsum("k,k...->...", shared, state.columns.params[name])[None]
            return 0.5**0.5 * self.scale * (state.deviation.params[name] * normal(tensor, generator) + low_rank)

        return each(count, lambda: moved(state.mean, step))


@settings
class Wide(Subspace):
    """A diagonal Gaussian whose deviation is over n - 1."""

    last: int = 3
    checkpoints_needed = 3

    def fit(self, trajectory, problem=None):
        recent = trajectory.weights[-self.last :]
        return mean_of(recent), {n: t.double().std(dim=0, keepdim=True).float() for n, t in recent.params.items()}

    def draw(self, state, count, generator):
        mean, spread = state
        return each(count, lambda: moved(mean, lambda n, t: self.scale * spread[n] * normal(t, generator)))


class AtOnce(Subspace):
    """Draws each tensor of all members in one call."""

    def fit(self, trajectory, problem=None):
        return trajectory.solution

    def draw(self, state, count, generator):
        params = {n: t + torch.randn((count, *t.shape[1:]), generator=generator) for n, t in state.params.items()}
        return Weights(params, {n: t.expand(count, *t.shape[1:]) for n, t in state.buffers.items()}, (7,) * count)


class OneScale(Subspace):
    """Draws one scale for all members."""

    def fit(self, trajectory, problem=None):
        return trajectory.solution

    def draw(self, state, count, generator):
        scale = scale_of(self, generator)
        return each(count, lambda: moved(state, lambda n, t: scale * normal(t, generator)))


class Deaf(Subspace):
    """Has a generator of its own."""

    def fit(self, trajectory, problem=None):
        return trajectory.solution

    def draw(self, state, count, generator):
        own = torch.Generator().manual_seed(0)
        return each(count, lambda: moved(state, lambda n, t: normal(t, own)))


class Common(Deaf):
    """Draws from the global generator."""

    def draw(self, state, count, generator):
        return each(count, lambda: moved(state, lambda n, t: torch.randn(t.shape)))


class Committed(Subspace):
    """Multiplies by its scale when it is fitted."""

    def fit(self, trajectory, problem=None):
        mean = mean_of(trajectory.weights)
        return mean, {name: torch.full_like(tensor, self.scale) for name, tensor in mean.params.items()}

    def draw(self, state, count, generator):
        return each(count, lambda: moved(state[0], lambda n, t: state[1][n] * normal(t, generator)))


class Wandering(Deaf):
    """Moves its own state with every member."""

    def draw(self, state, count, generator):
        def member():
            for tensor in state.params.values():
                tensor.add_(normal(tensor, generator))
            return state

        return each(count, member)


class Foreign(Deaf):
    """Numbers its members itself."""

    def draw(self, state, count, generator):
        drawn = AtOnce().draw(state, count, generator)
        return Weights(drawn.params, drawn.buffers, tuple(range(count)))


class Averaging(Deaf):
    """Gives its members statistics that are nobody's."""

    def fit(self, trajectory, problem=None):
        return Weights(trajectory.solution.params, trajectory.weights[0].buffers, trajectory.solution.origin)

    def draw(self, state, count, generator):
        return AtOnce().draw(state, count, generator)


class Credulous(Wide):
    """Fits to whatever there is."""

    def draw(self, state, count, generator):
        return each(count, lambda: state[0])


class Unchecked(Deaf):
    """Takes any scale."""

    def __post_init__(self):
        pass


@pytest.mark.parametrize(
    ("wrong", "like", "check", "reason"),
    [
        (PerTensor(scale=3.0), "random_direction", suite.check_moments, "covariance"),
        (TornSwag(scale=0.8), "swag", suite.check_moments, "covariance"),
        (Wide(scale=0.7), "diagonal_gaussian", suite.check_moments, "covariance"),
        (OneScale(scale=0.1), "diagonal_gaussian", suite.check_moments, "mean"),
        (OneScale(scale=0.7), "diagonal_gaussian", suite.check_scale_zero, "not the centre"),
        (Deaf(), "random_direction", suite.check_seeds, "the seed must decide"),
        (Common(), "random_direction", suite.check_seeds, "global generator"),
        (AtOnce(), "random_direction", suite.check_chunks, "drawn at once"),
        (OneScale(uniform=True), "random_direction", suite.check_chunks, "drawn at once"),
        (Foreign(), "random_direction", suite.check_members, "another solution"),
        (Averaging(), "random_direction", suite.check_members, "does not vary"),
        (Wandering(), "random_direction", suite.check_nothing_is_worn, "changed by drawing"),
        (Credulous(), "diagonal_gaussian", suite.check_length, "nothing was refused"),
        (Unchecked(), "random_direction", suite.check_impossible_scales, "nothing was refused"),
        (Committed(), "random_direction", suite.check_state_ignores_scale, "depends on the scale"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Subspace) else None,
)
def test_the_suite_rejects_a_wrong_subspace(wrong, like, check, reason):
    _, trajectory, problem, expected = case(like)
    with pytest.raises(AssertionError, match=reason):
        check(wrong, trajectory, problem, expected)
