"""Where numbers come from: the code's commit, the processor."""

import platform
import subprocess
from functools import cache
from pathlib import Path

import modescape


@cache
def commit() -> str:
    """The commit of the checkout that this code runs from, and whether it was changed since; empty if it is none."""
    folder = Path(modescape.__file__).resolve().parent
    try:
        # Of the package's own files alone: what lies beside them in a larger repository says nothing about this code.
        found = _git(folder, "log", "-1", "--format=%h", "--abbrev=10", "--", ".")
        return found + (", changed since" if found and _git(folder, "status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True
    )
    return done.stdout.strip()


@cache
def processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
