"""Random shifts and flips of stored images, for a whole batch at once, from a named generator; and random pieces."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from modescape.core.decoded import Box, Cut
from modescape.core.settings import require
from modescape.core.shapes import Bool, Int, Shaped

Kind = Literal["none", "crop_flip", "shift_flip", "resized_crop_flip"]

LEAST_AREA, ODDEST, TRIES = 0.08, 4 / 3, 10
"""Of a random piece: the least of the image's area, the largest ratio of its sides, how often its size is drawn."""


@dataclass(frozen=True)
class Moves:
    """By how much each image is shifted down and right, and whether it is mirrored first."""

    down: Int[Tensor, " example"]
    right: Int[Tensor, " example"]
    mirrored: Bool[Tensor, " example"]

    def __getitem__(self, which: slice) -> "Moves":
        """The moves of some of the images."""
        return Moves(self.down[which], self.right[which], self.mirrored[which])

    def to(self, device: torch.device) -> "Moves":
        """The same moves on another device."""
        return Moves(self.down.to(device), self.right.to(device), self.mirrored.to(device))


def joined(moves: Sequence[Moves]) -> Moves:
    """The moves of several batches as those of one."""
    if len(moves) == 1:
        return moves[0]
    down, right, mirrored = zip(*((m.down, m.right, m.mirrored) for m in moves), strict=True)
    return Moves(torch.cat(down), torch.cat(right), torch.cat(mirrored))


def draw_moves(count: int, shape: Sequence[int], kind: Kind, chance: torch.Generator) -> Moves | None:
    """Moves of ``count`` images [channel, height, width], on the generator's device; None if they are not to move.

    ``crop_flip`` shifts by up to 4 pixels, ``shift_flip`` by up to a tenth of each side; both mirror every other image
    on average.
    """
    if kind in ("none", "resized_crop_flip"):
        return None
    require(len(shape) == 3, f"augmentation {kind} needs images [channel, height, width], got {tuple(shape)}")
    _, height, width = shape
    reach = (4, 4) if kind == "crop_flip" else (height // 10, width // 10)

    def shifts(most: int) -> Tensor:
        return torch.randint(-most, most + 1, (count,), generator=chance, device=chance.device)

    down, right = shifts(reach[0]), shifts(reach[1])
    return Moves(down, right, torch.randint(0, 2, (count,), generator=chance, device=chance.device).bool())


def augment(
    images: Shaped[Tensor, "example *shape"], kind: Kind, moves: Moves | None
) -> Shaped[Tensor, "example *shape"]:
    """The batch, moved. What comes in is black for ``crop_flip``, the repeated border for ``shift_flip``."""
    if moves is None:
        return images
    height, width = images.shape[2:]
    rows = torch.arange(height, device=images.device) + moves.down[:, None]
    columns = torch.arange(width, device=images.device) + moves.right[:, None]
    columns = torch.where(moves.mirrored[:, None], columns.flip(1), columns)
    inside_rows, inside_columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    example = torch.arange(len(images), device=images.device)[:, None, None]
    moved = images.permute(0, 2, 3, 1)[example, inside_rows[:, :, None], inside_columns[:, None, :]]
    if kind == "crop_flip":
        visible = (rows == inside_rows)[:, :, None] & (columns == inside_columns)[:, None, :]
        moved = moved * visible[..., None]
    return moved.permute(0, 3, 1, 2)


def draw_cuts(count: int, kind: Kind, chance: torch.Generator) -> Int[Tensor, " example"] | None:
    """A seed for the random piece of each of ``count`` images that are decoded; None if they are seen whole."""
    if kind != "resized_crop_flip":
        return None
    return torch.randint(0, 2**63 - 1, (count,), generator=chance)


def cuts_of(seeds: Int[Tensor, " example"]) -> list[Cut]:
    """The pieces that these seeds choose."""
    return [partial(random_piece, seed) for seed in seeds.tolist()]


def random_piece(seed: int, height: int, width: int) -> Box:
    """A piece of 8% to 100% of an image's area, its sides in a ratio from 3/4 to 4/3, mirrored every other time.

    As in Szegedy et al. 2015 (arXiv 1409.4842) and torchvision's ``RandomResizedCrop``: the area is drawn evenly, the
    ratio evenly in its logarithm, up to ten times until the piece fits, else the largest piece in the middle is taken.
    """
    chance = torch.Generator().manual_seed(seed)
    mirrored, down, right, *sizes = torch.rand(3 + 2 * TRIES, generator=chance, dtype=torch.float64).tolist()
    for area, ratio in zip(sizes[::2], sizes[1::2], strict=True):
        wanted = height * width * (LEAST_AREA + (1 - LEAST_AREA) * area)
        stretch = ODDEST ** (2 * ratio - 1)
        across, tall = round(math.sqrt(wanted * stretch)), round(math.sqrt(wanted / stretch))
        if 0 < across <= width and 0 < tall <= height:
            top, left = int(down * (height - tall + 1)), int(right * (width - across + 1))
            return Box(top, left, tall, across, mirrored < 0.5)
    tall = min(height, round(width * ODDEST))
    across = min(width, round(height * ODDEST))
    return Box((height - tall) // 2, (width - across) // 2, tall, across, mirrored < 0.5)
