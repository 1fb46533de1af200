"""What every ensembling method promises, and that a method which breaks a promise is found out."""

from typing import final

import pytest
import torch

from modescape.core.methods.abstract import Method
from modescape.core.methods.checkpoints import CycleEnds, LateCheckpoints
from modescape.core.methods.sampled import Sampled
from modescape.core.methods.solution import Solution
from modescape.core.settings import settings
from modescape.core.splits import Scaling, Split
from modescape.core.subspaces.abstract import Problem
from modescape.core.subspaces.diagonal_gaussian import DiagonalGaussian
from modescape.core.subspaces.random_direction import RandomDirection
from modescape.core.subspaces.swag import SWAG
from modescape.core.subspaces.weight_average import WeightAverage
from modescape.core.weights import Trajectory, Weights

METHODS = {
    "independent": Solution(),
    "late_checkpoints": LateCheckpoints(count=4),
    "snapshot": CycleEnds(cycles=3),
    "weight_average": Sampled(subspace=WeightAverage(last=5)),
    "random_direction": Sampled(subspace=RandomDirection(), count=3),
    "diagonal_gaussian": Sampled(subspace=DiagonalGaussian(last=5), count=4),
    "swag": Sampled(subspace=SWAG(rank=3, last=5), count=5),
}
COUNTS = {
    "independent": 1,
    "late_checkpoints": 4,
    "snapshot": 3,
    "weight_average": 1,
    "random_direction": 3,
    "diagonal_gaussian": 4,
    "swag": 5,
}


def trajectory(origin):
    chance = torch.Generator().manual_seed(origin)
    params = {"w": torch.randn(13, 4, generator=chance), "b": torch.randn(13, 2, generator=chance)}
    buffers = {"seen": torch.arange(13)}
    steps = tuple(range(0, 130, 10))
    return Trajectory(Weights(params, buffers, (origin,) * 13), steps, f"member/{origin}")


PATHS = [trajectory(2), trajectory(0), trajectory(9)]
NOTHING = Split(torch.zeros(1, 1, 1), torch.zeros(1, dtype=torch.int64))
PROBLEM = Problem(torch.nn.Identity(), NOTHING, Scaling(torch.zeros(1), torch.ones(1)), None, 5)


def check_method(method, count):
    """Raises ``AssertionError`` unless every promise is kept."""
    members = method.members(PATHS, PROBLEM)
    assert members.origin == tuple(path.weights.origin[0] for path in PATHS for _ in range(count))
    again = method.members(PATHS, PROBLEM)
    alone = [method.around(path, PROBLEM) for path in PATHS]
    for name, tensor in {**members.params, **members.buffers}.items():
        assert torch.equal(tensor, {**again.params, **again.buffers}[name])
        assert torch.equal(tensor, torch.cat([{**one.params, **one.buffers}[name] for one in alone]))
    backwards = method.members(PATHS[::-1], PROBLEM)
    for name, tensor in members.params.items():
        assert torch.equal(tensor[:count], backwards.params[name][-count:])
        assert tensor.shape[1:] == PATHS[0].weights.params[name].shape[1:]
        assert tensor.isfinite().all()
    assert members.buffers.keys() == PATHS[0].weights.buffers.keys()


@pytest.mark.parametrize("name", METHODS)
def test_every_promise_is_kept(name):
    check_method(METHODS[name], COUNTS[name])


@final
@settings
class _Forgetful(Method):
    """Labels every member with one origin."""

    def around(self, trajectory, problem=None):
        found = trajectory.solution
        return Weights(found.params, found.buffers, (0,))


@final
@settings
class _Whimsical(Method):
    """Draws from the global generator."""

    def around(self, trajectory, problem=None):
        found = trajectory.solution
        return Weights({n: t + torch.randn_like(t) for n, t in found.params.items()}, found.buffers, found.origin)


@pytest.mark.parametrize("wrong", [_Forgetful(), _Whimsical()], ids=["forgetful", "whimsical"])
def test_a_method_that_breaks_a_promise_is_found_out(wrong):
    with pytest.raises(AssertionError):
        check_method(wrong, 1)
