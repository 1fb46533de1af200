"""A plain perceptron with ReLU, for signals and small images."""

import math
from collections.abc import Sequence

from torch import nn


def mlp(shape: Sequence[int], classes: int, widths: Sequence[int] = (100, 100), dropout: float = 0.0) -> nn.Module:
    """Dense layers of the given widths with ReLU between them; the input is flattened."""
    layers: list[nn.Module] = [nn.Flatten()]
    before = math.prod(shape)
    for width in widths:
        layers += [nn.Linear(before, width), nn.ReLU(), nn.Dropout(dropout)]
        before = width
    return nn.Sequential(*layers, nn.Linear(before, classes))
