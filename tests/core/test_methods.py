"""Methods: which members they make of trajectories, of which origin, and in which order."""

import math

import pytest
import torch

from modescape.core.methods.checkpoints import CycleEnds, LateCheckpoints
from modescape.core.methods.sampled import Sampled
from modescape.core.methods.scoring import subsets
from modescape.core.methods.solution import Solution
from modescape.core.splits import Scaling, Split
from modescape.core.subspaces.abstract import Problem
from modescape.core.subspaces.diagonal_gaussian import DiagonalGaussian
from modescape.core.subspaces.keep import Keep
from modescape.core.subspaces.random_direction import RandomDirection
from modescape.core.subspaces.weight_average import WeightAverage
from modescape.core.weights import Trajectory, Weights


def trajectory(origin, length=13, every=10):
    chance = torch.Generator().manual_seed(origin)
    params = {"w": torch.randn(length, 3, 2, generator=chance), "b": torch.randn(length, 2, generator=chance)}
    steps = tuple(every * place for place in range(length))
    return Trajectory(Weights(params, {}, (origin,) * length), steps, f"member/{origin}")


def problem(score=None, root=3):
    nothing = Split(torch.zeros(1, 1, 1), torch.zeros(1, dtype=torch.int64))
    return Problem(torch.nn.Identity(), nothing, Scaling(torch.zeros(1), torch.ones(1)), score, root)


PATHS = [trajectory(0), trajectory(4)]


def test_independent_networks_are_the_solutions():
    members = Solution().members(PATHS)
    assert members.origin == (0, 4)
    for place, path in enumerate(PATHS):
        assert torch.equal(members.params["w"][place], path.weights.params["w"][-1])


def test_late_checkpoints_begin_with_the_newest():
    members = LateCheckpoints(count=3).members(PATHS)
    assert members.origin == (0, 0, 0, 4, 4, 4)
    assert torch.equal(members.params["b"][3:], PATHS[1].weights.params["b"][[12, 11, 10]])
    with pytest.raises(ValueError, match="needs 14 checkpoints"):
        LateCheckpoints(count=14).around(PATHS[0])


def test_snapshots_are_the_ends_of_the_cycles():
    members = CycleEnds(cycles=3).around(PATHS[0])
    assert torch.equal(members.params["w"], PATHS[0].weights.params["w"][[12, 8, 4]])
    with pytest.raises(ValueError, match="no checkpoint at step 96, the end of one of 5 cycles"):
        CycleEnds(cycles=5).around(PATHS[0])


def test_the_product_is_every_solution_with_its_own_samples():
    method = Sampled(subspace=DiagonalGaussian(last=5), count=4)
    both = method.members(PATHS, problem())
    assert both.origin == (0,) * 4 + (4,) * 4
    for path, rows in zip(PATHS, (slice(0, 4), slice(4, 8)), strict=True):
        own = method.around(path, problem())
        assert torch.equal(own.params["w"], both.params["w"][rows])
    assert not torch.equal(both.params["w"][:4], both.params["w"][4:])


def test_the_first_of_many_samples_are_the_few():
    few = Sampled(subspace=RandomDirection(), count=3).around(PATHS[0], problem())
    many = Sampled(subspace=RandomDirection(), count=8).around(PATHS[0], problem())
    assert torch.equal(few.params["w"], many.params["w"][:3])
    other = Sampled(subspace=RandomDirection(), count=3, purpose="another").around(PATHS[0], problem())
    assert not torch.equal(few.params["w"], other.params["w"])


def test_a_weight_average_is_one_member():
    members = Sampled(subspace=WeightAverage(last=10)).members(PATHS)
    assert members.origin == (0, 4)
    torch.testing.assert_close(members.params["w"][1], PATHS[1].weights.params["w"][-10:].mean(dim=0))


def test_members_are_kept_by_their_score():
    centre = float(PATHS[0].weights.params["b"][-1, 0])

    def score(member):
        return 1 / (1 + math.exp(centre - float(member.params["b"][0, 0])))

    keep = Keep(least=0.5, tries=20)
    kept = Sampled(subspace=RandomDirection(scale=3.0), count=6, keep=keep).around(PATHS[0], problem(score))
    assert len(kept) == 6 and (kept.params["b"][:, 0] >= centre).all()
    free = Sampled(subspace=RandomDirection(scale=3.0), count=40).around(PATHS[0], problem(score))
    assert torch.equal(kept.params["b"], free.params["b"][free.params["b"][:, 0] >= centre][:6])


def test_what_cannot_be_is_refused():
    for wrong in (lambda: Sampled(count=0), lambda: LateCheckpoints(count=0), lambda: CycleEnds(cycles=0)):
        with pytest.raises(ValueError, match="at least 1"):
            wrong()
    with pytest.raises(ValueError, match="at least one trajectory"):
        Solution().members([])


def test_all_subsets_or_a_fixed_sample_of_different_ones():
    origins = [0, 2, 3, 7, 8]
    assert len(subsets(origins, 2, 10, root=0)) == 10
    assert subsets(origins, 5, 1, root=0) == [(0, 2, 3, 7, 8)]
    few = subsets(origins, 3, 6, root=1)
    assert len(set(few)) == 6 and all(set(one) <= set(origins) and list(one) == sorted(one) for one in few)
    assert few == subsets(origins, 3, 6, root=1)
    assert few != subsets(origins, 3, 6, root=2)
    with pytest.raises(ValueError, match="no subset of 6 among 5"):
        subsets(origins, 6, 10, root=0)
