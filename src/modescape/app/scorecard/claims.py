"""The claims of the paper as data: read from ``claims.toml``, checked once."""

import tomllib
from functools import cache
from importlib import resources
from typing import Any

import pydantic
from pydantic.dataclasses import dataclass

from modescape.app.scorecard.measures import MEASURES

_FORM = pydantic.ConfigDict(extra="forbid")


@dataclass(frozen=True, config=_FORM)
class Check:
    """One number that a claim is judged by.

    ``how`` names a measure (see ``measures.MEASURES``), ``of`` are the cells of tables that it reads: a table as
    "study.table", and the values of columns that pick the row. The claim holds where the number lies within ``band``,
    its ends included; a check without a band is told and not judged.
    """

    says: str
    how: str
    of: list[dict[str, str | int | float]] = pydantic.Field(default_factory=list)
    band: list[float] | None = None

    @pydantic.model_validator(mode="after")
    def _known(self) -> "Check":
        if self.how not in MEASURES:
            raise ValueError(f"there is no measure {self.how!r}; choose {', '.join(MEASURES)}")
        if self.band is not None and (len(self.band) != 2 or not self.band[0] <= self.band[1]):
            raise ValueError(f"band must be [least, most], got {self.band}")
        if any("table" not in cell or str(cell["table"]).count(".") != 1 for cell in self.of):
            raise ValueError('every cell needs a table, as "study.table"')
        return self


@dataclass(frozen=True, config=_FORM)
class Claim:
    """One claim: its number in the checklist, what the paper has, where, and the checks by which it is judged.

    ``networks`` and ``data`` are those that the paper shows it for. It is judged on runs of other networks as well,
    which the card says, unless it holds for these ``only``. ``across`` compares runs and is judged once. A claim that
    cannot be tested says why in ``not_tested``.
    """

    number: int
    title: str
    paper: str
    source: str
    networks: list[str]
    checks: list[Check] = pydantic.Field(default_factory=list)
    data: list[str] = pydantic.Field(default_factory=lambda: ["cifar10"])
    only: bool = False
    across: bool = False
    optimiser: str = "adam"
    remark: str = ""
    not_tested: str = ""

    @pydantic.model_validator(mode="after")
    def _judged(self) -> "Claim":
        if bool(self.checks) == bool(self.not_tested):
            raise ValueError(f"claim {self.number} needs checks, or not_tested, and not both")
        return self


@cache
def claims() -> tuple[Claim, ...]:
    """All claims, in the order of their numbers."""
    text = (resources.files("modescape.app.scorecard") / "claims.toml").read_text()
    return read(tomllib.loads(text))


def read(record: dict[str, Any]) -> tuple[Claim, ...]:
    """Claims from nested plain values. Raises ``ValueError`` for what is missing, unknown or doubled."""
    found = pydantic.TypeAdapter(list[Claim]).validate_python(record["claims"])
    numbers = [claim.number for claim in found]
    if numbers != sorted(set(numbers)):
        raise ValueError(f"claims must have rising numbers, got {numbers}")
    return tuple(found)
