"""Put what a run found where others can read it: a page, figures, tables, and none of its weights."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modescape.app.jobs.report import record_of
from modescape.app.report.published import published
from modescape.app.report.words import duration
from modescape.app.runs.commit import write_file, write_folder
from modescape.app.runs.history import wall_seconds
from modescape.app.runs.layout import Layout, is_run
from modescape.app.runs.run import read_identity
from modescape.app.runs.tables_file import read_tables
from modescape.errors import RunError
from modescape.tables import STUDIES

PAGE = "index.md"


def portable(value: Any) -> Any:
    """The same record with the names of files in place of their paths, which say nothing on another machine."""
    if isinstance(value, Mapping):
        return {name: _command(item) if name == "command" else portable(item) for name, item in value.items()}
    if isinstance(value, list):
        return [portable(item) for item in value]
    return Path(value).name if isinstance(value, str) and value.startswith("/") else value


def _command(text: str) -> str:
    return shlex.join(portable(word) for word in shlex.split(text))


def publish(root: Path, folder: Path) -> Path:
    """Write a run's page, figures, tables, journal and settings to ``folder/NAME``; returns the page.

    What is written is a run without its results: ``modescape report`` and ``modescape scorecard`` read it. Raises
    ``RunError`` for a run that has no tables or whose tables are damaged, and where something else stands in the way.
    """
    place = folder / root.resolve().name
    if place.exists() and not is_run(place):
        raise RunError(f"{place} exists and is no published run; choose another folder with --to")
    if place.resolve() == root.resolve():
        raise RunError(f"{root} would be published onto itself; choose another folder with --to")
    identity, layout, there = portable(read_identity(root)), Layout(root), Layout(place)
    tables = {study: found for study in STUDIES if (found := read_tables(layout, study)) is not None}
    if not tables:
        raise RunError(f"{root} has no tables yet; finish it with the command that began it")
    record = record_of(root, identity, tables)
    record = record.with_machine({**record.machine, "wall time": duration(wall_seconds(root))})
    files = published(record)
    for study in tables:
        files_of = sorted(path for path in layout.tables(study).iterdir() if path.is_file())
        write_folder(there.tables(study), {path.name: path.read_bytes for path in files_of})
    for name, content in files.items():
        write_file(place / name, content)
    write_file(there.journal, layout.journal.read_bytes())
    write_file(there.identity, json.dumps(identity, indent=1, sort_keys=True).encode() + b"\n")
    return place / PAGE
