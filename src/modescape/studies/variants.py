"""Other ways to train the same members: on bootstrap samples of the data, or with a rate that falls in cycles."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from modescape.core.training.plan import Plan
from modescape.core.training.settings import Schedule


@dataclass(frozen=True)
class Variant:
    """What is changed about the training; everything else, every member's chance included, stays.

    ``cycle`` is the number of epochs in which the rate falls to zero, again and again.
    """

    name: str = ""
    bootstrap: bool = False
    cycle: int | None = None

    @property
    def prefix(self) -> str:
        """What stands before the names of its members' tasks."""
        return f"{self.name}/" if self.name else ""

    @property
    def arguments(self) -> dict[str, Any]:
        """What its tasks have among their arguments beside those of the ordinary training."""
        return {"variant": asdict(self)} if self.name else {}

    def plan(self, ordinary: Plan) -> Plan:
        """The plan of its members."""
        training = ordinary.training
        if self.cycle is not None:
            training = replace(training, schedule=Schedule(kind="cyclical", every=self.cycle))
        return replace(ordinary, training=training, bootstrap=self.bootstrap)


ORDINARY = Variant()


def variant_in(arguments: Mapping[str, Any]) -> Variant:
    """The variant that a task's arguments name."""
    return Variant(**arguments["variant"]) if "variant" in arguments else ORDINARY
