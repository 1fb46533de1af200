import itertools
from functools import partial

import pytest
import torch
from references.pictures import Counted, axis, cone, cubic, dense, finished, missed, noise, pictured, step

from modescape.core.landscape.cross_section import Grid, plane_through
from modescape.core.landscape.interpolation import interpolate
from modescape.core.landscape.refinement import Refinement, refine
from modescape.core.seeds import generator
from modescape.core.weights import Weights

FIRST, CHECKS = 25, 64
"""Points of the lattice of a plane, and the checks at the end; half as many come before."""


@pytest.mark.parametrize("axes", [(axis(51), axis(51)), (axis(40, 3.0, 4.0), axis(33, -100.0, 7.0))])
def test_a_cubic_polynomial_needs_no_more_than_the_lattice_and_the_checks(axes):
    picture, _ = pictured(cubic, axes)
    assert picture.evaluations == FIRST + CHECKS // 2 + CHECKS
    assert missed(picture, dense(cubic, axes)).max() < 1e-7
    assert picture.error.checked == CHECKS
    assert picture.error.largest_fraction.max() < 1e-7


def test_a_cubic_polynomial_on_a_line_and_on_uneven_coordinates():
    uneven = torch.tensor([0.1 * i + 0.04 * (i % 3) for i in range(60)], dtype=torch.float64)
    for axes in ([axis(51)], [uneven], [uneven, axis(30)]):
        picture, _ = pictured(cubic, axes)
        assert missed(picture, dense(cubic, axes)).max() < 1e-7
        assert picture.evaluations <= 5 ** len(axes) + CHECKS // 2 + CHECKS
    # of a short line an eighth is drawn: 46 are left, then 40
    assert pictured(cubic, [axis(51)])[0].evaluations == 5 + 6 + 5


def losses(members):
    """Mean cross-entropy of small networks on a fixed task, written out; weights have a leading member axis."""
    chance = torch.Generator().manual_seed(5)
    inputs = torch.randn(60, 4, generator=chance)
    targets = (inputs[:, 0] * inputs[:, 1] > 0).long()
    hidden = torch.relu(inputs @ members["0.weight"].mT + members["0.bias"][:, None])
    logits = hidden @ members["2.weight"].mT + members["2.bias"][:, None]
    index = targets.expand(len(logits), -1)[..., None]
    return -logits.double().log_softmax(dim=-1).gather(-1, index)[..., 0].mean(dim=1, keepdim=True)


def solution(seed):
    chance = torch.Generator().manual_seed(seed)
    shapes = {"0.weight": (16, 4), "0.bias": (16,), "2.weight": (2, 16), "2.bias": (2,)}
    params = {n: torch.randn(1, *s, generator=chance).requires_grad_() for n, s in shapes.items()}
    optimiser = torch.optim.Adam(params.values(), lr=0.03)
    for _ in range(150):
        optimiser.zero_grad()
        losses(params).sum().backward()
        optimiser.step()
    return Weights({n: t.detach() for n, t in params.items()}, {}, (seed,))


def test_the_plane_through_three_trained_networks_is_true_to_a_hundredth_from_a_quarter_of_its_points():
    plane = plane_through(*(solution(seed) for seed in range(3)))
    evaluate = lambda points: losses(plane.at(points).params)  # noqa: E731
    assert (evaluate(torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])) < 0.2).all()
    axes = [axis(51, -0.3, 1.3)] * 2
    truth = evaluate(Grid(tuple(axes)).points()).double().reshape(51, 51, 1)
    assert truth.max() / truth.min() > 20
    for transform, function in (("linear", lambda values: values), ("log", torch.log)):
        asked = Counted(evaluate)
        picture = finished(refine(axes, asked, Refinement(transforms=(transform,)), generator(0, "checks")))
        assert len(asked.points) == picture.evaluations <= 51 * 51 / 4
        assert missed(picture, truth, function).max() <= 0.01
        assert picture.error.largest_fraction.max() <= 0.01


def test_a_step_is_evaluated_along_its_edge_and_not_elsewhere():
    axes = [axis(51), axis(51)]
    picture, _ = pictured(step, axes)
    truth = dense(step, axes)[..., 0]
    edge = torch.zeros_like(picture.evaluated)
    edge[:-1] |= truth[:-1] != truth[1:]
    edge[:, :-1] |= truth[:, :-1] != truth[:, 1:]
    assert picture.evaluated[edge].all()
    assert picture.evaluations < 0.45 * 51 * 51
    assert missed(picture, truth[..., None]).max() <= 0.01


def test_the_stated_error_is_that_of_an_interpolation_which_does_not_know_the_checks():
    axes = [axis(31), axis(31)]
    both = lambda points: torch.cat([cone(points), 100 + step(points)], dim=1)  # noqa: E731
    picture, asked = pictured(both, axes, tolerance=(0.05, 0.3))
    points = asked.points / 2 + 0.5
    used, checks = points[: -picture.error.checked], points[-picture.error.checked :]
    values, truth = both(asked.points)[: len(used)], both(asked.points)[len(used) :]
    lattice = torch.arange(len(used)) < FIRST
    guess = interpolate(used, values, lattice, checks)
    apart = (guess - truth).abs()
    everything = both(asked.points)
    wide = everything.amax(dim=0) - everything.amin(dim=0)
    error = picture.error
    assert error.checked == CHECKS
    assert apart.max() > 1e-3
    assert torch.allclose(error.largest, apart.amax(dim=0), rtol=1e-9, atol=1e-12)
    assert torch.allclose(error.rms, (apart**2).mean(dim=0).sqrt(), rtol=1e-9, atol=1e-12)
    assert torch.allclose(error.largest_fraction, apart.amax(dim=0) / wide, rtol=1e-9, atol=1e-12)
    assert torch.allclose(error.rms_fraction, (apart**2).mean(dim=0).sqrt() / wide, rtol=1e-9, atol=1e-12)


def test_the_stated_error_covers_what_it_promises():
    """At most 3 / 64 of the interpolated points are worse than the largest stated, in 95 of 100 pictures."""
    axes, held = [axis(31), axis(31)], 0
    truth = dense(step, axes)
    for seed in range(20):
        picture = finished(refine(axes, step, Refinement(tolerance=(0.2,)), generator(seed, "checks")))
        worse = (picture.values - truth).abs()[~picture.evaluated] > picture.error.largest
        held += float(worse.double().mean()) <= 3 / picture.error.checked
    assert held >= 19


@pytest.mark.parametrize("seed", [0, 1])
def test_a_region_that_is_not_finite_is_kept_and_bordered_by_evaluated_points(seed):
    def torn(points):
        values = torch.cat([cubic(points), 1 / (points[:, :1] + 2)], dim=1)
        values[(points - 0.4).square().sum(dim=1) < 0.2, 1] = torch.nan
        values[points[:, 0] < -0.8] = torch.inf
        return values

    axes = [axis(41), axis(41)]
    picture, _ = pictured(torn, axes, seed=seed)
    truth = dense(torn, axes)
    assert torch.equal(picture.values.isnan(), truth.isnan())
    assert torch.equal(picture.values.isinf(), truth.isinf())
    assert bordered(picture, ~truth.isfinite().all(dim=-1))
    assert picture.evaluations < 0.7 * 41 * 41
    finite = truth.isfinite()
    assert (picture.values - truth)[finite].abs().max() < 0.05
    assert picture.error.largest_fraction.max() <= 0.01


def bordered(picture, broken):
    """Whether all broken points, and all points that touch one, were evaluated."""
    rows, columns = broken.shape
    return all(
        bool(picture.evaluated[i, j])
        for a, b in broken.nonzero().tolist()
        for i, j in itertools.product(range(a - 1, a + 2), range(b - 1, b + 2))
        if 0 <= i < rows and 0 <= j < columns
    )


def test_a_small_gap_is_seen_whole_or_not_at_all_whenever_it_is_found():
    def pricked(points):
        values = cubic(points)
        values[((points - 0.25).abs() < 0.13).all(dim=1)] = torch.nan
        return values

    axes = [axis(31), axis(31)]
    broken = dense(pricked, axes).isnan().any(dim=-1)
    seen = []
    for seed in range(15):
        picture, asked = pictured(pricked, axes, seed=seed)
        found = bool(picture.values.isnan().any())
        assert not found or bordered(picture, broken)
        # the lattice, a first draw, and perhaps already the checks
        first = next((i for i, point in enumerate(asked.points) if pricked(point[None]).isnan().any()), None)
        seen.append("never" if first is None else "early" if first < FIRST + CHECKS // 2 else "late")
    assert set(seen) == {"never", "early", "late"}


def test_a_check_that_is_not_finite_leaves_an_infinite_error():
    """Of a line of seven points two are left after the lattice: the first is drawn early, the other measures."""
    pricked = lambda points: torch.where(points == axis(7)[5], torch.nan, points)  # noqa: E731
    pictures = [pictured(pricked, [axis(7)], seed=seed)[0] for seed in range(8)]
    assert all(picture.evaluated.all() for picture in pictures)
    found = {(picture.error.checked, float(picture.error.largest), float(picture.error.rms)) for picture in pictures}
    assert found == {(1, torch.inf, torch.inf), (0, 0.0, 0.0)}


def test_what_the_lattice_does_not_see_is_refined_once_a_draw_has_met_it():
    bump = lambda points: (1 - cone(points, at=(0.24, 0.24)) / 0.15).clamp(min=0) ** 2  # noqa: E731
    both = lambda points: torch.cat([cubic(points), bump(points)], dim=1)  # noqa: E731
    axes = [axis(41), axis(41)]
    truth, met = dense(both, axes), 0
    for seed in range(6):
        picture, asked = pictured(both, axes, seed=seed)
        if bump(asked.points[FIRST : FIRST + CHECKS // 2]).any():
            met += 1
            assert missed(picture, truth).max() < 0.02
        else:
            assert picture.evaluations <= FIRST + CHECKS // 2 + CHECKS
    assert 0 < met < 6


def test_points_that_are_all_broken_are_all_evaluated():
    nothing = lambda points: torch.full((len(points), 2), torch.nan)  # noqa: E731
    picture, _ = pictured(nothing, [axis(12), axis(9)])
    assert picture.evaluated.all()
    assert picture.values.isnan().all()
    assert picture.error.checked == 0
    assert picture.error.largest.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("shape", [*itertools.product((1, 2, 3), repeat=2), (1,), (2,), (3,), (5, 5)])
def test_tiny_grids_are_evaluated_whole(shape):
    axes = [axis(count, 0.0, count - 1.0) for count in shape]
    picture, _ = pictured(noise, axes)
    assert picture.values.shape == (*shape, 1)
    assert picture.evaluated.all()
    assert picture.error.checked == 0


@pytest.mark.parametrize("shape", [(1, 40), (40, 1), (2, 40), (3, 40), (40, 4)])
def test_narrow_grids_are_as_true_as_wide_ones(shape):
    axes = [axis(count, 0.0, 1.0) for count in shape]
    picture, _ = pictured(cubic, axes)
    assert missed(picture, dense(cubic, axes)).max() <= 0.01
    assert not picture.evaluated.all()


@pytest.mark.parametrize("transform", ["linear", "log"])
@pytest.mark.parametrize("axes", [[axis(33)], [axis(17), axis(23)]])
def test_tolerance_zero_evaluates_everything_bit_for_bit(axes, transform):
    both = lambda points: 3 + cubic(points)  # noqa: E731
    picture, _ = pictured(both, axes, tolerance=(0.0,), transforms=(transform,))
    assert picture.evaluated.all()
    assert torch.equal(picture.values, dense(both, axes))
    assert picture.error.checked == 0
    assert all(not e.any() for e in (picture.error.largest, picture.error.rms, picture.error.largest_fraction))


def test_tolerance_zero_evaluates_even_what_is_constant():
    picture, _ = pictured(lambda points: 0 * points[:, :1], [axis(12), axis(12)], tolerance=(0.0,))
    assert picture.evaluated.all()


def test_noise_is_evaluated_to_the_end():
    picture, _ = pictured(noise, [axis(21), axis(21)])
    assert picture.evaluated.all()


def test_a_smaller_tolerance_takes_more_points_and_gives_a_smaller_error():
    axes = [axis(41), axis(41)]
    truth = dense(cone, axes)
    pictures = [pictured(cone, axes, tolerance=(t,))[0] for t in (0.1, 0.02, 0.004)]
    errors = [float(missed(picture, truth)) for picture in pictures]
    assert pictures[0].evaluations < pictures[1].evaluations < pictures[2].evaluations
    assert errors[0] > errors[1] > errors[2]


def test_under_log_the_logarithm_is_what_is_interpolated_and_judged():
    steep = lambda points: (4 * cubic(points)).exp()  # noqa: E731
    axes = [axis(41), axis(41)]
    truth = dense(steep, axes)
    picture, _ = pictured(steep, axes, transforms=("log",))
    assert picture.evaluations == FIRST + CHECKS // 2 + CHECKS
    assert missed(picture, truth, torch.log).max() < 1e-7
    mixed, _ = pictured(steep, axes, transforms=("log", "linear"))
    assert mixed.evaluations > picture.evaluations
    # in units a log picture is off most where the quantity is largest, and its fraction is of the logarithm
    rough = lambda points: (5 * cone(points)).exp()  # noqa: E731
    picture, asked = pictured(rough, axes, transforms=("log",), tolerance=(0.1,))
    guess = interpolate(
        asked.points[: -picture.error.checked] / 2 + 0.5,
        rough(asked.points[: -picture.error.checked]).log(),
        torch.arange(len(asked.points) - picture.error.checked) < FIRST,
        asked.points[-picture.error.checked :] / 2 + 0.5,
    )
    true = rough(asked.points)
    wide = true.log().max() - true.log().min()
    apart = (guess - true[-picture.error.checked :].log()).abs().max() / wide
    assert torch.allclose(picture.error.largest_fraction, apart, rtol=1e-6)
    assert torch.allclose(
        picture.error.largest, (guess.exp() - true[-picture.error.checked :]).abs().max(), rtol=1e-9, atol=0
    )


def test_what_is_not_above_zero_counts_as_a_gap_under_log():
    ramp = lambda points: points[:, :1] + 0.5  # noqa: E731
    axes = [axis(31), axis(31)]
    picture, _ = pictured(ramp, axes, transforms=("log",))
    assert bordered(picture, dense(ramp, axes)[..., 0] <= 0)
    assert not picture.evaluated.all()


def test_a_quantity_of_infinite_tolerance_steers_nothing():
    axes = [axis(41), axis(41)]
    both = lambda points: torch.cat([cone(points), noise(points)], dim=1)  # noqa: E731
    alone, _ = pictured(cone, axes)
    carried, _ = pictured(both, axes, tolerance=(0.01, torch.inf))
    assert torch.equal(alone.evaluated, carried.evaluated)
    assert torch.equal(alone.values[..., 0], carried.values[..., 0])
    assert carried.error.largest_fraction[1] > 0.2


def test_the_worst_of_several_quantities_steers():
    axes = [axis(41), axis(41)]
    quantities = [cone, partial(cone, at=(-0.62, 0.48)), lambda points: 1e6 * cubic(points)]
    both = lambda points: torch.cat([one(points) for one in quantities], dim=1)  # noqa: E731
    picture, _ = pictured(both, axes)
    assert missed(picture, dense(both, axes)).max() < 0.03  # at the tips
    for one in quantities:
        assert picture.evaluations > pictured(one, axes)[0].evaluations


def test_no_value_falls_below_zero_where_none_was_evaluated():
    hinge = lambda points: (points[:, :1] - 0.13).clamp(min=0) ** 1.5  # noqa: E731
    axes = [axis(41), axis(41)]
    picture, _ = pictured(hinge, axes, tolerance=(0.05,))
    assert (picture.values >= 0).all()
    lower, _ = pictured(lambda points: hinge(points) - 1, axes, tolerance=(0.05,))
    assert torch.equal(lower.evaluated, picture.evaluated)
    assert (lower.values < -1).any()  # which the picture above would have been as well


@pytest.mark.parametrize("level", [0.0, 0.1, -1e6])
def test_a_constant_quantity_needs_no_refinement(level):
    level = torch.tensor(level)
    picture, _ = pictured(lambda points: level.expand(len(points), 1), [axis(41), axis(41)])
    assert picture.evaluations == FIRST + CHECKS // 2 + CHECKS
    assert torch.allclose(picture.values, level.double(), rtol=1e-8, atol=0)
    assert picture.error.largest_fraction < 0.01


def test_neither_the_unit_of_an_axis_nor_that_of_a_quantity_changes_a_picture():
    plain, _ = pictured(cone, [axis(33), axis(33)])
    stretched = lambda points: 1024 * cone(points / torch.tensor([256.0, 1 / 64]))  # noqa: E731
    other, _ = pictured(stretched, [256 * axis(33), axis(33) / 64])
    assert torch.equal(plain.evaluated, other.evaluated)
    assert torch.equal(1024 * plain.values, other.values)


def test_the_same_inputs_give_the_same_bits_and_other_chance_other_checks():
    axes = [axis(41), axis(41)]
    one, asked = pictured(cone, axes, seed=3)
    again, asked_again = pictured(cone, axes, seed=3)
    other, _ = pictured(cone, axes, seed=4)
    assert torch.equal(one.values, again.values)
    assert torch.equal(asked.points, asked_again.points)
    assert torch.equal(one.error.rms, again.error.rms)
    assert not torch.equal(one.evaluated, other.evaluated)


def test_blocks_bound_what_is_evaluated_at_once_and_change_no_number():
    axes = [axis(41), axis(41)]
    small, asked = pictured(cone, axes, block=7)
    large, whole = pictured(cone, axes, block=10**6)
    assert max(map(len, asked.blocks)) == 7
    assert len(whole.blocks) < len(asked.blocks)
    assert torch.equal(small.values, large.values)


def test_a_line_is_refined_where_it_bends():
    kink = lambda points: (points - 0.33).abs()  # noqa: E731
    axes = [axis(2001)]
    picture, _ = pictured(kink, axes, tolerance=(0.001,))
    assert missed(picture, dense(kink, axes)).max() <= 0.002
    near = (axes[0] - 0.33).abs() < 0.05
    assert picture.evaluated[near].double().mean() > 3 * picture.evaluated[~near].double().mean()


@pytest.mark.parametrize(
    ("message", "settings"),
    [
        ("tolerance must be at least 0", {"tolerance": (-0.1,)}),
        ("tolerance must be at least 0", {"tolerance": (0.1, torch.nan)}),
        ("must not be empty", {"tolerance": ()}),
        ("must not be empty", {"transforms": ()}),
        ("start must be at least 5", {"start": 4}),
        ("checks must be at least 2", {"checks": 1}),
        ("block must be at least 1", {"block": 0}),
    ],
)
def test_impossible_settings_are_refused(message, settings):
    with pytest.raises(ValueError, match=message):
        Refinement(**settings)


@pytest.mark.parametrize(
    ("message", "axes", "evaluate", "settings"),
    [
        ("axis 1 do not increase", (axis(5), -axis(5)), cubic, {}),
        ("one or two axes, got 3", (axis(2), axis(2), axis(2)), cubic, {}),
        ("at least one axis", (), cubic, {}),
        (r"returned shape \(25,\) for 25 points", (axis(9), axis(9)), lambda points: points[:, 0], {}),
        (r"returned shape \(24, 2\) for 25 points", (axis(9), axis(9)), lambda points: points[1:], {}),
        (r"returned shape \(5, 0\) for 5 points", (axis(9),), lambda points: points[:, :0], {}),
        ("3 tolerances for 2 quantities", (axis(9), axis(9)), cubic, {"tolerance": (0.1, 0.1, 0.1)}),
        ("2 transforms for 1 quantities", (axis(9),), cone, {"transforms": ("log", "linear")}),
    ],
)
def test_impossible_pictures_are_refused(message, axes, evaluate, settings):
    with pytest.raises(ValueError, match=message):
        finished(refine(axes, evaluate, Refinement(**settings), generator(0, "checks")))
