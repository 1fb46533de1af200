"""Optimisers from settings, and their state as named tensors that can be kept and put back."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from modescape.core.training.settings import Optimiser


def make_optimiser(modules: Sequence[nn.Module], wanted: Optimiser, rates: Sequence[float]) -> torch.optim.Optimizer:
    """One optimiser over all parameters of these members, in its fused form; it moves each by itself.

    Members of one rate share a parameter group, which keeps its rate before any schedule as ``base``.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for module, rate in zip(modules, rates, strict=True):
        for parameter in module.parameters():
            spared = wanted.decay_on == "kernels" and parameter.ndim < 2
            groups.setdefault((rate, 0.0 if spared else wanted.weight_decay), []).append(parameter)
    params = [{"params": own, "lr": rate, "base": rate, "weight_decay": decay} for (rate, decay), own in groups.items()]
    match wanted.name:
        case "sgd":
            return torch.optim.SGD(params, momentum=wanted.momentum, nesterov=wanted.nesterov, fused=True)
        case "adam":
            return torch.optim.Adam(params, betas=wanted.betas, eps=wanted.epsilon, fused=True)
        case "adamw":
            return torch.optim.AdamW(params, betas=wanted.betas, eps=wanted.epsilon, fused=True)


def set_rates(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Give every member its own rate times the schedule's factor."""
    for group in optimiser.param_groups:
        group["lr"] = group["base"] * factor


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
