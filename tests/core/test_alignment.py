"""Alignment against brute force over all permutations, exact copies, numpy's correlations and closed forms."""

import itertools

import numpy as np
import pytest
import torch
from references.networks import Net, chance, members, split_of
from torch import nn

from modescape.core.landscape import alignment
from modescape.core.landscape.alignment import (
    barrier,
    best_assignment,
    match_activations,
    match_weights,
    prove,
)
from modescape.core.landscape.cross_section import line
from modescape.core.landscape.symmetry import (
    compose,
    identity,
    invert,
    permute,
    random_permutations,
    symmetry_of,
)
from modescape.core.models.batch_norm import refresh_statistics
from modescape.core.models.mlp import mlp
from modescape.core.models.plain_cnn import small_cnn
from modescape.core.models.resnet20 import resnet20
from modescape.core.models.signal_cnn import signal_cnn
from modescape.core.predictions import predict_all
from modescape.core.scores.proper import nll
from modescape.core.splits import Scaling
from modescape.core.weights import Weights, flatten, of_module

NETWORKS = {
    "mlp": (lambda: mlp((6,), 3, (20, 30, 20)), (6,)),
    "small_cnn": (lambda: small_cnn((3, 8, 8), 3), (3, 8, 8)),
    "resnet20": (lambda: resnet20((3, 8, 8), 3), (3, 8, 8)),
    "signal_cnn": (lambda: signal_cnn((2, 24), 3), (2, 24)),
}


def plain(channels):
    """Bytes to about one, so that no layer is saturated."""
    return Scaling(torch.full((channels,), 128.0), torch.full((channels,), 1 / 64))


def made(name, seed=0):
    """A network, its symmetry, and two members that differ by their initialisation, with statistics of their own."""
    build, shape = NETWORKS[name]
    torch.manual_seed(seed)
    module = build()
    symmetry = symmetry_of(module, torch.randn(3, *shape))
    pair = []
    for origin in (0, 1):
        fresh = build()
        for layer in fresh.modules():
            if isinstance(layer, nn.BatchNorm2d):
                nn.init.uniform_(layer.weight, 0.5, 1.5)
                nn.init.normal_(layer.bias, std=0.3)
        refresh_statistics(fresh, [plain(shape[0])(split_of(shape, 100).inputs)])
        pair.append(of_module(fresh, origin))
    return module, symmetry, pair, shape


def same(one, other):
    tensors = {**one.params, **one.buffers}
    return all(torch.equal(tensor, {**other.params, **other.buffers}[name]) for name, tensor in tensors.items())


def inner(one, other):
    """Inner product of two members' parameters."""
    return float((flatten(one).double() * flatten(other).double()).sum())


@pytest.mark.parametrize("name", NETWORKS)
def test_a_permuted_copy_comes_back_bit_for_bit(name):
    _, symmetry, (solution, _), _ = made(name)
    orders = random_permutations(symmetry, chance(7))
    moved = permute(solution, symmetry, orders)
    assert not same(moved, solution)
    found = match_weights(symmetry, solution, moved, chance(), 1)
    assert same(permute(moved, symmetry, found.permutations), solution)
    for own, wanted in zip(found.permutations, invert(orders), strict=True):
        assert torch.equal(own, wanted)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_permuted_copy_comes_back_by_its_activations(name):
    module, symmetry, (solution, _), shape = made(name)
    moved = permute(solution, symmetry, random_permutations(symmetry, chance(7)))
    before = of_module(module, 0)
    found = match_activations(module, symmetry, (solution, moved), split_of(shape, 40), plain(shape[0]))
    assert same(permute(moved, symmetry, found), solution)
    assert same(of_module(module, 0), before)


@pytest.mark.parametrize("seed", range(12))
def test_a_permuted_copy_of_a_deep_and_narrow_network_comes_back(seed):
    """Half of these have other orders that no single layer can improve, where a start from the order as it is ends."""
    torch.manual_seed(seed)
    module = mlp((1,), 2, (5,) * 12)
    symmetry, solution = symmetry_of(module, torch.randn(3, 1)), of_module(module, 0)
    moved = permute(solution, symmetry, random_permutations(symmetry, chance(7)))
    found = match_weights(symmetry, solution, moved, chance(), 1)
    assert same(permute(moved, symmetry, found.permutations), solution)


def test_a_permuted_copy_that_was_moved_a_little_comes_back():
    _, symmetry, (solution, _), _ = made("small_cnn")
    orders = random_permutations(symmetry, chance(7))
    noise = {n: t + 0.05 * t.std() * torch.randn(t.shape, generator=chance(3)) for n, t in solution.params.items()}
    moved = permute(Weights(noise, {}, (0,)), symmetry, orders)
    found = match_weights(symmetry, solution, moved, chance(), 1)
    assert all(torch.equal(own, wanted) for own, wanted in zip(found.permutations, invert(orders), strict=True))


def all_permutations(symmetry):
    each = [[torch.tensor(order) for order in itertools.permutations(range(g.size))] for g in symmetry.groups]
    return itertools.product(*each)


@pytest.mark.parametrize("seed", range(6))
def test_of_one_hidden_layer_the_best_permutation_is_found(seed):
    torch.manual_seed(seed)
    module = mlp((4,), 3, (6,))
    symmetry, pair = symmetry_of(module, torch.randn(3, 4)), members(module, 2, seed)
    reference, moved = pair[0], pair[1]
    best = max(inner(reference, permute(moved, symmetry, orders)) for orders in all_permutations(symmetry))
    found = match_weights(symmetry, reference, moved, chance(), 1)
    assert inner(reference, permute(moved, symmetry, found.permutations)) == pytest.approx(best, rel=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_of_two_hidden_layers_many_starts_find_the_best_permutation(seed):
    torch.manual_seed(seed)
    module = mlp((3,), 2, (4, 4))
    symmetry, pair = symmetry_of(module, torch.randn(3, 3)), members(module, 2, seed)
    reference, moved = pair[0], pair[1]
    every = [inner(reference, permute(moved, symmetry, orders)) for orders in all_permutations(symmetry)]
    reached = [
        inner(reference, permute(moved, symmetry, match_weights(symmetry, reference, moved, chance(), s).permutations))
        for s in (1, 30)
    ]
    assert reached[0] <= reached[1] + 1e-9
    assert reached[1] == pytest.approx(max(every), rel=1e-9)
    # one start ends where neither layer alone can be improved, which few of 576 permutations are
    assert np.mean([value > reached[0] for value in every]) < 0.02


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("starts", [1, 3])
def test_the_inner_product_only_grows_and_is_that_of_what_comes_out(name, starts):
    _, symmetry, (reference, moved), _ = made(name)
    found = match_weights(symmetry, reference, moved, chance(), starts)
    steps = np.diff(found.objective)
    assert (steps > 0).all()
    permuted = permute(moved, symmetry, found.permutations)
    names = {place.tensor for group in symmetry.groups for place in group.places} & reference.params.keys()
    wanted = sum(float((reference.params[n].double() * permuted.params[n].double()).sum()) for n in names)
    assert found.objective[-1] == pytest.approx(wanted, rel=1e-9)
    assert inner(reference, permuted) > inner(reference, moved)


def test_no_single_group_can_be_improved_at_the_end():
    _, symmetry, (reference, moved), _ = made("mlp")
    found = match_weights(symmetry, reference, moved, chance(), 2)
    reached = inner(reference, permute(moved, symmetry, found.permutations))
    for number, group in enumerate(symmetry.groups):
        for one, other in itertools.combinations(range(group.size), 2):
            swap = list(identity(symmetry))
            swap[number] = swap[number].clone()
            swap[number][[one, other]] = swap[number][[other, one]]
            orders = compose(found.permutations, tuple(swap))
            assert inner(reference, permute(moved, symmetry, orders)) <= reached + 1e-9


def test_a_layer_around_a_shortcut_never_loses():
    """Its tensor moves along both axes at once, where an assignment may promise what it does not keep."""
    for seed in range(20):
        torch.manual_seed(seed)
        module = Net(
            lambda n, x: n.head(torch.relu((y := n.a(x)) + n.b(torch.relu(y)))),
            a=nn.Linear(2, 5), b=nn.Linear(5, 5), head=nn.Linear(5, 2),
        )  # fmt: skip
        symmetry, pair = symmetry_of(module, torch.randn(3, 2)), members(module, 2, seed)
        found = match_weights(symmetry, pair[0], pair[1], chance(seed), 4)
        assert (np.diff(found.objective) > 0).all()
        reached = inner(pair[0], permute(pair[1], symmetry, found.permutations))
        assert reached >= inner(pair[0], pair[1]) - 1e-9


def test_matching_is_that_of_its_generator():
    _, symmetry, (reference, moved), _ = made("mlp")
    one, again = (match_weights(symmetry, reference, moved, chance(4), 4) for _ in range(2))
    assert one.objective == again.objective
    assert all(torch.equal(a, b) for a, b in zip(one.permutations, again.permutations, strict=True))


@pytest.mark.parametrize("name", NETWORKS)
def test_permuting_is_proved_to_change_nothing(name):
    module, symmetry, (_, solution), shape = made(name)
    permuted = permute(solution, symmetry, random_permutations(symmetry, chance(7)))
    proof = prove(module, (solution, permuted), split_of(shape, 60), plain(shape[0]))
    assert proof.holds
    assert proof.disagreement == 0
    assert proof.difference < 1e-5 * proof.largest


def test_what_is_no_symmetry_is_not_proved():
    module, symmetry, (_, solution), shape = made("small_cnn")
    permuted = permute(solution, symmetry, random_permutations(symmetry, chance(7)))
    torn = Weights({**permuted.params, "head.weight": solution.params["head.weight"]}, {}, (1,))
    proof = prove(module, (solution, torn), split_of(shape, 60), plain(shape[0]))
    assert not proof.holds
    assert proof.difference > 0.1 * proof.largest


@pytest.mark.parametrize(("difference", "holds"), [(2e-4, True), (4e-4, False)])
def test_rounding_explains_a_ten_thousandth_of_the_largest_logit(monkeypatch, difference, holds):
    one = torch.tensor([[1.0, 1.0 + difference / 2, -3.0], [2.0, 0.0, 0.0]], dtype=torch.float64)
    other = one.clone()
    other[0, 0] += difference
    found = iter([one, other])
    monkeypatch.setattr(alignment, "predict_all", lambda *_: next(found)[None])
    module, _, pair, shape = made("mlp")
    proof = prove(module, tuple(pair), split_of(shape, 2), plain(6))
    assert (proof.disagreement, proof.largest, proof.holds) == (0.5, 3.0, holds)
    assert proof.difference == pytest.approx(difference)


class Deep(nn.Sequential):
    """Five linear layers in a row."""

    def __init__(self):
        super().__init__(*[nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 3)])


def test_solutions_of_a_deep_linear_network_that_differ_by_a_symmetry_have_no_barrier_once_aligned():
    torch.manual_seed(0)
    module, split, positions = Deep(), split_of((6,), 90), torch.linspace(0, 1, 11, dtype=torch.float64)
    for layer in module:
        nn.init.orthogonal_(layer.weight, 1.5)
    symmetry, solution = symmetry_of(module, torch.randn(3, 6)), of_module(module, 0)
    # the targets are what it predicts, so that its loss is low
    split = type(split)(split.inputs, predict_all(Deep, solution, split, plain(6))[0].argmax(dim=-1))
    moved = permute(solution, symmetry, random_permutations(symmetry, chance(3)))
    found = match_weights(symmetry, solution, moved, chance())
    aligned = permute(moved, symmetry, found.permutations)
    assert same(aligned, solution)

    def rise(end):
        points = line(solution, end).at(positions[:, None])
        return float(barrier(nll(predict_all(Deep, points, split, plain(6)), split.targets), positions))

    assert rise(moved) > 0.5
    almost = Weights({n: t + 1e-4 * t for n, t in aligned.params.items()}, {}, (1,))
    assert rise(almost) < 1e-6


def test_correlations_are_those_of_numpy_and_a_dead_unit_has_none():
    drawing = chance(2)
    first = torch.randn(200, 5, generator=drawing, dtype=torch.float64) + 100
    second = 3 * first[:, [3, 1, 4, 0, 2]] + torch.randn(200, 5, generator=drawing, dtype=torch.float64)
    second[:, 1] = 7.0
    sums = alignment._Sums(5)
    for rows in (slice(0, 90), slice(90, 200)):
        sums.add(first[rows], second[rows])
    found = sums.correlations()
    assert (found[:, 1] == 0).all()
    with np.errstate(invalid="ignore"):
        wanted = np.corrcoef(first.numpy().T, second.numpy().T)[:5, 5:]
    alive = [0, 2, 3, 4]
    assert np.allclose(found.numpy()[:, alive], wanted[:, alive], atol=1e-10)
    assert best_assignment(found)[[3, 4, 0, 2]].tolist() == [0, 2, 3, 4]


def test_activations_are_those_of_the_node_that_the_group_names():
    """By hand, for a convolution whose pooled maps go through ReLU."""
    module, symmetry, (one, other), shape = made("small_cnn")
    split, scaling = split_of(shape, 30), plain(3)
    group = symmetry.groups[0]
    assert group.node == "network_features_3"
    rows = []
    for member in (one, other):
        maps = nn.functional.conv2d(
            scaling(split.inputs), member.params["features.0.weight"][0], member.params["features.0.bias"][0], padding=1
        )
        units = nn.functional.max_pool2d(maps, 2).relu().movedim(1, -1).reshape(-1, group.size)
        rows.append(units.double().numpy().T)
    with np.errstate(invalid="ignore", divide="ignore"):
        correlations = np.nan_to_num(np.corrcoef(*rows)[: group.size, group.size :])
    found = match_activations(module, symmetry, (one, other), split, scaling)[0]
    best = best_assignment(torch.from_numpy(correlations))
    units = np.arange(group.size)
    assert correlations[units, found].sum() == pytest.approx(correlations[units, best].sum(), abs=1e-6)


def test_a_barrier_is_the_largest_rise_above_the_straight_line():
    positions = torch.tensor([0.0, 0.25, 0.5, 1.0])
    losses = torch.tensor([[1.0, 2.0, 2.5, 3.0], [1.0, 1.0, 1.0, 1.0], [2.0, 0.0, 0.5, 0.0]])
    assert barrier(losses, positions).tolist() == [0.5, 0.0, 0.0]
    assert barrier(losses[0], positions).shape == ()
    for row in torch.rand(5, 7, generator=chance(), dtype=torch.float64):
        places = torch.linspace(0, 1, 7, dtype=torch.float64)
        wanted = max(float(row[i]) - ((1 - i / 6) * float(row[0]) + i / 6 * float(row[6])) for i in range(7))
        assert float(barrier(row, places)) == pytest.approx(wanted, abs=1e-12)


def test_what_cannot_be_matched_is_refused():
    module, symmetry, (one, other), shape = made("mlp")
    with pytest.raises(ValueError, match="at least 1 start"):
        match_weights(symmetry, one, other, chance(), 0)
    with pytest.raises(ValueError, match="stacks of one, got 2 and 1"):
        match_weights(symmetry, members(module, 2), other, chance())
    with pytest.raises(ValueError, match="another architecture"):
        match_weights(symmetry, one, of_module(nn.Linear(6, 3), 0), chance())
    with pytest.raises(ValueError, match="at least two examples"):
        match_activations(module, symmetry, (one, other), split_of(shape, 1), plain(6))
    with pytest.raises(ValueError, match="both ends"):
        barrier(torch.ones(1), torch.zeros(1))
    with pytest.raises(ValueError, match=r"from 0 to 1, got 0 to 0.5"):
        barrier(torch.ones(2), torch.tensor([0.0, 0.5]))
