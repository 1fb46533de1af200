"""A small one-dimensional convolutional network for signals such as MNIST-1D."""

from collections.abc import Sequence

from torch import nn

from modescape.core.settings import require


def signal_cnn(shape: Sequence[int], classes: int, width: int = 25) -> nn.Module:
    """Three strided convolutions with ReLU and a dense layer (Greydanus and Kobak 2020 use this shape, 25 wide)."""
    require(len(shape) == 2, f"expected signals [channel, time], got examples of shape {tuple(shape)}")
    channels, length = shape
    require(length >= 8, f"signals of length {length} are too short for three strides of 2")
    for _ in range(3):
        length = (length + 1) // 2
    return nn.Sequential(
        nn.Conv1d(channels, width, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.Conv1d(width, width, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv1d(width, width, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(width * length, classes),
    )
