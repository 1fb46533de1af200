"""Bootstrap: each member trains on a sample of its own, and on nothing else that is new."""

from collections import Counter
from dataclasses import replace
from functools import partial

import pytest
import torch
from references import plain_training, trainings

from modescape.core.engine.catalogue import WAYS
from modescape.core.models.mlp import mlp
from modescape.core.seeds import generator
from modescape.core.splits import Split, scaling_of
from modescape.core.training.plan import Plan, batches, bootstrap_sample
from modescape.core.training.settings import Optimiser, Training

COUNT = 20_000


def bagged(build="dropout", **settings):
    return replace(trainings.plan(build, **settings), bootstrap=True)


def many(**settings):
    """A plan whose examples are so many that shares of them are known to a thousandth."""
    inputs = torch.zeros(COUNT, 1, 2)
    split = Split(inputs, torch.zeros(COUNT, dtype=torch.int64))
    return Plan(Training(**settings), 5, split, scaling_of("raw", inputs), partial(mlp, (1, 2), 3), bootstrap=True)


@pytest.mark.parametrize("order", ["permutation", "replacement"])
def test_every_position_of_an_order_is_looked_up_in_the_sample(order):
    """The slow twin: one position after another, through a list that was drawn once."""
    wanted = bagged(order=order)
    for member in range(3):
        chance = generator(wanted.root, "member", member, "bootstrap")
        sample = torch.randint(0, 64, (64,), generator=chance).tolist()
        for epoch in range(3):
            plain = batches(replace(wanted, bootstrap=False), member, epoch)
            expected = [[sample[position] for position in step] for step in plain.tolist()]
            assert batches(wanted, member, epoch).tolist() == expected


def test_an_epoch_of_a_permutation_is_the_sample_itself():
    """Every example as often as it was drawn, in every epoch."""
    wanted = many(batch=100)
    drawn = Counter(bootstrap_sample(wanted, 0).tolist())
    for epoch in range(2):
        assert Counter(batches(wanted, 0, epoch).flatten().tolist()) == drawn
    assert not torch.equal(batches(wanted, 0, 0), batches(wanted, 0, 1))


def test_a_sample_misses_the_share_of_examples_that_it_should():
    shares = [len(set(bootstrap_sample(many(), member).tolist())) / COUNT for member in range(10)]
    expected = 1 - (1 - 1 / COUNT) ** COUNT
    # The variance of the number of distinct examples of n is n (1 / e - 2 / e^2); within four standard errors.
    error = ((torch.e**-1 - 2 * torch.e**-2) / COUNT) ** 0.5
    assert all(abs(share - expected) < 4 * error for share in shares)
    assert abs(expected - (1 - 1 / torch.e)) < 1e-4


def test_samples_of_two_members_and_of_two_roots_are_independent():
    wanted = many()
    first, second, other = (
        set(bootstrap_sample(plan, member).tolist())
        for plan, member in ((wanted, 0), (wanted, 1), (replace(wanted, root=6), 0))
    )
    both = (1 - 1 / torch.e) ** 2
    for one in (second, other):
        # a binomial share has a larger error than this one
        assert abs(len(first & one) / COUNT - both) < 4 * (both * (1 - both) / COUNT) ** 0.5


def test_without_it_a_plan_trains_as_ever():
    wanted = trainings.plan()
    assert not wanted.bootstrap
    permutation = torch.randperm(64, generator=generator(0, "member", 1, "order", "epoch", 2))
    assert torch.equal(batches(wanted, 1, 2).flatten(), permutation)


def test_it_changes_the_examples_and_nothing_else():
    """A training on the sample as its data, which has no bootstrap of its own, is the same training in every bit."""
    wanted = bagged()
    found = trainings.work(wanted)
    for member in range(3):
        sample = bootstrap_sample(wanted, member)
        data = Split(wanted.data.inputs[sample], wanted.data.targets[sample])
        expected = trainings.work(replace(wanted, data=data, bootstrap=False))
        assert trainings.same(trainings.alone(found, member), trainings.alone(expected, member))
    plain = trainings.work(replace(wanted, bootstrap=False))
    assert not trainings.same(trainings.alone(found, 0), trainings.alone(plain, 0))


def test_training_on_a_sample_equals_the_textbook_loop():
    """The textbook knows no bootstrap: it gets the sample as its data."""
    one_rate = {"optimiser": Optimiser(rate=1e-3), "augmentation": "none", "clip_norm": None, "label_smoothing": 0.0}
    wanted = bagged("perceptron", **one_rate)
    sample = bootstrap_sample(wanted, 1)
    data = Split(wanted.data.inputs[sample], wanted.data.targets[sample])
    network, losses = plain_training.train(replace(wanted, data=data, bootstrap=False), 1, trainings.EPOCHS)
    segment = trainings.alone(trainings.work(wanted), 1)
    for name, parameter in network.named_parameters():
        # as for a training without: twenty float32 steps of 1e-3 whose sums round in another order
        assert torch.allclose(segment.end.weights.params[name][0], parameter, atol=2e-5)
    assert segment.losses[1:] == pytest.approx([sum(losses[i : i + 4]) / 4 for i in range(0, 20, 4)], abs=1e-5)


def furthest(one, other):
    """The largest distance of two segments in any number, names of a network in a network aside."""
    a, b = ({n.replace("/inner.", "/"): t for n, t in trainings.tensors(s).items()} for s in (one, other))
    assert a.keys() == b.keys()
    return max(float((a[name] - b[name]).abs().max()) for name in a)


@pytest.mark.parametrize("way", ["serial", "threads", "processes", "stacked"])
def test_every_way_trains_on_the_samples(way):
    """In every bit, or as nearly as float32 has any say in the matter: the rule of the contract suite of the ways."""
    work, exact = (trainings.work(bagged("perceptron", double=double)) for double in (False, True))
    plain = trainings.work(replace(work.plan, bootstrap=False))
    for index, segment in enumerate(trainings.results(WAYS[way], work)):
        own = trainings.alone(work, index)
        if WAYS[way].arithmetic == "alone":
            assert trainings.same(segment, own)
            continue
        tolerance = 4 * furthest(own, trainings.alone(exact, index)) + 1e-7
        assert furthest(segment, own) <= tolerance < furthest(own, trainings.alone(plain, index)) / 20


@pytest.mark.parametrize("way", ["serial", "stacked"])
def test_resumed_equals_uninterrupted(way):
    wanted = bagged()
    whole = trainings.results(WAYS[way], trainings.work(wanted))
    first = trainings.results(WAYS[way], trainings.work(wanted, epochs=2))
    legs = [
        replace(leg, start=segment.end, epochs=3)
        for leg, segment in zip(trainings.work(wanted).legs, first, strict=True)
    ]
    second = trainings.results(WAYS[way], replace(trainings.work(wanted), legs=legs))
    for one, two, all_ in zip(first, second, whole, strict=True):
        end = {"checkpoints": (), "steps": (), "losses": ()}
        assert trainings.same(replace(all_, **end), replace(two, **end))
        assert one.losses[1:] + two.losses == all_.losses[1:]
