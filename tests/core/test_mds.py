"""Multidimensional scaling, and purity among some of the points, against loops over pairs."""

import math

import pytest
import torch

from modescape.core.diversity.embedding import isometric, mds, nearest_neighbour_purity


def chance(seed=0):
    return torch.Generator().manual_seed(seed)


def cloud(points, dimensions, seed=0):
    return torch.randn(points, dimensions, generator=chance(seed)).double()


def stress(points, wanted):
    """Root of the squared misses of all distances over the squared distances."""
    missed = total = 0.0
    for i in range(len(points)):
        for j in range(i):
            far = math.dist(wanted[i].tolist(), wanted[j].tolist())
            missed += (math.dist(points[i].tolist(), points[j].tolist()) - far) ** 2
            total += far**2
    return math.sqrt(missed / total)


def test_mds_repeats_for_a_seed_and_moves_for_another():
    reduced = isometric(cloud(15, 40))
    first, again, other = (mds(reduced, seed) for seed in (0, 0, 1))
    assert torch.equal(first.points, again.points)
    assert first.stress == again.stress
    assert not torch.allclose(first.points, other.points, atol=0.1)


@pytest.mark.parametrize("dimensions", [2, 5, 40])
def test_the_stress_equals_its_slow_twin(dimensions):
    points = cloud(12, dimensions)
    found = mds(isometric(points), 0)
    assert found.points.shape == (12, 2)
    # the root of a Gram matrix's rounding in every distance
    assert found.stress == pytest.approx(stress(found.points, points), abs=1e-6)
    assert math.isnan(found.divergence)
    assert math.isnan(found.explained)


def test_points_of_a_plane_keep_their_distances():
    flat = torch.cat([cloud(12, 2), torch.zeros(12, 30, dtype=torch.float64)], dim=1)
    turned = flat @ torch.linalg.qr(cloud(32, 32, seed=3)).Q
    stresses = [mds(isometric(turned), seed).stress for seed in range(4)]
    # the iterations end at a tolerance; a random start may end elsewhere, and four do not
    assert min(stresses) < 0.02
    assert mds(isometric(cloud(12, 40)), 0).stress > 0.1


def test_the_library_does_not_warn_that_reduced_points_look_like_a_table_of_distances(recwarn):
    reduced = isometric(cloud(8, 20))
    assert reduced.shape == (8, 8)
    assert mds(reduced, 0).points.isfinite().all()
    assert [str(warning.message) for warning in recwarn] == []


@pytest.mark.parametrize("count", [2, 3])
def test_few_points_are_placed_without_stress(count):
    found = mds(isometric(cloud(count, 6)), 0)
    assert found.points.shape == (count, 2)
    assert found.stress < 0.02


def test_purity_among_some_points_looks_at_all_neighbours():
    points, labels = cloud(25, 2), torch.randint(0, 3, (25,), generator=chance(1))
    for rows in ([0, 3, 4, 20], [24], list(range(25))):
        same = 0
        for i in rows:
            _, nearest = min((math.dist(points[i], points[j]), j) for j in range(25) if j != i)
            same += int(labels[nearest] == labels[i])
        found = nearest_neighbour_purity(points, labels, torch.tensor(rows))
        assert found == pytest.approx(same / len(rows))
    assert nearest_neighbour_purity(points, labels) == nearest_neighbour_purity(points, labels, torch.arange(25))


def test_purity_of_some_is_not_purity_among_themselves():
    line = torch.tensor([[0.0], [1.0], [1.5], [9.0]])
    # among points 0 and 2 each is the other's nearest; among all, the nearest of both is point 1
    assert nearest_neighbour_purity(line, torch.tensor([0, 1, 0, 0]), torch.tensor([0, 2])) == 0.0
    assert nearest_neighbour_purity(line, torch.tensor([0, 0, 0, 1]), torch.tensor([0, 2])) == 1.0
