"""Named examples with their targets, and the scale at which a network sees them."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from modescape.core.settings import require
from modescape.core.shapes import Float, Int, Shaped

ScalingKind = Literal["raw", "unit", "standard", "imagenet"]

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of red, green and blue over ImageNet's training images, values from 0 to 1: what torchvision's networks expect."""


@dataclass(frozen=True)
class Split:
    """Examples kept as they are stored (images as uint8) and their classes.

    Examples that do not fit where the work is done are *streamed*: with ``stream_to`` the inputs stay where they lie
    (host memory, or a file that is mapped into it), and only those of a few steps are on that device at a time.
    """

    inputs: Shaped[Tensor, "example *shape"]
    targets: Int[Tensor, " example"]
    stream_to: torch.device | None = None

    def __post_init__(self) -> None:
        require(
            len(self.inputs) == len(self.targets),
            f"{len(self.inputs)} inputs do not match {len(self.targets)} targets",
        )

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def device(self) -> torch.device:
        """Where the work is done."""
        return self.stream_to or self.inputs.device

    def fetch(self, index: Int[Tensor, " chosen"]) -> tuple[Shaped[Tensor, "chosen *shape"], Int[Tensor, " chosen"]]:
        """Chosen inputs and targets where they lie, ready to be sent on."""
        here = index.to(self.inputs.device)
        inputs, targets = self.inputs[here], self.targets[here]
        if self.device.type == "cuda" and inputs.device.type == "cpu":
            return inputs.pin_memory(), targets.pin_memory()
        return inputs, targets

    def take(self, rows: slice) -> Shaped[Tensor, "taken *shape"]:
        """Inputs in a row, on the device."""
        return self.inputs[rows].to(self.device)


@dataclass(frozen=True)
class Scaling:
    """Network input = (stored value - shift) * factor, for each channel (first axis of an example)."""

    shift: Float[Tensor, " channel"]
    factor: Float[Tensor, " channel"]

    def __call__(self, inputs: Shaped[Tensor, "example channel *rest"]) -> Float[Tensor, "example channel *rest"]:
        """Scaled float32 inputs."""
        view = (1, -1) + (1,) * (inputs.ndim - 2)
        return (inputs.float() - self.shift.view(view)) * self.factor.view(view)

    def to(self, device: torch.device) -> "Scaling":
        """The same scaling on another device."""
        return Scaling(self.shift.to(device), self.factor.to(device))


def scaling_of(kind: ScalingKind, inputs: Shaped[Tensor, "example channel *rest"]) -> Scaling:
    """The scaling of one kind for these training inputs.

    ``raw`` leaves values as they are (the paper's released notebook feeds 0-255), ``unit`` divides integers by 255,
    ``standard`` gives every channel mean 0 and standard deviation 1 over the training inputs; a channel that never
    varies keeps factor 1. ``imagenet`` is ``unit``, then ImageNet's mean and deviation instead of these inputs' own, as
    published networks often expect it, whatever they were trained on. Raises ``ValueError`` without three channels.
    """
    channels = inputs.shape[1]
    zero, one = torch.zeros(channels), torch.ones(channels)
    if kind == "raw":
        return Scaling(zero, one)
    if kind == "unit":
        return Scaling(zero, one if inputs.is_floating_point() else one / 255)
    if kind == "imagenet":
        require(
            channels == 3, f"data.scaling = imagenet is for three channels (red, green, blue), there are {channels}"
        )
        most = 1.0 if inputs.is_floating_point() else 255.0
        return Scaling(most * torch.tensor(IMAGENET_MEAN), 1 / (most * torch.tensor(IMAGENET_DEVIATION)))
    values = inputs.transpose(0, 1).reshape(channels, -1)
    mean = torch.stack([row.double().mean() for row in values])
    spread = torch.stack([row.double().std(correction=0) for row in values])
    return Scaling(mean.float(), torch.where(spread > 0, 1 / spread, torch.ones_like(spread)).float())
