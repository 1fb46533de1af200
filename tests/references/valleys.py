"""Landscapes of two weights with a known shape: networks whose cross-entropy is a given function of them."""

import torch
from torch import nn

from modescape.core.landscape.connectors.descent import Descent, Problem
from modescape.core.splits import Split, scaling_of
from modescape.core.training.settings import Optimiser
from modescape.core.weights import Weights

RING_CENTRE, RING = torch.tensor([0.0, -0.2]), 1.04**0.5
"""A circular valley through (-1, 0) and (1, 0), with a hill inside that lies below the straight line between them."""


def ring(place):
    """0.01 in the valley, 0.01 + RING**4 on the hilltop."""
    return 0.01 + ((place - RING_CENTRE.to(place)).square().sum() - RING**2).square()


class Valley(nn.Module):
    """Logits whose cross-entropy with target 0 is ``height(place)``, which must be above 0, whatever the inputs."""

    def __init__(self, height):
        super().__init__()
        self.place, self.height = nn.Parameter(torch.zeros(2)), height

    def forward(self, inputs):
        # -log(sigmoid(z)) = f for z = -log(exp(f) - 1)
        gap = -torch.log(torch.expm1(self.height(self.place)))
        return torch.stack([gap, torch.zeros_like(gap)]).expand(len(inputs), 2)


def at(*places):
    """Members at these places, each of its own origin."""
    return Weights({"place": torch.tensor(places, dtype=torch.float32)}, {}, tuple(range(len(places))))


def problem(height, steps=600, rate=0.02, name="adam", root=0):
    inputs = torch.zeros(8, 1)
    descent = Descent(steps=steps, batch=4, optimiser=Optimiser(name=name, rate=rate))
    train = Split(inputs, torch.zeros(8, dtype=torch.int64))
    return Problem(Valley(height), train, scaling_of("raw", inputs), descent, root, ("valley",))
