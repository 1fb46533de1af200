"""Quantities of networks anywhere in weight space: what is measured at every point of a cross-section."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from modescape.core.diversity.disagreement import differing, normalised_disagreement
from modescape.core.diversity.divergence import jensen_shannon
from modescape.core.evaluation import Evaluation, Scratch, evaluate_block, placed
from modescape.core.reductions import Logits, MemberScores, Reduction
from modescape.core.scores.calibration import calibration_error
from modescape.core.scores.detection import auroc
from modescape.core.shapes import Float
from modescape.core.splits import Split
from modescape.core.weights import Weights
from modescape.studies.abstract import Context, Pad
from modescape.studies.members import scratch, statistics_of

R = TypeVar("R")

LOGITS = 2**26
"""Logits that are held at once, at most: so many points are evaluated together."""
MOST = 32
"""Points evaluated together, at most."""


@dataclass(frozen=True)
class Asked:
    """What is measured: splits by role (``unknown`` by name), and the members whose functions are compared with."""

    split: Split
    train: Split | None
    unknown: Mapping[str, Split]
    references: tuple[int, ...]

    @property
    def quantities(self) -> list[str]:
        """Names of what is evaluated, in order."""
        compared = ("disagreement", "normalised_disagreement", "jensen_shannon")
        by_reference = [f"{name}/{m}" for m in self.references for name in compared]
        training = ["train_nll", "train_accuracy"] if self.train is not None else []
        detection = [f"detection/{name}" for name in self.unknown]
        return ["nll", "accuracy", "calibration_error", *by_reference, *training, *detection]


class Measurer:
    """Evaluates networks of one architecture, batch-norm statistics computed anew for each.

    A network whose logits are not finite has no value but NaN in what they decide.
    """

    def __init__(self, context: Context, asked: Asked, references: Sequence[Weights]) -> None:
        self.context, self.asked = context, asked
        self.module = placed(scratch(context), context.splits["train"])
        self.statistics = statistics_of(context, self.module)
        self.scratch = Scratch(self.module, context.splits["train"], context.scaling)
        self.references = [self._logits(reference, asked.split)[0] for reference in references]
        self.weights = torch.ones(1, len(asked.split), dtype=torch.float64, device=asked.split.device)

    @property
    def together(self) -> int:
        """How many points to evaluate at once."""
        largest = max(len(split) for split in [self.asked.split, *self.asked.unknown.values()])
        return max(1, min(MOST, LOGITS // (largest * self.context.classes)))

    def __call__(self, members: Weights) -> Float[Tensor, "member quantity"]:
        """The quantities of some members, float64."""
        logits = self._logits(members, self.asked.split)
        strange = {name: self._logits(members, split) for name, split in self.asked.unknown.items()}
        rows = [self._row(own, {n: found[place] for n, found in strange.items()}) for place, own in enumerate(logits)]
        found = torch.tensor(rows, dtype=torch.float64)
        if self.asked.train is None:
            return found
        scores = self._reduced(members, self.asked.train, MemberScores())
        training = torch.stack([scores.nll, scores.accuracy], dim=1).cpu()
        training[~training.isfinite().all(dim=1)] = math.nan
        cut = found.shape[1] - len(strange)
        return torch.cat([found[:, :cut], training, found[:, cut:]], dim=1)

    def _row(self, logits: Float[Tensor, "example class"], strange: Mapping[str, Tensor]) -> list[float]:
        targets = self.asked.split.targets.to(logits.device)
        if not logits.isfinite().all():
            return [math.nan] * (3 + 3 * len(self.references) + len(strange))
        log_p, classes = logits.double().log_softmax(dim=-1), logits.argmax(dim=-1)
        row = [
            float(-log_p.gather(-1, targets[:, None]).mean()),
            float((classes == targets).double().mean()),
            float(calibration_error(log_p, targets, self.weights)[0]),
        ]
        for reference in self.references:
            apart = differing(classes[None], reference.argmax(dim=-1)).double().mean(dim=1)
            row += [float(apart), float(normalised_disagreement(apart, torch.full_like(apart, 1 - row[1])))]
            row.append(float(jensen_shannon(torch.stack([logits, reference])).mean()))
        row += [_detected(logits, other) for other in strange.values()]
        return row

    def _logits(self, members: Weights, split: Split) -> Float[Tensor, "member example class"]:
        return self._reduced(members, split, Logits())

    def _reduced(self, members: Weights, split: Split, reduction: Reduction[Any, R]) -> R:
        asked = Evaluation(split, self.context.scaling, (reduction,), self.statistics)
        work = evaluate_block(self.scratch, members, asked)
        while True:
            try:
                next(work)
            except StopIteration as stop:
                return reduction.result(stop.value[0])


def _detected(known: Float[Tensor, "example class"], unknown: Float[Tensor, "other class"]) -> float:
    """Area under the ROC curve of 1 less the largest probability, which tells unknown inputs from known ones."""
    if not unknown.isfinite().all():
        return math.nan
    mine, others = (-torch.expm1(part.double().log_softmax(dim=-1).amax(dim=-1)) for part in (known, unknown))
    ones = [torch.ones(1, len(part), dtype=torch.float64, device=part.device) for part in (mine, others)]
    return float(auroc(mine, others, *ones)[0])


def derived(quantities: Sequence[str], values: Float[Tensor, "*grid quantity"]) -> dict[str, Float[Tensor, "*grid"]]:
    """All quantities by name, with those that follow from others.

    ``similarity/M`` is the share of examples with the class that M predicts; ``normalised_similarity/M`` 1 less the
    normalised disagreement: about 0 for unrelated functions of any accuracy, where plain similarity grows with it.
    """
    found = {name: values[..., place] for place, name in enumerate(quantities)}
    for name in quantities:
        kind, _, reference = name.partition("/")
        if kind in ("disagreement", "normalised_disagreement"):
            similar = "similarity" if kind == "disagreement" else "normalised_similarity"
            found[f"{similar}/{reference}"] = 1 - found[name]
    return found


class Remembered:
    """Evaluates points of a cross-section, each once: what a pad holds from before, and what was asked before."""

    def __init__(self, at: Callable[[Tensor], Weights], measure: Measurer, pad: Pad) -> None:
        self.at, self.measure, self.pad = at, measure, pad
        self.known: dict[bytes, Tensor] = {}
        for piece in pad.read():
            self._learn(piece["coordinates"], piece["values"])

    def __call__(self, coordinates: Float[Tensor, "point axis"]) -> Float[Tensor, "point quantity"]:
        """The quantities at some points, float64."""
        keys = [_key(row) for row in coordinates]
        new = {key: row for key, row in zip(keys, coordinates, strict=True) if key not in self.known}
        if new:
            rows = torch.stack(list(new.values()))
            values = torch.cat([self.measure(self.at(part)) for part in rows.split(self.measure.together)])
            self.pad.put({"coordinates": rows, "values": values})
            self._learn(rows, values)
        return torch.stack([self.known[key] for key in keys])

    def _learn(self, coordinates: Tensor, values: Tensor) -> None:
        self.known |= {_key(row): value for row, value in zip(coordinates, values, strict=True)}


def _key(row: Tensor) -> bytes:
    # 0.0 is added so that -0 is the same point as 0.
    return (row.double() + 0.0).numpy().tobytes()
