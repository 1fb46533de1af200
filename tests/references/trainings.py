"""Small trainings that every way of the engine must agree on, and what their results are compared by."""

from dataclasses import replace
from functools import partial

import torch
from torch import nn

from modescape.core.engine.events import Failed, Finished
from modescape.core.engine.way import Room
from modescape.core.engine.work import PLAIN
from modescape.core.models.mlp import mlp
from modescape.core.models.plain_cnn import small_cnn
from modescape.core.models.resnet20 import resnet20
from modescape.core.splits import Split, scaling_of
from modescape.core.training.plan import Plan, initial_state
from modescape.core.training.settings import Optimiser, Training
from modescape.core.training.work import Leg, Trainings

MEMBERS, EPOCHS, STEPS = 3, 5, 20
ROOM = Room(cores=2, group=8)
BUILDS = {
    "dropout": partial(small_cnn, (3, 8, 8), 4, (4, 4), 0.3),
    "batch norm": partial(resnet20, (3, 8, 8), 4, 1, 4),
    "perceptron": partial(mlp, (3, 8, 8), 4, (9,), 0.2),
}


class InDouble(nn.Module):
    """A network that computes in float64, whatever it is given."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner.double()

    def forward(self, values):
        return self.inner(values.double())


class Deciding(nn.Module):
    """A network whose forward pass asks about values."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(192, 4)

    def forward(self, images):
        logits = self.inner(images.flatten(1))
        return logits if logits.sum() > -1e9 else -logits


def in_double(build):
    return InDouble(build())


def plan(build="dropout", double=False, **settings):
    """A plan in which everything is on: augmentation, clipping, a rate for each member."""
    chance = torch.Generator().manual_seed(3)
    inputs = torch.randint(0, 256, (64, 3, 8, 8), generator=chance, dtype=torch.uint8)
    split = Split(inputs, torch.randint(0, 4, (64,), generator=chance))
    wanted = {
        "members": MEMBERS,
        "epochs": EPOCHS,
        "batch": 16,
        "augmentation": "shift_flip",
        "clip_norm": 0.5,
        "label_smoothing": 0.05,
        "optimiser": Optimiser(rate=(1e-3, 3e-3, 1e-2)),
    }
    made = partial(in_double, BUILDS[build]) if double else BUILDS[build]
    return Plan(Training(**wanted | settings), 0, split, scaling_of("standard", inputs), made)


def work(wanted, members=range(MEMBERS), epochs=EPOCHS):
    return Trainings(wanted, [Leg(member, initial_state(wanted, member), epochs) for member in members])


def ended(events, size):
    """The last event of each member, which must be there once."""
    ends = {}
    for event in events:
        if isinstance(event, Finished | Failed):
            assert event.index not in ends
            ends[event.index] = event
    assert sorted(ends) == list(range(size))
    return [ends[index] for index in range(size)]


def results(way, wanted, room=ROOM):
    found = []
    for event in ended(way.run(wanted, room), len(wanted)):
        if isinstance(event, Failed):
            raise event.error
        found.append(event.result)
    return found


def alone(wanted, index):
    """A member trained by itself."""
    member = wanted.alone(index, PLAIN)
    while True:
        try:
            next(member)
        except StopIteration as stop:
            return stop.value


def tensors(segment):
    """Everything that a segment holds, by name."""
    found = {}
    for place, weights in enumerate([*segment.checkpoints, segment.end.weights]):
        found |= {f"{place}/{name}": t.double() for name, t in {**weights.params, **weights.buffers}.items()}
    return found


def same(one, other):
    a, b = tensors(one), tensors(other)
    facts = [(s.steps, s.losses[1:], s.end.epoch, s.end.loss_sum, s.end.loss_steps) for s in (one, other)]
    states = [s.end.optimiser for s in (one, other)]
    return (
        a.keys() == b.keys()
        and all(torch.equal(a[name], b[name]) for name in a)
        and facts[0] == facts[1]
        and states[0].keys() == states[1].keys()
        and all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    )


def one_diverging(wanted, which):
    """The plan with a rate for one member that no network survives."""
    rates = list(wanted.training.optimiser.rate)
    rates[which] = 1e30
    optimiser = Optimiser(name="sgd", rate=tuple(rates))
    return replace(wanted, training=replace(wanted.training, optimiser=optimiser))
