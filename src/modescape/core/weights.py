"""Stacks of weights: parameters and buffers of many networks of one architecture, and trajectories of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from modescape.core.settings import require
from modescape.core.shapes import Float, Shaped


@dataclass(frozen=True)
class Weights:
    """Parameters and buffers by name, each with a leading *member* axis, and each member's origin.

    ``origin[i]`` numbers the solution that member i descends from.
    """

    params: Mapping[str, Shaped[Tensor, "member ..."]]
    buffers: Mapping[str, Shaped[Tensor, "member ..."]]
    origin: tuple[int, ...]

    def __post_init__(self) -> None:
        require(len(self.params) > 0, "weights need at least one parameter")
        for name, tensor in {**self.params, **self.buffers}.items():
            require(
                tensor.ndim > 0 and len(tensor) == len(self.origin),
                f"{name} has shape {tuple(tensor.shape)}, which does not start with {len(self.origin)} members",
            )

    def __len__(self) -> int:
        return len(self.origin)

    def __getitem__(self, which: int | slice | Sequence[int]) -> "Weights":
        """The chosen members, always as a stack: an integer gives a stack of one."""
        chosen = list(range(len(self)))[which] if isinstance(which, slice) else which
        index = torch.tensor([chosen] if isinstance(chosen, int) else list(chosen), dtype=torch.int64)
        pick = {n: t[index.to(t.device)] for n, t in self.params.items()}
        keep = {n: t[index.to(t.device)] for n, t in self.buffers.items()}
        return Weights(pick, keep, tuple(self.origin[i] for i in index.tolist()))


@dataclass(frozen=True)
class Trajectory:
    """The checkpoints of one training in order, the optimiser steps at which they were taken, and its seed path."""

    weights: Weights
    steps: tuple[int, ...]
    seed_path: str

    def __post_init__(self) -> None:
        require(len(self.steps) > 0, f"the trajectory {self.seed_path} has no checkpoint")
        require(len(self.weights) == len(self.steps), f"{len(self.weights)} checkpoints, {len(self.steps)} steps")
        require(
            all(a < b for a, b in zip(self.steps, self.steps[1:], strict=False)),
            f"the steps of {self.seed_path} do not increase: {self.steps}",
        )

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def solution(self) -> Weights:
        """The last checkpoint, as a stack of one."""
        return self.weights[-1]


def of_module(module: torch.nn.Module, origin: int) -> Weights:
    """A module's parameters and buffers, copied, as a stack of one."""
    return Weights(
        {n: t.detach().clone(memory_format=torch.contiguous_format)[None] for n, t in module.named_parameters()},
        {n: t.detach().clone(memory_format=torch.contiguous_format)[None] for n, t in module.named_buffers()},
        (origin,),
    )


def load_into(module: torch.nn.Module, weights: Weights, member: int) -> None:
    """Copy one member into a module's own tensors, keeping their memory format.

    Raises ``ValueError`` that names the first tensor whose name or shape differs.
    """
    own = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    given = {**weights.params, **weights.buffers}
    odd = sorted(set(own) ^ set(given))
    require(not odd, f"network and weights do not have the same tensors: {odd[:5]}")
    with torch.no_grad():
        for name, tensor in own.items():
            source = given[name][member]
            require(
                tensor.shape == source.shape,
                f"{name} has shape {tuple(tensor.shape)} in the network, {tuple(source.shape)} in the weights",
            )
            tensor.copy_(source)


def moved_to(weights: Weights, device: torch.device) -> Weights:
    """The same members on a device."""
    return Weights(
        {name: tensor.to(device) for name, tensor in weights.params.items()},
        {name: tensor.to(device) for name, tensor in weights.buffers.items()},
        weights.origin,
    )


def stack(parts: Sequence[Weights]) -> Weights:
    """All members of all parts, in order."""
    require(len(parts) > 0, "nothing to stack")
    first = parts[0]
    for part in parts[1:]:
        require(
            part.params.keys() == first.params.keys() and part.buffers.keys() == first.buffers.keys(),
            "weights of different architectures cannot be stacked",
        )
    return Weights(
        {name: torch.cat([part.params[name] for part in parts]) for name in first.params},
        {name: torch.cat([part.buffers[name] for part in parts]) for name in first.buffers},
        tuple(origin for part in parts for origin in part.origin),
    )


def flatten(weights: Weights) -> Float[Tensor, "member weight"]:
    """All parameters of each member as one vector; buffers are no weights and stay out."""
    return torch.cat([tensor.reshape(len(weights), -1) for tensor in weights.params.values()], dim=1)


def mix(weights: Weights, coefficients: Float[Tensor, "new member"], origin: Sequence[int] | None = None) -> Weights:
    """Linear combinations of the members' parameters: row i of the coefficients gives new member i.

    Floating-point buffers are mixed likewise, others are taken from the member with the largest coefficient. Batch-norm
    statistics that were mixed describe no network: recompute them before predicting. ``origin`` defaults to the
    origin of the member with the largest coefficient.
    """
    require(coefficients.shape[1] == len(weights), f"{coefficients.shape[1]} coefficients for {len(weights)} members")
    leader = coefficients.argmax(dim=1)

    def combined(tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point():
            return tensor[leader.to(tensor.device)]
        flat = coefficients.to(tensor) @ tensor.reshape(len(weights), -1)
        return flat.reshape(len(coefficients), *tensor.shape[1:])

    return Weights(
        {name: combined(tensor) for name, tensor in weights.params.items()},
        {name: combined(tensor) for name, tensor in weights.buffers.items()},
        tuple(origin) if origin is not None else tuple(weights.origin[i] for i in leader.tolist()),
    )


def inner_products(weights: Weights, without: frozenset[str] = frozenset()) -> Float[Tensor, "member member"]:
    """Gram matrix of the members' weight vectors in float64, one tensor at a time so that no long copy is held."""
    count = len(weights)
    device = next(iter(weights.params.values())).device
    gram = torch.zeros(count, count, dtype=torch.float64, device=device)
    for name, tensor in weights.params.items():
        if name not in without:
            rows = tensor.reshape(count, -1)
            for block in rows.split(max(1, 2**24 // count), dim=1):
                wide = block.double()
                gram += wide @ wide.T
    return gram


def cosine(gram: Float[Tensor, "member member"]) -> Float[Tensor, "member member"]:
    """Similarity: cosines between members, measured from the origin of weight space.

    A member whose weights are all zero has no direction: its row and column are NaN.
    """
    norm = gram.diagonal().sqrt()
    similarity = (gram / torch.outer(norm, norm)).clamp(-1.0, 1.0)
    similarity.fill_diagonal_(1.0)
    similarity[norm == 0, :] = torch.nan
    similarity[:, norm == 0] = torch.nan
    return similarity
