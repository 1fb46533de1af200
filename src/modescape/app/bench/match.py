"""Let contestants work in turns, each in its own process, and keep what came of every round."""

import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from modescape.app.bench.assignment import Assignment
from modescape.app.bench.comparisons import Comparison


@dataclass(frozen=True)
class Speed:
    """A contestant's rounds, in units a second; or why there are none."""

    name: str
    about: str
    rates: tuple[float, ...]
    seconds: tuple[float, ...]
    found: dict[str, Any]
    error: str = ""

    @property
    def median(self) -> float:
        """Units a second."""
        return statistics.median(self.rates)


@dataclass(frozen=True)
class Outcome:
    """What came of a comparison; the first of ``speeds`` is modescape's."""

    name: str
    title: str
    unit: str
    speeds: tuple[Speed, ...]
    target: float | None
    most_seconds: float | None
    differences: tuple[str, ...]

    def ratios(self, peer: Speed) -> tuple[float, float, float]:
        """Median, least and largest ratio of modescape's speed to a peer's, round by round."""
        each = [own / other for own, other in zip(self.speeds[0].rates, peer.rates, strict=True)]
        return statistics.median(each), min(each), max(each)

    @property
    def met(self) -> bool | None:
        """Whether the target was reached; None where there is none, or where nobody could be measured."""
        own = self.speeds[0]
        if own.error:
            return None
        if self.most_seconds is not None:
            return statistics.median(own.seconds) <= self.most_seconds
        peers = [peer for peer in self.speeds[1:] if not peer.error]
        if self.target is None or not peers:
            return None
        return self.ratios(peers[0])[0] >= self.target


class _Rival:
    """A contestant in its process."""

    def __init__(self, path: str, work: Assignment) -> None:
        self.path = path
        command = [sys.executable, "-m", "modescape.app.bench.rival", path, json.dumps(asdict(work))]
        # A file, since a pipe that nobody reads while the contestant works would stop it once it is full.
        self.words = tempfile.TemporaryFile("w+")  # noqa: SIM115  (closed in ``end``)
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.words, text=True
        )
        self.rates: list[float] = []
        self.seconds: list[float] = []

    def prepare(self) -> dict[str, Any]:
        """Wait until it has warmed up."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"error": self._last_words()}

    def _last_words(self) -> str:
        code = self.process.wait()
        self.words.seek(0)
        lines = self.words.read().strip().splitlines()
        return f"its process ended with {code}: {lines[-1] if lines else 'no word'}"[:300]

    def ask(self, word: str) -> dict[str, Any]:
        """Say a word and wait for the answer. Raises ``RuntimeError`` if the process is gone."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(f"{word}\n")
            self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(self._last_words())
        answer: dict[str, Any] = json.loads(line)
        return answer

    def work(self) -> None:
        """One round."""
        answer = self.ask("go")
        self.rates.append(answer["units"] / answer["seconds"])
        self.seconds.append(answer["seconds"])

    def end(self) -> None:
        """Let the process go."""
        self.process.kill()
        self.process.communicate()
        self.words.close()


@contextlib.contextmanager
def _left_out(facts: dict[str, Any]) -> Iterator[None]:
    """What ends a contestant is a fact about it, and the others go on."""
    try:
        yield
    except RuntimeError as error:
        facts["error"] = str(error)


def play(name: str, comparison: Comparison, work: Assignment, rounds: int, tell: Callable[[str], None]) -> Outcome:
    """Prepare the contestants one after another, then let them work in turns, another one first in every round."""
    rivals, ready = [], []
    try:
        for path in comparison.contestants:
            rivals.append(rival := _Rival(path, work))
            began = time.monotonic()
            ready.append(rival.prepare())
            tell(f"{name}: {path.partition(':')[2]} ready after {time.monotonic() - began:.1f} s")
        able = [rival for rival, facts in zip(rivals, ready, strict=True) if "error" not in facts]
        for turn in range((comparison.rounds or rounds) if able else 0):
            for rival in able[turn % len(able) :] + able[: turn % len(able)]:
                with _left_out(ready[rivals.index(rival)]):
                    rival.work()
            able = [rival for rival, facts in zip(rivals, ready, strict=True) if "error" not in facts]
            if not able:
                break
            tell(f"{name}: round {turn + 1} of {comparison.rounds or rounds}")
        for rival in able:
            facts = ready[rivals.index(rival)]
            with _left_out(facts):
                facts.update(rival.ask("tell"))
    finally:
        for rival in rivals:
            rival.end()
    speeds = tuple(
        Speed(
            rival.path.partition(":")[2],
            facts.get("about", ""),
            tuple(rival.rates),
            tuple(rival.seconds),
            facts.get("found", {}),
            facts.get("error", ""),
        )
        for rival, facts in zip(rivals, ready, strict=True)
    )
    differences = tuple(_differences(comparison, speeds))
    return Outcome(name, comparison.title, comparison.unit, speeds, comparison.target, comparison.seconds, differences)


def _differences(comparison: Comparison, speeds: tuple[Speed, ...]) -> list[str]:
    """Where contestants did not find the same: then their speeds compare nothing."""
    found, own = [], speeds[0].found
    for peer in speeds[1:]:
        for key, most in comparison.alike.items():
            if key in own and key in peer.found and not _apart(own[key], peer.found[key]) <= most:
                found.append(f"{key} differs by {_apart(own[key], peer.found[key]):.3g} from {peer.name}'s")
    return found


def _apart(one: Any, other: Any) -> Any:
    """How far numbers lie apart; for a list, the largest distance as a fraction of the other's range."""
    if isinstance(one, list):
        return max(abs(a - b) for a, b in zip(one, other, strict=True)) / (max(other) - min(other))
    return abs(one - other)


def data_folder(data_dir: Path | None) -> str | None:
    """A data directory as an assignment holds it."""
    return str(data_dir.resolve()) if data_dir else None
