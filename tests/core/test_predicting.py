"""Predictions as work for the engine: every way gives each stack's logits, stacked ones up to rounding."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from references import trainings
from references.trainings import Deciding

from modescape.core.engine.catalogue import WAYS
from modescape.core.engine.events import Advanced, Failed, Finished
from modescape.core.engine.notes import hearing
from modescape.core.engine.way import Room
from modescape.core.evaluation import Evaluation, Scratch, blocks_of, evaluate
from modescape.core.predictions import Predicting, predict_all
from modescape.core.reductions import MemberScores
from modescape.core.splits import Split
from modescape.core.weights import Weights, of_module, stack

HERE = [name for name, way in WAYS.items() if "cpu" in way.devices]


def initial(build, count, first=0):
    found = []
    for member in range(first, first + count):
        torch.manual_seed(member)
        found.append(of_module(build(), member))
    return stack(found)


def asked(build="batch norm", sizes=(3, 1, 2)):
    plan = trainings.plan(build)
    stacks = [initial(plan.build, size, 10 * place) for place, size in enumerate(sizes)]
    split = Split(plan.data.inputs.repeat(4, 1, 1, 1), plan.data.targets.repeat(4))
    return Predicting(len(stacks), stacks.__getitem__, plan.build, split, plan.scaling), stacks


@pytest.mark.parametrize("build", trainings.BUILDS)
@pytest.mark.parametrize("way", HERE)
def test_every_way_gives_the_logits_of_each_stack(way, build):
    work, stacks = asked(build)
    found = trainings.results(WAYS[way], work, Room(cores=2, group=2))
    for logits, weights in zip(found, stacks, strict=True):
        expected = predict_all(work.build, weights, work.split, work.scaling)
        if WAYS[way].arithmetic == "alone":
            assert torch.equal(logits, expected)
        # logits of a few units, sums of some hundred products of float32 in another order
        assert torch.allclose(logits, expected, atol=1e-4)
        assert not torch.equal(logits[0], expected[-1]) or len(weights) == 1


@pytest.mark.parametrize("way", HERE)
def test_progress_counts_members(way):
    work, stacks = asked()
    amounts = dict.fromkeys(range(3), 0)
    for event in WAYS[way].run(work, Room(cores=2, group=3)):
        if isinstance(event, Advanced):
            amounts[event.index] += event.amount
    assert [amounts[place] for place in range(3)] == [len(weights) for weights in stacks]


def test_statistics_are_computed_anew_in_a_stack_as_well():
    work, stacks = asked("batch norm")
    fresh = replace(work, statistics=Split(work.split.inputs[:50], work.split.targets[:50]))
    found = trainings.results(WAYS["stacked"], fresh, Room(group=3))
    for logits, weights in zip(found, stacks, strict=True):
        expected = predict_all(work.build, weights, work.split, work.scaling, fresh.statistics)
        assert torch.allclose(logits, expected, atol=1e-4)
        assert not torch.allclose(logits, predict_all(work.build, weights, work.split, work.scaling), atol=1e-2)


def test_layers_that_all_share_are_computed_once_in_a_stack_as_well():
    build = partial(trainings.BUILDS["dropout"])
    solution = initial(build, 1)
    params = {name: tensor.expand(4, *tensor.shape[1:]) for name, tensor in solution.params.items()}
    chance = torch.Generator().manual_seed(0)
    params["head.weight"] = params["head.weight"] + torch.randn(params["head.weight"].shape, generator=chance)
    weights = Weights(params, {}, (0,) * 4)
    plan = trainings.plan()
    scratch = Scratch(build(), plan.data, plan.scaling)
    scores = []
    for stacked in (False, True):
        evaluation = Evaluation(plan.data, plan.scaling, (MemberScores(),), stacked=stacked)
        work = evaluate([scratch], blocks_of(weights), evaluation)
        while True:
            try:
                next(work)
            except StopIteration as stop:
                scores.append(stop.value[0])
                break
    assert torch.allclose(scores[0].nll, scores[1].nll, atol=1e-5)
    assert len(set(scores[1].nll.tolist())) == 4


def test_networks_that_cannot_be_stacked_predict_one_at_a_time_and_that_is_said():
    work, _ = asked()
    stacks = [initial(Deciding, 2), initial(Deciding, 2, 5)]
    work = replace(work, count=2, read=stacks.__getitem__, build=Deciding)
    with hearing() as said:
        found = trainings.results(WAYS["stacked"], work, Room(group=2))
        expected = [predict_all(Deciding, weights, work.split, work.scaling) for weights in stacks]
    assert any("cannot be stacked" in line and "they run one at a time instead" in line for line in said)
    assert all(torch.equal(logits, own) for logits, own in zip(found, expected, strict=True))


def test_a_stack_that_cannot_be_read_fails_alone():
    work, stacks = asked()

    def read(place):
        if place == 1:
            raise KeyError("gone")
        return stacks[place]

    ends = trainings.ended(WAYS["stacked"].run(replace(work, read=read), Room(group=3)), 3)
    assert [type(end) for end in ends] == [Finished, Failed, Finished]
