"""Chance that members share is member 0's for all of them, and all other chance stays each one's own."""

from dataclasses import replace

import pytest
import torch
from references import trainings

from modescape.core.engine.catalogue import WAYS
from modescape.core.training.plan import batches, initial_state

ALL = ("init", "order", "augment", "dropout")


def plan(*shared, build="dropout"):
    # One rate for all members: a rate of its own would make a member differ whatever chance does.
    wanted = trainings.plan(build)
    optimiser = replace(wanted.training.optimiser, rate=1e-3)
    return replace(wanted, training=replace(wanted.training, optimiser=optimiser), shared=shared)


def ends(wanted, way="serial"):
    work = trainings.work(wanted)
    return [segment.end.weights for segment in trainings.results(WAYS[way], work)]


def equal(one, other):
    return all(torch.equal(one.params[name], other.params[name]) for name in one.params)


def test_members_that_share_all_chance_are_one_network():
    first, *others = ends(plan(*ALL))
    assert all(equal(first, other) for other in others)
    assert equal(first, ends(plan())[0])


@pytest.mark.parametrize("alone", ALL)
def test_one_kind_of_chance_alone_makes_networks_differ(alone):
    shared = tuple(kind for kind in ALL if kind != alone)
    first, second, _ = ends(plan(*shared))
    assert not equal(first, second)
    # Member 0 has its own chance in everything, as always.
    assert equal(first, ends(plan())[0])


def test_what_is_shared_is_member_zeros_and_what_is_not_is_ones_own():
    own, order, init = plan(), plan("order"), plan("init")
    for epoch in range(2):
        assert torch.equal(batches(order, 2, epoch), batches(own, 0, epoch))
        assert torch.equal(batches(init, 2, epoch), batches(own, 2, epoch))
        assert not torch.equal(batches(own, 2, epoch), batches(own, 0, epoch))
    assert equal(initial_state(init, 2).weights, initial_state(own, 0).weights)
    assert equal(initial_state(order, 2).weights, initial_state(own, 2).weights)


@pytest.mark.parametrize("way", ["threads", "processes", "stacked"])
def test_every_way_shares_it(way):
    first, second, third = ends(plan(*ALL, build="perceptron"), way)
    assert equal(first, second)
    assert equal(first, third)
    first, second, _ = ends(plan("order", "augment", "dropout", build="perceptron"), way)
    assert not equal(first, second)
