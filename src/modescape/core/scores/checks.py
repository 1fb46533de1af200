"""Refuse predictions and targets that no score could make sense of, and say where they are wrong."""

from torch import Tensor

from modescape.core.settings import require
from modescape.core.shapes import Bool, Float, Int

TOLERANCE = 1e-4
"""How far from 1 the probabilities of an example may sum: float32 for thousands of classes."""
SHOWN = 3
"""Rows at fault that a message names."""

Member = str | int | None


def first_row(flags: Bool[Tensor, " row"]) -> int | None:
    """The first row of which this holds, if any."""
    rows = flags.nonzero()
    return int(rows[0]) if len(rows) else None


def check_targets(targets: Int[Tensor, " example"], classes: int, split: str) -> None:
    """Raises ``ValueError`` unless there are examples, with targets from 0 to ``classes`` - 1."""
    require(len(targets) > 0, f"split {split} has no examples")
    bad = (targets < 0) | (targets >= classes)
    _refuse(bad, split, None, f"targets outside 0 to {classes - 1}")


def check_predictions(
    log_probabilities: Float[Tensor, "example class"],
    targets: Int[Tensor, " others"],
    split: str,
    member: Member = None,
) -> None:
    """Raises ``ValueError`` unless these are log-probabilities of the examples that the targets are of.

    The message names the split, the member and the first rows at fault: other numbers of examples or none, targets out
    of range, NaN, probabilities that do not sum to 1 within 1e-4. A probability may be 0.
    """
    examples, classes = log_probabilities.shape
    where = _where(split, member)
    require(examples == len(targets), f"{where}: predictions of {examples} examples, {len(targets)} targets")
    check_targets(targets, classes, split)
    _refuse(log_probabilities.isnan().any(dim=-1), split, member, "log-probabilities that are NaN")
    off = (log_probabilities.double().exp().sum(dim=-1) - 1).abs()
    _refuse(off > TOLERANCE, split, member, f"probabilities that do not sum to 1 within {TOLERANCE:g}")


def check_logits(logits: Float[Tensor, "example class"], split: str, member: Member = None) -> None:
    """Raises ``ValueError`` unless there are examples and every logit is finite."""
    require(len(logits) > 0, f"{_where(split, member)}: no examples")
    _refuse(~logits.isfinite().all(dim=-1), split, member, "logits that are not finite")


def _where(split: str, member: Member) -> str:
    return f"split {split}" if member is None else f"split {split}, member {member}"


def _refuse(bad: Bool[Tensor, " example"], split: str, member: Member, what: str) -> None:
    rows = bad.nonzero()[:, 0].tolist()
    shown = ", ".join(map(str, rows[:SHOWN])) + (", ..." if len(rows) > SHOWN else "")
    require(not rows, f"{_where(split, member)}: {what}, in {len(rows)} of {len(bad)} rows ({shown})")
