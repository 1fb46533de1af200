"""Inputs that lie nowhere as a whole: images that are decoded, row by row, when they are asked for."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from modescape.core.shapes import Int, Shaped


@dataclass(frozen=True)
class Box:
    """A piece of a stored image, in its pixels, and whether it is mirrored once it is cut out."""

    top: int
    left: int
    height: int
    width: int
    mirrored: bool = False


Cut = Callable[[int, int], Box]
"""From an image's own height and width to the piece of it that a network sees."""


class Decoded(ABC):
    """Stands where a tensor of bytes [example, *shape] stands, for as much of it as a split needs.

    Indexed by rows it decodes these rows, and no others. What it gives depends on the row and the cut alone, never on
    the rows beside it, on threads or on what was asked before.
    """

    dtype = torch.uint8
    device = torch.device("cpu")

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Examples, then the shape of one."""

    @property
    @abstractmethod
    def digest(self) -> str:
        """SHA-256, in hex, of what decides about the values."""

    @abstractmethod
    def read(self, rows: Int[Tensor, " chosen"], cuts: Sequence[Cut] | None = None) -> Shaped[Tensor, "chosen *shape"]:
        """These rows as they are evaluated; with ``cuts``, one for each of them, as pieces of the stored images."""

    @abstractmethod
    def part(self, rows: Int[Tensor, " chosen"]) -> "Decoded":
        """These rows, not yet decoded."""

    @abstractmethod
    def held(self, rows: Int[Tensor, " chosen"]) -> Shaped[Tensor, "chosen *shape"]:
        """These rows decoded, and kept for whoever asks for the same ones next, within a bound."""

    @property
    def ndim(self) -> int:
        """Sides of a tensor of these inputs."""
        return len(self.shape)

    def is_floating_point(self) -> bool:
        """As for a tensor."""
        return self.dtype.is_floating_point

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, which: "slice | Sequence[int] | Tensor") -> Tensor:
        rows = torch.arange(len(self))[which] if isinstance(which, slice) else torch.as_tensor(which)
        found: Tensor = self.read(rows)
        return found
