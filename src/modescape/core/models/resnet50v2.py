"""ResNet-50 v2, the pre-activation network for large images: 25,568,360 parameters at 1,000 classes.

After He, Zhang, Ren and Sun 2016 (Identity Mappings in Deep Residual Networks, arXiv 1603.05027) in the form of Keras'
``ResNet50V2``, whose conventions are kept where they differ from others':

- batch norm and ReLU come before a block's convolutions, and once more before the pooling at the end; the first
  convolution has neither after it, and the maximum is taken with a border of zeros;
- a stage halves its maps in its *last* block, where the shortcut keeps every other pixel; the last stage does not;
- the first block of a stage has a 1x1 convolution as its shortcut, which reads what batch norm and ReLU give;
- the first convolution, the last one of a block and that of the shortcut have biases, as no batch norm follows;
- batch norm adds 1.001e-5 to the variance and moves its statistics by a hundredth (Keras' momentum 0.99).

ResNet-50 v1 of torchvision has batch norm *after* each convolution, no biases, and halves in a stage's first block (in
its 3x3 convolution): 25,557,032 parameters. Kernels are He-normal as in the paper, where Keras' default is
Glorot-uniform.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from modescape.core.models.resnet20 import he_normal
from modescape.core.settings import require
from modescape.core.shapes import Float

SMALLEST = 32
"""Pixels a side: the network halves an image five times."""

WIDENING = 4
"""Channels that a block gives, for each channel inside."""


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1.001e-5, momentum=0.01)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions on activations, beside a shortcut that nothing is applied to after the sum."""

    def __init__(self, before: int, inside: int, stride: int, project: bool) -> None:
        super().__init__()
        after = WIDENING * inside
        self.before_norm = _batch_norm(before)
        self.first = nn.Conv2d(before, inside, 1, bias=False)
        self.first_norm = _batch_norm(inside)
        self.second = nn.Conv2d(inside, inside, 3, stride=stride, padding=1, bias=False)
        self.second_norm = _batch_norm(inside)
        self.third = nn.Conv2d(inside, after, 1)
        self.projection = nn.Conv2d(before, after, 1, stride=stride) if project else None
        self.skip = nn.MaxPool2d(1, stride) if stride > 1 else nn.Identity()

    def forward(self, maps: Float[Tensor, "example before height width"]) -> Float[Tensor, "example after h w"]:
        """Features of the next block."""
        ready = torch.relu(self.before_norm(maps))
        shortcut = self.skip(maps) if self.projection is None else self.projection(ready)
        inner = torch.relu(self.first_norm(self.first(ready)))
        inner = torch.relu(self.second_norm(self.second(inner)))
        features: Tensor = shortcut + self.third(inner)
        return features


class ResNetV2(nn.Module):
    """A first convolution, stages of bottlenecks, global average pooling and a dense layer."""

    def __init__(self, shape: Sequence[int], classes: int, blocks: Sequence[int], width: int) -> None:
        super().__init__()
        require(len(shape) == 3, f"expected images [channel, height, width], got examples of shape {tuple(shape)}")
        require(
            min(shape[1:]) >= SMALLEST,
            f"images of {shape[1]}x{shape[2]} are too small for five halvings: {SMALLEST} pixels a side at least",
        )
        require(len(blocks) > 0 and min(blocks) >= 1, f"blocks must be numbers of at least 1, got {tuple(blocks)}")
        self.first = nn.Conv2d(shape[0], width, 7, stride=2, padding=3)
        self.pool = nn.Sequential(nn.ZeroPad2d(1), nn.MaxPool2d(3, 2))
        stages: list[nn.Module] = []
        before = width
        for stage, count in enumerate(blocks):
            inside = width * 2**stage
            for block in range(count):
                halves = block == count - 1 and stage < len(blocks) - 1
                stages.append(Bottleneck(before, inside, 2 if halves else 1, project=block == 0))
                before = WIDENING * inside
        self.stages = nn.Sequential(*stages)
        self.last_norm = _batch_norm(before)
        self.head = nn.Linear(before, classes)
        self.apply(he_normal)

    def forward(self, images: Float[Tensor, "example channel height width"]) -> Float[Tensor, "example class"]:
        """Logits."""
        maps = self.stages(self.pool(self.first(images)))
        logits: Tensor = self.head(torch.relu(self.last_norm(maps)).mean(dim=(2, 3)))
        return logits


def resnet50v2(shape: Sequence[int], classes: int, blocks: Sequence[int] = (3, 4, 6, 3), width: int = 64) -> nn.Module:
    """ResNet-50 v2; ``blocks`` for each stage (3, 4, 6, 3 give 50 layers), ``width`` channels in the first."""
    return ResNetV2(shape, classes, blocks, width)
