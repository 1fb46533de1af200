"""Worker processes: what cannot travel stays, what is lost is done again, what is stopped leaves no mess."""

import os
import pickle
import queue
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from references import trainings
from torch import nn

from modescape.core.engine import processes
from modescape.core.engine.catalogue import WAYS
from modescape.core.engine.events import Advanced, Failed, Finished
from modescape.core.engine.notes import EngineNote, forget
from modescape.core.engine.work import PLAIN, Refused, Stopped, packed
from modescape.core.engine.worker import _answer
from modescape.core.models.mlp import mlp
from modescape.core.training.plan import initial_state
from modescape.errors import MemberFailed

WAY = WAYS["processes"]


@pytest.fixture(autouse=True)
def anew():
    forget()


def test_errors_keep_their_step_on_the_way():
    error = pickle.loads(pickle.dumps(MemberFailed("member 3 diverged", step=7)))
    assert (str(error), error.step) == ("member 3 diverged", 7)


def test_a_network_that_cannot_travel_trains_on_threads_and_that_is_said():
    wanted = replace(trainings.plan("perceptron"), build=lambda: mlp((3, 8, 8), 4, (9,), 0.2))
    work = trainings.work(wanted)
    with pytest.warns(EngineNote, match="cannot be sent to other processes .*; threads are used instead"):
        found = trainings.results(WAY, work)
    assert all(trainings.same(segment, trainings.alone(work, index)) for index, segment in enumerate(found))


def test_a_network_that_no_process_can_build_is_trained_here(monkeypatch, tmp_path):
    """The factory is importable here and not there: its folder leaves the path before the workers are told."""
    (tmp_path / "only_here.py").write_text(
        "from modescape.core.models.mlp import mlp\n\n\ndef build():\n    return mlp((3, 8, 8), 4, (9,), 0.0)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import only_here

    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != str(tmp_path)])
    own = []
    monkeypatch.setattr(processes, "_workers", lambda: own)
    work = trainings.work(replace(trainings.plan("perceptron"), build=only_here.build))
    with pytest.warns(EngineNote, match="another process cannot build the network .*only_here.*; its member runs in"):
        found = trainings.results(WAY, work)
    assert all(trainings.same(segment, trainings.alone(work, index)) for index, segment in enumerate(found))
    assert len(own) == 2
    for worker in own:
        worker.dismiss()
        assert worker.process.returncode == 0


def test_a_member_whose_process_is_killed_is_done_again_here():
    work = trainings.work(trainings.plan("perceptron", epochs=60), epochs=60)
    events, ends, killed = WAY.run(work, trainings.ROOM), {}, False
    amounts = dict.fromkeys(range(3), 0)
    with pytest.warns(EngineNote, match="a worker process ended by itself .*-9.*; its member runs in this process"):
        for event in events:
            if isinstance(event, Advanced):
                amounts[event.index] += event.amount
                if not killed:
                    killed = True
                    os.kill(processes._workers()[0].process.pid, signal.SIGKILL)
            else:
                ends[event.index] = event
    assert sorted(ends) == [0, 1, 2]
    assert all(trainings.same(ends[index].result, trainings.alone(work, index)) for index in range(3))
    assert all(amount <= 60 * 64 for amount in amounts.values())
    again = trainings.results(WAY, work)
    assert len(again) == 3


def test_workers_are_kept_and_told_what_is_shared_once(monkeypatch):
    work = trainings.work(trainings.plan("perceptron"))
    trainings.results(WAY, work)
    before = [worker.process.pid for worker in processes._workers()]
    told = []
    real = processes.Worker.tell
    monkeypatch.setattr(
        processes.Worker, "tell", lambda self, message: told.append(len(message)) or real(self, message)
    )
    trainings.results(WAY, work)
    assert [worker.process.pid for worker in processes._workers()] == before
    assert max(told) < len(packed(work.plan))
    trainings.results(WAY, replace(work, plan=replace(work.plan, root=1)))
    assert max(told) > len(packed(work.plan))


def said_by(stream):
    """A worker's next message, which comes as bytes within bytes."""
    return pickle.loads(pickle.load(stream))


class Picky(Exception):
    """An error that survives being sent but not being read, since it wants an argument more than it keeps."""

    def __init__(self, what, where):
        super().__init__(what)


class Failing(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = mlp((3, 8, 8), 4, (9,), 0.0)

    def forward(self, values):
        raise Picky("no", "here")


def test_an_error_that_cannot_be_read_here_is_met_again_here_and_the_worker_is_as_good_as_before():
    build = trainings.BUILDS["perceptron"]
    work = trainings.work(replace(trainings.plan("perceptron"), build=build))
    trainings.results(WAY, work)
    before = [worker.process.pid for worker in processes._workers()]
    failing = replace(work, plan=replace(work.plan, build=Failing))
    legs = [replace(leg, start=initial_state(failing.plan, leg.member)) for leg in work.legs]
    with pytest.warns(EngineNote, match="said of its member cannot be read .*; its member runs in this process"):
        ends = trainings.ended(WAY.run(replace(failing, legs=legs), trainings.ROOM), 3)
    assert [type(end.error) for end in ends] == [Picky] * 3
    assert all(trainings.same(s, trainings.alone(work, i)) for i, s in enumerate(trainings.results(WAY, work)))
    assert [worker.process.pid for worker in processes._workers()] == before


def conversation(*messages):
    """What a worker answers to these messages, until the parent has nothing left to say."""
    program = "import sys; from modescape.core.engine.worker import main; main()"
    whole = b"".join(packed(message) for message in messages)
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(whole)
        process.stdin.flush()
        yield process
        process.stdin.close()
        process.wait(60)


def test_a_worker_answers_stops_and_ends_with_its_parent():
    work = trainings.work(trainings.plan("perceptron", epochs=10**6), epochs=10**6)
    ticket = packed((work.tickets()[1][0], PLAIN))
    messages = [("paths", list(sys.path)), ("shared", packed(work.plan)), ("go", 4, ticket)]
    talk = conversation(*messages)
    process = next(talk)
    assert isinstance(event := said_by(process.stdout), Advanced)
    assert event.index == 4
    process.stdin.write(packed(("stop",)))
    process.stdin.flush()
    while isinstance(event := said_by(process.stdout), Advanced):
        pass
    assert event == Stopped()
    process.send_signal(signal.SIGINT)  # a terminal sends it to every process; the parent decides
    time.sleep(0.2)
    process.stdin.write(packed(("go", 5, b"no ticket")))
    process.stdin.flush()
    refused = said_by(process.stdout)
    assert isinstance(refused, Refused)
    assert "cannot build the network (UnpicklingError" in refused.reason
    assert list(talk) == []
    assert process.returncode == 0


def test_what_a_network_prints_does_not_disturb_the_conversation(tmp_path):
    (tmp_path / "loud_network.py").write_text(
        "from modescape.core.models.mlp import mlp\n"
        "def build():\n"
        "    print('loud')\n"
        "    return mlp((3, 8, 8), 4, (9,), 0.2)\n"
    )
    program = (
        f"import sys; sys.path[:0] = {[str(tmp_path), str(Path(__file__).parents[1])]!r}\n"
        "import loud_network, torch; torch.set_num_threads(1)\n"
        "from dataclasses import replace\n"
        "from references import trainings\n"
        "from modescape.core.engine.catalogue import WAYS\n"
        "work = trainings.work(replace(trainings.plan('perceptron'), build=loud_network.build))\n"
        "found = trainings.results(WAYS['processes'], work)\n"
        "assert all(trainings.same(s, trainings.alone(work, i)) for i, s in enumerate(found))\n"
        "print('equal')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "equal"
    assert "loud" in done.stderr


def test_a_result_that_cannot_be_sent_back_is_refused_with_a_reason(tmp_path):
    def member():
        return lambda: None
        yield 1

    with (tmp_path / "reply").open("w+b") as reply:
        _answer(0, member(), queue.SimpleQueue(), reply)
        reply.seek(0)
        said = said_by(reply)
    assert isinstance(said, Refused)
    assert "cannot be sent to another process" in said.reason


def test_failures_and_results_are_told_apart():
    wild = trainings.work(trainings.one_diverging(trainings.plan("perceptron"), 2))
    ends = trainings.ended(WAY.run(wild, trainings.ROOM), 3)
    assert [type(end) for end in ends] == [Finished, Finished, Failed]
    assert torch.isfinite(torch.tensor(ends[0].result.end.loss_sum))
