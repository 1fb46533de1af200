"""ResNet20v1 for small images: three stages of three basic blocks with batch norm, about 0.27 million parameters.

As in the Keras example that the paper names (cifar10_resnet, n = 3): He-normal kernels, a convolution with bias before
every batch norm, strided 1x1 projection without batch norm where the shape changes, batch-norm momentum 0.99.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from modescape.core.settings import require
from modescape.core.shapes import Float


def _convolution(before: int, after: int, size: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, size, stride=stride, padding=size // 2)


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    # Keras counts momentum from the other side (0.99 there is 0.01 here) and adds 1e-3 to the variance.
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


def require_images(shape: Sequence[int]) -> None:
    """Raise ``ValueError`` unless examples are images that two strides of 2 leave something of."""
    require(len(shape) == 3, f"expected images [channel, height, width], got examples of shape {tuple(shape)}")
    require(min(shape[1:]) >= 4, f"images of {shape[1]}x{shape[2]} are too small for two strides of 2")


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch norm around a shortcut."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first = _convolution(before, after, 3, stride)
        self.first_norm = _batch_norm(after)
        self.second = _convolution(after, after, 3, 1)
        self.second_norm = _batch_norm(after)
        self.shortcut = nn.Identity() if before == after else _convolution(before, after, 1, stride)

    def forward(self, maps: Float[Tensor, "example before height width"]) -> Float[Tensor, "example after h w"]:
        """Features of the next block."""
        inner = torch.relu(self.first_norm(self.first(maps)))
        return torch.relu(self.second_norm(self.second(inner)) + self.shortcut(maps))


class ResNet(nn.Module):
    """A first convolution, three stages, global average pooling and a dense layer."""

    def __init__(self, shape: Sequence[int], classes: int, blocks: int, width: int) -> None:
        super().__init__()
        require_images(shape)
        self.first = _convolution(shape[0], width, 3, 1)
        self.first_norm = _batch_norm(width)
        stages: list[nn.Module] = []
        before = width
        for stage in range(3):
            after = width * 2**stage
            for block in range(blocks):
                stages.append(BasicBlock(before, after, 2 if stage > 0 and block == 0 else 1))
                before = after
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(before, classes)
        self.apply(he_normal)

    def forward(self, images: Float[Tensor, "example channel height width"]) -> Float[Tensor, "example class"]:
        """Logits."""
        maps = self.stages(torch.relu(self.first_norm(self.first(images))))
        logits: Tensor = self.head(maps.mean(dim=(2, 3)))
        return logits


def he_normal(layer: nn.Module) -> None:
    """He-normal weights and zero biases (He et al. 2015, arXiv 1502.01852) for convolutions and dense layers."""
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def resnet20(shape: Sequence[int], classes: int, blocks: int = 3, width: int = 16) -> nn.Module:
    """ResNet20v1; ``blocks`` for each of the three stages (3 gives 20 layers), ``width`` channels in the first."""
    return ResNet(shape, classes, blocks, width)
