"""Whole writes: written aside, flushed to the disk, put in place by one atomic rename."""

import errno
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modescape.errors import RunError

ASIDE = ".writing-"
"""Prefix of what is being written; whatever bears it is nobody's result."""


@contextmanager
def telling(where: Path) -> Iterator[None]:
    """Turn the system's refusals to write into errors that say where and what to do."""
    try:
        yield
    except OSError as error:
        advice = {
            errno.ENOSPC: "free some space and run the same command again; finished work is kept",
            errno.EDQUOT: "free some of your quota and run the same command again; finished work is kept",
            errno.EFBIG: "the limit on file sizes is too low; raise it and run the same command again",
            errno.EACCES: "choose another place with --out",
            errno.EPERM: "choose another place with --out",
            errno.EROFS: "choose another place with --out",
        }.get(error.errno or 0, "run the same command again once that is mended; finished work is kept")
        raise RunError(f"cannot write {where}: {error.strerror or error}; {advice}") from error


def flush_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_through(path: Path, data: bytes) -> None:
    with path.open("wb") as handle:
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())


def write_file(path: Path, data: bytes) -> None:
    """Replace a file as a whole: after a crash at any moment it holds the old bytes or the new ones."""
    aside = path.with_name(f"{ASIDE}{uuid.uuid4().hex}")
    with telling(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write_through(aside, data)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
        flush_folder(path.parent)


def write_json(path: Path, record: Any) -> None:
    """Replace a JSON file as a whole."""
    write_file(path, (json.dumps(record, indent=1, sort_keys=True) + "\n").encode())


def write_folder(path: Path, files: dict[str, Callable[[], bytes]]) -> None:
    """Replace a folder by one with these files, each made when its turn comes.

    A folder that stands there is moved aside first, since a rename cannot replace one that is not empty: after a crash
    in between there is none, never half of one.
    """
    parent = path.parent
    aside = parent / f"{ASIDE}{uuid.uuid4().hex}"
    with telling(path):
        try:
            aside.mkdir(parents=True)
            for name, make in files.items():
                _write_through(aside / name, make())
            flush_folder(aside)
            if path.exists():
                old = parent / f"{ASIDE}{uuid.uuid4().hex}"
                path.rename(old)
                shutil.rmtree(old)
            aside.rename(path)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        flush_folder(parent)


def sweep(root: Path) -> None:
    """Remove what writes that were killed left behind."""
    for left in [*root.rglob(f"{ASIDE}*")]:
        shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)
