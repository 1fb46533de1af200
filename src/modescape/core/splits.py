"""Named examples with their targets, and the scale at which a network sees them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from modescape.core.decoded import Cut, Decoded
from modescape.core.settings import require
from modescape.core.shapes import Float, Int, Shaped

ScalingKind = Literal["raw", "unit", "standard", "imagenet"]

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of red, green and blue over ImageNet's training images, values from 0 to 1: what torchvision's networks expect."""

HELD_BYTES = 2**29
"""Parts of decoded inputs that are no larger are decoded once: 3,500 images of 224 pixels a side, in colour."""

STANDARD_FROM = 1000
"""Decoded inputs from which the standard scaling is computed, evenly spread over the training examples."""


@dataclass(frozen=True)
class Split:
    """Examples kept as they are stored (images as uint8) and their classes.

    Examples that do not fit where the work is done are *streamed*: with ``stream_to`` the inputs stay where they lie
    (host memory, a file that is mapped into it, or files that are ``Decoded`` as they are asked for), and only those of
    a few steps are on that device at a time.
    """

    inputs: Shaped[Tensor, "example *shape"] | Decoded
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

    @property
    def tensor(self) -> Shaped[Tensor, "example *shape"]:
        """The inputs of a split that has them all in memory. Raises ``ValueError`` for inputs that are decoded."""
        if isinstance(self.inputs, Decoded):
            raise ValueError("these inputs are decoded when they are asked for, and never all of them at once")
        return self.inputs

    @property
    def example_numbers(self) -> int:
        """Numbers in the inputs of one example."""
        return math.prod(self.inputs.shape[1:])

    def fetch(
        self, index: Int[Tensor, " chosen"], cuts: Sequence[Cut] | None = None
    ) -> tuple[Shaped[Tensor, "chosen *shape"], Int[Tensor, " chosen"]]:
        """Chosen inputs and targets where they lie, ready to be sent on; ``cuts`` are for inputs that are decoded."""
        here = index.to(self.inputs.device)
        if isinstance(self.inputs, Decoded):
            inputs = self.inputs.read(here, cuts)
        else:
            require(cuts is None, "pieces are cut from images that are decoded; these are not")
            inputs = self.inputs[here]
        targets = self.targets[here]
        if self.device.type == "cuda" and inputs.device.type == "cpu":
            return inputs.pin_memory(), targets.pin_memory()
        return inputs, targets

    def part(self, rows: Int[Tensor, " chosen"]) -> "Split":
        """Some of the examples. Where inputs are decoded, a small part is decoded once and kept, a large one is not."""
        here = rows.to(self.inputs.device)
        targets = self.targets[here]
        if not isinstance(self.inputs, Decoded):
            return replace(self, inputs=self.inputs[here], targets=targets)
        small = len(here) * self.example_numbers * self.inputs.dtype.itemsize <= HELD_BYTES
        inputs = self.inputs.held(here) if small else self.inputs.part(here)
        return replace(self, inputs=inputs, targets=targets)

    def on(self, device: torch.device) -> "Split":
        """The same examples, worked on by a device and lying there too, unless they are decoded."""
        if isinstance(self.inputs, Decoded):
            return replace(self, stream_to=device)
        return Split(self.inputs.to(device), self.targets.to(device))

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


def scaling_of(kind: ScalingKind, inputs: Shaped[Tensor, "example channel *rest"] | Decoded) -> Scaling:
    """The scaling of one kind for these training inputs.

    ``raw`` leaves values as they are (the paper's released notebook feeds 0-255), ``unit`` divides integers by 255,
    ``standard`` gives every channel mean 0 and standard deviation 1 over the training inputs (over 1,000 of them,
    evenly spread, where they are decoded); a channel that never varies keeps factor 1. ``imagenet`` is ``unit``, then
    ImageNet's mean and deviation instead of these inputs' own, as published networks often expect it, whatever they
    were trained on. Raises ``ValueError`` without three channels.
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
    if isinstance(inputs, Decoded):
        inputs = inputs.held(torch.arange(0, len(inputs), -(-len(inputs) // STANDARD_FROM)))
    values = inputs.transpose(0, 1).reshape(channels, -1)
    mean = torch.stack([row.double().mean() for row in values])
    spread = torch.stack([row.double().std(correction=0) for row in values])
    return Scaling(mean.float(), torch.where(spread > 0, 1 / spread, torch.ones_like(spread)).float())
