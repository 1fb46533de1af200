"""A program: perform a run in processes that are killed again and again, and print what its files came to.

Each process is a fork of this one, so that it starts at once; death comes from within, at a named point. This one only
imports and computes nothing: in a fork of a process that has convolved, two threads that convolve crash now and then.
"""

import hashlib
import json
import os
import signal
import sys
from functools import partial
from pathlib import Path

import sklearn.datasets  # (imported once here, not in every fork)
import sklearn.manifold  # noqa: F401
import torch._dynamo  # noqa: F401  (which optimisers import at their first step)
from toy_recipe import RECORD

from modescape.app.executors.abstract import Done, Progressed
from modescape.app.jobs.perform import perform
from modescape.app.jobs.prepare import Options, prepare
from modescape.app.jobs.recipe import validate


class Death:
    """Comes at the ``last``-th event of a kind: Progressed, Done, or fsync."""

    def __init__(self, kind, last):
        self.kind, self.left = kind, last
        if kind == "fsync":
            flush = os.fsync
            os.fsync = lambda handle: (self.meets("fsync"), flush(handle))[1]

    def meets(self, kind):
        if kind == self.kind:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def listen(self, happening):
        if isinstance(happening, Progressed | Done):
            self.meets(type(happening).__name__)


def forked(work):
    """The exit code of a process of its own that does this work, which returns its code."""
    child = os.fork()
    if child == 0:
        code = 255
        try:
            code = work()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def prepared():
    """The toy, ready to run."""
    return prepare(validate(RECORD, "toy"), Options(device="cpu", cores=2))


def lives(root, kind, last):
    """Perform the run in a process of its own until it dies or ends; whether it came to its end."""

    def life():
        perform(prepared(), ["trajectories"], root, {"title": "Toy"}, Death(kind, last).listen)
        return 0

    code = forked(life)
    if code not in (0, -signal.SIGKILL):
        raise SystemExit(f"a process ended with {code}")
    return code == 0


def digests(root):
    """SHA-256 of every result and every table."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in ("results", "tables")
        for path in sorted((root / folder).rglob("*"))
        if path.is_file()
    }


def plans(tasks):
    """Where the processes of each run die, one after another; the last one always comes to its end."""
    return {
        "never": [],
        "after every result": [("Done", 1)] * tasks,
        "after several results": [("Done", 5), ("Done", 4)],
        "during training and prediction": [("Progressed", n) for n in (1, 2, 4, 7, 10)],
        "at every step of the first writes": [("fsync", n) for n in range(1, 14)],
        "at every step of writing the tables": [("Done", tasks), *(("fsync", n) for n in range(2, 11))],
    }


def main(folder):
    """Perform every plan."""
    came_to = {}
    for number, (name, deaths) in enumerate(plans(forked(lambda: len(prepared().tasks(["trajectories"])))).items()):
        attempt = partial(lives, folder / str(number))
        survived = [attempt(*death) for death in deaths]
        ended = attempt("never", 0)
        came_to[name] = {"survived": sum(survived), "ended": ended, "files": digests(folder / str(number))}
    print(json.dumps(came_to))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
