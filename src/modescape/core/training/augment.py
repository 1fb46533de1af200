"""Random shifts and flips of stored images, for a whole batch at once, from a named generator."""

from typing import Literal

import torch
from torch import Tensor

from modescape.core.settings import require
from modescape.core.shapes import Shaped

Kind = Literal["none", "crop_flip", "shift_flip"]


def augment(
    images: Shaped[Tensor, "example *shape"], kind: Kind, chance: torch.Generator
) -> Shaped[Tensor, "example *shape"]:
    """The batch, augmented.

    ``crop_flip`` pads by 4 black pixels and crops back at random; ``shift_flip`` shifts by up to a tenth of each side,
    repeating the border; both mirror every other image on average.
    """
    if kind == "none":
        return images
    require(
        images.ndim == 4, f"augmentation {kind} needs images [channel, height, width], got {tuple(images.shape[1:])}"
    )
    count, _, height, width = images.shape
    reach = (4, 4) if kind == "crop_flip" else (height // 10, width // 10)
    device = images.device

    def shifts(most: int) -> Tensor:
        return torch.randint(-most, most + 1, (count, 1), generator=chance, device=chance.device).to(device)

    rows = torch.arange(height, device=device) + shifts(reach[0])
    columns = torch.arange(width, device=device) + shifts(reach[1])
    mirrored = torch.randint(0, 2, (count, 1), generator=chance, device=chance.device).to(device).bool()
    columns = torch.where(mirrored, columns.flip(1), columns)
    inside_rows, inside_columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    example = torch.arange(count, device=device)[:, None, None]
    moved = images.permute(0, 2, 3, 1)[example, inside_rows[:, :, None], inside_columns[:, None, :]]
    if kind == "crop_flip":
        visible = (rows == inside_rows)[:, :, None] & (columns == inside_columns)[:, None, :]
        moved = moved * visible[..., None]
    return moved.permute(0, 3, 1, 2)
