"""Radial sectors and rays from the origin of weight space."""

import math

import pytest
import torch

from modescape.core.landscape.sector import cartesian, ray, sector
from modescape.core.weights import Weights, cosine, flatten, inner_products, mix, stack


def solution(seed, origin=0):
    chance = torch.Generator().manual_seed(seed)
    return Weights(
        {"a": torch.randn(1, 30, 4, generator=chance), "b": torch.randn(1, 7, generator=chance) + 0.5},
        {"mean": torch.randn(1, 3, generator=chance)},
        (origin,),
    )


FIRST, SECOND = solution(0), mix(stack([solution(1), solution(0)]), torch.tensor([[1.0, 0.3]]), [1])


def polar(*points):
    return torch.tensor(points, dtype=torch.float64)


def test_an_oblique_sector_has_both_solutions_at_radius_1_bit_for_bit_and_the_origin_in_its_middle():
    found = sector(FIRST, SECOND, "oblique").at(cartesian(polar((1.0, 0.0), (1.0, 90.0), (0.0, 30.0), (1.0, 180.0))))
    for name in FIRST.params:
        assert torch.equal(found.params[name][0], FIRST.params[name][0])
        assert torch.equal(found.params[name][1], SECOND.params[name][0])
        assert not found.params[name][2].any()
        assert torch.equal(found.params[name][3], -FIRST.params[name][0])
    assert torch.equal(found.buffers["mean"][1], FIRST.buffers["mean"][0])


def test_between_the_rays_lies_the_combination_written_out():
    radius, angle = 0.8, 35.0
    found = flatten(sector(FIRST, SECOND, "oblique").at(cartesian(polar((radius, angle)))))[0]
    across = math.radians(angle)
    wanted = radius * (math.cos(across) * flatten(FIRST)[0] + math.sin(across) * flatten(SECOND)[0])
    assert torch.allclose(found, wanted, atol=1e-6)


def test_an_orthonormal_sector_has_true_angles_and_places_the_second_solution_by_its_cosine():
    made = sector(FIRST, SECOND, "orthonormal")
    frame = made.frame
    lengths = inner_products(stack([FIRST, SECOND])).diagonal().sqrt()
    assert frame[0, 1] == 0 and abs(float(frame[1, 0])) < 1e-9 * float(frame[1, 1])
    assert frame.diagonal().tolist() == pytest.approx(lengths.tolist())
    places, missed = made.project(stack([FIRST, SECOND]))
    between = float(cosine(inner_products(stack([FIRST, SECOND])))[0, 1])
    assert abs(between) > 0.05
    ratio = float(lengths[1] / lengths[0])
    wanted = [[1.0, 0.0], [ratio * between, math.sqrt(1 - between**2)]]
    assert torch.allclose(places, polar(*wanted), atol=1e-9)
    assert missed.max() < 1e-6


def test_both_layouts_show_the_same_plane():
    oblique, orthonormal = (sector(FIRST, SECOND, layout) for layout in ("oblique", "orthonormal"))
    somewhere = oblique.at(cartesian(polar((0.7, 20.0), (1.3, 70.0))))
    _, missed = orthonormal.project(somewhere)
    assert missed.max() < 1e-5


def test_the_frame_keeps_distances_of_weight_space():
    made = sector(FIRST, SECOND, "oblique")
    corners = torch.tensor([[0.3, -0.2], [1.1, 0.7]])
    apart = float((flatten(made.at(corners[:1])) - flatten(made.at(corners[1:]))).norm())
    drawn = corners.double() @ made.frame
    assert float((drawn[0] - drawn[1]).norm()) == pytest.approx(apart, rel=1e-6)


def test_angles_of_the_axes_are_exact():
    assert cartesian(polar((2.0, 0.0), (2.0, 90.0), (2.0, 180.0), (2.0, -90.0))).tolist() == [
        [2.0, 0.0],
        [0.0, 2.0],
        [-2.0, 0.0],
        [0.0, -2.0],
    ]


def test_a_ray_runs_from_the_origin_through_the_solution():
    found = ray(FIRST).at(torch.tensor([[0.0], [1.0], [1.5]]))
    assert not flatten(found)[0].any()
    assert torch.equal(flatten(found)[1], flatten(FIRST)[0])
    assert torch.allclose(flatten(found)[2], 1.5 * flatten(FIRST)[0])


def test_solutions_on_one_ray_have_no_sector():
    double = Weights({name: 2 * t for name, t in FIRST.params.items()}, FIRST.buffers, (1,))
    for layout, message in (("oblique", "depend on each other"), ("orthonormal", "on one line through the origin")):
        with pytest.raises(ValueError, match=message):
            sector(FIRST, double, layout)
