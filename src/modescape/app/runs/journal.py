"""The journal of a run: JSON lines, only ever appended to."""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from modescape.app.runs.commit import telling


class Journal:
    """Events of a run in the order in which they happened, each with its time (UTC, ISO 8601)."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, event: str, facts: Mapping[str, Any]) -> None:
        """Add one event, durable when this returns."""
        record = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **facts}
        with telling(self.path), self.path.open("ab") as handle:
            # A line that a killed process left unfinished must not swallow this one.
            lead = b"\n" if self._torn() else b""
            handle.write(lead + json.dumps(record).encode() + b"\n")
            handle.flush()
            os.fsync(handle.fileno())

    def _torn(self) -> bool:
        with self.path.open("rb") as handle:
            handle.seek(0, os.SEEK_END)
            if handle.tell() == 0:
                return False
            handle.seek(-1, os.SEEK_END)
            return handle.read(1) != b"\n"

    def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        """All events, or those of one kind; a line cut off by a crash is left out."""
        if not self.path.exists():
            return []
        found = []
        for line in self.path.read_bytes().splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict) and (kind is None or record.get("event") == kind):
                found.append(record)
        return found
