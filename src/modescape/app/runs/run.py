"""A run: the directory that studies fill, opened by one process at a time."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock

from modescape.app.runs.commit import ASIDE, sweep, telling, write_json
from modescape.app.runs.journal import Journal
from modescape.app.runs.layout import SCHEMA, Layout, is_run
from modescape.errors import RunError


@dataclass(frozen=True)
class Run:
    """A run directory. Nothing is held in memory: whatever is asked is read."""

    layout: Layout

    @property
    def journal(self) -> Journal:
        """The run's journal."""
        return Journal(self.layout.journal)

    @property
    def identity(self) -> dict[str, Any]:
        """What the run is. Raises ``RunError`` if that cannot be read or is of a newer version."""
        return read_identity(self.layout.root)


def read_identity(root: Path) -> dict[str, Any]:
    """The record of what a run is."""
    path = Layout(root).identity
    try:
        record = json.loads(path.read_bytes())
        schema, _ = record["schema"], record["belongs"]
        newer = schema > SCHEMA
    except FileNotFoundError as error:
        raise RunError(f"{root} is not a run: it has no {path.name}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} is damaged; choose another place with --out, or delete {root}") from error
    if newer:
        raise RunError(
            f"{root} was written by a newer modescape ({record.get('version')}, form {schema}; this one knows up to "
            f"{SCHEMA}); install that version or choose another place with --out"
        )
    return dict(record)


def _flat(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in record.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) and value else {prefix + name: value}
    return flat


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two nested records, as ``name: before there, now here``."""
    old, new = _flat(before), _flat(now)
    names = sorted(set(old) | set(new))
    return [f"{n} is {old.get(n)!r} there, {new.get(n)!r} here" for n in names if old.get(n) != new.get(n)]


def _could_become_run(root: Path) -> bool:
    """Whether a folder is empty, but for what a run was given and what one killed while it was made leaves."""
    expected = {Layout(root).lock.name, Layout(root).given.name}
    return root.is_dir() and all(p.name in expected or p.name.startswith(ASIDE) for p in root.iterdir())


@contextmanager
def open_run(
    root: Path, belongs: Mapping[str, Any], made: Mapping[str, Any], asked: Mapping[str, Any] | None = None
) -> Iterator[Run]:
    """Open a run for writing, or make it; what killed writes left is swept away.

    ``belongs`` is what must be equal for the directory to be continued, ``made`` says how it was begun, ``asked`` what
    it was last asked for. Raises ``RunError`` if another process fills it, if it belongs to something else, or if the
    folder holds other things.
    """
    layout = Layout(root)
    if root.exists() and not is_run(root) and not _could_become_run(root):
        raise RunError(f"{root} exists and is not a run; choose another place with --out")
    with telling(root):
        root.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(layout.lock, timeout=0)
        try:
            lock.acquire()
        except filelock.Timeout as error:
            raise RunError(
                f"another process is filling {root}; wait for it to end, or choose another place with --out"
            ) from error
    try:
        if is_run(root):
            found = differences(read_identity(root)["belongs"], belongs)
            if found:
                more = f" (and {len(found) - 3} more)" if len(found) > 3 else ""
                raise RunError(
                    f"{root} belongs to another configuration: {'; '.join(found[:3])}{more}; "
                    "choose another place with --out, or delete it"
                )
        sweep(root)
        identity = read_identity(root) if is_run(root) else {"schema": SCHEMA, "belongs": belongs, **made}
        latest = identity | dict(asked or {})
        if not is_run(root) or latest != identity:
            write_json(layout.identity, latest)
        yield Run(layout)
    finally:
        lock.release()


def free_bytes(path: Path) -> int:
    """Free space where a path is or would be."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free
