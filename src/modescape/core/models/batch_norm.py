"""Batch-norm statistics of a network whose weights were moved: computed anew, since the old ones describe no network.

As in Izmailov et al. 2018 (SWA, arXiv 1803.05407): a pass over training examples in training mode, running mean and
variance the plain means over its batches.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from modescape.core.settings import require
from modescape.core.shapes import Float

_BatchNorm = nn.modules.batchnorm._BatchNorm


def tracking(module: nn.Module) -> list[_BatchNorm]:
    """The batch-norm layers that predict by running statistics."""
    return [layer for layer in module.modules() if isinstance(layer, _BatchNorm) and layer.track_running_stats]


def has_batch_norm(module: nn.Module) -> bool:
    """Whether a network predicts by statistics that moving its weights makes stale."""
    return bool(tracking(module))


@torch.no_grad()
def refresh_statistics(module: nn.Module, batches: Iterable[Float[Tensor, "example *shape"]]) -> None:
    """Compute the running statistics anew from these inputs, in place; every other layer stays as in evaluation.

    The module ends in evaluation mode. Every batch weighs the same: the last should not be much smaller. Raises
    ``ValueError`` if there are no inputs.
    """
    layers = tracking(module)
    momenta = [layer.momentum for layer in layers]
    module.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    count = 0
    try:
        for batch in batches:
            module(batch)
            count += 1
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
            layer.eval()
    require(count > 0 or not layers, "batch-norm statistics need at least one batch of training examples")
