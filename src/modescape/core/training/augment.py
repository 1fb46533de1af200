"""Random shifts and flips of stored images, for a whole batch at once, from a named generator."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from modescape.core.settings import require
from modescape.core.shapes import Bool, Int, Shaped

Kind = Literal["none", "crop_flip", "shift_flip"]


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
    """Moves of ``count`` images [channel, height, width], on the generator's device; None for ``none``.

    ``crop_flip`` shifts by up to 4 pixels, ``shift_flip`` by up to a tenth of each side; both mirror every other image
    on average.
    """
    if kind == "none":
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
