"""Optimisers from settings, and their state as named tensors that can be kept and put back."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from modescape.core.training.settings import Optimiser


def make_optimiser(module: nn.Module, wanted: Optimiser) -> torch.optim.Optimizer:
    """The optimiser over all parameters of the module, in its fused form."""
    params = list(module.parameters())
    decayed = [p for p in params if wanted.decay_on == "all" or p.ndim >= 2]
    spared = [p for p in params if wanted.decay_on == "kernels" and p.ndim < 2]
    groups: list[dict[str, Any]] = [{"params": decayed, "weight_decay": wanted.weight_decay}]
    if spared:
        groups.append({"params": spared, "weight_decay": 0.0})
    match wanted.name:
        case "sgd":
            return torch.optim.SGD(
                groups, lr=wanted.rate, momentum=wanted.momentum, nesterov=wanted.nesterov, fused=True
            )
        case "adam":
            return torch.optim.Adam(groups, lr=wanted.rate, betas=wanted.betas, eps=wanted.epsilon, fused=True)
        case "adamw":
            return torch.optim.AdamW(groups, lr=wanted.rate, betas=wanted.betas, eps=wanted.epsilon, fused=True)


def optimiser_state(module: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The state as ``parameter:slot`` -> tensor, copied."""
    return {
        f"{name}:{slot}": value.detach().clone(memory_format=torch.contiguous_format)
        for name, parameter in module.named_parameters()
        for slot, value in optimiser.state.get(parameter, {}).items()
        if isinstance(value, Tensor)
    }


def restore_optimiser(module: nn.Module, optimiser: torch.optim.Optimizer, state: Mapping[str, Tensor]) -> None:
    """Put a state from ``optimiser_state`` back, each tensor laid out in memory as its parameter is."""
    params = dict(module.named_parameters())
    for key, value in state.items():
        name, slot = key.rsplit(":", 1)
        parameter = params[name]
        own = torch.empty_like(parameter, dtype=value.dtype) if value.shape == parameter.shape else value.clone()
        optimiser.state[parameter][slot] = own.copy_(value)
