"""The serial executor hands over tasks in groups; the store writes down which task a result is of."""

import json
import math

import torch

from modescape.app.executors.abstract import Done
from modescape.app.executors.serial import SerialExecutor
from modescape.app.executors.store import RunResults
from modescape.app.runs.layout import MANIFEST
from modescape.app.runs.manifest import read_manifest
from modescape.app.runs.run import open_run
from modescape.core.engine.events import Finished
from modescape.studies.abstract import Result, Task, content_keys


def makes(context, jobs):
    context.append(["makes", *(job.arguments["n"] for job in jobs)])
    for index in reversed(range(len(jobs))):
        yield Finished(index, Result({"w": {"x": torch.tensor([jobs[index].arguments["n"]])}}, {}))


def adds(context, jobs):
    context.append(["adds", *(job.arguments["n"] for job in jobs)])
    for index, job in enumerate(jobs):
        parts = [read().files["w"]["x"] for name, read in job.inputs.items() if name != "unread"]
        yield Finished(index, Result({"w": {"x": torch.stack(parts).sum(0)}}, {}))


TASKS = [
    Task("make/1", makes, {"n": 1}),
    Task("add/1", adds, {"n": 1}, {"left": "make/1"}),
    Task("make/2", makes, {"n": 2}),
    Task("add/2", adds, {"n": 2}, {"left": "make/1", "right": "make/2"}),
    Task("add/3", adds, {"n": 3}, {"left": "add/2", "unread": "make/2"}),
]
ORIGIN = {"versions": {"torch": "2"}, "seed": 5}


def results_in(run, tasks=TASKS, scope=None):
    return RunResults(run, tasks, content_keys(tasks, scope or {}), ORIGIN)


def test_tasks_of_a_function_that_are_ready_are_handed_over_together(tmp_path):
    calls = []
    with open_run(tmp_path, {}, {}) as run:
        told = list(SerialExecutor().perform(TASKS, calls, results_in(run)))
    assert calls == [["makes", 1, 2], ["adds", 1, 2], ["adds", 3]]
    # results are committed in the order in which they come, not in the order of the tasks
    assert [h.task.name for h in told if isinstance(h, Done)] == ["make/2", "make/1", "add/1", "add/2", "add/3"]


def test_inputs_are_read_when_they_are_asked_for(tmp_path, monkeypatch):
    read = []
    whole = RunResults.read
    monkeypatch.setattr(RunResults, "read", lambda results, name: (read.append(name), whole(results, name))[1])
    with open_run(tmp_path, {}, {}) as run:
        list(SerialExecutor().perform(TASKS, [], results_in(run)))
    assert read == ["make/1", "make/1", "make/2", "add/2"]


def test_a_manifest_says_which_task_a_result_is_of_and_where_it_comes_from(tmp_path):
    with open_run(tmp_path, {}, {}) as run:
        results = results_in(run)
        list(SerialExecutor().perform(TASKS, [], results))
        record = read_manifest(run.layout.result("add/2")).record
    assert record["task"] == "add/2"
    assert record["key"] == results.keys["add/2"]
    assert record["function"] == f"{__name__}:adds"
    assert record["arguments"] == {"n": 2}
    assert record["inputs"] == {name: results.keys[name] for name in ("make/1", "make/2")}
    assert (record["versions"], record["seed"]) == ({"torch": "2"}, 5)


def test_a_result_is_found_by_its_key_and_told_apart_from_none_and_from_a_damaged_one(tmp_path):
    first = TASKS[0]
    with open_run(tmp_path, {}, {}) as run:
        assert results_in(run).find(first) == (False, None)
        list(SerialExecutor().perform(TASKS, [], results_in(run)))
        assert results_in(run).find(first) == (True, None)
        assert results_in(run, scope={"seed": 1}).find(first) == (False, None)
        folder = run.layout.result(first.name)
        (folder / "w.safetensors").unlink()
        there, why = results_in(run).find(first)
        assert (there, "w.safetensors is missing" in why) == (False, True)
        (folder / MANIFEST).write_text(json.dumps({}))
        there, why = results_in(run).find(first)
        assert (there, "is not a manifest" in why) == (False, True)


def test_failures_are_read_again_from_the_run(tmp_path):
    facts = {"reason": "it diverged", "step": 3}
    with open_run(tmp_path, {}, {}) as run:
        results_in(run).write_failure(TASKS[0], facts)
        results = results_in(run)
        assert results.failure("make/1") is None
        assert results.find(TASKS[0]) == (True, None)
        assert results.failure("make/1") == facts
        assert results.read("make/1") is None
        assert results.failure("make/2") is None


def test_the_journal_times_every_task(tmp_path):
    with open_run(tmp_path, {}, {}) as run:
        list(SerialExecutor().perform(TASKS, [], results_in(run)))
        done = run.journal.events("done")
        sizes = {t.name: sum(p.stat().st_size for p in run.layout.result(t.name).iterdir()) for t in TASKS}
    assert {event["task"]: event["bytes"] for event in done} == sizes
    assert all(event["seconds"] >= 0 and (event["weight"], event["unit"]) == (1, "tasks") for event in done)


def test_seconds_are_those_of_the_journal_and_work_before_time(tmp_path):
    with open_run(tmp_path, {}, {}) as run:
        results = results_in(run)
        run.journal.append("done", {"task": "make/1", "seconds": 2.0})
        run.journal.append("done", {"task": "make/2", "seconds": 2.0, "core_seconds": 3.5})
        assert (results.seconds("make/1"), results.seconds("make/2")) == (2.0, 3.5)
        assert math.isnan(results.seconds("make/3"))
