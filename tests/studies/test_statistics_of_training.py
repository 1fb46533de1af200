"""Batch-norm statistics that are computed anew are those of examples as training showed them."""

from dataclasses import replace

import pytest
import torch
from references import slow, toy
from torch import nn

from modescape.core.seeds import generator
from modescape.core.splits import Split
from modescape.core.training.augment import draw_moves
from modescape.studies.members import statistics_of


def context_with(augmentation):
    context = toy.context_of(1)
    chance = torch.Generator().manual_seed(0)
    images = torch.randint(1, 256, (30, 2, 12, 12), generator=chance, dtype=torch.uint8)
    splits = {"train": Split(images, torch.zeros(30, dtype=torch.int64))}
    training = replace(context.setup.training, augmentation=augmentation)
    return replace(context, splits=splits, setup=replace(context.setup, training=training, seed=5))


NETWORK = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3))


def test_without_augmentation_they_are_as_they_are_stored():
    context = context_with("none")
    order = torch.randperm(30, generator=generator(5, "statistics"))
    assert torch.equal(statistics_of(context, NETWORK).inputs, context.splits["train"].inputs[order])
    assert statistics_of(context, nn.Linear(2, 2)) is None


@pytest.mark.parametrize("kind", ["crop_flip", "shift_flip"])
def test_with_augmentation_each_is_moved(kind):
    context = context_with(kind)
    found, again = (statistics_of(context, NETWORK).inputs for _ in range(2))
    assert torch.equal(found, again)
    order = torch.randperm(30, generator=generator(5, "statistics"))
    moves = draw_moves(30, (2, 12, 12), kind, generator(5, "statistics", "augment"))
    for place, row in enumerate(order.tolist()):
        image = context.splits["train"].inputs[row]
        own = (int(moves.down[place]), int(moves.right[place]), bool(moves.mirrored[place]))
        wanted = slow.shifted(image.numpy(), *own, "zero" if kind == "crop_flip" else "edge")
        assert torch.equal(found[place], torch.from_numpy(wanted))
