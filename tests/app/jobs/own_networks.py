"""Factories of networks as users might write them, most of them wrong in one way."""

import torch
from torch import nn

NUMBER = 3


def flat(width=8, classes=10):
    """A network that fits the digits."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Dropout(0.1), nn.Linear(width, classes))


class Noisy(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = flat()

    def forward(self, inputs):
        return nn.functional.dropout(self.inner(inputs), 0.5, self.training)


class NoisyAlways(Noisy):
    def forward(self, inputs):
        return self.inner(inputs) + torch.randn(1)


class Pair(Noisy):
    def forward(self, inputs):
        return self.inner(inputs), inputs


def number():
    return 7


def raises():
    raise KeyError("width")


def needs(width):
    return flat(width)


def few():
    return flat(classes=9)


def spoiled():
    module = flat()
    nn.init.constant_(module[1].weight, float("nan"))
    return module


def no_weights():
    return nn.Sequential(nn.Flatten(), nn.AvgPool1d(6, 6))


def misfit():
    return nn.Linear(63, 10)


def double():
    return flat().double()


def half_double():
    module = flat()
    module.register_parameter("unused", nn.Parameter(torch.zeros(1, dtype=torch.float64)))
    return module
