"""What a state must carry so that nobody can tell where a training was cut."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from modescape.core.models.resnet20 import resnet20
from modescape.core.splits import Split, scaling_of
from modescape.core.training.loop import SLICE, train
from modescape.core.training.plan import Plan, initial_state
from modescape.core.training.settings import Checkpoints, Optimiser, Schedule, Training

EPOCHS = 4


def plan_of(examples=48, **settings):
    chance = torch.Generator().manual_seed(11)
    inputs = torch.randint(0, 256, (examples, 1, 8, 8), generator=chance, dtype=torch.uint8)
    split = Split(inputs, torch.randint(0, 3, (examples,), generator=chance))
    training = Training(**{"batch": 16, "epochs": EPOCHS, "optimiser": Optimiser(rate=0.01)} | settings)
    return Plan(training, 0, split, scaling_of("unit", inputs), partial(resnet20, (1, 8, 8), 3, 1, 4))


def run(work):
    """Amounts reported on the way, and the segment."""
    amounts = []
    while True:
        try:
            amounts.append(next(work))
        except StopIteration as stop:
            return amounts, stop.value


def pieces(plan, lengths, forget=()):
    """Segments of these lengths one after the other; ``forget`` names what the states between them lose."""
    state, segments = initial_state(plan, 0), []
    for epochs in lengths:
        segments.append(run(train(plan, 0, state, epochs))[1])
        lost = {"loss_sum": 0.0, "loss_steps": 0, "optimiser": {}, "epoch": 0}
        state = replace(segments[-1].end, **{name: lost[name] for name in forget})
    return segments


def all_of(segments):
    """Steps, losses and checkpoints of all segments."""
    taken = [c for segment in segments for c in segment.checkpoints]
    tensors = [t for c in taken for t in (*c.params.values(), *c.buffers.values())]
    losses = [loss for segment in segments for loss in segment.losses][1:]
    return [step for segment in segments for step in segment.steps], losses, tensors


@pytest.mark.parametrize("checkpoints", [Checkpoints(every=3), Checkpoints(every=5, unit="step")])
@pytest.mark.parametrize("lengths", [(1, 1, 1, 1), (1, 3), (3, 1)])
def test_cuts_between_checkpoints_lose_no_loss(checkpoints, lengths):
    plan = plan_of(checkpoints=checkpoints, schedule=Schedule(kind="one_cycle"))
    steps, losses, tensors = all_of(pieces(plan, [EPOCHS]))
    steps_cut, losses_cut, tensors_cut = all_of(pieces(plan, lengths))
    assert steps_cut == steps
    assert losses_cut == losses
    assert all(torch.equal(a, b) for a, b in zip(tensors, tensors_cut, strict=True))
    assert len(tensors) == len(tensors_cut) > 0


def test_a_state_that_forgets_its_losses_is_noticed():
    plan = plan_of(checkpoints=Checkpoints(every=3))
    _, losses, _ = all_of(pieces(plan, [EPOCHS]))
    _, forgetful, _ = all_of(pieces(plan, (1, 3), forget=("loss_sum", "loss_steps")))
    assert len(forgetful) == len(losses)
    assert forgetful != losses


@pytest.mark.parametrize("settings", [{"schedule": Schedule(kind="cosine")}, {"augmentation": "crop_flip"}, {}])
def test_a_state_that_forgets_its_epoch_is_noticed(settings):
    plan = plan_of(**settings)
    one = pieces(plan, [EPOCHS])[-1].end.weights
    again = pieces(plan, (2, 2), forget=("epoch",))[-1].end.weights
    assert not all(torch.equal(one.params[n], again.params[n]) for n in one.params)


def test_running_statistics_travel_with_the_weights():
    segments = pieces(plan_of(), (2, 2))
    first, second = (segment.end.weights.buffers for segment in segments)
    name = "first_norm.num_batches_tracked"
    assert (int(first[name][0]), int(second[name][0])) == (6, 12)
    assert not torch.equal(first["first_norm.running_mean"], second["first_norm.running_mean"])


def test_a_state_does_not_change_when_training_goes_on():
    plan = plan_of()
    first = run(train(plan, 0, initial_state(plan, 0), 2))[1].end
    kept = {**first.weights.params, **first.optimiser}
    before = {name: tensor.clone() for name, tensor in kept.items()}
    run(train(plan, 0, first, 2))
    assert all(torch.equal(kept[name], before[name]) for name in kept)


@pytest.mark.parametrize(("examples", "batch"), [(48, 16), (50, 16), (40, 64), (600, 300)])
def test_progress_adds_up_to_every_image_trained(examples, batch):
    plan = plan_of(examples, batch=batch, epochs=2)
    amounts, _ = run(train(plan, 0, initial_state(plan, 0), 2))
    size = min(batch, examples)
    assert sum(amounts) == 2 * (examples // size) * size
    assert all(amount >= SLICE for amount in amounts[:-1])


def test_the_rate_follows_the_schedule_through_the_whole_training():
    """Plain gradient steps of a schedule are those of the rates that it names, epoch by epoch."""
    sgd = partial(Optimiser, name="sgd", momentum=0.0)
    stepped = plan_of(schedule=Schedule(kind="steps", at=(2,), factors=(0.5,)), optimiser=sgd(rate=0.1))
    first = run(train(stepped, 0, initial_state(stepped, 0), 2))[1]
    second = run(train(stepped, 0, first.end, 2))[1]
    whole = plan_of(optimiser=sgd(rate=0.1))
    half = plan_of(optimiser=sgd(rate=0.05))
    same_start = run(train(whole, 0, initial_state(whole, 0), 2))[1]
    by_hand = run(train(half, 0, same_start.end, 2))[1]
    for name, tensor in second.end.weights.params.items():
        assert torch.equal(tensor, by_hand.end.weights.params[name])
    unchanged = run(train(whole, 0, same_start.end, 2))[1]
    assert not torch.equal(unchanged.end.weights.params["head.weight"], by_hand.end.weights.params["head.weight"])
