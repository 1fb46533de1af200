"""ResNet-50 v2: its counts by hand, its layers against a function without modules, and every way of running it."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from references import trainings
from torch.nn import functional

from modescape.core.engine.catalogue import WAYS
from modescape.core.engine.events import Finished
from modescape.core.engine.way import Room
from modescape.core.engine.work import Mode
from modescape.core.models.batch_norm import refresh_statistics
from modescape.core.models.lean import lean
from modescape.core.models.resnet50v2 import resnet50v2
from modescape.core.predictions import predict_all
from modescape.core.splits import Split, scaling_of
from modescape.core.training.loop import unrounded
from modescape.core.training.plan import Plan
from modescape.core.training.settings import Optimiser, Training
from modescape.core.weights import of_module

SMALL = partial(resnet50v2, (3, 32, 32), 4, (1, 2), 4)


def by_hand(classes, blocks=(3, 4, 6, 3), width=64):
    """Parameters, and running statistics, from channel counts alone."""
    params, statistics, before = 3 * width * 49 + width, 0, width
    for stage, count in enumerate(blocks):
        inside, after = width * 2**stage, 4 * width * 2**stage
        for block in range(count):
            params += before * inside + inside * inside * 9 + inside * after + after
            params += before * after + after if block == 0 else 0
            norms = before + 2 * inside
            params, statistics, before = params + 2 * norms, statistics + 2 * norms, after
    return params + 2 * before + before * classes + classes, statistics + 2 * before


def test_there_are_as_many_numbers_as_in_keras():
    network = resnet50v2((3, 224, 224), 1000)
    params = sum(p.numel() for p in network.parameters())
    statistics = sum(b.numel() for name, b in network.named_buffers() if "running" in name)
    assert (params, statistics) == by_hand(1000) == (25_568_360, 45_440)
    # what Keras prints for ResNet50V2 counts both
    assert params + statistics == 25_613_800


def test_other_classes_change_the_head_alone():
    assert by_hand(10)[0] == by_hand(1000)[0] - 990 * 2049
    assert sum(p.numel() for p in SMALL().parameters()) == by_hand(4, (1, 2), 4)[0]


def plainly(network, images, blocks):
    """The same network in evaluation mode, written down operation by operation."""
    held = network.state_dict()

    def conv(name, maps, stride=1, padding=0):
        return functional.conv2d(maps, held[f"{name}.weight"], held.get(f"{name}.bias"), stride, padding)

    def active(name, maps):
        mean, variance, factor, bias = (
            held[f"{name}.{part}"].view(1, -1, 1, 1) for part in ("running_mean", "running_var", "weight", "bias")
        )
        return ((maps - mean) / (variance + 1.001e-5).sqrt() * factor + bias).clamp(min=0)

    maps = functional.max_pool2d(functional.pad(conv("first", images, 2, 3), (1, 1, 1, 1)), 3, 2)
    place = 0
    for stage, count in enumerate(blocks):
        for block in range(count):
            name, stride = f"stages.{place}", 2 if block == count - 1 and stage < len(blocks) - 1 else 1
            ready = active(f"{name}.before_norm", maps)
            shortcut = conv(f"{name}.projection", ready, stride) if block == 0 else maps[:, :, ::stride, ::stride]
            inner = conv(f"{name}.second", active(f"{name}.first_norm", conv(f"{name}.first", ready)), stride, 1)
            maps = shortcut + conv(f"{name}.third", active(f"{name}.second_norm", inner))
            place += 1
    features = active("last_norm", maps).mean(dim=(2, 3))
    return features @ held["head.weight"].T + held["head.bias"]


@pytest.mark.parametrize(("blocks", "size"), [((1, 2), 33), ((3, 4, 6, 3), 64)])
def test_every_operation_is_where_the_paper_and_keras_have_it(blocks, size):
    torch.manual_seed(0)
    network = resnet50v2((3, size, size), 5, blocks, 4).double()
    refresh_statistics(network, [torch.randn(6, 3, size, size, dtype=torch.float64) for _ in range(2)])
    for parameter in network.parameters():
        # Biases far from zero: else batch norm and ReLU make a border of zeros the same as none.
        parameter.data += (2 if parameter.ndim == 1 else 0.1) * torch.randn_like(parameter)
    images = torch.randn(3, 3, size, size, dtype=torch.float64)
    expected = plainly(network, images, blocks)
    # float64 through fifty layers
    assert (network(images) - expected).abs().max() < 1e-10 * expected.abs().max()


def test_maps_are_halved_five_times_and_the_last_stage_keeps_its_size():
    network, sizes = resnet50v2((3, 64, 64), 5, width=4).eval(), []
    for block in network.stages:
        block.register_forward_hook(lambda module, given, made: sizes.append(made.shape[-1]))
    network(torch.zeros(1, 3, 64, 64))
    assert sizes == [16, 16, 8, *[8] * 3, 4, *[4] * 5, 2, *[2] * 3]


def test_the_lean_network_folds_what_follows_a_convolution():
    torch.manual_seed(0)
    network = SMALL().double().eval()
    refresh_statistics(network, [torch.randn(8, 3, 32, 32, dtype=torch.float64)])
    images = torch.randn(5, 3, 32, 32, dtype=torch.float64)
    found = lean(network, images[:3])
    assert found.reason is None
    assert len(found.folds) == 6  # two in each of three blocks
    with torch.no_grad():
        expected = network(images)
        assert (found.module(images) - expected).abs().max() < 1e-12 * expected.abs().max()


def plan(**settings):
    chance = torch.Generator().manual_seed(3)
    inputs = torch.randint(0, 256, (40, 3, 32, 32), generator=chance, dtype=torch.uint8)
    split = Split(inputs, torch.randint(0, 4, (40,), generator=chance))
    wanted = {"members": 2, "epochs": 2, "batch": 20, "optimiser": Optimiser(name="sgd", rate=0.05)} | settings
    return Plan(Training(**wanted), 0, split, scaling_of("standard", inputs), SMALL)


@pytest.mark.parametrize("way", ["threads", "stacked"])
def test_members_train_together_as_they_do_alone(way):
    work = trainings.work(plan(), range(2), 2)
    for index, segment in enumerate(trainings.results(WAYS[way], work)):
        alone = trainings.alone(work, index)
        if WAYS[way].arithmetic == "alone":
            assert trainings.same(segment, alone)
            continue
        own, found = trainings.tensors(alone), trainings.tensors(segment)
        # four steps of float32 in another order; the members themselves are apart by more than a tenth
        assert all(torch.allclose(found[name], own[name], rtol=0, atol=2e-3) for name in own)


def test_statistics_are_computed_anew_where_they_are_stale():
    wanted = plan()
    segment = trainings.alone(trainings.work(wanted, range(1), 2), 0)
    kept = segment.end.weights
    stale = type(kept)(kept.params, {n: torch.full_like(b, 7) for n, b in kept.buffers.items()}, kept.origin)
    logits = [predict_all(wanted.build, w, wanted.data, wanted.scaling, wanted.data) for w in (kept, stale)]
    assert torch.equal(*logits)
    assert not torch.allclose(logits[1], predict_all(wanted.build, stale, wanted.data, wanted.scaling))


def test_an_initialisation_follows_the_global_generator_alone():
    torch.manual_seed(5)
    one = of_module(SMALL(), 0)
    torch.manual_seed(5)
    other = of_module(SMALL(), 0)
    assert all(torch.equal(tensor, other.params[name]) for name, tensor in one.params.items())
    deviation = float(one.params["stages.0.second.weight"].std())
    # He-normal: the square root of 2 over 4 x 9 inputs, from 144 numbers
    assert deviation == pytest.approx((2 / 36) ** 0.5, rel=0.2)


def trained(wanted, precision):
    events = WAYS["serial"].run(trainings.work(wanted, range(1), 1), Room(mode=Mode(precision=precision)))
    return next(event.result for event in events if isinstance(event, Finished))


def moved(segment):
    start, end = segment.checkpoints[0].params, segment.end.weights.params
    return torch.cat([(end[name] - start[name]).double().flatten() for name in sorted(start)])


def test_mixed_precision_keeps_weights_in_float32_and_is_off_as_its_digits_say():
    """One step: its error is that of float32, measured against float64, times the ratio of their units."""
    wanted = plan(members=1, epochs=1, batch=40, optimiser=Optimiser(name="sgd", rate=0.05, momentum=0.0))
    seen = set()

    def build():
        network = SMALL()
        network.stages[1].second.register_forward_hook(lambda layer, given, made: seen.add(made.dtype))
        return network

    plain, mixed = (trained(replace(wanted, build=build), precision) for precision in ("float32", "bf16"))
    assert seen == {torch.float32, torch.bfloat16}
    assert {t.dtype for t in mixed.end.weights.params.values()} == {torch.float32}
    exact = moved(trained(replace(wanted, build=partial(trainings.in_double, SMALL)), "float32"))
    single, half = (float((moved(s) - exact).norm() / exact.norm()) for s in (plain, mixed))
    # 8 bits of a number against 24; errors add up alike, but by chance of this draw one may be twice as lucky.
    assert single < half < 2 * 2**16 * single
    # So coarse a gradient still points where the exact one does, and the loss of the first step is a sum over 40.
    assert float(moved(mixed) @ exact / moved(mixed).norm() / exact.norm()) > 0.9
    assert mixed.mean_loss == pytest.approx(plain.mean_loss, rel=0.005)


def test_training_in_mixed_precision_goes_on_from_where_it_was():
    wanted = plan(members=1)
    way, room = WAYS["serial"], Room(mode=Mode(precision="bf16"))
    (whole,) = trainings.results(way, trainings.work(wanted, range(1), 2), room)
    (first,) = trainings.results(way, trainings.work(wanted, range(1), 1), room)
    assert {t.dtype for t in first.end.optimiser.values()} == {torch.float32}
    legs = [replace(trainings.work(wanted, range(1), 1).legs[0], start=first.end)]
    (second,) = trainings.results(way, replace(trainings.work(wanted, range(1), 1), legs=legs), room)
    assert all(torch.equal(t, whole.end.weights.params[n]) for n, t in second.end.weights.params.items())


def test_losses_are_told_in_float32_whatever_the_precision():
    logits = torch.tensor([[1.0, 2.0]], dtype=torch.bfloat16)
    assert unrounded(logits).dtype == torch.float32
    assert unrounded(logits.double()).dtype == torch.float64
