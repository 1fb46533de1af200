"""Blocks of members: what they share computes once, statistics are their own, and company changes no bit."""

import threading
from dataclasses import dataclass

import pytest
import torch
from references.networks import (
    IMAGES,
    TOLERANCE,
    VECTORS,
    conv,
    finished,
    head,
    in_blocks,
    members,
    network,
    slow,
    split_of,
)
from torch import nn
from torch.optim.swa_utils import update_bn

from modescape.core import evaluation
from modescape.core.evaluation import (
    STATISTICS_CHUNK,
    Blocks,
    Evaluation,
    Scratch,
    blocks_of,
    chunk_size,
    evaluate,
    evaluate_block,
)
from modescape.core.models.batch_norm import refresh_statistics
from modescape.core.predictions import predict, predict_all
from modescape.core.reductions import AgreementCounts, Block, Classes, Logits
from modescape.core.splits import Scaling, Split, scaling_of
from modescape.core.weights import Weights, load_into


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(evaluation, "CHUNK", 7)


def head_moves(module, count, *moving):
    """Members that differ in a few tensors."""
    weights = members(module, count)
    shared = {
        kind: {n: t if n in moving else t[:1].expand_as(t) for n, t in getattr(weights, kind).items()}
        for kind in ("params", "buffers")
    }
    return Weights(shared["params"], shared["buffers"], weights.origin)


def normed():
    torch.manual_seed(0)
    return nn.Sequential(conv(), nn.BatchNorm2d(5), nn.ReLU(), conv(5, 5), nn.BatchNorm2d(5), nn.ReLU(), head())


def test_shared_layers_and_scaling_compute_once_a_chunk(small_chunks):
    module, split, scaled = normed(), split_of(IMAGES), []

    @dataclass(frozen=True)
    class Counting(Scaling):
        def __call__(self, inputs):
            scaled.append(len(inputs))
            return super().__call__(inputs)

    plain = scaling_of("standard", split.inputs)
    scaling = Counting(plain.shift, plain.factor)
    scratch, weights, calls = Scratch(normed(), split, scaling), head_moves(module, 6, "6.1.weight"), {}
    for name in ("network.0", "network.3", "network.6.1"):
        calls[name] = []
        scratch.lean.module.get_submodule(name).register_forward_hook(lambda *_, name=name: calls[name].append(1))
    scaled.clear()
    (found,), _ = finished(evaluate([scratch], in_blocks(weights, 3), Evaluation(split, scaling, [Logits()])))
    # two blocks of three members, 30 examples in chunks of 7
    assert {name: len(found) for name, found in calls.items()} == {"network.0": 10, "network.3": 10, "network.6.1": 30}
    assert scaled == [7, 7, 7, 7, 2] * 2
    expected = slow(module, weights, scaling(split.inputs))
    assert (found - expected).abs().max() < TOLERANCE * expected.abs().max()


def test_one_scratch_serves_blocks_that_vary_in_other_tensors(small_chunks):
    module, split = normed(), split_of(IMAGES)
    scaling = scaling_of("standard", split.inputs)
    scratch, whole = Scratch(normed(), split, scaling), members(module, 3)
    stacks = [head_moves(module, 3, "6.1.bias"), whole, head_moves(module, 3, "3.weight"), head_moves(module, 3)]
    for stack in [*stacks, whole[1], *stacks[::-1]]:
        found, _ = finished(predict(scratch, stack, split, scaling))
        expected = slow(module, stack, scaling(split.inputs))
        assert (found - expected).abs().max() < TOLERANCE * expected.abs().max()


def refreshed(module, weights, train, inputs):
    """Load, let the library compute statistics, evaluate: one member after another."""
    rows = []
    for member in range(len(weights)):
        load_into(module, weights, member)
        update_bn(train.split(STATISTICS_CHUNK), module)
        with torch.no_grad():
            rows.append(module.eval()(inputs))
    return torch.stack(rows)


@pytest.mark.parametrize(
    ("moving", "passes"),
    [(("0.weight", "6.1.bias"), 3), (("1.bias",), 3), (("3.bias", "1.running_mean"), 3), (("4.weight", "6.1.bias"), 1)],
)
def test_statistics_are_those_of_every_member_and_computed_once_where_all_share_them(moving, passes, monkeypatch):
    counted = []

    def counting(module, batches):
        counted.append(1)
        refresh_statistics(module, batches)

    monkeypatch.setattr(evaluation, "refresh_statistics", counting)
    module, split, train = normed(), split_of(IMAGES), split_of(IMAGES, STATISTICS_CHUNK + 40, 8)
    scaling, weights = scaling_of("standard", train.inputs), head_moves(module, 3, *moving)
    asked = Evaluation(split, scaling, [Logits()], train)
    (found,), amounts = finished(evaluate([Scratch(normed(), split, scaling)], in_blocks(weights, 3), asked))
    expected = refreshed(normed(), weights, scaling(train.inputs), scaling(split.inputs))
    assert (found - expected).abs().max() < TOLERANCE * expected.abs().max()
    assert len(counted) == passes
    assert sum(amounts) == 3
    stale = slow(module, weights, scaling(split.inputs))
    assert (stale - expected).abs().max() > 0.1 * expected.abs().max()


def test_networks_without_batch_norm_do_not_look_at_training_examples():
    module, split = nn.Sequential(nn.Linear(6, 3)), split_of(VECTORS)
    scaling, weights = scaling_of("standard", split.inputs), members(module, 2)
    # of a shape that the network would refuse
    train = Split(torch.zeros(5, 9), torch.zeros(5, dtype=torch.int64))
    with_statistics = predict_all(lambda: nn.Sequential(nn.Linear(6, 3)), weights, split, scaling, train)
    assert torch.equal(with_statistics, predict_all(lambda: nn.Sequential(nn.Linear(6, 3)), weights, split, scaling))


def test_a_member_predicts_the_same_bits_alone_and_in_any_company(small_chunks):
    for name in ("resnet", "small cnn", "dense"):
        module, shape = network(name)
        split, weights = split_of(shape), members(module, 40)
        scaling = scaling_of("standard", split.inputs)
        assert blocks_of(weights).count == 2
        together = predict_all(lambda name=name: network(name)[0], weights, split, scaling)
        for member in (0, 1, 31, 32, 39):
            alone = predict_all(lambda name=name: network(name)[0], weights[member], split, scaling)
            assert torch.equal(alone[0], together[member])


def test_a_block_may_change_threads_at_every_step_and_leaves_no_mode_behind(small_chunks):
    module, shape = network("resnet")
    split, train, weights = split_of(shape), split_of(shape, 40, 8), members(module, 3)
    scaling = scaling_of("standard", split.inputs)
    asked = Evaluation(split, scaling, [Logits()], train)
    ([expected], _) = finished(evaluate_block(Scratch(network("resnet")[0], split, scaling), weights, asked))
    work = evaluate_block(Scratch(network("resnet")[0], split, scaling), weights, asked)
    modes, result = [], []

    def step():
        torch.set_num_threads(1)
        try:
            next(work)
        except StopIteration as stop:
            result.extend(stop.value)
        modes.append((torch.is_inference_mode_enabled(), torch.is_grad_enabled()))

    while not result:
        thread = threading.Thread(target=step)
        thread.start()
        thread.join()
    assert set(modes) == {(False, True)}
    assert len(modes) == 4
    assert torch.equal(result[0][0], expected[0])


def test_blocks_hold_a_bounded_number_of_members_and_of_bytes(monkeypatch):
    weights = members(nn.Linear(6, 3), 70)
    blocks = blocks_of(weights)
    assert [len(blocks.make(place)) for place in range(blocks.count)] == [32, 32, 6]
    assert blocks.make(1).params["weight"].data_ptr() == weights.params["weight"][32].data_ptr()
    monkeypatch.setattr(evaluation, "BLOCK_BYTES", 4 * 21 * 5 + 3)
    assert len(blocks_of(weights).make(0)) == 5
    monkeypatch.setattr(evaluation, "BLOCK_BYTES", 1)
    assert blocks_of(weights).count == 70


def test_chunks_hold_a_bounded_number_of_examples_and_of_numbers():
    sizes = {shape: chunk_size(split_of(shape, 2)) for shape in ((3, 32, 32), (40,), (3, 224, 224), (3, 999, 999))}
    assert sizes == {(3, 32, 32): 100, (40,): 1000, (3, 224, 224): 2, (3, 999, 999): 1}


def test_bad_input_is_told_in_one_message():
    module, split = nn.Linear(6, 3), split_of(VECTORS)
    scaling, weights = scaling_of("standard", split.inputs), members(module, 2)
    empty, none = Split(split.inputs[:0], split.targets[:0]), weights[[]]
    with pytest.raises(ValueError, match="needs at least one reduction"):
        Evaluation(split, scaling, [])
    with pytest.raises(ValueError, match="no examples to evaluate on"):
        Evaluation(empty, scaling, [Logits()])
    for refused in (lambda: Blocks(0, lambda place: weights), lambda: blocks_of(none)):
        with pytest.raises(ValueError, match="no members to evaluate"):
            refused()
    scratch, asked = Scratch(module, split, scaling), Evaluation(split, scaling, [Logits()])
    with pytest.raises(ValueError, match="no members to evaluate"):
        next(evaluate_block(scratch, none, asked))
    with pytest.raises(ValueError, match="at least one scratch network"):
        next(evaluate([], Blocks(1, lambda place: weights), asked))
    references = AgreementCounts(torch.zeros(2, 29, dtype=torch.int64))
    with pytest.raises(ValueError, match="references predict 29 examples, members 30"):
        finished(evaluate_block(scratch, weights, Evaluation(split, scaling, [references])))
    with pytest.raises(ValueError, match="40000 classes do not fit into two bytes"):
        Classes().start(Block((0,), 1, 40000, torch.device("cpu")))
    with pytest.raises(ValueError, match=r"do not have the same tensors: \['more'\]"):
        next(predict(module, Weights(weights.params, {"more": torch.zeros(2)}, (0, 0)), split, scaling))
