"""A Laplace approximation: N(solution, P^-1), P = sum_n J_n^T (diag(p_n) - p_n p_n^T) J_n + prior precision * I.

J_n is the Jacobian of the logits of example n, p_n its probabilities; the library laplace-torch fits and samples it
(Daxberger et al. 2021, arXiv 2106.14806). Members may predict badly at scale 1 (Immer et al. 2021, arXiv 2008.08400).
"""

import copy
import math
import warnings
from dataclasses import dataclass
from typing import Any, Literal, cast, final

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from modescape.core import seeds
from modescape.core.settings import require, settings
from modescape.core.shapes import Int
from modescape.core.subspaces.abstract import Problem, Subspace, check_scales, each, late, scale_of
from modescape.core.weights import Trajectory, Weights, load_into
from modescape.errors import SettingsError

LARGEST_FULL = 5000
"""Weights of a network at most for all + full: as many passes as weights run at once, 2 GB in a small ResNet."""


@dataclass(frozen=True)
class Posterior:
    """The solution, a stack of one; the library's posterior; the parameters that it moves, in its order."""

    solution: Weights
    fitted: Any
    names: tuple[str, ...]


@final
@settings
class Laplace(Subspace):
    """``weights`` says which move, ``structure`` how P is approximated (``full`` is P itself).

    A ``prior_precision`` of None is the one that maximises the marginal likelihood. With ``examples``, the curvature of
    so many random training examples at most, scaled up, stands for that of all.
    """

    weights: Literal["last_layer", "all"] = "last_layer"
    structure: Literal["kron", "full", "diag"] = "kron"
    prior_precision: float | None = None
    examples: int | None = None
    plane_scale: float = 3.0

    def __post_init__(self) -> None:
        check_scales(self)
        prior = self.prior_precision
        require(prior is None or 0 < prior < math.inf, f"prior_precision must be finite and above 0, got {prior}")
        require(self.examples is None or self.examples >= 1, f"examples must be at least 1, got {self.examples}")

    def fit(self, trajectory: Trajectory, problem: Problem | None = None) -> Posterior:
        """The posterior at the solution, in evaluation mode.

        Raises ``SettingsError`` if the library is missing, ``ValueError`` if it cannot be fitted to such a network.
        """
        if problem is None:
            raise ValueError("laplace needs the network and the training data: call fit with a problem")
        solution = late(trajectory, 1, 1, "laplace")
        try:
            from laplace import Laplace as library
        except (ImportError, RuntimeError) as error:  # RuntimeError: torchvision made for another build of torch
            message = f"laplace needs the library laplace-torch ({error}): pip install modescape[laplace]"
            raise SettingsError(message) from error
        # The library draws noise where the network lies, and generators of named paths lie on the CPU.
        network = copy.deepcopy(problem.network).cpu().requires_grad_().eval()
        # It reads parameters as flat views, which kernels in another memory format do not have.
        network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        load_into(network, solution, 0)
        size, total = sum(tensor.numel() for tensor in network.parameters()), len(problem.train)
        require(
            (self.weights, self.structure) != ("all", "full") or size <= LARGEST_FULL,
            f"laplace: all + full takes at most {LARGEST_FULL} weights, got {size}; take kron, diag or the last layer",
        )
        chance = seeds.generator(problem.root, trajectory.seed_path, "laplace", "examples")
        chosen = torch.randperm(total, generator=chance)[: self.examples].sort().values
        # Temperature divides the log likelihood and its curvature, so this scales them up to all examples.
        fitted = library(network, "classification", self.weights, self.structure, temperature=len(chosen) / total)
        with torch.enable_grad(), seeds.global_generator(problem.root, trajectory.seed_path, "laplace"):
            self._curve(fitted, problem, chosen)
        whole, part = (network, network) if self.weights == "all" else (fitted.model.model, fitted.model.last_layer)
        names = (name for name, tensor in whole.named_parameters() if any(tensor is own for own in part.parameters()))
        return Posterior(solution, fitted, tuple(names))

    def draw(self, state: Posterior, count: int, generator: torch.Generator) -> Weights:
        """Members around the solution; the last layer moves alone unless all weights do."""
        solution = state.solution
        sizes = [solution.params[name].numel() for name in state.names]

        def member() -> Weights:
            scale, params = scale_of(self, generator), dict(solution.params)
            steps = scale * (state.fitted.sample(1, generator=generator)[0] - state.fitted.mean)
            for name, step in zip(state.names, steps.split(sizes), strict=True):
                params[name] = params[name] + step.reshape(params[name].shape).to(params[name])
            return Weights(params, dict(solution.buffers), solution.origin)

        return each(count, member)

    def _curve(self, fitted: Any, problem: Problem, chosen: Int[Tensor, " chosen"]) -> None:
        def batch(rows: list[int]) -> tuple[Tensor, Tensor]:
            inputs = problem.train.inputs[rows].to(problem.train.device)
            return problem.scaling(inputs).cpu(), problem.train.targets[rows].long().cpu()

        # Jacobians of a whole network take memory that grows with the square of the batch.
        size = 10 if self.weights == "all" and self.structure != "kron" else 250
        try:
            fitted.fit(DataLoader(cast("Dataset[int]", chosen.tolist()), size, collate_fn=batch))
        except (ValueError, NotImplementedError) as error:
            what = f"laplace cannot take {self.weights} + {self.structure} of this network"
            raise ValueError(f"{what}: {error} Take other `weights` or another `structure`") from error
        if self.prior_precision is not None:
            fitted.prior_precision = self.prior_precision
            return
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "By default `link_approx`")  # concerns the library's predictions
            fitted.optimize_prior_precision(method="marglik")
