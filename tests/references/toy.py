"""A toy problem on which a study runs end to end: three clouds in the plane, a small network, some trainings."""

from functools import partial

import torch
from torch import nn

from modescape.core.engine.engine import Engine
from modescape.core.engine.events import Finished
from modescape.core.engine.way import Room
from modescape.core.models.batch_norm import has_batch_norm
from modescape.core.splits import Split, scaling_of
from modescape.core.subspaces.diagonal_gaussian import DiagonalGaussian
from modescape.core.subspaces.low_rank_gaussian import LowRankGaussian
from modescape.core.subspaces.random_direction import RandomDirection
from modescape.core.subspaces.random_pca import RandomPCA
from modescape.core.subspaces.swag import SWAG
from modescape.core.subspaces.weight_average import WeightAverage
from modescape.core.training.loop import train
from modescape.core.training.settings import Optimiser, Training
from modescape.errors import MemberFailed
from modescape.studies.abstract import Context, Job, Sizes
from modescape.studies.setup import DataChoice, NetworkChoice, Setup, SubspaceSettings
from references.in_memory import perform

CLASSES, EPOCHS, STEPS = 3, 6, 24
CHECKPOINTS = EPOCHS + 1
SETTINGS = {
    "random_direction": RandomDirection(scale=4.0, plane_scale=12.0),
    "diagonal_gaussian": DiagonalGaussian(last=5),
    "low_rank_gaussian": LowRankGaussian(rank=2, last=5),
    "random_pca": RandomPCA(rank=2, samples=4, distance=3.0),
    "weight_average": WeightAverage(last=5),
    "swag": SWAG(rank=3, last=5),
}
"""Subspaces that seven checkpoints are enough for, at scales that suit fifty weights."""


def blobs(examples, seed):
    """Three overlapping clouds in the plane, laid out as signals of two channels."""
    chance = torch.Generator().manual_seed(seed)
    targets = torch.randint(0, CLASSES, (examples,), generator=chance)
    centres = torch.tensor([[0.0, 0.0], [1.5, 0.0], [0.0, 1.5]])
    return Split((centres[targets] + torch.randn(examples, 2, generator=chance))[..., None], targets)


def build(normalised=True, dropout=0.2):
    norm = nn.BatchNorm1d(8) if normalised else nn.Identity()
    return nn.Sequential(nn.Flatten(), nn.Linear(2, 8), norm, nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, CLASSES))


def context_of(members=3, validation=0, normalised=True, **subspaces):
    """A context of the toy; keywords are settings of subspaces."""
    splits = {"train": blobs(64, 0), "test": blobs(90, 1)}
    if validation:
        splits["validation"] = blobs(validation, 2)
    training = Training(members=members, epochs=EPOCHS, batch=16, save_every=4, optimiser=Optimiser(rate=0.03))
    setup = Setup(
        data=DataChoice(name="toy"),
        network=NetworkChoice(factory="toy:build"),
        training=training,
        subspaces=SubspaceSettings(**SETTINGS | subspaces),
    )
    scaling = scaling_of("standard", splits["train"].inputs)
    return Context(setup, splits, scaling, CLASSES, partial(build, normalised), engine=Engine(room=Room(2)))


def sizes_of(context):
    examples = {name: len(split) for name, split in context.splits.items()}
    batch_norm = has_batch_norm(context.build())
    return Sizes(examples, context.setup.training.batch, dropout=True, batch_norm=batch_norm)


def performed(context, study):
    """The results of all tasks of a study, and its tables."""
    results = perform(study.tasks(context.setup, sizes_of(context)), context)
    return results, study.tables(context.setup, results)


def together(context, results, tasks):
    """The results of tasks of one kind that are performed in one call, from inputs that are there."""
    jobs = [Job(t.arguments, {n: lambda s=source: results.read(s) for n, source in t.inputs.items()}) for t in tasks]
    events = [event for event in tasks[0].function(context, jobs) if isinstance(event, Finished)]
    assert sorted(event.index for event in events) == list(range(len(tasks)))
    return {tasks[event.index].name: event.result for event in events}


def failing(members):
    """``train`` as it is, but for members that fail in their sixth epoch."""

    def wrapped(plan, member, start, epochs, mode):
        if member in members and start.epoch + epochs == EPOCHS:
            raise MemberFailed(f"member {member} diverged on purpose", step=21)
        return (yield from train(plan, member, start, epochs, mode))

    return wrapped
