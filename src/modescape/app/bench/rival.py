"""A contestant's process: ``python -m modescape.app.bench.rival MODULE:CLASS ASSIGNMENT``, told by lines what to do."""

import contextlib
import importlib
import json
import sys
import time

from modescape.app.bench.assignment import Assignment
from modescape.errors import in_a_line


def main(path: str, assignment: str) -> None:
    """Prepare and warm up; then work at each "go", and at another line say what was found, in lines of JSON."""
    answers = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        module, _, name = path.partition(":")
        given = Assignment(**json.loads(assignment))
        try:
            contestant = getattr(importlib.import_module(module), name)(given)
            contestant.warm_up()
            ready = {}
        except Exception as error:  # noqa: BLE001  (what a peer raises is a result of the comparison)
            ready = {"error": in_a_line(error)}
        print(json.dumps(ready), file=answers, flush=True)
        for line in sys.stdin:
            start = time.perf_counter()
            if line == "go\n":
                units = contestant.once()
                answer = {"units": units, "seconds": time.perf_counter() - start}
            else:
                answer = {"about": contestant.about, "found": contestant.found()}
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
