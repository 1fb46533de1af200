import itertools

import numpy as np
import pytest
import torch
from torch import nn

from modescape.core.landscape.cross_section import plane_along
from modescape.core.landscape.directions import between, gradient, principal_axes, random_directions, stacked
from modescape.core.splits import Split, scaling_of
from modescape.core.weights import Weights, flatten, of_module

SHAPES = {"conv": (4, 3, 3, 3), "bias": (4,), "dense": (5, 7), "thin": (6, 1), "gain": (5,), "rate": ()}
THREE = {name: SHAPES[name] for name in ("conv", "bias", "dense", "gain")}


def chance(seed=0):
    return torch.Generator().manual_seed(seed)


def centre_of(shapes=SHAPES, seed=1, dtype=torch.float32):
    source = chance(seed)
    params = {name: torch.randn(1, *shape, generator=source).to(dtype) * 0.3 for name, shape in shapes.items()}
    return Weights(params, {"mean": torch.ones(1, 4)}, (3,))


def cosines(directions):
    rows = np.array([np.concatenate([t[i].double().numpy().ravel() for t in directions.params.values()])
                     for i in range(len(directions))])  # fmt: skip
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    found = rows @ rows.T
    return np.abs(found - np.eye(len(rows))).max()


def norms(tensor):
    """Of every filter, by a loop."""
    return [np.sqrt(sum(float(x) ** 2 for x in part.ravel())) for part in tensor.double().numpy()]


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_filter_has_the_centres_norm_and_directions_stand_at_right_angles(count, dtype):
    centre = centre_of(THREE, dtype=dtype)
    found = random_directions(centre, count, chance())
    assert found.origin == (3,) * count
    assert not found.buffers
    assert all(tensor.dtype == torch.float64 for tensor in found.params.values())
    for name, row in itertools.product(("conv", "dense"), range(count)):
        assert norms(found.params[name][row]) == pytest.approx(norms(centre.params[name][0]), rel=1e-12)
    assert cosines(found) < 1e-12
    for name, pair in itertools.product(("conv", "dense"), itertools.combinations(range(count), 2)):
        for one, other in zip(*(found.params[name][row] for row in pair), strict=True):
            assert abs(float((one * other).sum())) < 1e-12


def test_biases_and_gains_do_not_move_unless_they_are_normalised():
    centre = centre_of()
    still, moving = (random_directions(centre, 2, chance(), others=others) for others in ("zero", "normalise"))
    for name in ("bias", "gain", "rate"):
        assert not still.params[name].any()
        for row in moving.params[name]:
            assert float(row.norm()) == pytest.approx(float(centre.params[name].double().norm()), rel=1e-12)
    assert not torch.equal(moving.params["bias"][0], centre.params["bias"][0].double())


@pytest.mark.parametrize("others", ["zero", "normalise"])
def test_filters_of_one_weight_keep_their_norm_and_the_others_make_good_what_they_share(others):
    centre = centre_of()
    found = random_directions(centre, 3, chance(5), others=others)
    leak = [float((found.params["thin"][a] * found.params["thin"][b]).sum()) for a, b in ((0, 1), (0, 2), (1, 2))]
    assert max(map(abs, leak)) > 0.01
    assert cosines(found) < 1e-12
    for name, row in itertools.product(("conv", "dense", "thin"), range(3)):
        assert norms(found.params[name][row]) == pytest.approx(norms(centre.params[name][0]), rel=1e-12)


def test_where_nearly_all_filters_are_too_small_norms_give_way_and_lengths_stay():
    centre = centre_of({"thin": (40, 1), "small": (1, 4)}, seed=2)
    centre.params["thin"].mul_(10)
    found = random_directions(centre, 3, chance(5))
    assert cosines(found) < 1e-12
    length = float(flatten(centre).double().norm())
    assert [float(row.norm()) for row in flatten(found)] == pytest.approx([length] * 3, rel=1e-12)
    assert norms(found.params["thin"][0]) == pytest.approx(norms(centre.params["thin"][0]), rel=1e-12)
    assert norms(found.params["thin"][1]) != pytest.approx(norms(centre.params["thin"][0]), rel=1e-3)


def test_tensors_and_whole_vectors_are_normalised_as_they_are_named():
    centre = centre_of()
    of_tensors = random_directions(centre, 2, chance(), normalisation="tensor")
    for name, row in itertools.product(("conv", "dense", "thin"), range(2)):
        assert float(of_tensors.params[name][row].norm()) == pytest.approx(
            float(centre.params[name].double().norm()), rel=1e-12
        )
    assert norms(of_tensors.params["dense"][0]) != pytest.approx(norms(centre.params["dense"][0]), rel=1e-3)
    whole = random_directions(centre, 4, chance(), normalisation="whole", others="normalise")
    assert flatten(whole).norm(dim=1).tolist() == pytest.approx([1.0] * 4, rel=1e-12)
    assert max(cosines(of_tensors), cosines(whole)) < 1e-12


def test_without_normalisation_the_first_direction_is_the_draw_itself():
    centre = centre_of({"dense": (3, 4), "bias": (3,)})
    found = random_directions(centre, 2, chance(8), normalisation="none", others="normalise")
    source = chance(8)
    drawn = [torch.cat([torch.randn(n, generator=source, dtype=torch.float64) for n in (12, 3)]) for _ in range(2)]
    assert torch.allclose(flatten(found)[0], drawn[0], rtol=0, atol=1e-12)
    assert float(flatten(found)[1].norm()) == pytest.approx(float(drawn[1].norm()), rel=1e-12)
    assert cosines(found) < 1e-12


@pytest.mark.parametrize("normalisation", ["filter", "tensor", "whole", "none"])
def test_the_first_direction_is_the_same_however_many_there_are(normalisation):
    one, three = (random_directions(centre_of(), count, chance(), normalisation) for count in (1, 3))
    assert torch.allclose(flatten(one)[0], flatten(three)[0], rtol=0, atol=1e-13)


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("normalisation", ["filter", "whole", "none"])
def test_draws_have_mean_zero(normalisation, place):
    """500 draws of a direction: no mean of an entry is further from 0 than 5 standard errors."""
    centre, source = centre_of({"dense": (3, 4), "thin": (2, 1)}), chance(4)
    rows = torch.stack([flatten(random_directions(centre, 2, source, normalisation))[place] for _ in range(500)])
    error = rows.std(dim=0) / 500**0.5
    assert bool((rows.mean(dim=0).abs() < 5 * error).all())
    assert bool((error > 0).all())


def test_within_a_filter_every_weight_moves_alike():
    """A unit direction in n dimensions has second moments 1 / n; 2000 draws, to 5 standard errors of about 1.3 / n."""
    centre, source = centre_of({"dense": (1, 6)}), chance(6)
    rows = torch.stack([flatten(random_directions(centre, 2, source))[1] for _ in range(2000)])
    rows = rows / rows.norm(dim=1, keepdim=True)
    moments = rows.T @ rows / len(rows)
    assert torch.allclose(moments, torch.eye(6, dtype=torch.float64) / 6, atol=5 * 1.3 / 6 / 2000**0.5)


def test_a_filter_that_is_zero_does_not_move():
    centre = centre_of(THREE)
    centre.params["conv"][0, 2] = 0
    found = random_directions(centre, 2, chance())
    assert not found.params["conv"][:, 2].any()
    assert cosines(found) < 1e-12


def test_directions_span_a_plane_around_their_centre():
    centre = centre_of(THREE)
    found = random_directions(centre, 2, chance())
    plane = plane_along(centre, found[0], found[1])
    coordinates, missed = plane.project(plane.at(torch.tensor([[0.5, -2.0]])))
    assert torch.allclose(coordinates, torch.tensor([[0.5, -2.0]], dtype=torch.float64), atol=1e-6)
    assert float(missed) < 1e-5


@pytest.mark.parametrize(
    ("centre", "options", "said"),
    [
        (centre_of({"bias": (4,)}), {}, "no tensor has two or more axes"),
        (centre_of(), {"count": 0}, "count must be at least 1"),
        (centre_of({"dense": (1, 2)}), {"count": 3}, "at right angles do not exist"),
        (centre_of({"dense": (1, 2)}), {"count": 3, "normalisation": "whole"}, "at right angles do not exist"),
        (Weights({"a": torch.zeros(1, 3, 2)}, {}, (0,)), {}, "a direction has no length"),
        (Weights({"a": torch.ones(2, 3, 2)}, {}, (0, 0)), {}, "the centre is a stack of one"),
    ],
)
def test_what_cannot_be_drawn_is_refused(centre, options, said):
    with pytest.raises(ValueError, match=said):
        random_directions(centre, **{"count": 2, "generator": chance(), **options})


def walk(count, seed=3, shapes=THREE):
    source = chance(seed)
    params = {name: torch.randn(count, *shape, generator=source).cumsum(dim=0) for name, shape in shapes.items()}
    return Weights(params, {"mean": torch.arange(count)[:, None].float()}, (2,) * count)


@pytest.mark.parametrize("about", ["mean", "last"])
def test_principal_axes_are_those_of_the_singular_value_decomposition(about):
    checkpoints = walk(9)
    found = principal_axes(checkpoints, 4, about)
    rows = flatten(checkpoints).double()
    rows = rows - (rows.mean(dim=0) if about == "mean" else rows[-1])
    _, values, axes = torch.linalg.svd(rows, full_matrices=False)
    assert torch.allclose(found.shares, values[:4].square() / values.square().sum(), atol=1e-12)
    mine = flatten(found.directions)
    assert torch.allclose((mine * axes[:4]).sum(dim=1).abs(), torch.ones(4, dtype=torch.float64), atol=1e-10)
    assert torch.allclose(mine.norm(dim=1), torch.ones(4, dtype=torch.float64), atol=1e-12)
    assert cosines(found.directions) < 1e-12
    assert (found.centre.origin, found.directions.origin, dict(found.directions.buffers)) == ((2,), (2,) * 4, {})
    wanted = checkpoints.params["dense"].mean(dim=0) if about == "mean" else checkpoints.params["dense"][-1]
    assert torch.allclose(found.centre.params["dense"][0], wanted, atol=1e-6)
    assert found.centre.buffers["mean"].tolist() == [[8.0]]


def test_axes_that_hold_next_to_nothing_are_at_right_angles_too():
    checkpoints = walk(6)
    checkpoints.params["dense"][:, 0, 0] *= 1e5
    found = principal_axes(checkpoints, 5)
    assert cosines(found.directions) < 1e-12


@pytest.mark.parametrize(
    ("weights", "count", "about", "said"),
    [
        (walk(3), 3, "mean", "need 4 checkpoints, got 3"),
        (walk(3), 0, "mean", "count must be at least 1"),
        (Weights({"a": torch.ones(4, 2)}, {}, (0,) * 4), 1, "mean", "span 0"),
        (Weights({"a": torch.arange(4.0)[:, None] * torch.ones(2)}, {}, (0,) * 4), 2, "last", "span 1"),
    ],
)
def test_axes_that_there_are_not_are_refused(weights, count, about, said):
    with pytest.raises(ValueError, match=said):
        principal_axes(weights, count, about)


def test_between_two_solutions_lies_their_difference():
    start, end = centre_of(seed=1), centre_of(seed=2)
    found = between(start, end)
    assert torch.equal(flatten(found), flatten(end).double() - flatten(start).double())
    with pytest.raises(ValueError, match="lengths above 0"):
        between(start, start)


def test_vectors_are_stacked_in_the_order_of_flatten():
    centre = centre_of()
    rows = torch.arange(2.0 * flatten(centre).shape[1]).reshape(2, -1)
    assert torch.equal(flatten(stacked(rows, centre)), rows)
    assert stacked(rows, centre).origin == (3, 3)
    with pytest.raises(ValueError, match=r"vectors of 4 numbers for \d+ weights"):
        stacked(torch.zeros(1, 4), centre)


def test_the_gradient_is_that_of_differences():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.Tanh(), nn.Dropout(0.5), nn.Linear(3, 3))
    inputs, targets = torch.randn(300, 4, 1, generator=chance()), torch.randint(0, 3, (300,), generator=chance())
    split, scaling = Split(inputs, targets), scaling_of("standard", inputs)
    weights = of_module(module, origin=5)
    found = gradient(module.train(), weights, split, scaling)
    assert (found.origin, dict(found.buffers)) == ((5,), {})
    assert module.training, "the module given is left as it is"
    plain = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 3)).double()

    def loss(row):
        nn.utils.vector_to_parameters(row, plain.parameters())
        logits = plain(scaling(inputs).double()).detach()
        return float(nn.functional.cross_entropy(logits, targets))

    row, step = flatten(weights)[0].double(), 1e-5
    for place in range(0, len(row), 4):
        unit = torch.zeros_like(row)
        unit[place] = step
        slope = (loss(row + unit) - loss(row - unit)) / (2 * step)
        assert float(flatten(found)[0, place]) == pytest.approx(slope, abs=1e-6)
