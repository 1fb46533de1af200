"""Other ways to train the same members: on bootstrap samples, with a rate that falls in cycles, with shared chance."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from modescape.core.training.plan import Chance, Plan
from modescape.core.training.settings import Schedule


@dataclass(frozen=True)
class Variant:
    """What is changed about the training; everything else, every member's chance included, stays.

    ``cycle`` is the number of epochs in which the rate falls to zero, again and again. The kinds of chance in
    ``shared`` are the same for all of its members.
    """

    name: str = ""
    bootstrap: bool = False
    cycle: int | None = None
    shared: tuple[Chance, ...] = ()

    @property
    def prefix(self) -> str:
        """What stands before the names of its members' tasks."""
        return f"{self.name}/" if self.name else ""

    @property
    def arguments(self) -> dict[str, Any]:
        """What its tasks have among their arguments beside those of the ordinary training."""
        return {"variant": self.record} if self.name else {}

    @property
    def record(self) -> dict[str, Any]:
        """The variant as plain values."""
        # Where nothing is shared that is left unsaid, so that results from before there was such a thing stay theirs.
        return {name: value for name, value in asdict(self).items() if name != "shared" or value}

    def plan(self, ordinary: Plan) -> Plan:
        """The plan of its members."""
        training = ordinary.training
        if self.cycle is not None:
            training = replace(training, schedule=Schedule(kind="cyclical", every=self.cycle))
        return replace(ordinary, training=training, bootstrap=self.bootstrap, shared=self.shared)


ORDINARY = Variant()


def variant_in(arguments: Mapping[str, Any]) -> Variant:
    """The variant that a task's arguments name."""
    return variant_of(arguments["variant"]) if "variant" in arguments else ORDINARY


def variant_of(record: Mapping[str, Any]) -> Variant:
    """The variant that plain values describe."""
    return Variant(**{**record, "shared": tuple(record.get("shared", ()))})
