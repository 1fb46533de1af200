"""One member by several processes: the weights of one process, whatever they share; and what becomes of a lost one."""

import os
import re
import signal
import threading
import time
from dataclasses import replace
from functools import partial

import psutil
import pytest
import torch
from references import trainings
from torch import nn

from modescape.core.engine import data_parallel
from modescape.core.engine.catalogue import WAYS
from modescape.core.engine.engine import Engine
from modescape.core.engine.events import Advanced, Failed, Finished
from modescape.core.engine.way import Room
from modescape.core.models.mlp import mlp
from modescape.core.training.feed import batches_of
from modescape.core.training.member import InTraining
from modescape.core.training.plan import initial_state
from modescape.core.training.settings import Optimiser
from modescape.core.training.share import Share
from modescape.errors import EngineError, MemberFailed

WAY, TWO, THREE = WAYS["data_parallel"], Room(cores=2, group=2), Room(cores=2, group=3)


class Broken(nn.Module):
    """A network that ends its process at a step, in one of the processes alone."""

    def __init__(self, how):
        super().__init__()
        self.inner, self.how, self.steps = nn.Linear(192, 4), how, 0

    def forward(self, images):
        self.steps += self.training
        if self.steps == 4 and torch.distributed.is_initialized() and torch.distributed.get_rank() == 1:
            if self.how == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.how == "raises":
                raise OSError("the disk is gone")
            if self.how == "hangs":
                time.sleep(3600)
        return self.inner(images.flatten(1))


def one_member(wanted, epochs=trainings.EPOCHS):
    return trainings.work(wanted, range(1), epochs)


def exactly(wanted, build):
    """How far float32 leads the member alone from its float64 self, at worst over its numbers."""
    single = trainings.tensors(trainings.alone(one_member(wanted), 0))
    double = replace(wanted, build=partial(trainings.in_double, trainings.BUILDS[build]))
    exact = trainings.tensors(trainings.alone(one_member(double), 0))
    return max(float((t - exact[name.replace("/", "/inner.", 1)]).abs().max()) for name, t in single.items())


@pytest.mark.parametrize(("build", "room"), [("dropout", TWO), ("perceptron", THREE)])
def test_the_weights_are_those_of_one_process(build, room):
    """With moves, masks, clipping, smoothing; 16 examples in parts of 8, or of 5, 5 and 6.

    Sums are taken in another order: float32 may lead elsewhere, but not further from float64 than float32 alone is; at
    most four times as far, the sum of two such errors and as much again, as for every way that rounds otherwise.
    """
    wanted = trainings.plan(build, members=1, optimiser=Optimiser(rate=3e-3))
    (found,) = trainings.results(WAY, one_member(wanted), room)
    own = trainings.alone(one_member(wanted), 0)
    worst = exactly(wanted, build)
    assert found.steps == own.steps and found.end.epoch == own.end.epoch
    assert found.losses[1:] == pytest.approx(own.losses[1:], rel=1e-3)
    theirs, mine = trainings.tensors(found), trainings.tensors(own)
    apart = max(float((theirs[name] - mine[name]).abs().max()) for name in mine)
    assert apart <= 4 * worst + 1e-7
    start = {name.removeprefix("0/"): t for name, t in mine.items() if name.startswith("0/")}
    assert max(float((own.end.weights.params[n].double() - t).abs().max()) for n, t in start.items()) > 100 * worst


@pytest.mark.parametrize("size", [2, 3, 5])
def test_parts_are_the_batch_in_its_order_with_the_same_moves_and_masks(size):
    wanted = trainings.plan("dropout")
    state = initial_state(wanted, 1)

    def part(share):
        member = InTraining(wanted, 1, state, share)
        member.begin_epoch(3)
        fed = [(inputs, targets) for _, inputs, targets in batches_of([member], 3)]
        layer, step = member.dropouts[0], []
        for inputs, _ in fed:
            step.append(layer.mask(layer.shape_for(inputs), inputs))
        return fed, step

    whole, masks = part(Share())
    parts = [part(Share(rank, size)) for rank in range(size)]
    for step, (inputs, targets) in enumerate(whole):
        assert torch.equal(torch.cat([fed[step][0] for fed, _ in parts]), inputs)
        assert torch.equal(torch.cat([fed[step][1] for fed, _ in parts]), targets)
        assert torch.equal(torch.cat([own[step] for _, own in parts]), masks[step])
    assert not torch.equal(masks[0], masks[1])


def test_shares_are_nearly_equal_and_none_is_empty():
    for batch in range(1, 20):
        for size in range(1, batch + 1):
            rows = [Share(rank, size).rows(batch) for rank in range(size)]
            assert [place for own in rows for place in range(own.start, own.stop)] == list(range(batch))
            assert {own.stop - own.start for own in rows} <= {batch // size, -(-batch // size)}
            assert sum(Share(rank, size).weight(batch) for rank in range(size)) == pytest.approx(1)
    with pytest.raises(ValueError, match="a batch of 2 examples cannot be shared by 3 processes"):
        Share(0, 3).rows(2)


def test_batch_norm_sees_its_own_part_and_the_member_learns():
    wanted = trainings.plan("batch norm", members=1, optimiser=Optimiser(rate=3e-3))
    (found,) = trainings.results(WAY, one_member(wanted), TWO)
    own = trainings.alone(one_member(wanted), 0)
    assert found.losses[-1] < found.losses[1]
    assert found.losses[-1] == pytest.approx(own.losses[-1], rel=0.2)
    assert not torch.allclose(found.end.weights.params["head.weight"], own.end.weights.params["head.weight"])


def test_two_legs_are_one_journey_and_progress_counts_every_image_once():
    wanted = trainings.plan("perceptron", members=1, optimiser=Optimiser(rate=3e-3))
    events = list(WAY.run(one_member(wanted), TWO))
    assert sum(event.amount for event in events if isinstance(event, Advanced)) == trainings.STEPS * 16
    (whole,) = (event.result for event in events if isinstance(event, Finished))
    (first,) = trainings.results(WAY, one_member(wanted, 2), TWO)
    legs = [replace(one_member(wanted).legs[0], start=first.end, epochs=3)]
    (second,) = trainings.results(WAY, replace(one_member(wanted), legs=legs), TWO)
    last = replace(whole, checkpoints=(), steps=(), losses=())
    assert trainings.same(replace(second, checkpoints=(), steps=(), losses=()), last)


def test_a_member_that_diverges_leaves_the_others_to_the_same_processes(monkeypatch):
    data_parallel.let_go()
    started = []
    real = data_parallel.Worker
    monkeypatch.setattr(data_parallel, "Worker", lambda: started.append(real()) or started[-1])
    wild = trainings.one_diverging(trainings.plan("perceptron"), 1)
    ends = trainings.ended(WAY.run(trainings.work(wild), TWO), 3)
    assert [type(end) for end in ends] == [Finished, Failed, Finished]
    assert isinstance(ends[1].error, MemberFailed) and "member 1 diverged" in str(ends[1].error)
    assert len(started) == 2


@pytest.mark.parametrize(
    ("how", "error", "words"),
    [
        ("killed", EngineError, r"process 1 of 2 .* ended by itself \(exit code -9\); run the command again"),
        ("raises", OSError, "the disk is gone"),
    ],
)
@pytest.mark.timeout(120)
def test_a_process_that_is_lost_ends_its_member_soon_and_leaves_nothing(how, error, words, monkeypatch):
    data_parallel.let_go()
    started = []
    real = data_parallel.Worker
    monkeypatch.setattr(data_parallel, "Worker", lambda: started.append(real()) or started[-1])
    wanted = replace(trainings.plan("perceptron"), build=partial(Broken, how))
    before = time.monotonic()
    (end,) = trainings.ended(WAY.run(one_member(wanted), TWO), 1)
    assert isinstance(end, Failed) and isinstance(end.error, error)
    assert re.search(words, str(end.error))
    assert time.monotonic() - before < 100
    assert len(started) == 2
    assert all(worker.process.poll() is not None for worker in started)


@pytest.mark.timeout(120)
def test_a_process_that_hangs_is_ended_with_the_others_when_the_work_is_given_up():
    wanted = replace(trainings.plan("perceptron", epochs=10**6), build=partial(Broken, "never"))
    events = WAY.run(one_member(wanted, 10**6), TWO)
    assert isinstance(next(events), Advanced)
    before = threading.active_count()
    events.close()
    until = time.monotonic() + 10
    while threading.active_count() > before - 2 and time.monotonic() < until:
        time.sleep(0.05)
    assert threading.active_count() <= before - 2


@pytest.mark.timeout(120)
def test_silence_has_an_end(monkeypatch):
    """A process that neither ends nor answers: the others give up, and so does the member."""
    data_parallel.let_go()
    plain = data_parallel._Crew.meeting
    monkeypatch.setattr(data_parallel._Crew, "meeting", lambda crew, rank: replace(plain(crew, rank), patience=5.0))
    wanted = replace(trainings.plan("perceptron"), build=partial(Broken, "hangs"))
    (end,) = trainings.ended(WAY.run(one_member(wanted), TWO), 1)
    assert isinstance(end, Failed)
    assert "RuntimeError" in type(end.error).__name__ or "timed out" in str(end.error).lower()


def test_a_group_stays_for_the_next_work_and_is_told_what_is_shared_once(monkeypatch):
    work = one_member(trainings.plan("perceptron", members=1, optimiser=Optimiser(rate=3e-3)), 1)
    first = trainings.results(WAY, work, TWO)
    before = [worker.process.pid for worker in data_parallel._idle[0].workers]
    sent = []
    tell = data_parallel.Worker.tell
    monkeypatch.setattr(data_parallel.Worker, "tell", lambda self, told: sent.append(len(told)) or tell(self, told))
    second = trainings.results(WAY, work, TWO)
    assert trainings.same(first[0], second[0])
    assert len(sent) == 2
    assert [worker.process.pid for worker in data_parallel._idle[0].workers] == before
    os.kill(before[0], signal.SIGKILL)
    data_parallel._idle[0].workers[0].process.wait()
    assert trainings.same(trainings.results(WAY, work, TWO)[0], first[0])
    assert before[1] not in [worker.process.pid for worker in data_parallel._idle[0].workers]
    data_parallel.let_go()
    assert data_parallel._idle == []


def test_nobody_outside_this_machine_can_join():
    store = data_parallel._meeting_place()
    mine = [place for place in psutil.Process().net_connections("inet") if place.status == psutil.CONN_LISTEN]
    assert [place.laddr.ip for place in mine if place.laddr.port == store.port] == ["127.0.0.1"]
    other = torch.distributed.TCPStore("127.0.0.1", store.port, is_master=False)
    other.set("here", "yes")
    assert store.get("here") == b"yes"


def test_a_network_that_cannot_travel_is_refused():
    wanted = replace(trainings.plan("perceptron"), build=lambda: mlp((3, 8, 8), 4, (9,), 0.2))
    (end,) = trainings.ended(WAY.run(one_member(wanted), TWO), 1)
    assert isinstance(end.error, EngineError)
    assert "cannot be sent to other processes" in str(end.error) and "another way" in str(end.error)


def test_the_number_of_processes_belongs_to_a_runs_identity():
    assert Engine("data_parallel", TWO).arithmetic == "data_parallel of 2, float32"
    assert Engine("data_parallel", THREE).arithmetic == "data_parallel of 3, float32"
