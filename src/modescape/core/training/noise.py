"""Dropout that draws from its member's own named generator."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from modescape.core.models.dropout import DROPPED_DIMS
from modescape.core.settings import require
from modescape.core.shapes import Float


@dataclass(frozen=True)
class MaskShape:
    """The shape of a mask, with 1 for sides that fall together, and whether it lies in memory channels last."""

    shape: tuple[int, ...]
    channels_last: bool


class _Thinned(torch.autograd.Function):
    """The product of values and a mask that nobody else needs: its gradient takes the mask's memory."""

    @staticmethod
    def forward(context: Any, values: Tensor, mask: Tensor) -> Tensor:
        context.mask = mask
        return values * mask

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, None]:
        mask, context.mask = context.mask, None
        if mask is None:
            raise RuntimeError("the gradient of seeded dropout can be computed once: its mask is gone")
        if mask.shape != gradient.shape:
            return gradient * mask, None
        # Fresh memory for every product costs as much as the product.
        return torch.mul(gradient, mask, out=mask), None


class SeededDropout(nn.Module):
    """Dropout of entries, or of whole channels, by masks from ``chance``, which the training loop sets each epoch.

    Sixteen random bits decide each entry, so rates hold to a 65,536th: on a CPU a floating-point draw for each entry
    takes several times longer, as long as the rest of a small network. The mask is kept as numbers that already hold
    the factor 1 / (1 - rate).

    Where values are those of a ``part`` (these rows, of so many) of a batch, the mask of the whole batch is drawn and
    their rows are taken: an example has the same mask however many processes share its batch.
    """

    def __init__(self, rate: float, channel_dims: int) -> None:
        super().__init__()
        require(rate == 1 or 0 <= rate <= 65535 / 65536, f"a dropout rate of {rate} cannot be kept to a 65,536th")
        self.rate = rate
        self.channel_dims = channel_dims
        self.chance: torch.Generator | None = None
        self.part: tuple[slice, int] | None = None

    def forward(self, values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The values, thinned and rescaled while training; unchanged in evaluation mode."""
        if not self.training or self.rate == 0:
            return values
        thinned: Tensor = _Thinned.apply(  # type: ignore[no-untyped-call]
            values, self.mask(self.shape_for(values), values)
        )
        return thinned

    def shape_for(self, values: Float[Tensor, "*shape"]) -> MaskShape:
        """The mask that these values need."""
        shape = tuple(values.shape)
        # Like torch, which takes an input with fewer sides than the layer's name says channel by channel.
        sides = min(self.channel_dims, values.ndim - 2)
        if sides > 0:
            return MaskShape(shape[:-sides] + (1,) * sides, False)
        # A mask that lies in memory otherwise than the values makes the product several times slower.
        return MaskShape(shape, values.ndim == 4 and values.is_contiguous(memory_format=torch.channels_last))

    def mask(self, wanted: MaskShape, like: Tensor) -> Tensor:
        """A fresh mask: 0 with probability ``rate``, else 1 / (1 - rate)."""
        if self.part is None:
            return self._drawn(wanted, like)
        rows, batch = self.part
        # A layer may see several rows of an example, one below the other.
        each, rest = divmod(wanted.shape[0], rows.stop - rows.start)
        if rest:
            raise RuntimeError(f"dropout sees {wanted.shape[0]} rows of {rows.stop - rows.start} examples")
        whole = self._drawn(MaskShape((each * batch, *wanted.shape[1:]), wanted.channels_last), like)
        return whole[each * rows.start : each * rows.stop]

    def _drawn(self, wanted: MaskShape, like: Tensor) -> Tensor:
        if self.rate == 1:
            return torch.zeros(wanted.shape, dtype=like.dtype, device=like.device)
        if self.chance is None:
            raise RuntimeError("seeded dropout was asked to train before it got its generator")
        count = math.prod(wanted.shape)
        words = torch.empty((count + 3) // 4, dtype=torch.int64, device=like.device)
        words.random_(-(2**63), None, generator=self.chance)
        # A mask of its own for every call: a layer may be used twice before the gradient asks for the first.
        mask = torch.empty(count, dtype=like.dtype, device=like.device)
        torch.ge(words.view(torch.int16)[:count], round(self.rate * 65536) - 32768, out=mask)
        mask.mul_(1 / (1 - self.rate))
        if not wanted.channels_last:
            return mask.view(wanted.shape)
        examples, channels, height, width = wanted.shape
        return mask.view(examples, height, width, channels).permute(0, 3, 1, 2)


def seed_dropout(module: nn.Module) -> list[SeededDropout]:
    """Replace every dropout layer of the module, in place, and return the replacements in order.

    A layer that stands in several places stays one layer.
    """
    placed: dict[nn.Module, SeededDropout] = {}
    for parent in list(module.modules()):
        for name, child in parent._modules.items():
            if isinstance(child, nn.Dropout | nn.Dropout1d | nn.Dropout2d | nn.Dropout3d):
                if child not in placed:
                    placed[child] = SeededDropout(child.p, DROPPED_DIMS[type(child)])
                setattr(parent, name, placed[child])
    return list(placed.values())
