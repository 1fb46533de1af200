"""Hidden units that may change places: against structures written by hand, and by what permuting does to functions."""

import itertools
import math

import pytest
import torch
from references.networks import IMAGES, NETWORKS, VECTORS, built, chance, examples, members, slow
from references.unit_networks import FOLLOWED, dense, net
from torch import fx, nn

from modescape.core.landscape import unit_rules
from modescape.core.landscape.symmetry import (
    Group,
    Place,
    Symmetry,
    compose,
    entries,
    identity,
    invert,
    moved_fraction,
    permute,
    random_permutations,
    symmetry_of,
)
from modescape.core.landscape.unit_flow import Layout, Part
from modescape.core.landscape.unit_rules import reshaped
from modescape.core.models.dropout import hold_dropout
from modescape.core.models.plain_cnn import small_cnn
from modescape.core.models.resnet20 import resnet20
from modescape.core.weights import of_module

HELD = {
    "grouped": "Conv2d 0 is not understood",
    "kernel read by itself": "3.a.weight is read by itself",
    "other buffers": "extra is read by itself",
    "normed along another axis": "units lie along axis 2, where axis 1 is read",
    "parametrised": "ParametrizedLinear 0 is not understood",
    "one layer": "no hidden layers",
}


def places(group):
    return {(place.tensor, place.axis, place.block, place.offset) for place in group.places}


def largest_change(module, symmetry, inputs, seed=5):
    """How far a random permutation moves the logits of two different members, over the largest logit (float64)."""
    stack = members(module, 2)
    permutations = random_permutations(symmetry, chance(seed))
    assert moved_fraction(permutations) > 0
    found = permute(stack, symmetry, permutations)
    before, after = slow(module, stack, inputs), slow(module, found, inputs)
    changed = [n for n, t in stack.params.items() if not torch.equal(t, found.params[n])]
    assert changed
    return float((before - after).abs().max() / before.abs().max())


def test_the_small_network_is_read_as_it_is_built():
    module = small_cnn((3, 8, 8), 5, (4, 6))
    first, second = symmetry_of(module, torch.randn(2, 3, 8, 8)).groups
    assert (first.name, first.size, second.name, second.size) == ("features.0", 4, "features.4", 6)
    assert places(first) == {
        ("features.0.weight", 0, 1, 0),
        ("features.0.bias", 0, 1, 0),
        ("features.4.weight", 1, 1, 0),
    }
    # two poolings by 2 leave 2x2 positions of each channel side by side
    assert places(second) == {("features.4.weight", 0, 1, 0), ("features.4.bias", 0, 1, 0), ("head.weight", 1, 4, 0)}


def test_a_residual_network_permutes_the_stream_as_one():
    module = resnet20((3, 8, 8), 5, blocks=2, width=4)
    groups = {group.name: group for group in symmetry_of(module, torch.randn(2, 3, 8, 8)).groups}

    def norm(name):
        return {(f"{name}_norm.{part}", 0, 1, 0) for part in ("weight", "bias", "running_mean", "running_var")}

    def written(name):
        return {(f"{name}.weight", 0, 1, 0), (f"{name}.bias", 0, 1, 0)}

    stream = written("first") | norm("first")
    for block in ("stages.0", "stages.1"):
        inner = groups[f"{block}.first"]
        own = written(f"{block}.first") | norm(f"{block}.first") | {(f"{block}.second.weight", 1, 1, 0)}
        assert places(inner) == own
        stream |= {(f"{block}.first.weight", 1, 1, 0)} | written(f"{block}.second") | norm(f"{block}.second")
    stream |= {("stages.2.first.weight", 1, 1, 0), ("stages.2.shortcut.weight", 1, 1, 0)}
    assert places(groups["first"]) == stream
    last = groups["stages.4.second"] if "stages.4.second" in groups else groups["stages.4.shortcut"]
    assert ("head.weight", 1, 1, 0) in places(last)
    assert [group.size for group in groups.values()] == [4, 4, 4, 8, 8, 8, 16, 16, 16]


@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in HELD])
def test_permuting_hidden_units_changes_no_function(name):
    module, shape, _ = built(name)
    inputs = examples(shape, 5)
    symmetry = symmetry_of(module, inputs)
    assert largest_change(module, symmetry, inputs) < 1e-11


@pytest.mark.parametrize("name", HELD)
def test_a_network_none_of_whose_units_may_move_is_refused_with_the_reason(name):
    module, shape, _ = built(name)
    with pytest.raises(ValueError, match=HELD[name]):
        symmetry_of(module, examples(shape))


@pytest.mark.parametrize("name", FOLLOWED)
def test_operations_are_followed_or_held_and_functions_stay(name):
    build, shape, sizes = FOLLOWED[name]
    torch.manual_seed(0)
    module, inputs = build().double().eval(), examples(shape, 5)
    if not sizes:
        with pytest.raises(ValueError, match="may change places"):
            symmetry_of(module, inputs)
        return
    symmetry = symmetry_of(module, inputs)
    assert [group.size for group in symmetry.groups] == sizes
    assert largest_change(module, symmetry, inputs) < 1e-11


def test_held_units_are_told():
    build, shape, _ = FOLLOWED["softmax over units"]
    assert symmetry_of(build().double(), examples(shape)).held == ("softmax (softmax) is not understood",)


def test_masks_of_held_dropout_follow_their_units():
    module = hold_dropout(small_cnn(IMAGES, 4, (4, 6), 0.3).double(), examples(IMAGES))
    symmetry = symmetry_of(module, examples(IMAGES))
    masks = [place for group in symmetry.groups for place in group.places if "mask" in place.tensor]
    assert {(place.tensor, place.axis) for place in masks} == {("features.1.mask0", 1), ("features.5.mask0", 1)}
    assert largest_change(module, symmetry, examples(IMAGES, 5)) < 1e-11


@pytest.mark.parametrize("count", [1, 2, 7])
def test_the_number_of_examples_changes_nothing(count):
    module = small_cnn(IMAGES, 4, (4, 6))
    assert symmetry_of(module, examples(IMAGES, count).float()) == symmetry_of(module, examples(IMAGES, 4).float())


def test_all_permutations_of_a_tiny_network_are_the_same_function():
    module = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 2)).double()
    symmetry = symmetry_of(module, examples((3,)))
    assert [group.size for group in symmetry.groups] == [3, 3]
    weights, inputs = of_module(module, 0), examples((3,), 6)
    before = slow(module, weights, inputs)
    orders = [torch.tensor(order) for order in itertools.permutations(range(3))]
    for both in itertools.product(orders, orders):
        assert torch.allclose(slow(module, permute(weights, symmetry, both), inputs), before, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("before", "after", "axis", "wanted"),
    [
        ((2, 3, 4, 5), (2, 60), 1, (1, 20, 1)),
        ((2, 3, 4, 5), (2, 3, 20), 1, (1, 1, 1)),
        ((2, 3, 4, 5), (2, 3, 20), 2, (2, 5, 1)),
        ((2, 3, 4, 5), (2, 60), 2, (1, 5, 3)),
        ((2, 3, 4, 5), (6, 4, 5), 2, (1, 1, 1)),
        ((2, 3, 4, 5), (24, 5), 3, (1, 1, 1)),
        ((2, 3, 4, 5), (2, 60), 3, (1, 1, 12)),
        ((2, 3, 4, 5), (2, 3, 1, 4, 5), 2, (3, 1, 1)),
        ((2, 3, 4, 5), (120,), 3, None),
        ((2, 6, 4), (2, 2, 3, 4), 1, None),
        ((2, 6, 4), (4, 3, 4), 1, None),
        ((2, 3, 4), (2, 6, 2), 1, (1, 2, 1)),
        ((2, 3, 4), (2, 4, 3), 1, None),
    ],
)
def test_a_reshape_takes_units_where_entries_go(before, after, axis, wanted):
    """Against the numbers themselves: permute and reshape, or reshape and permute."""
    found = reshaped(before, after, Layout(axis, (Part(0),)))
    if wanted is None:
        assert found is None
        return
    place, block, times = wanted
    assert found == Layout(place, (Part(0, block),) * times)
    size = before[axis]
    order = torch.randperm(size, generator=chance())
    values = torch.arange(math.prod(before)).reshape(before)
    moved = values.index_select(axis, order).reshape(after)
    expected = values.reshape(after)
    for repeat in range(times):
        group = Group("x", size, (), "x", 1)
        index = entries(group, Place("x", place, block, repeat * size * block), order, after[place])
        expected = expected.index_select(place, index)
    assert torch.equal(moved, expected)


def test_blocks_of_a_first_flatten_grow_with_a_second():
    assert reshaped((2, 12, 5), (2, 60), Layout(1, (Part(0, 4),))) == Layout(1, (Part(0, 20),))


def test_a_rule_that_is_wrong_is_found_out(monkeypatch):
    monkeypatch.setitem(unit_rules._FUNCTIONS, "cumsum", unit_rules._entrywise)
    build, shape, _ = FOLLOWED["running sum over units"]
    with pytest.raises(ValueError, match="changes the logits of Sequential"):
        symmetry_of(build().double(), examples(shape))


def test_logits_that_are_not_finite_prove_nothing():
    module = net(lambda n, x: n.b(torch.relu(n.a(x))) / 0, a=dense(), b=dense(5, 3)).double()
    with pytest.raises(ValueError, match="not finite"):
        symmetry_of(module, examples(VECTORS))


def relu(values):
    """Not torch's."""
    return values.cumsum(1)


fx.wrap("relu")


def test_a_function_of_somebody_elses_with_a_known_name_is_not_understood():
    module = net(lambda n, x: n.c(torch.tanh(n.b(relu(n.a(x))))), a=dense(), b=dense(5, 4), c=dense(4, 3)).double()
    assert [group.size for group in symmetry_of(module, examples(VECTORS)).groups] == [4]


def test_a_network_that_cannot_be_traced_is_refused():
    module = net(lambda n, x: n.a(x) if x.sum() > 0 else n.a(-x), a=dense())
    with pytest.raises(ValueError, match=r"cannot be followed, since torch.fx cannot trace it: TraceError"):
        symmetry_of(module.double(), examples(VECTORS))


def some(name="small cnn"):
    module, shape, _ = built(name)
    return module, symmetry_of(module, examples(shape))


def test_permuting_copies_bits_and_leaves_the_original():
    module, symmetry = some("resnet")
    weights = members(module, 2)
    kept = {name: tensor.clone() for name, tensor in {**weights.params, **weights.buffers}.items()}
    found = permute(weights, symmetry, random_permutations(symmetry, chance()))
    for name, tensor in {**weights.params, **weights.buffers}.items():
        assert torch.equal(tensor, kept[name])
        moved = {**found.params, **found.buffers}[name]
        assert torch.equal(moved.flatten().sort().values, tensor.flatten().sort().values)
    assert found.origin == weights.origin
    assert list(found.params) == list(weights.params)


def test_permutations_compose_and_invert():
    module, symmetry = some()
    weights = members(module, 2)
    first, second = random_permutations(symmetry, chance(1)), random_permutations(symmetry, chance(2))
    twice = permute(permute(weights, symmetry, first), symmetry, second)
    once = permute(weights, symmetry, compose(first, second))
    back = permute(permute(weights, symmetry, first), symmetry, invert(first))
    for name, tensor in weights.params.items():
        assert torch.equal(twice.params[name], once.params[name])
        assert torch.equal(back.params[name], tensor)
    assert not all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert moved_fraction(compose(first, invert(first))) == 0


def test_the_unit_at_a_place_is_the_one_that_the_permutation_names():
    module, symmetry = some()
    weights = members(module, 1)
    order = torch.tensor([2, 0, 3, 1])
    found = permute(weights, symmetry, (order, identity(symmetry)[1]))
    for place, unit in enumerate(order.tolist()):
        assert torch.equal(found.params["features.0.bias"][0, place], weights.params["features.0.bias"][0, unit])
        assert torch.equal(
            found.params["features.4.weight"][0, :, place], weights.params["features.4.weight"][0, :, unit]
        )


def test_random_permutations_are_those_of_their_generator():
    _, symmetry = some()
    one, same, other = (random_permutations(symmetry, chance(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_what_does_not_fit_is_refused():
    module, symmetry = some()
    weights, orders = members(module, 1), random_permutations(symmetry, chance())
    with pytest.raises(ValueError, match="1 permutations for 2 groups"):
        permute(weights, symmetry, orders[:1])
    with pytest.raises(ValueError, match=r"group features.0 has 4 units"):
        permute(weights, symmetry, (orders[1], orders[1]))
    with pytest.raises(ValueError, match="group features"):
        permute(weights, symmetry, (torch.tensor([0, 0, 1, 2]), orders[1]))
    with pytest.raises(ValueError, match=r"there is no nowhere"):
        permute(weights, Symmetry((Group("x", 4, (Place("nowhere", 0),), "x", 1),), ()), (orders[0],))
    with pytest.raises(ValueError, match=r"head.bias has \(4,\)"):
        permute(weights, Symmetry((Group("x", 4, (Place("head.bias", 0, 2),), "x", 1),), ()), (orders[0],))
    with pytest.raises(ValueError, match="at least one example"):
        symmetry_of(module, examples(IMAGES, 0))
