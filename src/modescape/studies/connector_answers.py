"""The numbers of the study ``connectors``: what each path is like, and means over paths with bootstrap intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from modescape.core.landscape.connectors.profile import barrier
from modescape.core.scores.intervals import bootstrap_means, percentile_interval
from modescape.core.seeds import generator

_T, _TRAIN_NLL, _NLL, _ACCURACY = 0, 1, 3, 4


@dataclass(frozen=True)
class Found:
    """One path between two members as it was measured."""

    connector: str
    first: int
    second: int
    facts: Mapping[str, Any]
    files: Mapping[str, Tensor]

    @cached_property
    def numbers(self) -> Tensor:
        """The columns of ``profiles`` from t on."""
        return self.files["numbers"].double()

    @cached_property
    def lowest(self) -> int:
        """The point whose accuracy is lowest."""
        return int(self.numbers[:, _ACCURACY].argmin())

    @cached_property
    def flags(self) -> dict[str, Tensor]:
        """Numbers for each example, whose means are what is told of this path."""
        classes, targets = self.files["classes"].long(), self.files["targets"].long()
        right, middle = (classes == targets).double(), classes[len(classes) // 2]
        ends = (right[0] + right[-1]) / 2
        return {
            "accuracy_ends": ends,
            "accuracy_lowest": right[self.lowest],
            "accuracy_drop": ends - right[self.lowest],
            "disagreement_middle": ((middle != classes[0]).double() + (middle != classes[-1]).double()) / 2,
            "disagreement_ends": (classes[0] != classes[-1]).double(),
        }


def paths_of(found: Sequence[Found]) -> list[dict[str, Any]]:
    """The rows of the table ``connectors``."""
    rows = []
    for path in found:
        numbers, flags = path.numbers, path.flags
        means = {name: float(flags[name].mean()) for name in flags}
        rows.append(
            {
                "connector": path.connector,
                "first": path.first,
                "second": path.second,
                "train_barrier": barrier(numbers[:, _TRAIN_NLL], numbers[:, _T]),
                "barrier": barrier(numbers[:, _NLL], numbers[:, _T]),
                "ends_accuracy": means["accuracy_ends"],
                "lowest_accuracy": means["accuracy_lowest"],
                "lowest_at": float(numbers[path.lowest, _T]),
                "middle_disagreement": means["disagreement_middle"],
                "ends_disagreement": means["disagreement_ends"],
                "length": path.facts["length"],
                "ratio": path.facts["length"] / path.facts["distance"],
            }
        )
    return rows


def answered(found: Sequence[Found], root: int, draws: int) -> list[dict[str, Any]]:
    """For every connector: value, interval over examples, range over paths and their number, by quantity.

    Where accuracy is lowest is decided once and for all on all examples: the interval is that of the network there.
    """
    rows = []
    for name in dict.fromkeys(path.connector for path in found):
        own = [path for path in found if path.connector == name]
        for quantity in own[0].flags:
            values = torch.stack([path.flags[quantity] for path in own])
            # Of one name for all, so that connectors are compared on the same draws.
            chance = generator(root, "bootstrap", "connectors")
            drawn = bootstrap_means(values, draws, chance).mean(dim=1)
            rows.append(_row(quantity, name, values.mean(dim=1), percentile_interval(drawn)))
        barriers = [barrier(path.numbers[:, _TRAIN_NLL], path.numbers[:, _T]) for path in own]
        highest = [float(path.numbers[:, _TRAIN_NLL].max()) for path in own]
        means = [float(torch.trapezoid(path.numbers[:, _TRAIN_NLL], path.numbers[:, _T])) for path in own]
        ratios = [path.facts["length"] / path.facts["distance"] for path in own]
        told = {"train_barrier": barriers, "train_highest": highest, "train_mean": means, "length_ratio": ratios}
        for quantity, numbers in told.items():
            rows.append(_row(quantity, name, torch.tensor(numbers, dtype=torch.float64), (torch.nan, torch.nan)))
    return rows


def _row(quantity: str, connector: str, values: Tensor, interval: tuple[float, float]) -> dict[str, Any]:
    ends = {"least": float(values.min()), "most": float(values.max()), "count": len(values)}
    low, high = (None if end != end else end for end in interval)
    return {"of": quantity, "connector": connector, "value": float(values.mean()), "low": low, "high": high, **ends}
