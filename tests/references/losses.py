"""Losses of networks whose weights no training made, and their whole Hessians."""

import torch
from torch import nn
from torch.func import functional_call, grad, jacrev

from modescape.core.landscape.mean_loss import MeanLoss
from modescape.core.splits import Split, scaling_of
from modescape.core.weights import Weights, of_module

CLASSES = 3


def chance(seed=0):
    return torch.Generator().manual_seed(seed)


def data(channels, examples=150, seed=2):
    inputs = torch.randint(0, 17, (examples, channels, 1), generator=chance(seed))
    return Split(inputs, torch.randint(0, CLASSES, (examples,), generator=chance(seed + 1)))


def at_random(module, seed=4, scale=0.5):
    """Weights that no training made, and statistics of batch norm that are those of no data."""
    start = of_module(module, origin=6)
    params = {n: scale * torch.randn(t.shape, generator=chance(seed)) for n, t in start.params.items()}
    buffers = {n: t + 0.5 if t.is_floating_point() else t for n, t in start.buffers.items()}
    return Weights(params, buffers, (6,))


def linear():
    return nn.Sequential(nn.Flatten(), nn.Linear(4, CLASSES))


def smooth():
    """207 weights; batch norm and dropout, which evaluation mode makes plain."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(4, 20), nn.BatchNorm1d(20), nn.Tanh(), nn.Dropout(0.5), nn.Linear(20, CLASSES)
    )


def convolutional():
    """Kinks, an idle parameter, and more examples than one chunk."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.idle = nn.Conv2d(3, 4, 3), nn.Parameter(torch.ones(2))
            self.last = nn.Linear(4 * 3 * 3, CLASSES)

        def forward(self, x):
            return self.last(nn.functional.max_pool2d(self.first(x).relu(), 2).flatten(1))

    return Net()


def loss_of(module, precision="float64", examples=150, channels=4):
    split = data(channels, examples)
    return MeanLoss(module, at_random(module), split, scaling_of("standard", split.inputs), precision)


def whole(loss, module):
    """The Hessian by torch.func, in the order of ``flatten``."""
    double = module.double().eval()
    params = {n: t[0].double() for n, t in loss.weights.params.items()}
    buffers = {n: t[0].double() if t.is_floating_point() else t[0] for n, t in loss.weights.buffers.items()}
    inputs = loss.scaling(loss.split.inputs).double()

    def mean(row):
        parts = row.split([t.numel() for t in params.values()])
        tensors = {n: part.reshape(t.shape) for part, (n, t) in zip(parts, params.items(), strict=True)}
        logits = functional_call(double, {**tensors, **buffers}, (inputs,))
        return nn.functional.cross_entropy(logits, loss.split.targets)

    return jacrev(grad(mean))(torch.cat([t.reshape(-1) for t in params.values()]))


def images():
    inputs = torch.randint(0, 256, (230, 3, 8, 8), generator=chance(1)).to(torch.uint8)
    return Split(inputs, torch.randint(0, CLASSES, (230,), generator=chance(2)))


class Activated(nn.Module):
    def __init__(self, activation, width=40):
        super().__init__()
        self.first, self.last, self.activation = nn.Linear(4, width), nn.Linear(width, CLASSES), activation

    def forward(self, x):
        return self.last(self.activation(self.first(x.flatten(1))))
