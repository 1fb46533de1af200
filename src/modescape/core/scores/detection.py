"""Detecting unknown inputs: how well a value that should be higher for them tells them from known ones.

Unknown inputs are the positive class everywhere. An input is called unknown if its value is at least a threshold, and
thresholds are the values that occur, so that equal values are never told apart.
"""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from modescape.core.scores.decomposition import entropies
from modescape.core.scores.intervals import totals
from modescape.core.settings import require
from modescape.core.shapes import Float, Int

CHUNK = 10
"""Draws at a time: their curves stay in the processor's cache."""
SLACK = 1e-9
"""Relative, of a recall that is asked for: a sum of weights may fall short of 0.95 by rounding."""
ROUNDING = 1e-6
"""Nats: an epistemic part that may be rounding alone, since predictions are kept with float32 entropies."""

Pair = tuple[Tensor, Tensor]
"""Of known and of unknown inputs."""


@runtime_checkable
class Ensemble(Protocol):
    """What detectors see: pooled log-probabilities, and the members' mean entropy (nats) and mean energy."""

    @property
    def log_probabilities(self) -> Tensor:
        """[example, class]."""

    @property
    def member_entropy(self) -> Tensor:
        """[example]."""

    @property
    def energy(self) -> Tensor:
        """[example]: mean over members of -logsumexp of the logits."""


def detectors(ensemble: Ensemble) -> dict[str, Float[Tensor, " example"]]:
    """Values by name that should be higher for unknown inputs, float64.

    ``entropy`` of the pooled prediction and ``epistemic`` part of it, nats, 0 up to ``ROUNDING``: one member has none,
    and its AUROC must be 1/2 whether a split's predictions were kept or are fresh; ``maximum_probability``: 1 less it
    (Hendrycks and Gimpel 2017); ``energy``: the members' mean of -logsumexp of the logits, where the epistemic part can
    do far worse (Xia and Bouganis 2022, arXiv 2207.07517).
    """
    total, _, epistemic = entropies(ensemble.log_probabilities, ensemble.member_entropy)
    # Not 1 - exp: for confident predictions that rounds to few different values.
    spare = -torch.expm1(ensemble.log_probabilities.double().amax(dim=-1))
    return {
        "entropy": total,
        "maximum_probability": spare,
        "epistemic": torch.where(epistemic > ROUNDING, epistemic, 0.0),
        "energy": ensemble.energy.double(),
    }


def auroc(
    known: Float[Tensor, " known"],
    unknown: Float[Tensor, " unknown"],
    known_weights: Float[Tensor, "draw known"],
    unknown_weights: Float[Tensor, "draw unknown"],
) -> Float[Tensor, " draw"]:
    """Area under the ROC curve: the chance that an unknown input has a higher value than a known one, ties half.

    Float64, under each row of weights of both. Raises ``ValueError`` for values that are NaN, no values, and a row
    without weight.
    """
    return _over_draws((known, unknown), (known_weights, unknown_weights), _auroc)


def aupr(
    known: Float[Tensor, " known"],
    unknown: Float[Tensor, " unknown"],
    known_weights: Float[Tensor, "draw known"],
    unknown_weights: Float[Tensor, "draw unknown"],
) -> Float[Tensor, " draw"]:
    """Average precision: the sum over thresholds of (gain of recall) * precision, as scikit-learn defines it.

    It depends on how many unknown inputs there are for each known one: compare it within one pair of splits only.
    Float64; errors as in ``auroc``.
    """
    return _over_draws((known, unknown), (known_weights, unknown_weights), _aupr)


def fpr_at_recall(
    known: Float[Tensor, " known"],
    unknown: Float[Tensor, " unknown"],
    known_weights: Float[Tensor, "draw known"],
    unknown_weights: Float[Tensor, "draw unknown"],
    recall: float = 0.95,
) -> Float[Tensor, " draw"]:
    """Share of the known inputs that are called unknown at the highest threshold that finds this share of the unknown.

    At least that share is found; recall is not interpolated. Papers that take the known inputs as the positive class
    report other numbers by the same name. Float64; errors as in ``auroc``, and for a recall outside (0, 1].
    """
    require(0 < recall <= 1, f"a recall lies in (0, 1], not {recall}")
    return _over_draws((known, unknown), (known_weights, unknown_weights), lambda f, t: _fpr(f, t, recall))


def detection_scores(
    known: Float[Tensor, " known"],
    unknown: Float[Tensor, " unknown"],
    known_weights: Float[Tensor, "draw known"],
    unknown_weights: Float[Tensor, "draw unknown"],
) -> dict[str, Float[Tensor, " draw"]]:
    """``auroc``, ``aupr`` and ``fpr95`` (``fpr_at_recall`` of 0.95) by name, in little more time than one of them."""

    def every(false: Tensor, true: Tensor) -> Tensor:
        return torch.stack([_auroc(false, true), _aupr(false, true), _fpr(false, true, 0.95)])

    found = _over_draws((known, unknown), (known_weights, unknown_weights), every)
    return dict(zip(("auroc", "aupr", "fpr95"), found, strict=True))


def _auroc(false: Float[Tensor, "threshold draw"], true: Float[Tensor, "threshold draw"]) -> Float[Tensor, " draw"]:
    return (false.diff(dim=0) * (true[1:] + true[:-1])).sum(dim=0) / (2 * false[-1] * true[-1])


def _aupr(false: Float[Tensor, "threshold draw"], true: Float[Tensor, "threshold draw"]) -> Float[Tensor, " draw"]:
    called = true[1:] + false[1:]
    # Where nothing is called unknown yet, recall gains nothing either.
    precision = true[1:] / called.masked_fill_(called == 0, 1.0)
    return (true.diff(dim=0) * precision).sum(dim=0) / true[-1]


def _fpr(
    false: Float[Tensor, "threshold draw"], true: Float[Tensor, "threshold draw"], recall: float
) -> Float[Tensor, " draw"]:
    below = true < recall * (1 - SLACK) * true[-1]
    return false.gather(0, below.sum(dim=0, keepdim=True))[0] / false[-1]


def _over_draws(values: Pair, weights: Pair, score: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """A score, its last axis draws, of the weights of known and of unknown inputs at or above every threshold.

    Thresholds fall, from one that finds none to one that finds all.
    """
    require(all(len(value) > 0 for value in values), "detection needs known and unknown inputs")
    joined = torch.cat([value.double() for value in values])
    require(not bool(joined.isnan().any()), "values of a detector must not be NaN")
    for each in weights:
        totals(each)
    levels, level = (-joined).unique(return_inverse=True)
    places = (level + 1).split([len(value) for value in values])
    found = []
    for chunks in zip(*(each.split(CHUNK) for each in weights), strict=True):
        found.append(score(*(_summed(chunk, place, len(levels)) for chunk, place in zip(chunks, places, strict=True))))
    return torch.cat(found, dim=-1)


def _summed(
    weights: Float[Tensor, "draw example"], place: Int[Tensor, " example"], levels: int
) -> Float[Tensor, "threshold draw"]:
    rows = weights.double().T.contiguous()
    return rows.new_zeros(levels + 1, rows.shape[1]).index_add_(0, place, rows).cumsum(dim=0)
