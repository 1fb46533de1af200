"""The learning rate at a step, as a factor on the optimiser's rate."""

import math

from modescape.core.training.settings import Schedule


def rate_factor(schedule: Schedule, step: int, steps_per_epoch: int, epochs: int) -> float:
    """Factor for the step with this number (0 is the first) of a training of ``epochs * steps_per_epoch`` steps."""
    epoch = step // steps_per_epoch
    progress = step / max(1, steps_per_epoch * epochs - 1)
    match schedule.kind:
        case "constant":
            return 1.0
        case "halving":
            return float(0.5 ** (epoch // schedule.every))
        case "steps":
            passed = [factor for at, factor in zip(schedule.at, schedule.factors, strict=True) if epoch >= at]
            return passed[-1] if passed else 1.0
        case "cosine":
            return 0.5 * (1 + math.cos(math.pi * step / (steps_per_epoch * epochs)))
        case "one_cycle":
            return _one_cycle(progress, schedule.warmup)
        case "cyclical":
            cycle = schedule.every * steps_per_epoch
            return 0.5 * (1 + math.cos(math.pi * (step % cycle) / cycle))


def _one_cycle(progress: float, warmup: float) -> float:
    start, end = 1 / 25, 1 / 25 / 1e4
    if progress < warmup:
        return start + (1 - start) * progress / warmup
    return end + (1 - end) * 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))
