"""Keep drawn members whose validation score is high enough, in a bounded number of tries."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from modescape.core.settings import require, settings
from modescape.core.weights import Weights


@settings
class Keep:
    """Members whose score is below ``least`` (None keeps all) are drawn anew, at most ``tries`` for each one asked for.

    Fort et al. 2019 keep random members from a validation accuracy of 0.65 on (the released notebook: 0.70, 5 tries).
    """

    least: float | None = None
    tries: int = 5

    def __post_init__(self) -> None:
        require(self.least is None or 0 <= self.least <= 1, f"least must lie in [0, 1], got {self.least}")
        require(self.tries >= 1, f"tries must be at least 1, got {self.tries}")


@dataclass(frozen=True)
class Attempt:
    """A drawn member, a stack of one; its score (NaN if all are kept); and whether it is kept."""

    member: Weights
    score: float
    kept: bool


def attempts(
    draw: Callable[[], Weights], score: Callable[[Weights], float] | None, count: int, rule: Keep, what: str
) -> Iterator[Attempt]:
    """Draw until ``count`` members are kept or the tries are used up; only one member is held at a time.

    Raises ``ValueError`` at the end if not one was kept, and at the start if scores are needed and there are none.
    """
    require(
        rule.least is None or score is not None,
        f"{what}: keep.least = {rule.least} needs a validation split; set data.validation",
    )
    require(count >= 1, f"count must be at least 1 member, got {count}")
    tried = kept = 0
    best = -math.inf
    while kept < count and tried < count * rule.tries:
        member = draw()
        found = math.nan if rule.least is None or score is None else score(member)
        good = rule.least is None or found >= rule.least
        tried, kept, best = tried + 1, kept + good, max(best, found)
        yield Attempt(member, found, good)
        # Two members at once would double what a large network needs.
        del member
    require(
        kept > 0,
        f"{what}: none of {tried} drawn members reached the validation accuracy keep.least = {rule.least} "
        f"(the best had {best:.3f}); lower keep.least or the subspace's scale",
    )
