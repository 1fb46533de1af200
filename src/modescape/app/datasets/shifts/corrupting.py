"""Put a split through a corruption: bring its values to the range of the formulas and back."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from modescape.app.datasets.dataset import Dataset
from modescape.app.datasets.shifts.catalogue import IMAGES, SIGNALS
from modescape.app.datasets.shifts.chance import Chance
from modescape.app.datasets.shifts.colour import luminance
from modescape.app.datasets.shifts.family import Family, Parameters
from modescape.core.decoded import Decoded

VERSION = 1
"""Changes whenever a formula gives other values than before."""

BLOCK = 500
"""Examples that are corrupted at once. Chance is drawn block by block, so another size is another ``VERSION``."""

SMALLEST_SIDE = 6


@dataclass(frozen=True)
class Range:
    """Where stored values lie: ``low`` becomes 0 and ``high`` 1 in the formulas, per dataset and not per example."""

    low: float
    high: float


def families_of(dataset: Dataset) -> dict[str, Family]:
    """The families that fit inputs of this form; none if no family does.

    Images are uint8, or floating from 0 to 1, [example, 1 or 3, height, width] with sides of at least 6; signals are
    floating [example, channel, length].
    """
    inputs = dataset.splits["test"].inputs
    if inputs.ndim == 3 and inputs.is_floating_point():
        return SIGNALS
    if inputs.ndim != 4 or inputs.shape[1] not in (1, 3) or min(inputs.shape[2:]) < SMALLEST_SIDE:
        return {}
    if inputs.dtype != torch.uint8 and not (inputs.is_floating_point() and _within_unit(dataset)):
        return {}
    return {name: family for name, family in IMAGES.items() if inputs.shape[1] == 3 or family.grey != "left out"}


def range_of(dataset: Dataset) -> Range:
    """The range of a dataset's values.

    Bytes go to 255, unless no training image has more than 127: then to the largest that one has, 16 for the digits.
    Images that are decoded from files have bytes to 255.
    Floating images are from 0 to 1. Signals are taken from the training mean to one standard deviation above it.
    """
    if isinstance(dataset.splits["train"].inputs, Decoded):
        return Range(0.0, 255.0)
    inputs = dataset.splits["train"].tensor
    if inputs.ndim == 3:
        mean = float(inputs.double().mean())
        return Range(mean, mean + (float(inputs.double().std(correction=0)) or 1.0))
    if inputs.is_floating_point():
        return Range(0.0, 1.0)
    largest = float(inputs.max())
    return Range(0.0, 255.0 if largest > 127 or largest == 0 else largest)


def corrupt(inputs: Tensor, family: Family, parameters: Parameters, span: Range, chance: Chance) -> Tensor:
    """The inputs after the corruption, in their own shape, dtype and range."""
    blocks = [_corrupt_block(inputs[at : at + BLOCK], family, parameters, span, chance) for at in _starts(inputs)]
    return torch.cat(blocks)


def _corrupt_block(inputs: Tensor, family: Family, parameters: Parameters, span: Range, chance: Chance) -> Tensor:
    values = inputs.detach().cpu().numpy().astype(np.float64)
    # Only division by 255 gives the bits of CIFAR-10-C: multiplication by its inverse does not.
    values = values / span.high if span.low == 0 else (values - span.low) / (span.high - span.low)
    if inputs.ndim == 3:
        changed = family.formula(values, parameters, chance) * (span.high - span.low) + span.low
        return torch.from_numpy(changed).to(inputs.dtype)
    images = np.ascontiguousarray(values.transpose(0, 2, 3, 1))
    through_colour = images.shape[-1] == 1 and family.grey == "through colour"
    if through_colour:
        images = np.repeat(images, 3, axis=-1)
    changed = family.formula(images, parameters, chance)
    if through_colour:
        changed = luminance(np.clip(changed, 0, 1))
    levels = np.clip(changed, 0, 1) * span.high
    if inputs.dtype == torch.uint8 and span.high != 255:
        # CIFAR-10-C cuts to whole numbers; among a few levels that would darken every image visibly.
        levels = np.rint(levels)
    return torch.from_numpy(np.ascontiguousarray(levels.transpose(0, 3, 1, 2))).to(inputs.dtype)


def _starts(inputs: Tensor) -> range:
    return range(0, len(inputs), BLOCK)


def _within_unit(dataset: Dataset) -> bool:
    inputs = dataset.splits["train"].tensor
    return bool(inputs.min() >= 0) and bool(inputs.max() <= 1)
