"""What every executor promises, one suite over all of them, and a wrong one that it must reject."""

import pytest
import torch

from modescape.app.executors.abstract import Blocked, Damage, Done, Executor, FailedTask, Progressed, Skipped
from modescape.app.executors.serial import SerialExecutor
from modescape.app.executors.store import RunResults
from modescape.app.runs.run import open_run
from modescape.core.engine.events import Advanced, Failed, Finished
from modescape.errors import MemberFailed
from modescape.studies.abstract import Result, Task, content_keys

EXECUTORS = {"serial": SerialExecutor}


def link(context, jobs):
    """A link of a chain: its number is the state before it, times two, plus its own."""
    for index, job in enumerate(jobs):
        context.calls.append(job.arguments["number"])
        yield Advanced(index, 1)
        if job.arguments["number"] in context.fails:
            yield Failed(index, MemberFailed("it diverged", step=17))
            continue
        if job.arguments["number"] in context.bugs:
            yield Failed(index, ZeroDivisionError("a defect"))
            continue
        before = job.inputs["before"]().files["state"]["x"] if "before" in job.inputs else torch.zeros(1)
        state = {"x": before * 2 + job.arguments["number"]}
        yield Finished(index, Result({"state": state, "kept": state}, {}, frozenset({"state"})))


def total(context, jobs):
    """The sum of what its inputs kept."""
    for index, job in enumerate(jobs):
        context.calls.append("total")
        parts = [read().files["kept"]["x"] for read in job.inputs.values()]
        yield Finished(index, Result({"sum": {"x": torch.stack(parts).sum(0)}}, {"count": len(parts)}))


class World:
    """Stands for a context: counts calls, and says which links fail."""

    def __init__(self, fails=(), bugs=()):
        self.calls, self.fails, self.bugs = [], set(fails), set(bugs)


def plan():
    """Two chains of three links, and two sums of their ends: one needs both, one takes what is left."""
    tasks = []
    for chain in (0, 10):
        for position in range(3):
            before = {"before": f"link/{chain + position - 1}"} if position else {}
            carries = "before" if position else None
            number = {"number": chain + position}
            tasks.append(Task(f"link/{chain + position}", link, number, before, carries=carries))
    ends = {name: name for name in ("link/2", "link/12")}
    return [*tasks, Task("strict", total, {}, ends), Task("tolerant", total, {}, ends, tolerant=True)]


@pytest.fixture(params=EXECUTORS)
def executor(request):
    return EXECUTORS[request.param]()


def perform(executor, root, world, scope=None):
    tasks = plan()
    with open_run(root, {"it": "is"}, {}) as run:
        results = RunResults(run, tasks, content_keys(tasks, scope or {}), {})
        happenings = list(executor.perform(tasks, world, results))
    ends = {h.task.name: type(h) for h in happenings if not isinstance(h, Progressed | Damage)}
    return happenings, ends, results


def files(root):
    return {p: p.read_bytes() for p in (root / "results").rglob("*") if p.is_file()}


def once_and_only_once(executor, root):
    world = World()
    _, ends, results = perform(executor, root, world)
    assert set(ends.values()) == {Done}
    assert sorted(map(str, world.calls)) == sorted(["0", "1", "2", "10", "11", "12", "total", "total"])
    assert float(results.read("strict").files["sum"]["x"]) == (0 * 4 + 1 * 2 + 2) + (10 * 4 + 11 * 2 + 12)
    before, again = files(root), World()
    _, ends, _ = perform(executor, root, again)
    assert set(ends.values()) == {Skipped}
    assert again.calls == []
    assert files(root) == before


def failures_stay_with_their_own(executor, root):
    for attempt in range(2):
        world = World(fails=[1])
        happenings, ends, results = perform(executor, root, world)
        assert ends["link/1"] is FailedTask
        assert ends["link/2"] is Blocked
        assert ends["strict"] is Blocked
        assert ends["link/12"] is (Skipped if attempt else Done)
        told = next(h for h in happenings if isinstance(h, FailedTask))
        assert told.facts == {"reason": "it diverged", "step": 17}
        assert results.failure("link/2") == told.facts
        assert results.read("link/2") is None
        assert results.read("tolerant").facts["count"] == 1
        assert (1 in world.calls) is (attempt == 0)


def test_each_task_is_performed_once(executor, tmp_path):
    once_and_only_once(executor, tmp_path / "run")


def test_a_failure_blocks_its_descendants_alone_and_is_final(executor, tmp_path):
    failures_stay_with_their_own(executor, tmp_path / "run")


def test_a_defect_is_raised_and_what_was_done_stays(executor, tmp_path):
    with pytest.raises(ZeroDivisionError, match="a defect"):
        perform(executor, tmp_path / "run", World(bugs=[12]))
    world = World()
    _, ends, _ = perform(executor, tmp_path / "run", world)
    assert ends["link/11"] is Skipped
    assert ends["link/12"] is Done
    assert 0 not in world.calls


def test_passing_files_are_dropped_once_the_next_link_is_done(executor, tmp_path):
    perform(executor, tmp_path / "run", World())
    left = sorted(p.parent.name for p in (tmp_path / "run").rglob("state.safetensors"))
    assert left == ["12", "2"]


def test_damage_is_told_and_mended_with_the_same_bytes(executor, tmp_path):
    root = tmp_path / "run"
    perform(executor, root, World())
    before = files(root)
    victim = root / "results" / "link" / "12" / "kept.safetensors"
    victim.write_bytes(victim.read_bytes()[:-1] + b"!")
    world = World()
    happenings, ends, _ = perform(executor, root, world)
    assert [h.task.name for h in happenings if isinstance(h, Damage)] == ["link/12"]
    # its predecessors' states were dropped, so the chain is made again from its beginning; the other is not touched
    assert [call for call in world.calls if call != "total"] == [10, 11, 12]
    assert ends["link/2"] is Skipped
    assert files(root) == before


def test_stopping_in_the_middle_keeps_what_is_done(executor, tmp_path):
    tasks = plan()
    with open_run(tmp_path / "run", {"it": "is"}, {}) as run:
        results = RunResults(run, tasks, content_keys(tasks, {}), {})
        work = executor.perform(tasks, World(), results)
        done = []
        for happening in work:
            if isinstance(happening, Done):
                done.append(happening.task.name)
            if len(done) == 3:
                break
        work.close()
    _, ends, _ = perform(executor, tmp_path / "run", World())
    assert [name for name, end in ends.items() if end is Skipped] == [t.name for t in tasks if t.name in done]


def test_other_settings_are_other_work(executor, tmp_path):
    perform(executor, tmp_path / "run", World())
    _, ends, _ = perform(executor, tmp_path / "run", World(), scope={"seed": 1})
    assert set(ends.values()) == {Done}


class Forgetful(Executor):
    """Performs everything again, every time."""

    def perform(self, tasks, context, results):
        results.find = lambda task: (False, None)
        yield from SerialExecutor().perform(tasks, context, results)


class Hopeful(Executor):
    """Takes a failure for a result."""

    def perform(self, tasks, context, results):
        for happening in SerialExecutor().perform(tasks, context, results):
            yield Done(happening.task) if isinstance(happening, FailedTask) else happening


@pytest.mark.parametrize(
    ("wrong", "clause"), [(Forgetful, once_and_only_once), (Hopeful, failures_stay_with_their_own)]
)
def test_the_suite_rejects_a_wrong_executor(wrong, clause, tmp_path):
    with pytest.raises((AssertionError, StopIteration)):
        clause(wrong(), tmp_path / "run")


def changed(**parts):
    first = Task("a", link, {"number": 1})
    inputs = parts.get("inputs", {"x": "a"})
    second = Task("b", parts.get("function", link), parts.get("arguments", {"number": 2}), inputs)
    return content_keys([first, second], parts.get("scope", {"seed": 0}))["b"]


def test_keys_depend_on_everything_that_counts():
    variants = [
        {},
        {"function": total},
        {"arguments": {"number": 3}},
        {"inputs": {}},
        {"inputs": {"y": "a"}},
        {"scope": {"seed": 1}},
    ]
    assert len({changed(**variant) for variant in variants}) == len(variants)
    assert changed() == changed()
    with pytest.raises(ValueError, match="does not come before"):
        content_keys([Task("b", link, {}, {"x": "a"}), Task("a", link, {})], {})
