"""The main job: perform what a recipe's studies need, write their tables, write the report."""

import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from modescape.app.executors.abstract import Blocked, FailedTask, Happening
from modescape.app.executors.clock import core_seconds
from modescape.app.executors.serial import SerialExecutor
from modescape.app.executors.store import RunResults
from modescape.app.jobs.prepare import Prepared, machine, versions
from modescape.app.runs.manifest import Damaged, digest
from modescape.app.runs.run import Run, free_bytes, open_run
from modescape.app.runs.tables_file import read_tables, tables_key, write_tables
from modescape.errors import RunError
from modescape.studies.abstract import Task
from modescape.studies.members import checkpoint_count
from modescape.tables import Table

Listener = Callable[[Happening], None]


@dataclass
class Outcome:
    """What a run came to."""

    root: Path
    failures: dict[str, str] = field(default_factory=dict)
    tables: dict[str, Mapping[str, Table]] = field(default_factory=dict)


def perform(
    prepared: Prepared, studies: Sequence[str], root: Path, source: Mapping[str, Any], listen: Listener
) -> Outcome:
    """Perform every task that the run lacks, then write the tables that are missing or stale."""
    tasks = prepared.tasks(studies)
    keys = prepared.keys(tasks)
    outcome = Outcome(root)
    made = {"versions": versions(), "machine": machine(prepared.context)}
    asked = {"source": source, "settings": prepared.recipe.record()}
    with open_run(root, prepared.belongs, made, asked) as run:
        origin = {
            "versions": versions(),
            "engine": prepared.arithmetic,
            "seed": prepared.recipe.seed,
        }
        results = RunResults(run, tasks, keys, origin)
        _check_space(prepared, tasks, root)
        run.journal.append("started", {"studies": list(studies), "engine": prepared.chosen.sentence, **versions()})
        for happening in SerialExecutor(partial(core_seconds, prepared.context.device)).perform(
            tasks, prepared.context, results
        ):
            listen(happening)
            if isinstance(happening, FailedTask | Blocked):
                outcome.failures.setdefault(str(happening.facts["reason"]), happening.task.name)
        for study in studies:
            outcome.tables[study] = _tables(prepared, study, run, results)
        run.journal.append("ended", {"peak_memory_bytes": peak_memory()})
    return outcome


def _tables(prepared: Prepared, study: str, run: Run, results: RunResults) -> Mapping[str, Table]:
    names = [task.name for task in prepared.tasks([study])]
    settings = prepared.recipe.record()[study]
    key = digest(repr((sorted(results.keys[name] for name in names), settings)).encode())
    try:
        if tables_key(run.layout, study) == key and (tables := read_tables(run.layout, study)) is not None:
            return tables
    except Damaged as error:
        run.journal.append("damaged", {"study": study, "reason": str(error)})
    made = prepared.recipe.study(study).tables(prepared.recipe.setup, results)
    write_tables(run.layout, study, made, {"key": key, "versions": versions(), "settings": settings})
    run.journal.append("tables", {"study": study})
    return made


def disk_needed(prepared: Prepared, tasks: Sequence[Task]) -> int:
    """Bytes that the run will take, roughly: checkpoints, one state a member, predictions."""
    weights = prepared.parameters * 4
    networks = {task.name.partition("/epoch/")[0] for task in tasks if task.phase == "train"}
    trajectories = len(networks) * checkpoint_count(prepared.recipe.setup, prepared.sizes) * weights
    predictions = examples_of_checkpoints(prepared, tasks) * prepared.context.classes * 4
    # A class for each example of a drawn member, or the probabilities of fewer examples.
    drawn = 4 * examples_drawn(prepared, tasks)
    # Members of ensembles are kept, and at most as many summaries of ten bytes a class.
    members = sum(task.weight for task in tasks if task.unit == "draws") * weights
    methods = [task for task in tasks if task.phase == "predict" and task.unit == "members"]
    summaries = 10 * prepared.context.classes * examples_drawn(prepared, methods)
    # Twenty quantities at most of the points of cross-sections, put down as they come and once more in the end.
    summaries += 2 * 20 * 8 * sum(task.weight for task in tasks if task.unit == "points")
    kept = trajectories + 6 * weights * len(networks) + predictions
    return kept + drawn + members + summaries + 2**24


def examples_of_checkpoints(prepared: Prepared, tasks: Sequence[Task]) -> int:
    """Examples of which checkpoints' logits are kept, counted for each checkpoint."""
    examples = prepared.sizes.examples
    kept = [task for task in tasks if task.unit == "checkpoints"]
    return sum(task.weight * examples.get(task.arguments.get("split", ""), max(examples.values())) for task in kept)


def examples_drawn(prepared: Prepared, tasks: Sequence[Task]) -> int:
    """Examples that all drawn members predict, counted for each member."""
    total = 0
    for task in tasks:
        if task.unit == "members":
            wanted = task.arguments["examples"]
            available = prepared.sizes.examples.get(task.arguments["split"], wanted)
            total += task.weight * min(wanted or available, available)
    return total


def examples_on_sections(prepared: Prepared, tasks: Sequence[Task]) -> int:
    """Examples that networks on cross-sections predict: at every point, or about a quarter of them if refined."""
    total = 0
    for task in tasks:
        if task.unit == "points" and "train_examples" in task.arguments:
            available = prepared.sizes.examples[task.arguments["split"]]
            train = prepared.sizes.examples["train"] if (few := task.arguments["train_examples"]) is None else few
            wanted = min(task.arguments["examples"] or available, available) + train
            total += task.weight * wanted // (4 if task.arguments.get("tolerance") else 1)
    return total


def _check_space(prepared: Prepared, tasks: Sequence[Task], root: Path) -> None:
    needed, free = disk_needed(prepared, tasks), free_bytes(root)
    held = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    if needed - held > free:
        raise RunError(
            f"the run needs about {needed / 2**20:.0f} MiB more in {root}, there are {free / 2**20:.0f} MiB free; "
            "free some space or choose another place with --out"
        )


def peak_memory() -> int:
    """Largest resident size of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
