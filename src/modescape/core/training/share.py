"""One process's part of every batch, where several processes train one member."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn

from modescape.core.settings import require


@dataclass(frozen=True)
class Share:
    """Part ``rank`` of ``size`` nearly equal ones. All parts together are the batch, in its order."""

    rank: int = 0
    size: int = 1

    def rows(self, batch: int) -> slice:
        """This part of a batch. Raises ``ValueError`` if there are fewer examples than parts."""
        require(batch >= self.size, f"a batch of {batch} examples cannot be shared by {self.size} processes")
        return slice(self.rank * batch // self.size, (self.rank + 1) * batch // self.size)

    def weight(self, batch: int) -> float:
        """How much of the batch this part is."""
        rows = self.rows(batch)
        return float(rows.stop - rows.start) / batch


WHOLE = Share()
"""All of a batch, in one process."""


def add_up(tensors: Sequence[Tensor]) -> None:
    """Replace tensors by their sums over all processes of the group, in place, by one exchange.

    Every process gets the same bits. Raises ``RuntimeError`` if a process of the group is gone or does not answer.
    """
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    distributed.all_reduce(flat)
    for tensor, total in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(total.view(tensor.shape))


def add_up_gradients(parameters: Iterable[nn.Parameter], loss: Tensor) -> None:
    """Gradients and losses of parts, weighted by their parts, become those of the batch, in place."""
    add_up([loss, *(parameter.grad for parameter in parameters if parameter.grad is not None)])
