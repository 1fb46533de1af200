"""A mean-field Gaussian over all weights, N(mean_i, deviation_i^2), fitted by variational inference.

It minimises, per training example, KL(q || p_T) with p_T proportional to (likelihood * prior)^(1 / T): at T = 1 the
negative evidence lower bound (Graves 2011; Blundell et al. 2015, arXiv 1505.05424), below that a cold posterior (Wenzel
et al. 2020, arXiv 2002.02405). The bound, its gradient by one draw a step (sticking the landing: Roeder et al. 2017,
arXiv 1703.09194) and the step are those of the library posteriors (Duffield et al. 2024, arXiv 2406.00104).
"""

import copy
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, final

import torch
from torch import Tensor, nn
from torch.func import functional_call

from modescape.core import seeds
from modescape.core.settings import require, settings
from modescape.core.shapes import Float, Int
from modescape.core.subspaces.abstract import Problem, Subspace, check_scales, each, late, moved, normal, scale_of
from modescape.core.weights import Trajectory, Weights, load_into
from modescape.errors import SettingsError

Batch = tuple[Float[Tensor, "example *shape"], Int[Tensor, " example"]]


@dataclass(frozen=True)
class MeanField:
    """Mean and standard deviation of every weight, each a stack of one.

    ``losses`` are what was minimised, the mean over the steps of each epoch, in nats for each training example.
    """

    mean: Weights
    deviation: Weights
    losses: tuple[float, ...]


@final
@settings
class Variational(Subspace):
    """``start`` says where the means begin: at the solution, or at the initialisation; deviations begin alike.

    ``epochs`` of Adam at ``rate`` in batches of ``batch``. The prior of every parameter is N(0, ``prior_deviation``^2).
    A ``temperature`` of 1 is the Bayesian posterior; the smaller, the less do prior and deviations count.
    """

    start: Literal["solution", "initialisation"] = "solution"
    epochs: int = 10
    batch: int = 128
    rate: float = 1e-3
    prior_deviation: float = 1.0
    temperature: float = 1.0
    initial_deviation: float = 1e-2
    plane_scale: float = 3.0

    def __post_init__(self) -> None:
        check_scales(self)
        for name in ("epochs", "batch"):
            require(getattr(self, name) >= 1, f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("rate", "prior_deviation", "temperature", "initial_deviation"):
            value = getattr(self, name)
            require(0 < value < math.inf, f"{name} must be finite and above 0, got {value}")

    def fit(self, trajectory: Trajectory, problem: Problem | None = None) -> MeanField:
        """The fitted Gaussian, from training examples that are not augmented.

        The network is in evaluation mode: no dropout, and batch-norm keeps the solution's statistics. All is computed
        on the CPU in the network's own precision. Raises ``SettingsError`` if the library is missing, ``ValueError`` if
        the trajectory does not begin with the initialisation that is to be started from, or if the fit diverges.
        """
        if problem is None:
            raise ValueError("variational needs the network and the training data: call fit with a problem")
        solution = late(trajectory, 1, 1, "variational")
        start = solution if self.start == "solution" else trajectory.weights[0]
        require(
            self.start == "solution" or trajectory.steps[0] == 0,
            f"variational starts at the initialisation, the trajectory {trajectory.seed_path} begins at step "
            f"{trajectory.steps[0]}; take start = 'solution'",
        )
        # The library draws noise where the weights lie, and generators of named paths lie on the CPU.
        network = copy.deepcopy(problem.network).cpu().eval()
        load_into(network, Weights(start.params, solution.buffers, solution.origin), 0)
        means = {name: tensor.detach().clone() for name, tensor in network.named_parameters()}
        transform = self._transform(network, len(problem.train))
        state, losses, steps = transform.init(means), [], max(1, len(problem.train) // self.batch)
        for epoch in range(self.epochs):
            total = 0.0
            for place, batch in enumerate(self._batches(problem, trajectory.seed_path, epoch)):
                path = (trajectory.seed_path, "variational", "noise", "step", epoch * steps + place)
                with torch.enable_grad(), seeds.global_generator(problem.root, *path):
                    state, _ = transform.update(state, batch)
                total += float(state.nelbo)
            losses.append(total / steps)
            require(math.isfinite(total), f"variational diverged in epoch {epoch}; lower rate or initial_deviation")
        deviations = {name: tensor.exp() for name, tensor in state.log_sd_diag.items()}
        return MeanField(_like(solution, state.params), _like(solution, deviations), tuple(losses))

    def draw(self, state: MeanField, count: int, generator: torch.Generator) -> Weights:
        """Members with independent weights."""

        def member() -> Weights:
            scale = scale_of(self, generator)
            return moved(
                state.mean, lambda name, tensor: scale * state.deviation.params[name] * normal(tensor, generator)
            )

        return each(count, member)

    def _transform(self, network: nn.Module, total: int) -> Any:
        """The library's pair of ``init`` and ``update`` for so many training examples."""
        diagonal, adam, log_normal = _library()

        def log_posterior(params: Mapping[str, Tensor], batch: Batch) -> tuple[Tensor, Tensor]:
            inputs, targets = batch
            fit = -nn.functional.cross_entropy(functional_call(network, dict(params), (inputs,)), targets)
            return fit + log_normal(params, 0.0, self.prior_deviation) / total, torch.empty(0)

        # Over the number of examples, as the log posterior is: their ratio decides.
        return diagonal.build(
            log_posterior,
            adam(lr=self.rate),
            temperature=self.temperature / total,
            init_log_sds=math.log(self.initial_deviation),
        )

    def _batches(self, problem: Problem, path: str, epoch: int) -> Iterator[Batch]:
        """The batches of a permutation on the CPU; what is left over stays out of that epoch."""
        train, size = problem.train, min(self.batch, len(problem.train))
        chance = seeds.generator(problem.root, path, "variational", "order", "epoch", epoch)
        order = torch.randperm(len(train), generator=chance)
        for place in range(len(train) // size):
            inputs, targets = train.fetch(order[place * size : (place + 1) * size])
            scaled = problem.scaling(inputs.to(train.device)).cpu()
            # Convolutions on a CPU are faster so, as in training.
            layout = torch.channels_last if scaled.ndim == 4 else torch.contiguous_format
            yield scaled.contiguous(memory_format=layout), targets.long().cpu()


def _like(solution: Weights, tensors: Mapping[str, Tensor]) -> Weights:
    params = {name: tensors[name][None].to(own).contiguous() for name, own in solution.params.items()}
    return Weights(params, dict(solution.buffers), solution.origin)


def _library() -> tuple[Any, Callable[..., Any], Callable[..., Tensor]]:
    """The library's mean-field inference, its optimiser, and the log density of a Gaussian with independent entries."""
    try:
        with warnings.catch_warnings():
            # tensordict announces what will become of defaults that the library shares; nothing here changes them.
            warnings.simplefilter("ignore", FutureWarning)
            from posteriors import diag_normal_log_prob
            from posteriors.vi import diag
            from torchopt import adam
    except ImportError as error:
        message = f"variational needs the library posteriors ({error}): pip install modescape[variational]"
        raise SettingsError(message) from error
    return diag, adam, diag_normal_log_prob
