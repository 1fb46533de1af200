"""Everything that a report is made from, as plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from modescape.tables import Table


class Timing(NamedTuple):
    """How long one phase of a run took, and what else is worth knowing about it, such as "5,312 images/s"."""

    phase: str
    seconds: float
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One run: what was asked, with which means, and the tables that answer it.

    ``settings`` may nest mappings and lists; ``tables`` is study name -> table name -> table; ``claims`` are verdicts
    on the paper's claims, as rows of ``scorecard.words.rows_of``. Only ``title``, ``run_name`` and ``command`` (how to
    run it again) must be given; an empty part is left out of the report.
    """

    title: str
    run_name: str
    command: str
    description: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, str] = field(default_factory=dict)
    seeds: Mapping[str, str] = field(default_factory=dict)
    timings: Sequence[tuple[str, float, str]] = ()
    data: Mapping[str, str] = field(default_factory=dict)
    failures: Sequence[str] = ()
    tables: Mapping[str, Mapping[str, Table]] = field(default_factory=dict)
    claims: Sequence[Mapping[str, Any]] = ()

    def with_machine(self, machine: Mapping[str, str]) -> "RunRecord":
        """The same of another machine, or with more said of it."""
        return replace(self, machine=machine)
