"""Many members on a split, against one member after another on the plain network; what is kept against numpy loops."""

import gc
import threading
import weakref
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from references.networks import (
    NETWORKS,
    TOLERANCE,
    VECTORS,
    chance,
    finished,
    in_blocks,
    members,
    network,
    scratches,
    slow,
    split_of,
)
from torch import nn

from modescape.core import evaluation
from modescape.core.engine.notes import hearing
from modescape.core.evaluation import Blocks, Evaluation, Scratch, chunk_size, evaluate
from modescape.core.predictions import Predictions, ensemble_probabilities
from modescape.core.reductions import AgreementCounts, Block, Chunk, Classes, Logits, MeanProbabilities, MemberScores
from modescape.core.splits import scaling_of
from modescape.core.weights import Weights


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(evaluation, "CHUNK", 7)


# a network without running statistics predicts by whatever else is in the chunk
SAME_IN_CHUNKS = [name for name in NETWORKS if name != "untracked"]


@pytest.mark.filterwarnings("ignore:Lazy modules")
@pytest.mark.parametrize("name", SAME_IN_CHUNKS)
def test_logits_are_those_of_one_member_after_another(name, small_chunks):
    module, shape = network(name)
    split, weights = split_of(shape), members(module, 5)
    scaling = scaling_of("standard", split.inputs)
    assert chunk_size(split) == 7
    expected = slow(module, weights, scaling(split.inputs))
    work = evaluate(scratches(name, split, scaling), in_blocks(weights, 2), Evaluation(split, scaling, [Logits()]))
    (found,), amounts = finished(work)
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < TOLERANCE * expected.abs().max()
    assert amounts == [1] * 5
    assert not found.is_inference()


class Rude(nn.Module):
    """Cannot be traced, and overwrites what it is given."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(6, 3)

    def forward(self, inputs):
        return self.a(inputs.mul_(2)) if inputs.sum() < 1e9 else inputs


class Overwriting(nn.Module):
    """Can be traced, and overwrites what it is given."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(6, 3), nn.Linear(3, 3)

    def forward(self, inputs):
        return self.b(self.a(inputs.mul_(2)))


@pytest.mark.parametrize(("build", "traced"), [(Rude, False), (Overwriting, True)])
def test_a_network_that_overwrites_its_inputs_spoils_no_other_member(build, traced, small_chunks):
    torch.manual_seed(0)
    module, split = build(), split_of(VECTORS)
    weights, scaling = members(module, 4), scaling_of("standard", split.inputs)
    with hearing() as said:
        scratch = Scratch(build(), split, scaling)
    assert (scratch.lean.reason is None) == traced
    assert [line.partition(":")[0] for line in said] == (
        [] if traced else ["this network predicts as it is, which is slower"]
    )
    # neither does one whose first layer all members share
    shared = Weights(
        {n: t[:1].expand_as(t) if n[0] == "a" and traced else t for n, t in weights.params.items()}, {}, (0,) * 4
    )
    for stack in (weights, shared):
        (found,), _ = finished(evaluate([scratch], in_blocks(stack, 4), Evaluation(split, scaling, [Logits()])))
        expected = slow(module, stack, scaling(split.inputs))
        assert (found - expected).abs().max() < TOLERANCE * expected.abs().max()


def everything(split, classes=3):
    references = torch.randint(0, classes, (4, len(split)), generator=chance(9))
    return [Logits(), Classes(), MemberScores(), AgreementCounts(references), MeanProbabilities()], references


def test_reductions_equal_loops_over_members_and_examples(small_chunks):
    module, shape = network("dense")
    split, weights = split_of(shape), members(module, 7)
    weights = Weights(weights.params, weights.buffers, (4, 1, 4, 4, 1, 9, 4))
    scaling = scaling_of("standard", split.inputs)
    wanted, references = everything(split)
    work = evaluate(scratches("dense", split, scaling), in_blocks(weights, 3), Evaluation(split, scaling, wanted))
    (logits, classes, scores, agreements, mean), _ = finished(work)
    assert logits.shape == (7, 30, 3)
    rows, targets = logits.double().numpy(), split.targets.numpy()
    by_origin = {1: [], 4: [], 9: []}
    for member in range(7):
        right, loss, probabilities = 0, 0.0, []
        for example in range(30):
            row = rows[member, example]
            found = int(np.argmax(row))
            assert classes[member, example] == found
            share = np.exp(row - row.max()) / np.exp(row - row.max()).sum()
            right, loss = right + (found == targets[example]), loss - np.log(share[targets[example]])
            probabilities.append(share)
        by_origin[weights.origin[member]].append(probabilities)
        # float64 sums of 30 numbers of order 1 to 10
        assert scores.accuracy[member].item() == pytest.approx(right / 30, abs=1e-15)
        assert scores.nll[member].item() == pytest.approx(loss / 30, rel=1e-12)
        for place, reference in enumerate(references.numpy()):
            assert agreements[member, place] == sum(classes[member].numpy() == reference)
    nested = np.mean([np.mean(parts, axis=0) for parts in by_origin.values()], axis=0)
    assert np.abs(mean.numpy() - nested).max() < 1e-14
    plain = ensemble_probabilities(Predictions(logits, split.targets, weights.origin, "test"))
    assert (mean - plain).abs().max() < 1e-14
    kinds = (classes.dtype, scores.accuracy.dtype, scores.nll.dtype, agreements.dtype, mean.dtype)
    assert kinds == (torch.int8, torch.float64, torch.float64, torch.int64, torch.float64)


def test_scores_do_not_overflow_where_probabilities_would():
    block = Block((0,), 1, 3, torch.device("cpu"))
    partial = MemberScores().start(block)
    MemberScores().add(partial, Chunk(0, torch.tensor([[[0.0, 2000.0, -2000.0]]]), torch.tensor([2])))
    scores = MemberScores().merge([partial])
    assert (scores.accuracy.tolist(), scores.nll.tolist()) == ([0.0], [4000.0])


@pytest.mark.parametrize(("classes", "kind"), [(128, torch.int8), (129, torch.int16), (32768, torch.int16)])
def test_classes_take_two_bytes_where_one_is_too_little(classes, kind):
    logits = torch.zeros(1, 2, classes)
    logits[0, 1, classes - 1] = 1
    partial = Classes().start(Block((0,), 2, classes, torch.device("cpu")))
    Classes().add(partial, Chunk(0, logits, torch.tensor([0, 0])))
    found = Classes().merge([partial])
    assert (found.dtype, found.tolist()) == (kind, [[0, classes - 1]])


def test_the_number_of_cores_changes_no_bit(small_chunks):
    module, shape = network("resnet")
    split, weights = split_of(shape), members(module, 11)
    weights = Weights(weights.params, weights.buffers, (0, 1, 2) * 3 + (0, 1))
    scaling, (wanted, _) = scaling_of("standard", split.inputs), everything(split)
    results = []
    for cores in (1, 2, 3, 20):
        own = scratches("resnet", split, scaling, cores)
        found, amounts = finished(evaluate(own, in_blocks(weights, 2), Evaluation(split, scaling, wanted)))
        logits, classes, scores, agreements, mean = found
        results.append([logits, classes, scores.accuracy, scores.nll, agreements, mean])
        assert sum(amounts) == 11
    assert all(torch.equal(a, b) for other in results[1:] for a, b in zip(other, results[0], strict=True))


@dataclass(frozen=True)
class Late(MeanProbabilities):
    """Whose first block waits until the last one is through."""

    last: threading.Event
    blocks: int

    def add(self, partial, chunk):
        super().add(partial, chunk)
        if 0 in partial:
            assert self.last.wait(20)
        if self.blocks - 1 in partial:
            self.last.set()


def test_blocks_are_merged_in_their_order_whatever_order_they_finish_in():
    module, shape = network("dense")
    split, weights = split_of(shape), members(module, 5)
    weights = Weights(weights.params, weights.buffers, (0, 1, 2, 3, 4))
    scaling = scaling_of("standard", split.inputs)

    @dataclass(frozen=True)
    class Order(Logits):
        def join(self, earlier, later):
            joined.append(len(earlier))
            return super().join(earlier, later)

    joined = []
    wanted = [Late(threading.Event(), 5), Order()]
    asked = Evaluation(split, scaling, wanted)
    (mean, logits), _ = finished(evaluate(scratches("dense", split, scaling, 2), in_blocks(weights, 1), asked))
    asked = Evaluation(split, scaling, [MeanProbabilities(), Logits()])
    (expected, rows), _ = finished(evaluate(scratches("dense", split, scaling), in_blocks(weights, 1), asked))
    assert torch.equal(mean, expected)
    assert torch.equal(logits, rows)
    assert joined == [1, 2, 3, 4]


@pytest.mark.parametrize("cores", [1, 2, 3])
def test_no_more_blocks_are_alive_than_cores(cores):
    module, shape = network("dense")
    split = split_of(shape)
    scaling, base = scaling_of("standard", split.inputs), members(module, 2)
    alive, most, made = set(), [], []

    def make(place):
        block = Weights({n: t + 0.01 * place for n, t in base.params.items()}, dict(base.buffers), base.origin)
        alive.add(place)
        weakref.finalize(block, alive.discard, place)
        most.append(len(alive))
        made.append(place)
        return block

    gc.disable()
    try:
        work = evaluate(
            scratches("dense", split, scaling, cores), Blocks(40, make), Evaluation(split, scaling, [MemberScores()])
        )
        (scores,), _ = finished(work)
    finally:
        gc.enable()
    assert sorted(made) == list(range(40))
    assert max(most) <= cores
    assert scores.nll.shape == (80,)


def test_nothing_is_made_before_the_first_step_and_nothing_after_an_early_end():
    module, shape = network("dense")
    split, weights, made = split_of(shape), members(module, 2), []
    scaling = scaling_of("standard", split.inputs)

    def make(place):
        made.append(place)
        return weights

    own = scratches("dense", split, scaling, 2)
    work = evaluate(own, Blocks(10_000, make), Evaluation(split, scaling, [MemberScores()]))
    assert made == []
    before = threading.active_count()
    assert next(work) == 1
    work.close()
    assert threading.active_count() == before
    assert 0 < len(made) < 10_000


def test_a_block_that_cannot_be_made_ends_the_evaluation_with_its_own_error():
    module, shape = network("dense")
    split, weights = split_of(shape), members(module, 2)
    scaling, before = scaling_of("standard", split.inputs), threading.active_count()

    def make(place):
        if place == 3:
            raise ValueError("block 3 is lost")
        return weights

    for cores in (1, 2):
        own = scratches("dense", split, scaling, cores)
        with pytest.raises(ValueError, match="block 3 is lost"):
            finished(evaluate(own, Blocks(1000, make), Evaluation(split, scaling, [MemberScores()])))
        assert threading.active_count() == before
