"""Every score of an ensemble, as statistics under example weights.

A row of ones among the weights gives the score itself, rows of bootstrap counts its bootstrap distribution; ensembles
that share the weights are compared in pairs.
"""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from modescape.core.methods.summary import Pooled
from modescape.core.scores.calibration import calibration_error
from modescape.core.scores.checks import check_predictions
from modescape.core.scores.decomposition import (
    disagreement_error_ratio,
    entropies,
    improvement_rate,
    mean_error,
    pairwise_disagreement,
    pairwise_kl,
)
from modescape.core.scores.intervals import weighted_means
from modescape.core.scores.proper import brier, log_loss
from modescape.core.scores.selective import risk_coverage_area
from modescape.core.scores.soft_labels import (
    agreement,
    soft_cross_entropy,
    soft_jensen_shannon,
    total_variation_between,
)
from modescape.core.scores.temperature import calibrated_log_loss
from modescape.core.seeds import generator
from modescape.core.settings import require
from modescape.core.shapes import Float, Int

PEOPLE, POSTERIOR = "people", "posterior"
"""References: how many people chose each class, and a reference posterior's probabilities, [example, class]."""


@dataclass(frozen=True)
class Judge:
    """What ensembles are scored against: the targets and references of a split, and the weights of its examples.

    Without ``targets`` (of unknown inputs there are none) only scores that need none are told. ``root`` is the root of
    all chance: the halves of calibration are the same for every ensemble. ``split`` is its name in messages.
    """

    targets: Int[Tensor, " example"] | None
    weights: Float[Tensor, "draw example"]
    root: int
    references: Mapping[str, Float[Tensor, "example class"]] = field(default_factory=dict)
    split: str = "test"

    def score(self, ensembles: Iterable[Pooled]) -> "Scored":
        """All scores of several ensembles that are subsets of the same solutions, and their means."""
        means: dict[str, list[Tensor]] = {}
        others: dict[str, list[Tensor]] = {}
        for ensemble in ensembles:
            values = self.per_example(ensemble)
            for name, value in values.items():
                means.setdefault(name, []).append(value)
            for name, value in self.under_weights(ensemble, values).items():
                others.setdefault(name, []).append(value)
        averaged = weighted_means(torch.stack([torch.stack(v).mean(dim=0) for v in means.values()]), self.weights)
        draws = dict(zip(means, averaged.unbind(dim=1), strict=True))
        draws |= {name: torch.stack(values).mean(dim=0) for name, values in others.items()}
        each = {name: torch.stack([value.mean() for value in values]) for name, values in means.items()}
        each |= {name: torch.stack([value[0] for value in values]) for name, values in others.items()}
        return Scored(draws, each)

    def per_example(self, ensemble: Pooled) -> dict[str, Float[Tensor, " example"]]:
        """Scores that are means over examples, by name: their values for each example.

        Raises ``ValueError`` that names split and rows for targets and probabilities that cannot be.
        """
        found = {} if self.targets is None else self._of_targets(ensemble, self.targets)
        members = ensemble.members
        total, aleatoric, epistemic = entropies(ensemble.log_probabilities, ensemble.member_entropy)
        found |= {"entropy": total, "aleatoric": aleatoric, "jensen_shannon": epistemic}
        if members.count > 1:
            found["pairwise_kl"] = pairwise_kl(
                members.count, members.log_total.exp(), members.log_probabilities, members.entropy
            )
            found["disagreement"] = pairwise_disagreement(members.count, members.votes)
        return found

    def _of_targets(self, ensemble: Pooled, targets: Tensor) -> dict[str, Tensor]:
        log_p = ensemble.log_probabilities
        check_predictions(log_p, targets, self.split)
        halves = generator(self.root, "calibration", "halves")
        found = {
            "accuracy": (ensemble.classes == targets).double(),
            "nll": log_loss(log_p, targets),
            "calibrated_nll": calibrated_log_loss(log_p, targets, halves)[0],
            "brier": brier(log_p, targets),
        }
        if PEOPLE in self.references:
            people = self.references[PEOPLE]
            found["people_cross_entropy"] = soft_cross_entropy(log_p, people)
            found["people_jensen_shannon"] = soft_jensen_shannon(log_p, people)
        if POSTERIOR in self.references:
            posterior = self.references[POSTERIOR]
            found["posterior_agreement"] = agreement(log_p, posterior)
            found["posterior_total_variation"] = total_variation_between(log_p, posterior)
        return found

    def under_weights(self, ensemble: Pooled, values: Mapping[str, Tensor]) -> dict[str, Float[Tensor, " draw"]]:
        """Scores that are no means over examples; ``values`` are those of ``per_example``."""
        if self.targets is None:
            return {}
        log_p, members = ensemble.log_probabilities, ensemble.members
        error = 1 - values["accuracy"]
        found = {
            "calibration_error": _centred(calibration_error(log_p, self.targets, self.weights)),
            "adaptive_calibration_error": _centred(
                calibration_error(log_p, self.targets, self.weights, binning="adaptive")
            ),
            "risk_coverage_area": risk_coverage_area(log_p.amax(dim=-1), error, self.weights),
        }
        if members.count > 1:
            own = mean_error(members.count, members.votes, self.targets)
            found["disagreement_error_ratio"] = disagreement_error_ratio(values["disagreement"], own, self.weights)
            found["improvement_rate"] = improvement_rate(error, own, self.weights)
        return found


def _centred(draws: Float[Tensor, " draw"]) -> Float[Tensor, " draw"]:
    """Bootstrap draws about the score itself.

    Gaps of bins count without their sign, so that chance makes a calibration error larger, and more so the fewer the
    examples; in a bootstrap sample it does so twice. Uncorrected, its interval may lie above the score.
    """
    bias = draws[1:].mean() - draws[0] if len(draws) > 1 else 0.0
    return torch.cat([draws[:1], (draws[1:] - bias).clamp(min=0)])


@dataclass(frozen=True)
class Scored:
    """Scores by name: under every row of weights the mean over subsets, and each subset's plain value."""

    draws: Mapping[str, Float[Tensor, " draw"]]
    each: Mapping[str, Float[Tensor, " subset"]]


def weights_with_bootstrap(counts: Float[Tensor, "draw example"]) -> Float[Tensor, "draws example"]:
    """Example weights whose first row is the sample itself."""
    return torch.cat([torch.ones_like(counts[:1]), counts])


def subsets(origins: Sequence[int], size: int, most: int, root: int) -> list[tuple[int, ...]]:
    """All subsets of so many origins in order, or ``most`` different ones drawn at random where there are more."""
    require(1 <= size <= len(origins), f"there is no subset of {size} among {len(origins)} origins")
    if math.comb(len(origins), size) <= most:
        return list(itertools.combinations(origins, size))
    chance = generator(root, "subsets", len(origins), size)
    chosen: set[tuple[int, ...]] = set()
    while len(chosen) < most:
        places = torch.randperm(len(origins), generator=chance)[:size].sort().values.tolist()
        chosen.add(tuple(origins[place] for place in places))
    return sorted(chosen)
