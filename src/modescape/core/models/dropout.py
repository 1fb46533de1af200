"""Dropout layers of a network, and dropout whose masks are held: a member with its own masks is one fixed function."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from modescape.core.settings import require
from modescape.core.shapes import Float

DROPPED_DIMS: Mapping[type[nn.Module], int] = {nn.Dropout: 0, nn.Dropout1d: 1, nn.Dropout2d: 2, nn.Dropout3d: 3}
"""Kinds of dropout, and how many last dimensions of a value fall or stay together."""

MASK, RATE = "mask", "rate"
"""How the buffers of ``HeldDropout`` are called; masks are numbered by use."""


class HeldDropout(nn.Module):
    """Multiplies by masks that stay: one for each use of the layer in a forward pass, in turn.

    A mask has the shape of one example's activations with a leading axis of 1 (and 1 for sides that fall together), and
    starts as ones.
    """

    def __init__(self, rate: float, shapes: list[tuple[int, ...]]) -> None:
        super().__init__()
        self.uses, self.turn = len(shapes), 0
        self.register_buffer(RATE, torch.tensor(rate))
        for use, shape in enumerate(shapes):
            self.register_buffer(f"{MASK}{use}", torch.ones(1, *shape))

    def forward(self, values: Float[Tensor, "example *shape"]) -> Float[Tensor, "example *shape"]:
        """The values, thinned by the mask whose turn it is."""
        mask = self.get_buffer(f"{MASK}{self.turn}")
        self.turn = (self.turn + 1) % self.uses
        return values * mask


def _first_turns(module: nn.Module, _: tuple[Tensor, ...]) -> None:
    """Every pass begins with each layer's first mask, even after one that broke off between two uses."""
    for layer in module.modules():
        if isinstance(layer, HeldDropout):
            layer.turn = 0


def has_dropout(module: nn.Module) -> bool:
    """Whether a network has dropout layers with a rate above 0."""
    return any(float(layer.p) > 0 for layer in module.modules() if type(layer) in DROPPED_DIMS)  # type: ignore[arg-type]


def hold_dropout(module: nn.Module, examples: Float[Tensor, "example *shape"]) -> nn.Module:
    """Replace every dropout layer that these examples pass through, in place, by one that holds masks of ones.

    A layer that stands in several places stays one layer, with a mask for each use. Returns the module, or what
    replaces it if it is a dropout layer itself, in evaluation mode. Raises ``ValueError`` if there is no dropout layer
    to replace, or if one drops everything.
    """
    shapes: dict[nn.Module, list[tuple[int, ...]]] = {}

    def watch(layer: nn.Module, _: tuple[Tensor, ...], value: Tensor) -> None:
        shape = tuple(value.shape[1:])
        # Like torch, which takes an input with fewer sides than the layer's name says channel by channel.
        dims = min(DROPPED_DIMS[type(layer)], len(shape) - 1)
        shapes.setdefault(layer, []).append(shape[: len(shape) - dims] + (1,) * dims)

    handles = [layer.register_forward_hook(watch) for layer in module.modules() if type(layer) in DROPPED_DIMS]
    module.eval()
    with torch.no_grad():
        module(examples)
    for handle in handles:
        handle.remove()
    require(bool(shapes), "activation dropout needs a network with dropout layers (nn.Dropout), and this one has none")
    emptied = [layer for layer in shapes if float(layer.p) >= 1]  # type: ignore[arg-type]
    require(not emptied, "activation dropout: a dropout layer with rate 1 leaves nothing that a mask could thin")
    held = {layer: HeldDropout(float(layer.p), uses) for layer, uses in shapes.items()}  # type: ignore[arg-type]
    return with_held(module, held).eval()


def with_held(module: nn.Module, held: Mapping[nn.Module, HeldDropout]) -> nn.Module:
    """Put held dropout in the place of layers, in place. Returns the module, or what replaces it."""
    for parent in list(module.modules()):
        for name, child in parent._modules.items():
            if child is not None and child in held:
                setattr(parent, name, held[child])
    ready = held.get(module, module)
    ready.register_forward_pre_hook(_first_turns)
    return ready
