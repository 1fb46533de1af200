"""Temperature scaling after pooling, and the log loss that it leaves.

Scores that depend on calibration mislead when networks are compared as they come; after scaling they compare what is
known (Ashukha et al. 2020, arXiv 2002.06470). The ensemble is scaled after pooling (Rahaman and Thiery 2020, arXiv
2007.08792).
"""

import math

import torch
from torch import Tensor

from modescape.core.settings import require
from modescape.core.shapes import Float, Int

LEAST, MOST = 0.01, 100.0
"""Bounds of temperatures: where an ensemble is always right, no temperature is low enough."""
STEPS = 200
PRECISION = 1e-9
"""Relative, of the temperature; the loss is flat there, and so correct to its square."""
NEVER = -1e6
"""Stands for the logarithm of 0: its exponential is 0 at every temperature, and its product with 0 has a value."""


def fit_temperature(log_probabilities: Float[Tensor, "example class"], targets: Int[Tensor, " example"]) -> float:
    """The temperature T in [0.01, 100] with the least mean log loss of softmax(log p / T) (Guo et al. 2017).

    The loss is convex in 1/T: Newton steps, held in a bracket. Examples whose target has probability 0 have an infinite
    loss at every temperature and are left out. Where every temperature does equally well, as without such examples or
    with equal probabilities only, it is 1. Raises ``ValueError`` without examples.
    """
    require(len(targets) > 0, "a temperature needs at least one example")
    return 1 / _fitted(*_prepared(log_probabilities, targets))


def calibrated_log_loss(
    log_probabilities: Float[Tensor, "example class"], targets: Int[Tensor, " example"], chance: torch.Generator
) -> tuple[Float[Tensor, " example"], tuple[float, float]]:
    """The log loss of each example in nats at a temperature fitted on others, and the temperatures that were fitted.

    Examples are split at random into two halves; the first temperature is fitted on the first half and used on the
    second, and the other way round. Float64; +inf where a target has probability 0. Raises ``ValueError`` for fewer
    than two examples.
    """
    examples = len(targets)
    require(examples >= 2, f"a temperature fitted on other examples needs at least two, not {examples}")
    order = torch.randperm(examples, generator=chance).to(targets.device)
    halves = order[: examples // 2], order[examples // 2 :]
    logs, own = _prepared(log_probabilities, targets)
    parts = [(logs[:, half], own[half]) for half in halves]
    first, second = (_fitted(*part) for part in parts)
    loss = torch.empty_like(own)
    for half, part, inverse in zip(halves, parts, (second, first), strict=True):
        loss[half] = _scaled(*part, inverse)
    return loss, (1 / first, 1 / second)


def _prepared(
    log_probabilities: Float[Tensor, "example class"], targets: Int[Tensor, " example"]
) -> tuple[Float[Tensor, "class example"], Float[Tensor, " example"]]:
    """Log-probabilities and those of the targets, less the largest of each example."""
    # Sums over the first axis run along memory: several times faster for ten classes.
    logs = log_probabilities.double().T.contiguous()
    logs = logs - logs.amax(dim=0)
    own = logs.gather(0, targets.long()[None])[0]
    return torch.where(logs == -torch.inf, NEVER, logs), own


def _scaled(
    logs: Float[Tensor, "class example"], own: Float[Tensor, " example"], inverse: float
) -> Float[Tensor, " example"]:
    return (logs * inverse).exp_().sum(dim=0).log_() - inverse * own


def _slopes(logs: Float[Tensor, "class example"], target: float, inverse: float) -> tuple[float, float]:
    """First and second derivative of the mean log loss by the inverse temperature."""
    p = (logs * inverse).exp_()
    total = p.sum(dim=0)
    p *= logs
    first = p.sum(dim=0) / total
    p *= logs
    second = p.sum(dim=0) / total - first.square()
    return float(first.mean()) - target, float(second.mean())


def _fitted(logs: Float[Tensor, "class example"], own: Float[Tensor, " example"]) -> float:
    """The best inverse temperature: the zero of a slope that never falls."""
    possible = own > -torch.inf
    if not possible.all():
        logs, own = logs[:, possible], own[possible]
    if len(own) == 0:
        return 1.0
    target = float(own.mean())
    low, high, here = 1 / MOST, 1 / LEAST, 1.0
    ends = [low, high]
    last = math.inf
    for _ in range(STEPS):
        slope, curvature = _slopes(logs, target, here)
        beyond = (here == 1 / MOST and slope > 0) or (here == 1 / LEAST and slope < 0)
        if slope == 0 or beyond:
            return here
        low, high = (low, here) if slope > 0 else (here, high)
        step = slope / curvature if curvature > 0 else math.copysign(math.inf, slope)
        there = here - step
        if abs(step) <= PRECISION * here:
            return min(max(there, 1 / MOST), 1 / LEAST)
        if not low < there < high or abs(step) > last / 2:
            # An end is tried itself, once; after that the bracket is halved.
            end = high if step < 0 else low
            outside = there <= low or there >= high
            there = end if outside and end in ends else math.sqrt(low * high)
            ends = [other for other in ends if other != there]
        last, here = abs(there - here), there
    return here
