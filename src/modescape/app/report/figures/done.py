"""Which members, solutions and stretches of a trajectory the figures speak of."""

from collections.abc import Mapping

import numpy as np

from modescape.app.report.figures.omitted import Omitted
from modescape.tables import Table


def done_members(tables: Mapping[str, Table], at_least: int = 1) -> tuple[int, ...]:
    """The members that are done and have checkpoints, in order; fewer than ``at_least`` raises ``Omitted``."""
    members = tables["members"]
    done = set(members["member"][members["status"] == "done"].tolist())
    found = tuple(sorted(done & set(tables["checkpoints"]["member"].tolist())))
    if len(found) < at_least:
        need = "a member that is done" if at_least == 1 else f"at least {at_least} members that are done"
        raise Omitted(f"Omitted: this figure needs {need}, and this run has {len(found) or 'none'}.")
    return found


def trajectory(tables: Mapping[str, Table], member: int) -> dict[str, np.ndarray]:
    """The columns of ``checkpoints`` for one member, in the order of its trajectory."""
    table = tables["checkpoints"]
    rows = np.flatnonzero(table["member"] == member)
    rows = rows[np.argsort(table["checkpoint"][rows], kind="stable")]
    return {name: table[name][rows] for name in table.schema.names}


def solution(tables: Mapping[str, Table], member: int) -> int:
    """Position of the last checkpoint of a member."""
    return int(trajectory(tables, member)["checkpoint"][-1])


def last_quarter(steps: np.ndarray) -> np.ndarray:
    """Which checkpoints lie in the last quarter of their trajectory's steps, or else the last two of them."""
    # The study's answers use the same rule; a figure that used another would contradict the page's first line.
    late: np.ndarray = steps > 0.75 * steps[-1]
    late[-2:] = True
    return late
