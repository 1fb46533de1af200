"""Results of tasks as a run keeps them: found by content key, verified before they are used."""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from modescape.app.executors.pad import FolderPad
from modescape.app.runs.manifest import Damaged, read_manifest
from modescape.app.runs.results import drop_passing, read_result, verify, write_result
from modescape.app.runs.run import Run
from modescape.studies.abstract import Result, Results, Task


class RunResults(Results):
    """The results of one list of tasks in one run. ``origin`` (versions, device, way) goes into every manifest."""

    def __init__(self, run: Run, tasks: Sequence[Task], keys: Mapping[str, str], origin: Mapping[str, Any]) -> None:
        self.run, self.keys, self.origin = run, keys, origin
        self.tasks = {task.name: task for task in tasks}
        self.failures: dict[str, Mapping[str, Any]] = {}

    def find(self, task: Task) -> tuple[bool, str | None]:
        """Whether the task's result is there and whole; and if it is there but damaged, why."""
        folder = self.run.layout.result(task.name)
        try:
            manifest = read_manifest(folder)
            if manifest is None or manifest.record.get("key") != self.keys[task.name]:
                return False, None
            verify(folder, manifest)
        except Damaged as error:
            return False, str(error)
        failure = manifest.record["facts"].get("failure")
        if failure:
            self.failures[task.name] = failure
        return True, None

    def write(self, task: Task, result: Result) -> int:
        """Commit a task's result."""
        record = {
            "task": task.name,
            "key": self.keys[task.name],
            "function": f"{task.function.__module__}:{task.function.__qualname__}",
            "arguments": task.arguments,
            "inputs": {source: self.keys[source] for source in task.inputs.values()},
            **self.origin,
        }
        return write_result(self.run.layout.result(task.name), result, record)

    def write_failure(self, task: Task, facts: Mapping[str, Any]) -> None:
        """Commit the failure of a task."""
        self.failures[task.name] = facts
        self.write(task, Result({}, {"failure": facts}))

    def pad(self, task: Task) -> FolderPad:
        """Where the task puts down what it has found so far."""
        return FolderPad(self.run.layout.pad(self.keys[task.name]))

    def has_passing(self, name: str) -> bool:
        """Whether the files that only the next task needs are still there."""
        folder = self.run.layout.result(name)
        manifest = read_manifest(folder)
        return manifest is not None and all((folder / name).exists() for name in manifest.files)

    def drop_passing(self, name: str) -> None:
        """Drop what only the next task needed."""
        drop_passing(self.run.layout.result(name))

    def read(self, task: str) -> Result | None:
        """The result of a task; None if it failed or was blocked. Raises ``Damaged``."""
        if task in self.failures:
            return None
        return read_result(self.run.layout.result(task))

    def failure(self, task: str) -> Mapping[str, Any] | None:
        """Why a task failed or was blocked."""
        return self.failures.get(task)

    def seconds(self, task: str) -> float:
        """Core-seconds that the task took when it was last performed, by the journal; NaN if that is not on record."""
        return self._seconds.get(task, math.nan)

    @cached_property
    def _seconds(self) -> dict[str, float]:
        # In the journal, not beside the result: made again, a result has the same bytes. Where only the time that
        # passed was recorded, that is taken: core-seconds were at least as many.
        done = self.run.journal.events("done")
        return {event["task"]: event.get("core_seconds", event["seconds"]) for event in done}
