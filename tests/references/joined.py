"""Small networks with batch norm that connectors join: solutions, a problem, and a split to look at."""

import torch
from torch import nn

from modescape.core.landscape.connectors.abstract import ends_of
from modescape.core.landscape.connectors.descent import Descent, Problem
from modescape.core.splits import Split, scaling_of
from modescape.core.training.settings import Optimiser
from modescape.core.weights import of_module


def network(normalised=True, dropout=0.0):
    norm = nn.BatchNorm1d(7) if normalised else nn.Identity()
    return nn.Sequential(nn.Flatten(), nn.Linear(2, 7), norm, nn.ReLU(), nn.Dropout(dropout), nn.Linear(7, 3))


def blobs(examples, seed):
    chance = torch.Generator().manual_seed(seed)
    targets = torch.randint(0, 3, (examples,), generator=chance)
    centres = torch.tensor([[0.0, 0.0], [1.5, 0.0], [0.0, 1.5]])
    return Split((centres[targets] + torch.randn(examples, 2, generator=chance))[..., None], targets)


def solutions(count=2, normalised=True):
    made = []
    for origin in range(count):
        torch.manual_seed(origin)
        made.append(of_module(network(normalised), origin))
    return ends_of(made)


def toy_problem(steps=40, normalised=True, dropout=0.0, name="adam", root=0):
    train = blobs(60, 0)
    how = Descent(steps=steps, batch=16, optimiser=Optimiser(name=name, rate=0.05))
    return Problem(network(normalised, dropout), train, scaling_of("standard", train.inputs), how, root, ("toy",))
