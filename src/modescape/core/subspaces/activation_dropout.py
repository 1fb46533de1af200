"""Monte Carlo dropout: dropout of activations at prediction time (Gal and Ghahramani 2016, arXiv 1506.02142).

A member is drawn by one mask for each dropout layer, kept for all examples, so that it is a fixed function. (With a new
mask in every forward pass, as Monte Carlo dropout is often run, there is no member that could disagree with another.)
The paper's released notebook drops weights instead: ``weight_dropout``.
"""

from typing import final

import torch
from torch import Tensor, nn

from modescape.core.models.dropout import MASK, RATE
from modescape.core.settings import require, settings
from modescape.core.subspaces.abstract import Problem, Subspace, each, scale_of
from modescape.core.weights import Trajectory, Weights


@final
@settings
class ActivationDropout(Subspace):
    """``scale`` multiplies the standard deviation of the noise, sqrt(r / (1 - r)); 1 is the network's own rates r."""

    plane_scale: float = 3.0

    @property
    def holds_masks(self) -> bool:
        """Members differ by their masks alone."""
        return True

    def fit(self, trajectory: Trajectory, problem: Problem | None = None) -> Weights:
        """The solution of a network that holds its dropout. Raises ``ValueError`` if the weights hold no masks."""
        require(
            bool(_masks(trajectory.weights)),
            f"activation_dropout: the weights of {trajectory.seed_path} hold no masks: the network has no dropout "
            "layers, or `hold_dropout` and `with_masks` were not called; weight_dropout needs neither",
        )
        return trajectory.solution

    def draw(self, state: Weights, count: int, generator: torch.Generator) -> Weights:
        """Members with masks of their own; parameters are those of the solution."""
        masks = _masks(state)

        def member() -> Weights:
            scale = scale_of(self, generator)
            fresh = {}
            for name, rate_name in masks.items():
                rate = float(state.buffers[rate_name].double())
                variance = scale**2 * rate / (1 - rate)
                fresh[name] = _mask(state.buffers[name], variance / (1 + variance), generator)
            return Weights(dict(state.params), {**state.buffers, **fresh}, state.origin)

        return each(count, member)


def with_masks(trajectory: Trajectory, module: nn.Module) -> Trajectory:
    """The trajectory as one of the module, whose dropout was held: every checkpoint with masks of ones."""
    weights = trajectory.weights
    extra = {
        name: tensor.detach().expand(len(weights), *tensor.shape)
        for name, tensor in module.named_buffers()
        if name not in weights.buffers
    }
    held = Weights(weights.params, {**weights.buffers, **extra}, weights.origin)
    return Trajectory(held, trajectory.steps, trajectory.seed_path)


def _masks(weights: Weights) -> dict[str, str]:
    """Names of the buffers that are masks, each with the name of its layer's rate."""
    found = {}
    for name in weights.buffers:
        layer, dot, last = name.rpartition(".")
        if last.rstrip("0123456789") == MASK and f"{layer}{dot}{RATE}" in weights.buffers:
            found[name] = f"{layer}{dot}{RATE}"
    return found


def _mask(like: Tensor, rate: float, generator: torch.Generator) -> Tensor:
    chance = torch.rand(like.shape, generator=generator, device=generator.device).to(like.device)
    return (chance >= rate).to(like) / (1 - rate)
