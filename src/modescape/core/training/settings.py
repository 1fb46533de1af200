"""What a training is made of, as settings that a recipe can fill in."""

import math
from typing import Literal

from modescape.core.settings import require, settings


@settings
class Optimiser:
    """Adam, AdamW or SGD with momentum.

    ``rate`` is one learning rate for all members, or a list with one for each. ``weight_decay`` is an L2 term in the
    gradient for Adam and SGD, decoupled for AdamW; ``decay_on`` limits it to tensors of two or more dimensions
    ("kernels": no biases, no normalisation parameters).
    """

    name: Literal["adam", "adamw", "sgd"] = "adam"
    rate: float | tuple[float, ...] = 1e-3
    weight_decay: float = 0.0
    decay_on: Literal["all", "kernels"] = "all"
    momentum: float = 0.9
    nesterov: bool = False
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        rates = self.rate if isinstance(self.rate, tuple) else (self.rate,)
        require(
            len(rates) > 0 and all(math.isfinite(rate) and rate > 0 for rate in rates),
            f"rate must be positive and finite, got {self.rate}",
        )
        require(
            math.isfinite(self.weight_decay) and self.weight_decay >= 0,
            f"weight_decay must be zero or more, got {self.weight_decay}",
        )
        require(0 <= self.momentum < 1, f"momentum must lie in [0, 1), got {self.momentum}")
        require(all(0 <= beta < 1 for beta in self.betas), f"betas must lie in [0, 1), got {self.betas}")
        require(self.epsilon > 0, f"epsilon must be positive, got {self.epsilon}")
        require(
            not self.nesterov or (self.name == "sgd" and self.momentum > 0), "nesterov needs sgd with momentum above 0"
        )


@settings
class Schedule:
    """How the learning rate changes: a factor on the optimiser's rate.

    ``constant``; ``halving`` every ``every`` epochs (the paper's CNNs); ``steps``, where from epoch ``at[i]`` on the
    factor is ``factors[i]`` (the paper's ResNets); ``cosine`` to zero over the whole training; ``one_cycle``, a linear
    rise over the first ``warmup`` of the training from a 25th, then a cosine fall to a 10,000th of that; ``cyclical``,
    a cosine to zero within each cycle of ``every`` epochs, then back to the full rate at once (snapshot ensembles,
    Huang et al. 2017, arXiv 1704.00109).
    """

    kind: Literal["constant", "halving", "steps", "cosine", "one_cycle", "cyclical"] = "constant"
    every: int = 10
    at: tuple[int, ...] = ()
    factors: tuple[float, ...] = ()
    warmup: float = 0.3

    def __post_init__(self) -> None:
        require(self.every >= 1, f"every must be at least 1 epoch, got {self.every}")
        require(
            len(self.at) == len(self.factors),
            f"at and factors go together: {len(self.at)} epochs, {len(self.factors)} factors",
        )
        require(self.kind != "steps" or len(self.at) > 0, "a schedule of steps needs at and factors")
        require(
            self.kind == "steps" or len(self.at) == 0, f"at and factors belong to a schedule of steps, not {self.kind}"
        )
        require(
            list(self.at) == sorted(set(self.at)) and all(e > 0 for e in self.at),
            f"at must be rising epochs above 0, got {list(self.at)}",
        )
        require(
            all(math.isfinite(f) and f > 0 for f in self.factors),
            f"factors must be positive and finite, got {list(self.factors)}",
        )
        require(0 < self.warmup < 1, f"warmup must lie strictly between 0 and 1, got {self.warmup}")


@settings
class Checkpoints:
    """How often the trajectory is recorded; the initialisation and the solution always are."""

    every: int = 1
    unit: Literal["epoch", "step"] = "epoch"

    def __post_init__(self) -> None:
        require(self.every >= 1, f"every must be at least 1, got {self.every}")


@settings
class Training:
    """One training, the same for every member but for its seeds (and its learning rate, if each has its own).

    An epoch is ``examples // batch`` steps (all examples in one step if there are fewer than ``batch``). ``order`` says
    whether an epoch's batches come from a fresh permutation or are drawn with replacement, as in the paper's released
    code. ``augmentation`` shifts and mirrors stored images, or ("resized_crop_flip") cuts random pieces out of images
    that are decoded from files. A gradient longer than ``clip_norm`` is shortened to it, each member's by itself. A run
    can be resumed after every ``save_every`` epochs.
    """

    members: int = 5
    epochs: int = 10
    batch: int = 128
    order: Literal["permutation", "replacement"] = "permutation"
    augmentation: Literal["none", "crop_flip", "shift_flip", "resized_crop_flip"] = "none"
    label_smoothing: float = 0.0
    clip_norm: float | None = None
    save_every: int = 1
    optimiser: Optimiser = Optimiser()
    schedule: Schedule = Schedule()
    checkpoints: Checkpoints = Checkpoints()

    def __post_init__(self) -> None:
        rate = self.optimiser.rate
        require(
            not isinstance(rate, tuple) or len(rate) == self.members,
            f"optimiser.rate has {len(rate) if isinstance(rate, tuple) else 1} rates for {self.members} members",
        )
        require(
            self.clip_norm is None or (math.isfinite(self.clip_norm) and self.clip_norm > 0),
            f"clip_norm must be positive and finite, got {self.clip_norm}",
        )
        for name in ("members", "epochs", "batch", "save_every"):
            require(getattr(self, name) >= 1, f"{name} must be at least 1, got {getattr(self, name)}")
        require(0 <= self.label_smoothing < 1, f"label_smoothing must lie in [0, 1), got {self.label_smoothing}")
