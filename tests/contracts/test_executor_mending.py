"""What every executor promises when results were lost, when it was stopped, and when a task is at fault."""

from collections import Counter

import pytest
import torch
from test_executor import EXECUTORS, World, files, perform, plan

from modescape.app.executors.abstract import Blocked, Damage, Done, Executor, FailedTask, Progressed, Skipped
from modescape.app.executors.serial import SerialExecutor
from modescape.app.executors.store import RunResults
from modescape.app.runs.layout import MANIFEST
from modescape.app.runs.run import open_run
from modescape.core.engine.engine import Engine
from modescape.core.engine.events import Advanced, Failed, Finished
from modescape.core.engine.way import Room
from modescape.core.models.mlp import mlp
from modescape.core.splits import Split, scaling_of
from modescape.core.training.settings import Optimiser, Training
from modescape.errors import MemberFailed, RunError
from modescape.studies.abstract import Context, Result, Sizes, Task, content_keys
from modescape.studies.members import prediction_tasks, training_tasks
from modescape.studies.setup import DataChoice, NetworkChoice, Setup

ENDS = Skipped | Done | FailedTask | Blocked


@pytest.fixture(params=EXECUTORS)
def executor(request):
    return EXECUTORS[request.param]()


def happenings_of(executor, root, tasks, context):
    with open_run(root, {"it": "is"}, {}) as run:
        results = RunResults(run, tasks, content_keys(tasks, {}), {})
        yield from executor.perform(tasks, context, results)


def stamps(root):
    return {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in (root / "results").rglob("*")}


# --- clauses -----------------------------------------------------------------------------------------------------


def every_task_ends_once(executor, root):
    names = [task.name for task in plan()]
    for world in (World(fails=[1]), World(fails=[1]), World()):
        happenings, _, _ = perform(executor, root, world)
        told = [h for h in happenings if isinstance(h, ENDS)]
        assert sorted(h.task.name for h in told) == sorted(names)
    ended = set()
    happenings, _, _ = perform(executor, root.with_name("fresh"), World())
    for happening in happenings:
        assert ended.issuperset(happening.task.inputs.values())
        if isinstance(happening, ENDS):
            ended.add(happening.task.name)


def a_failure_is_written_once(executor, root):
    perform(executor, root, World(fails=[10]))
    before = stamps(root)
    world = World()
    happenings, ends, results = perform(executor, root, world)
    assert world.calls == []
    assert stamps(root) == before
    assert ends["link/10"] is FailedTask
    assert [h.facts for h in happenings if isinstance(h, FailedTask)] == [{"reason": "it diverged", "step": 17}]
    assert ends["link/12"] is Blocked
    assert [event["task"] for event in results.run.journal.events("failed")] == ["link/10"]


def damage_is_told(executor, root):
    perform(executor, root, World())
    whole = files(root)
    victim = root / "results" / "link" / "2" / "kept.safetensors"
    victim.write_bytes(b"")
    happenings, ends, _ = perform(executor, root, World())
    told = [h for h in happenings if isinstance(h, Damage)]
    assert [h.task.name for h in told] == ["link/2"]
    assert str(victim) in told[0].reason
    assert ends["link/2"] is Done
    assert files(root) == whole


def nothing_is_written_twice(executor, root):
    perform(executor, root, World())
    before = stamps(root)
    _, ends, results = perform(executor, root, World())
    assert set(ends.values()) == {Skipped}
    assert stamps(root) == before
    assert Counter(event["task"] for event in results.run.journal.events("done")) == Counter(t.name for t in plan())


CLAUSES = [every_task_ends_once, a_failure_is_written_once, damage_is_told, nothing_is_written_twice]


@pytest.mark.parametrize("clause", CLAUSES)
def test_every_executor_keeps(clause, executor, tmp_path):
    clause(executor, tmp_path / "run")


class Silent(Executor):
    """Says nothing of the tasks that it does not perform."""

    def perform(self, tasks, context, results):
        yield from (h for h in SerialExecutor().perform(tasks, context, results) if not isinstance(h, Blocked))


class Stubborn(Executor):
    """Tries again what failed."""

    def perform(self, tasks, context, results):
        find = results.find

        def forgets(task):
            found = find(task)
            return (False, None) if results.failures.pop(task.name, None) else found

        results.find = forgets
        yield from SerialExecutor().perform(tasks, context, results)


class Discreet(Executor):
    """Mends without a word."""

    def perform(self, tasks, context, results):
        yield from (h for h in SerialExecutor().perform(tasks, context, results) if not isinstance(h, Damage))


class Restless(Executor):
    """Writes again what is there."""

    def perform(self, tasks, context, results):
        for happening in SerialExecutor().perform(tasks, context, results):
            if isinstance(happening, Skipped):
                results.write(happening.task, results.read(happening.task.name))
            yield happening


@pytest.mark.parametrize(
    ("wrong", "clause"),
    [
        (Silent, every_task_ends_once),
        (Stubborn, a_failure_is_written_once),
        (Discreet, damage_is_told),
        (Restless, nothing_is_written_twice),
    ],
)
def test_a_wrong_executor_does_not_keep(wrong, clause, tmp_path):
    with pytest.raises(AssertionError):
        clause(wrong(), tmp_path / "run")


# --- results that were lost --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["kept.safetensors", MANIFEST])
@pytest.mark.parametrize("link", ["link/10", "link/11", "link/12", "strict"])
@pytest.mark.parametrize("harm", ["flip", "cut", "delete"])
def test_whatever_is_lost_of_a_chain_is_made_again_with_the_same_bytes(executor, tmp_path, link, name, harm):
    root = tmp_path / "run"
    perform(executor, root, World())
    whole = files(root)
    victim = root / "results" / link / (name if link != "strict" or name == MANIFEST else "sum.safetensors")
    data = victim.read_bytes()
    if harm == "delete":
        victim.unlink()
    else:
        victim.write_bytes(data[: len(data) // 2] if harm == "cut" else data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    world = World()
    happenings, ends, _ = perform(executor, root, world)
    assert files(root) == whole
    told = [h.task.name for h in happenings if isinstance(h, Damage)]
    assert told == ([] if (harm, name) == ("delete", MANIFEST) else [link])
    assert ends[link] is Done
    # a chain is carried on from its beginning, since what lies between was dropped; nothing else is touched
    again = {"link/10": [10], "link/11": [10, 11], "link/12": [10, 11, 12], "strict": ["total"]}[link]
    assert world.calls == again
    assert set(perform(executor, root, World())[1].values()) == {Skipped}


def test_a_chain_is_carried_on_from_the_last_state_that_is_there(executor, tmp_path):
    tasks = plan()
    work = happenings_of(executor, tmp_path / "run", tasks, World())
    done = [next(h.task.name for h in work if isinstance(h, Done)) for _ in range(4)]
    work.close()
    assert sorted(done) == ["link/0", "link/1", "link/10", "link/11"]
    world = World()
    _, ends, results = perform(executor, tmp_path / "run", world)
    assert [call for call in world.calls if call != "total"] == [2, 12]
    assert float(results.read("link/12").files["kept"]["x"]) == 10 * 4 + 11 * 2 + 12
    assert ends["link/1"] is Skipped


def test_a_state_that_is_damaged_before_it_is_carried_on_is_made_again(executor, tmp_path):
    root = tmp_path / "run"
    work = happenings_of(executor, root, plan(), World())
    for happening in work:
        if isinstance(happening, Done) and happening.task.name == "link/11":
            break
    work.close()
    (root / "results" / "link" / "11" / "state.safetensors").write_bytes(b"half")
    happenings, _, results = perform(executor, root, World())
    assert [h.task.name for h in happenings if isinstance(h, Damage)] == ["link/11"]
    assert float(results.read("link/12").files["kept"]["x"]) == 10 * 4 + 11 * 2 + 12


def test_states_that_a_kill_kept_from_being_dropped_are_dropped_later(executor, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(RunResults, "drop_passing", lambda results, name: None)
        perform(executor, tmp_path / "run", World())
    assert len(list((tmp_path / "run").rglob("state.safetensors"))) == 6
    _, ends, _ = perform(executor, tmp_path / "run", World())
    assert set(ends.values()) == {Skipped}
    left = sorted(p.parent.name for p in (tmp_path / "run").rglob("state.safetensors"))
    assert left == ["12", "2"]


# --- tasks at fault, work that is stopped -------------------------------------------------------------------------


def test_a_failure_under_other_settings_is_no_failure_here(executor, tmp_path):
    perform(executor, tmp_path / "run", World(fails=[1]))
    _, ends, results = perform(executor, tmp_path / "run", World(), scope={"rate": 0.1})
    assert set(ends.values()) == {Done}
    assert results.failures == {}


def test_a_tolerant_task_is_performed_though_nothing_is_left(executor, tmp_path):
    tasks = [Task("a", fails, {}), Task("b", names, {}, {"x": "a"}, tolerant=True), Task("c", names, {}, {"x": "a"})]
    list(happenings_of(executor, tmp_path / "run", tasks, None))
    with open_run(tmp_path / "run", {"it": "is"}, {}) as run:
        results = RunResults(run, tasks, content_keys(tasks, {}), {})
        ends = {h.task.name: type(h) for h in executor.perform(tasks, None, results)}
        assert ends == {"a": FailedTask, "b": Skipped, "c": Blocked}
        assert results.read("b").facts == {"inputs": []}


def fails(context, jobs):
    for index, _ in enumerate(jobs):
        yield Failed(index, MemberFailed("no", step=0))


def names(context, jobs):
    for index, job in enumerate(jobs):
        yield Advanced(index, 5)
        yield Finished(index, Result({}, {"inputs": sorted(job.inputs)}))


def guarded(context, jobs):
    """Notes when it is closed, as an engine does that has threads to end."""
    try:
        yield Advanced(0, 1)
        yield Finished(0, Result({"w": {"a": torch.zeros(3)}}, {}))
        yield Failed(1, ZeroDivisionError("a defect"))
        yield Finished(2, Result({}, {}))
    finally:
        context.append("closed")


GUARDED = [Task(name, guarded, {"name": name}) for name in "abc"]


def test_a_defect_stops_the_work_of_its_neighbours(executor, tmp_path):
    context = []
    with pytest.raises(ZeroDivisionError) as error:
        list(happenings_of(executor, tmp_path / "run", GUARDED, context))
    assert (error.value.args, context) == (("a defect",), ["closed"])
    assert [p.name for p in (tmp_path / "run" / "results").iterdir()] == ["a"]


def test_a_result_that_cannot_be_written_stops_the_work(executor, tmp_path, monkeypatch):
    def refuses(results, task, result):
        raise RunError("the disk is full")

    monkeypatch.setattr(RunResults, "write", refuses)
    context = []
    with pytest.raises(RunError, match="the disk is full") as error:
        list(happenings_of(executor, tmp_path / "run", GUARDED, context))
    assert context == ["closed"], error
    assert not (tmp_path / "run" / "results").exists()


@pytest.mark.parametrize("after", range(1, 12, 2))
def test_work_that_is_stopped_anywhere_ends_in_the_same_bytes(executor, tmp_path, after):
    perform(executor, tmp_path / "whole", World())
    work = happenings_of(executor, tmp_path / "run", plan(), World())
    for _ in range(after):
        next(work)
    work.close()
    perform(executor, tmp_path / "run", World())
    assert {p.relative_to(tmp_path / "run"): d for p, d in files(tmp_path / "run").items()} == {
        p.relative_to(tmp_path / "whole"): d for p, d in files(tmp_path / "whole").items()
    }


def test_progress_adds_up(executor, tmp_path):
    tasks = [Task(name, names, {"name": name}) for name in "ab"]
    told = list(happenings_of(executor, tmp_path / "run", tasks, None))
    assert {h.task.name: h.amount for h in told if isinstance(h, Progressed)} == {"a": 5, "b": 5}
    again = list(happenings_of(executor, tmp_path / "run", tasks, None))
    assert not [h for h in again if isinstance(h, Progressed)]


# --- real work ---------------------------------------------------------------------------------------------------


def real_context():
    chance = torch.Generator().manual_seed(0)
    inputs = torch.randint(0, 17, (24, 1, 4, 4), generator=chance, dtype=torch.uint8)
    split = Split(inputs, torch.randint(0, 3, (24,), generator=chance))
    training = Training(members=3, epochs=3, batch=8, optimiser=Optimiser(rate=0.01))
    setup = Setup(data=DataChoice(name="toy"), network=NetworkChoice(name="mlp"), training=training)
    scaling = scaling_of("standard", inputs)
    return Context(
        setup, {"train": split, "test": split}, scaling, 3, lambda: mlp((1, 4, 4), 3), engine=Engine(room=Room(2))
    )


def test_members_in_training_may_be_stopped_lost_and_mended(executor, tmp_path):
    context = real_context()
    sizes = Sizes({"train": 24, "test": 24}, 8)
    tasks = [*training_tasks(context.setup, sizes), *prediction_tasks(context.setup, sizes, "test")]
    list(happenings_of(executor, tmp_path / "whole", tasks, context))
    whole = {p.relative_to(tmp_path / "whole"): d for p, d in files(tmp_path / "whole").items()}
    assert len(list((tmp_path / "whole").rglob("predictions.safetensors"))) == 3
    for stop in (2, 5, 8):
        work = happenings_of(executor, tmp_path / "run", tasks, context)
        done = 0
        for happening in work:
            done += isinstance(happening, Done | Skipped)
            if done == stop:
                break
        work.close()
    list(happenings_of(executor, tmp_path / "run", tasks, context))
    assert {p.relative_to(tmp_path / "run"): d for p, d in files(tmp_path / "run").items()} == whole
    victim = tmp_path / "run" / "results" / "train" / "member" / "1" / "epoch" / "3" / "checkpoints.safetensors"
    victim.write_bytes(victim.read_bytes()[:-4])
    told = list(happenings_of(executor, tmp_path / "run", tasks, context))
    assert [h.task.name for h in told if isinstance(h, Damage)] == ["train/member/1/epoch/3"]
    assert sorted(h.task.name for h in told if isinstance(h, Done)) == [f"train/member/1/epoch/{e}" for e in (1, 2, 3)]
    assert {p.relative_to(tmp_path / "run"): d for p, d in files(tmp_path / "run").items()} == whole
