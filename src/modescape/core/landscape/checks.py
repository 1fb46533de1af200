"""What must hold before weights are moved: one architecture, and a network that is a function of weights and inputs."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from modescape.core.seeds import global_generator
from modescape.core.settings import require
from modescape.core.shapes import Float
from modescape.errors import NetworkError

TOLERANCE = 1e-4
"""Of the largest logit: off the CPU two passes may sum in another order, which loses far less."""


def require_alike(one: Mapping[str, Tensor], other: Mapping[str, Tensor], what: str) -> None:
    """Refuse tensors of another architecture, by the first name or shape that differs (leading axes may differ)."""
    odd = sorted(one.keys() ^ other.keys())
    require(not odd, f"{what} of another architecture: they do not have the same tensors: {odd[:5]}")
    for name, tensor in one.items():
        require(
            tensor.shape[1:] == other[name].shape[1:],
            f"{what} of another architecture: {name} has {tuple(tensor.shape[1:])} and {tuple(other[name].shape[1:])}",
        )


@torch.no_grad()
def require_deterministic(module: nn.Module, examples: Float[Tensor, "example *shape"]) -> None:
    """Raise ``NetworkError`` if in evaluation mode two passes over these examples differ, or if one draws from torch.

    A loss that changes from pass to pass is no function of the weights: neither a path nor a picture of it has a
    meaning. Dropout *modules* are off in evaluation mode and pass. The module ends in evaluation mode; weights and
    buffers are left alone.
    """
    module.eval()
    # The global generator is everybody's: held here, no other thread draws from it to build a network of its own.
    with global_generator(0, "deterministic"):
        before = _chance_of(examples.device)
        first, second = (module(examples.clone()) for _ in range(2))
        drawn = not torch.equal(before, _chance_of(examples.device))
    if drawn or not _alike(first, second):
        how = "draws random numbers in evaluation mode" if drawn else "gives other logits when it is asked again"
        raise NetworkError(
            f"this network {how}: with the same weights and examples its loss is another each time, so that there is "
            "no landscape to move in; use nn.Dropout modules, which evaluation mode turns off, in the place of "
            "functional dropout with training=True, and fix any other noise"
        )


def _chance_of(device: torch.device) -> Tensor:
    """The state of the global generator that a forward pass on the device would draw from, the CPU's included."""
    state = torch.get_rng_state()
    return torch.cat([state, torch.cuda.get_rng_state(device)]) if device.type == "cuda" else state


def _alike(first: Tensor, second: Tensor) -> bool:
    broken = first.isnan()
    if not torch.equal(broken, second.isnan()):
        return False
    one, other = first.masked_fill(broken, 0.0), second.masked_fill(broken, 0.0)
    if torch.equal(one, other):
        return True
    largest = float(one.abs().max())
    return first.device.type != "cpu" and bool(((one - other).abs() <= TOLERANCE * largest).all())
