import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from references import plain_training, slow
from torch import nn

from modescape.core.engine.events import Advanced, Failed, Finished
from modescape.core.engine.side_by_side import one_after_another, side_by_side
from modescape.core.models.mlp import mlp
from modescape.core.models.plain_cnn import small_cnn
from modescape.core.models.resnet20 import resnet20
from modescape.core.predictions import predict, predict_all
from modescape.core.splits import Split, scaling_of
from modescape.core.training import member as in_training
from modescape.core.training import plan as plans
from modescape.core.training.augment import augment, draw_moves, joined
from modescape.core.training.loop import train
from modescape.core.training.noise import SeededDropout, seed_dropout
from modescape.core.training.plan import Plan, batches, initial_state, is_checkpoint
from modescape.core.training.schedule import rate_factor
from modescape.core.training.settings import Checkpoints, Optimiser, Schedule, Training
from modescape.core.weights import stack
from modescape.errors import MemberFailed


def data(examples=40, side=8):
    chance = torch.Generator().manual_seed(3)
    inputs = torch.randint(0, 256, (examples, 3, side, side), generator=chance, dtype=torch.uint8)
    return Split(inputs, torch.randint(0, 4, (examples,), generator=chance))


BUILDS = {
    "dropout": partial(small_cnn, (3, 8, 8), 4, (4, 4), 0.3),
    "batch norm": partial(resnet20, (3, 8, 8), 4, 1, 4),
}


def plan(build="dropout", root=0, **settings):
    examples = data()
    training = Training(**({"batch": 16, "epochs": 4} | settings))
    return Plan(training, root, examples, scaling_of("standard", examples.inputs), BUILDS[build])


def whole(work):
    """The value that a member's generator returns."""
    while True:
        try:
            next(work)
        except StopIteration as stop:
            return stop.value


def alone(plan, member, epochs=4):
    return whole(train(plan, member, initial_state(plan, member), epochs))


def same(a, b):
    tensors = zip([*a.params.values(), *a.buffers.values()], [*b.params.values(), *b.buffers.values()], strict=True)
    return all(torch.equal(x, y) for x, y in tensors)


OPTIMISERS = {
    "adam": Optimiser(rate=3e-3),
    "adamw": Optimiser(name="adamw", rate=3e-3, weight_decay=0.1),
    "sgd": Optimiser(name="sgd", rate=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3, decay_on="kernels"),
}


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_two_halves_are_the_bits_of_one_whole(build, optimiser):
    wanted = plan(build, optimiser=OPTIMISERS[optimiser], augmentation="crop_flip", schedule=Schedule(kind="cosine"))
    one = alone(wanted, 1)
    first = whole(train(wanted, 1, initial_state(wanted, 1), 2))
    second = whole(train(wanted, 1, first.end, 2))
    assert same(second.end.weights, one.end.weights)
    assert same(stack([*first.checkpoints, *second.checkpoints]), one.weights)
    assert first.steps + second.steps == one.steps == (0, 2, 4, 6, 8)
    assert (first.losses + second.losses)[1:] == one.losses[1:]
    forgetful = whole(train(wanted, 1, replace(first.end, optimiser={}), 2))
    assert not same(forgetful.end.weights, one.end.weights)


@pytest.mark.parametrize("build", BUILDS)
def test_members_side_by_side_are_the_bits_of_each_alone(build):
    wanted = plan(build)
    results = {}
    for event in side_by_side([train(wanted, m, initial_state(wanted, m), 4) for m in range(5)], cores=3):
        if isinstance(event, Finished):
            results[event.index] = event.result
    assert sorted(results) == list(range(5))
    for member, segment in results.items():
        assert same(segment.end.weights, alone(wanted, member).end.weights)
    assert not same(results[0].end.weights, results[1].end.weights)


@pytest.mark.parametrize("role", ["init", "order", "augment", "dropout"])
def test_each_role_of_chance_has_its_own_path_and_matters(role, monkeypatch):
    wanted = plan(augmentation="shift_flip")
    before = alone(wanted, 0).end.weights
    for module in (plans, in_training):
        for name in ("generator", "global_generator"):
            real = getattr(module, name)

            def other(root, *path, real=real, **named):
                return real(root + (role in path), *path, **named)

            monkeypatch.setattr(module, name, other)
    assert not same(alone(wanted, 0).end.weights, before)


def test_training_equals_the_textbook_loop():
    wanted = plan(optimiser=Optimiser(rate=1e-3))
    # The textbook lays activations out otherwise in memory, so its dropout masks differ: compare without dropout.
    wanted = replace(wanted, build=partial(small_cnn, (3, 8, 8), 4, (4, 4), 0.0))
    network, losses = plain_training.train(wanted, 2, 4)
    segment = alone(wanted, 2)
    for name, parameter in network.named_parameters():
        # Eight float32 steps of size 1e-3, whose sums round in another order; Adam can turn the sign of a gradient
        # that is nothing but rounding, so the bound is far above float32's 1e-7 and far below a step.
        assert torch.allclose(segment.end.weights.params[name][0], parameter, atol=2e-5)
    assert segment.losses[1:] == pytest.approx([sum(losses[i : i + 2]) / 2 for i in range(0, 8, 2)], abs=1e-5)


def test_dropout_in_training_equals_the_textbook_loop_where_layouts_agree():
    examples = Split(torch.randn(40, 1, 12, generator=torch.Generator().manual_seed(0)), data().targets)
    wanted = Plan(
        Training(batch=16, epochs=4),
        0,
        examples,
        scaling_of("raw", examples.inputs),
        partial(mlp, (1, 12), 4, (9,), 0.4),
    )
    network, _ = plain_training.train(wanted, 0, 4)
    segment = alone(wanted, 0)
    for name, parameter in network.named_parameters():
        assert torch.allclose(segment.end.weights.params[name][0], parameter, atol=2e-5)


def test_a_diverging_member_says_when_and_leaves_its_neighbours_alone():
    wanted = plan()
    broken = replace(wanted, training=replace(wanted.training, optimiser=Optimiser(name="sgd", rate=1e30)))
    work = [train(broken if m == 1 else wanted, m, initial_state(wanted, m), 4) for m in range(3)]
    events = list(side_by_side(work, cores=2))
    failed = [event for event in events if isinstance(event, Failed)]
    assert [event.index for event in failed] == [1]
    assert isinstance(failed[0].error, MemberFailed)
    assert failed[0].error.step >= 1
    assert f"member 1 diverged: the loss is not finite at step {failed[0].error.step}" in str(failed[0].error)
    for event in events:
        if isinstance(event, Finished):
            assert same(event.result.end.weights, alone(wanted, event.index).end.weights)


def test_the_engine_advances_whoever_is_furthest_behind_and_stops_when_closed():
    log = []

    def member(name, slices):
        for _ in range(slices):
            log.append(name)
            yield 1
        return name

    events = list(side_by_side([member("a", 3), member("b", 3), member("c", 1)], cores=1))
    assert log == ["a", "b", "c", "a", "b", "a", "b"]
    assert [e.result for e in events if isinstance(e, Finished)] == ["c", "a", "b"]
    assert sum(isinstance(e, Advanced) for e in events) == 7
    serial = list(one_after_another([member("a", 2), member("b", 1)]))
    assert [type(e).__name__ for e in serial] == ["Advanced", "Advanced", "Finished", "Advanced", "Finished"]
    log.clear()
    endless = side_by_side([member("x", 10**9)], cores=1)
    next(endless)
    endless.close()
    seen = len(log)
    assert seen < 10**6
    assert len(log) == seen


def test_orders():
    permuted = plan(batch=8)
    index = batches(permuted, 0, 0)
    assert index.shape == (5, 8)
    assert sorted(index.flatten().tolist()) == list(range(40))
    assert not torch.equal(index, batches(permuted, 0, 1))
    drawn = batches(plan(batch=8, order="replacement"), 0, 0).flatten().tolist()
    assert len(drawn) == 40
    assert len(set(drawn)) < 40
    assert batches(plan(batch=1000), 0, 0).shape == (1, 40)


def test_checkpoints_by_epoch_and_by_step_end_with_the_solution():
    by_step = alone(plan(checkpoints=Checkpoints(every=3, unit="step")), 0)
    assert by_step.steps == (0, 3, 6, 8)
    by_epoch = alone(plan(checkpoints=Checkpoints(every=3)), 0)
    assert by_epoch.steps == (0, 6, 8)
    assert math.isnan(by_epoch.losses[0])
    assert not any(math.isnan(loss) for loss in by_epoch.losses[1:])
    assert same(by_epoch.checkpoints[-1], by_epoch.end.weights)
    assert is_checkpoint(Checkpoints(every=100), 8, 2, 4)


def test_predictions_are_made_in_evaluation_mode_and_equal_a_plain_loop():
    for name in BUILDS:
        wanted = plan(name)
        weights = alone(wanted, 0).weights
        split = data(600)
        found = predict_all(wanted.build, weights, split, wanted.scaling)
        network = wanted.build()
        for member in range(len(weights)):
            state = {n: t[member] for n, t in {**weights.params, **weights.buffers}.items()}
            network.load_state_dict(state)
            network.eval()
            with torch.no_grad():
                rows = torch.cat([network(wanted.scaling(split.inputs[i : i + 1])) for i in range(600)])
            # one example at a time, contiguous: float32 sums in another order
            assert torch.allclose(found[member], rows, atol=1e-4)
        again = whole(predict(wanted.build(), weights, split, wanted.scaling))
        assert torch.equal(found, again)


@pytest.mark.parametrize("kind", ["crop_flip", "shift_flip"])
def test_augmentation_equals_a_loop_over_pixels(kind):
    images = data(12, 20).inputs
    moves = draw_moves(12, images.shape[1:], kind, torch.Generator().manual_seed(7))
    found = augment(images, kind, moves)
    chance = torch.Generator().manual_seed(7)
    reach = 4 if kind == "crop_flip" else 2
    down, right = (torch.randint(-reach, reach + 1, (12,), generator=chance) for _ in range(2))
    mirrored = torch.randint(0, 2, (12,), generator=chance)
    pad = "zero" if kind == "crop_flip" else "edge"
    for i in range(12):
        expected = slow.shifted(images[i].numpy(), int(down[i]), int(right[i]), bool(mirrored[i]), pad)
        assert (found[i].numpy() == expected).all()
    assert {*down.tolist()} != {0}
    assert 0 < int(mirrored.sum()) < 12


def test_augmentation_of_anything_but_images_is_refused():
    with pytest.raises(ValueError, match="needs images"):
        draw_moves(4, (1, 9), "crop_flip", torch.Generator())


def test_moves_of_several_batches_are_those_of_each():
    images = data(12, 20).inputs
    moves = [draw_moves(6, images.shape[1:], "shift_flip", torch.Generator().manual_seed(seed)) for seed in (1, 2)]
    whole = augment(images, "shift_flip", joined(moves))
    each = [augment(part, "shift_flip", own) for part, own in zip(images.split(6), moves, strict=True)]
    assert torch.equal(whole, torch.cat(each))
    assert torch.equal(augment(images[2:5], "shift_flip", joined(moves)[2:5]), whole[2:5])
    assert draw_moves(6, (1, 9), "none", torch.Generator()) is None
    assert augment(images, "none", None) is images


def rates(schedule, epochs=6, steps=5):
    return [rate_factor(schedule, step, steps, epochs) for step in range(epochs * steps)]


def library(make, epochs=6, steps=5, each_step=False):
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimiser)
    found = []
    for step in range(epochs * steps):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        if each_step or (step + 1) % steps == 0:
            scheduler.step()
    return found


def test_schedules_equal_the_librarys():
    lr = torch.optim.lr_scheduler
    assert rates(Schedule(kind="halving", every=2)) == pytest.approx(library(lambda o: lr.StepLR(o, 2, 0.5)))
    stepped = Schedule(kind="steps", at=(2, 4), factors=(0.1, 0.01))
    assert rates(stepped) == pytest.approx(library(lambda o: lr.MultiStepLR(o, [2, 4], 0.1)))
    cosine = library(lambda o: lr.CosineAnnealingLR(o, 30), each_step=True)
    assert rates(Schedule(kind="cosine")) == pytest.approx(cosine)
    assert rates(Schedule()) == [1.0] * 30
    one_cycle = rates(Schedule(kind="one_cycle", warmup=0.3))
    assert one_cycle[0] == pytest.approx(1 / 25)
    assert one_cycle[-1] == pytest.approx(1 / 250_000)
    assert max(one_cycle) == pytest.approx(1, abs=0.02)
    assert one_cycle.index(max(one_cycle)) == 9
    restarts = library(lambda o: lr.CosineAnnealingWarmRestarts(o, 10), each_step=True)
    cyclical = rates(Schedule(kind="cyclical", every=2))
    assert cyclical == pytest.approx(restarts)
    assert cyclical[0] == cyclical[10] == cyclical[20] == 1
    # of the last step of each cycle of ten: (1 + cos(0.9 pi)) / 2
    assert [cyclical[step] for step in (9, 19, 29)] == pytest.approx([0.024471741852423234] * 3)


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        (Schedule, {"kind": "steps"}, "needs at and factors"),
        (Schedule, {"at": (3,), "factors": (0.1,)}, "belong to a schedule of steps"),
        (Schedule, {"kind": "steps", "at": (3, 2), "factors": (0.1, 0.1)}, "rising"),
        (Optimiser, {"rate": math.nan}, "rate must be positive"),
        (Optimiser, {"nesterov": True}, "nesterov needs sgd"),
        (Training, {"label_smoothing": 1.0}, "label_smoothing"),
        (Training, {"members": 0}, "members must be at least 1"),
        (Checkpoints, {"every": 0}, "every must be at least 1"),
    ],
)
def test_impossible_settings_are_refused_by_name(kind, settings, words):
    with pytest.raises(ValueError, match=words):
        kind(**settings)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_seeded_dropout_keeps_the_fraction_it_says_and_the_mean(rate):
    layer = SeededDropout(rate, 0)
    layer.chance = torch.Generator().manual_seed(0)
    count = 200_000
    for values in (torch.ones(count), torch.ones(10, 5, 40, 100).contiguous(memory_format=torch.channels_last)):
        out = layer(values)
        dropped = float((out == 0).double().mean())
        # four standard errors of a binomial fraction, and the 65,536th to which the rate is kept
        assert abs(dropped - rate) < 4 * math.sqrt(rate * (1 - rate) / count) + 1 / 65536
        assert torch.allclose(out[out != 0], torch.tensor(1 / (1 - rate)))
        assert not torch.equal(layer(values), out)


def test_seeded_dropout_at_its_limits_and_in_evaluation():
    values = torch.randn(6, 4, 3, 3)
    layer = SeededDropout(0.5, 0)
    with pytest.raises(RuntimeError, match="before it got its generator"):
        layer(values)
    assert torch.equal(layer.eval()(values), values)
    assert torch.equal(SeededDropout(0.0, 0)(values), values)
    assert (SeededDropout(1.0, 0)(values) == 0).all()


def test_layers_are_replaced_in_place_and_channels_fall_as_a_whole():
    network = nn.Sequential(nn.Dropout2d(0.5), nn.Sequential(nn.Dropout(0.1)))
    first, second = seed_dropout(network)
    assert (first.channel_dims, second.channel_dims) == (2, 0)
    first.chance = torch.Generator().manual_seed(0)
    kept = first(torch.ones(50, 4, 3, 3)).flatten(2)
    assert ((kept == 0).all(-1) | (kept == 2).all(-1)).all()
    assert 0 < (kept == 0).double().mean() < 1


def test_gradients_pass_where_values_pass():
    layer = SeededDropout(0.5, 0)
    layer.chance = torch.Generator().manual_seed(0)
    values = torch.randn(8, 3, 4, 4).contiguous(memory_format=torch.channels_last).requires_grad_()
    out = layer(values)
    out.sum().backward()
    assert torch.equal(values.grad != 0, out != 0)
    assert set(values.grad.unique().tolist()) == {0.0, 2.0}


def test_label_smoothing_is_a_mixture_with_the_uniform_distribution():
    wanted = plan(label_smoothing=0.2, epochs=1, batch=40, checkpoints=Checkpoints(every=1, unit="step"))
    wanted = replace(wanted, build=BUILDS["batch norm"])
    segment = alone(wanted, 0, epochs=1)
    network = wanted.build()
    weights = segment.checkpoints[0]
    network.load_state_dict({n: t[0] for n, t in {**weights.params, **weights.buffers}.items()})
    network.train()
    logs = network(wanted.scaling(wanted.data.inputs)).log_softmax(-1)
    hard = -logs[range(40), wanted.data.targets].mean()
    expected = 0.8 * hard - 0.2 * logs.mean()
    assert segment.losses[1] == pytest.approx(float(expected.detach()), abs=1e-5)


def test_scalings():
    images = data(30).inputs
    assert torch.equal(scaling_of("raw", images)(images), images.float())
    assert torch.allclose(scaling_of("unit", images)(images), images / 255)
    standard = scaling_of("standard", images)(images)
    assert torch.allclose(standard.mean((0, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(standard.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5)
    flat = scaling_of("standard", torch.full((4, 1, 2, 2), 7, dtype=torch.uint8))
    assert torch.equal(flat(torch.full((1, 1, 2, 2), 7, dtype=torch.uint8)), torch.zeros(1, 1, 2, 2))
