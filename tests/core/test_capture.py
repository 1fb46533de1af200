"""The parts of the ways for GPUs, on a CPU: steps on memory of their own, members in turns."""

from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import pytest
import torch
from references import trainings

from modescape.core.engine.capture import WARM_UP, Replayed
from modescape.core.engine.events import Advanced, Failed, Finished
from modescape.core.engine.notes import EngineNote, forget
from modescape.core.engine.serial import Serial
from modescape.core.engine.stacked import Stacked
from modescape.core.engine.streams import in_lanes
from modescape.core.engine.work import Mode
from modescape.core.training import loop, together


def warm(run):
    for _ in range(WARM_UP):
        run()


class Recorder:
    """Records as a CUDA graph does: Python runs once more, and what is replayed is the same call on the same memory."""

    def __init__(self):
        self.recorded = 0

    def __call__(self, run):
        self.recorded += 1
        return run


def test_a_step_reads_the_new_inputs_and_warming_up_leaves_no_trace():
    kept = torch.zeros(3)
    seen = []

    def step(a, b):
        seen.append((a.data_ptr(), b.data_ptr()))
        kept.add_(a * b)

    recorder = Recorder()
    replayed = Replayed(step, [torch.ones(3), torch.ones(3)], [kept], recorder, warm)
    assert recorder.recorded == 1
    assert torch.equal(kept, torch.zeros(3))
    replayed(torch.tensor([1.0, 2.0, 3.0]), torch.full((3,), 10.0))
    assert kept.tolist() == [10.0, 20.0, 30.0]
    replayed(torch.ones(3), torch.ones(3))
    assert kept.tolist() == [11.0, 21.0, 31.0]
    assert len(set(seen)) == 1


def test_the_callers_tensors_are_not_the_steps():
    mine = torch.ones(2)
    kept = torch.zeros(2)
    replayed = Replayed(lambda a: kept.copy_(a), [mine], [kept], Recorder(), warm)
    replayed(torch.full((2,), 5.0))
    assert mine.tolist() == [1.0, 1.0]
    assert kept.tolist() == [5.0, 5.0]


def test_a_step_that_cannot_be_recorded_is_computed_as_it_is_and_that_is_said_once():
    forget()
    kept = torch.zeros(1)

    def refuse(run):
        raise RuntimeError("operation not permitted when stream is capturing")

    with pytest.warns(EngineNote, match="cannot be recorded as a CUDA graph .*not permitted.*; it is computed"):
        replayed = Replayed(lambda a: kept.add_(a), [torch.ones(1)], [kept], refuse, warm)
    replayed(torch.tensor([4.0]))
    assert kept.tolist() == [4.0]
    Replayed(lambda a: kept.add_(a), [torch.ones(1)], [kept], refuse, warm)  # a second note would be an error here


def test_memory_that_runs_out_while_recording_is_no_reason_to_go_on():
    def refuse(run):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        Replayed(lambda a: None, [torch.ones(1)], [], refuse, warm)


@pytest.mark.parametrize("build", trainings.BUILDS)
def test_training_with_a_recorded_step_gives_the_bits_of_training_without(build, monkeypatch):
    """What a graph would replay is what is computed without it: the same masks, statistics, losses and clipping."""
    recorder = Recorder()
    eager = partial(Replayed, record=recorder, prepare=warm)
    monkeypatch.setattr(loop, "Replayed", eager)
    monkeypatch.setattr(together, "Replayed", eager)
    work, captured = trainings.work(trainings.plan(build)), Mode(captured=True)
    room = replace(trainings.ROOM, mode=captured)
    for index, segment in enumerate(trainings.results(Serial(), work, room)):
        assert trainings.same(segment, trainings.alone(work, index))
    assert recorder.recorded == 3
    plain = trainings.results(Stacked(), work)
    for one, other in zip(trainings.results(Stacked(), work, room), plain, strict=True):
        assert trainings.same(one, other)
    assert recorder.recorded == 4


def counting(slices, lanes, index):
    for _ in range(slices):
        lanes.append(index)
        yield 1
    return slices


def test_members_take_turns_in_lanes_and_a_free_lane_takes_the_next():
    entered, log = [], []

    @contextmanager
    def on(lane):
        entered.append(lane)
        yield

    members = [counting(2, log, 0), counting(4, log, 1), counting(1, log, 2)]
    events = list(in_lanes(members, 2, on))
    assert log == [0, 1, 0, 1, 1, 2, 1]
    assert set(entered) == {0, 1}
    assert [e.result for e in events if isinstance(e, Finished)] == [2, 1, 4]
    assert sum(isinstance(e, Advanced) for e in events) == 7


def test_a_lane_whose_member_fails_goes_on_with_the_next():
    def broken():
        yield 1
        raise KeyError("on purpose")

    log = []

    @contextmanager
    def on(lane):
        yield

    events = list(in_lanes([broken(), counting(1, log, 1)], 1, on))
    assert [type(e) for e in events] == [Advanced, Failed, Advanced, Finished]
