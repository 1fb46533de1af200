"""A run in one line: what it is and how far it came."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from modescape.app.runs.journal import Journal
from modescape.app.runs.layout import Layout
from modescape.app.runs.run import read_identity


@dataclass(frozen=True)
class Summary:
    """``status`` is finished or unfinished; ``at`` the time of the last event (UTC)."""

    title: str
    status: str
    at: str
    done: int


def summary(root: Path) -> Summary:
    """What the journal says of a run."""
    events = Journal(Layout(root).journal).events()
    title = str(read_identity(root).get("source", {}).get("title", ""))
    finished = bool(events) and events[-1]["event"] == "ended"
    at = str(events[-1]["at"])[:19].replace("T", " ") if events else ""
    done = sum(event["event"] == "done" for event in events)
    return Summary(title, "finished" if finished else "unfinished", at, done)


def commits(root: Path) -> list[str]:
    """The commits of modescape that filled the run, in the order of their first start; those that are known."""
    started = Journal(Layout(root).journal).events("started")
    return list(dict.fromkeys(str(event["commit"]) for event in started if event.get("commit")))


def wall_seconds(root: Path) -> float:
    """Seconds from each start of a process that filled the run to its last event, summed; what was lost counts too."""
    total, since, last = 0.0, None, None
    for event in Journal(Layout(root).journal).events():
        at = datetime.fromisoformat(event["at"])
        if event["event"] == "started":
            total += (last - since).total_seconds() if since and last else 0.0
            since = at
        last = at
    return total + ((last - since).total_seconds() if since and last else 0.0)
