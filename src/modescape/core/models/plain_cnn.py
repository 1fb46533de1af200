"""SmallCNN and MediumCNN as the paper's released builder makes them.

A block is convolution 3x3 with bias, dropout, 2x2 max-pooling, ReLU; the last block has no ReLU; a dense layer reads
the flattened features. Glorot-uniform initialisation of weights *and biases* (a bias of n numbers counts n inputs and n
outputs). Source: google-deepmind/deepmind-research, ensemble_loss_landscape.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from modescape.core.settings import require
from modescape.core.shapes import Float


class PlainCNN(nn.Module):
    """Blocks of convolution, dropout, pooling and ReLU under one dense layer."""

    def __init__(self, shape: Sequence[int], classes: int, channels: Sequence[int], dropout: float) -> None:
        super().__init__()
        require(len(shape) == 3, f"expected images [channel, height, width], got examples of shape {tuple(shape)}")
        before, height, width = shape
        blocks: list[nn.Module] = []
        for position, width_out in enumerate(channels):
            require(
                min(height, width) >= 2,
                f"images of {shape[1]}x{shape[2]} are too small for {len(channels)} poolings by 2",
            )
            blocks += [nn.Conv2d(before, width_out, 3, padding=1), nn.Dropout(dropout), nn.MaxPool2d(2)]
            if position < len(channels) - 1:
                blocks.append(nn.ReLU())
            before, height, width = width_out, height // 2, width // 2
        self.features = nn.Sequential(*blocks)
        self.head = nn.Linear(before * height * width, classes)
        self.apply(_glorot_uniform)

    def forward(self, images: Float[Tensor, "example channel height width"]) -> Float[Tensor, "example class"]:
        """Logits."""
        features: Tensor = self.features(images)
        logits: Tensor = self.head(features.flatten(1))
        return logits


def _glorot_uniform(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(layer.weight)
        if layer.bias is not None:
            bound = math.sqrt(6 / (2 * len(layer.bias)))
            with torch.no_grad():
                layer.bias.uniform_(-bound, bound)


def small_cnn(
    shape: Sequence[int], classes: int, channels: Sequence[int] = (16, 32, 32), dropout: float = 0.1
) -> nn.Module:
    """The paper's SmallCNN: 19,466 parameters on 32x32 RGB images with 10 classes."""
    return PlainCNN(shape, classes, channels, dropout)


def medium_cnn(
    shape: Sequence[int], classes: int, channels: Sequence[int] = (64, 128, 256, 256), dropout: float = 0.1
) -> nn.Module:
    """The paper's MediumCNN: 971,146 parameters on 32x32 RGB images with 10 classes."""
    return PlainCNN(shape, classes, channels, dropout)
