"""ResNet-20 for CIFAR as first published: shortcuts without parameters (He et al. 2015, arXiv 1512.03385, section 4.2).

Modules are called as in the implementation whose trained weights are passed around (akamaster/pytorch_resnet_cifar10:
conv1, bn1, layer1.0.conv1 and so on, linear), so that its ``state_dict`` loads as it is. Its inputs are scaled by
``imagenet``. Against ``resnet20``: no bias before batch norm, batch norm as in PyTorch, no projection where the shape
changes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from modescape.core.models.resnet20 import require_images
from modescape.core.shapes import Float


def _convolution(before: int, after: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)


class PaddedShortcut(nn.Module):
    """Every second row and column, with channels of zeros on both sides of those that there are (option A)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.sides = ((after - before) // 2, (after - before) - (after - before) // 2)

    def forward(self, maps: Float[Tensor, "example before height width"]) -> Float[Tensor, "example after h w"]:
        """The shortcut."""
        return nn.functional.pad(maps[:, :, ::2, ::2], (0, 0, 0, 0, *self.sides))


class PlainBlock(nn.Module):
    """Two 3x3 convolutions with batch norm around a shortcut."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _convolution(before, after, stride)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = _convolution(after, after, 1)
        self.bn2 = nn.BatchNorm2d(after)
        self.shortcut = nn.Identity() if before == after else PaddedShortcut(before, after)

    def forward(self, maps: Float[Tensor, "example before height width"]) -> Float[Tensor, "example after h w"]:
        """Features of the next block."""
        inner = torch.relu(self.bn1(self.conv1(maps)))
        return torch.relu(self.bn2(self.conv2(inner)) + self.shortcut(maps))


class CifarResNet(nn.Module):
    """A first convolution, three stages, global average pooling and a dense layer."""

    def __init__(self, shape: Sequence[int], classes: int, blocks: int, width: int) -> None:
        super().__init__()
        require_images(shape)
        self.conv1 = _convolution(shape[0], width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = _stage(width, width, blocks, 1)
        self.layer2 = _stage(width, 2 * width, blocks, 2)
        self.layer3 = _stage(2 * width, 4 * width, blocks, 2)
        self.linear = nn.Linear(4 * width, classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight)

    def forward(self, images: Float[Tensor, "example channel height width"]) -> Float[Tensor, "example class"]:
        """Logits."""
        maps = self.layer3(self.layer2(self.layer1(torch.relu(self.bn1(self.conv1(images))))))
        logits: Tensor = self.linear(maps.mean(dim=(2, 3)))
        return logits


def _stage(before: int, after: int, blocks: int, stride: int) -> nn.Sequential:
    first = PlainBlock(before, after, stride)
    return nn.Sequential(first, *(PlainBlock(after, after, 1) for _ in range(blocks - 1)))


def cifar_resnet20(shape: Sequence[int], classes: int, blocks: int = 3, width: int = 16) -> nn.Module:
    """ResNet-20 with shortcuts without parameters; ``blocks`` a stage (3 gives 20 layers), ``width`` of the first."""
    return CifarResNet(shape, classes, blocks, width)
