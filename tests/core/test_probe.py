"""Which way is chosen, with work whose speed is made up and a clock that it moves."""

import pytest
import torch
from references import trainings

from modescape.core.engine.engine import Engine
from modescape.core.engine.events import Advanced, Finished
from modescape.core.engine.notes import EngineNote, forget, hearing, say
from modescape.core.engine.probe import Measured, Trial, choose_on_cpu, choose_on_cuda, fastest, measure
from modescape.core.engine.way import Room
from modescape.core.engine.work import Work
from modescape.errors import MemberFailed


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Scripted:
    """An engine whose ways take as long as they are told to, in place of the real ones."""

    def __init__(self, monkeypatch, clock, rates):
        self.clock, self.rates, self.ran = clock, rates, []
        monkeypatch.setattr(Engine, "run", lambda engine, work: self.run(engine, work))

    def run(self, engine, work):
        self.ran.append((engine.way, engine.room.group, len(work)))
        rate = self.rates[engine.way]
        rate = rate(engine.room.group) if callable(rate) else rate
        if isinstance(rate, Exception):
            raise rate
        if isinstance(rate, str):
            say(rate)
            rate = 1.0
        for _ in range(work.slices):
            self.clock.now += 100 / rate
            yield Advanced(0, 100)
        for index in range(len(work)):
            yield Finished(index, engine.way)


class Fake(Work):
    def __init__(self, count, slices):
        self.count, self.slices = count, slices

    def __len__(self):
        return self.count

    def alone(self, index, mode):
        raise AssertionError("the engine is scripted")

    def together(self, indices, mode):
        raise AssertionError("the engine is scripted")


@pytest.fixture
def choosing(monkeypatch):
    forget()
    clock = Clock()

    def make(rates, count=8, alike=lambda expected, found: ""):
        scripted = Scripted(monkeypatch, clock, rates)
        return scripted, Trial(Fake(count, 10**9), Fake(2, 1), alike, clock, seconds=1.0)

    return make


BASE = Engine("serial", Room(cores=4, group=4))


def test_the_rate_is_what_the_clock_says(choosing):
    _, trial = choosing({"threads": 250.0})
    assert measure(Engine("threads"), trial).rate == pytest.approx(250.0)


@pytest.mark.parametrize(
    ("rates", "chosen", "ran"),
    [
        ({"serial": 100.0, "threads": 390.0, "processes": 900.0}, "threads", {"serial", "threads"}),
        ({"serial": 100.0, "threads": 120.0, "processes": 380.0}, "processes", {"serial", "threads", "processes"}),
        ({"serial": 104.0, "threads": 100.0, "processes": 103.0}, "threads", {"serial", "threads", "processes"}),
        ({"serial": 110.0, "threads": 100.0, "processes": 103.0}, "serial", {"serial", "threads", "processes"}),
        ({"serial": 100.0, "threads": 200.0, "processes": 208.0}, "threads", {"serial", "threads", "processes"}),
    ],
)
def test_on_a_cpu_processes_start_only_where_threads_do_not_scale(choosing, rates, chosen, ran):
    scripted, trial = choosing(rates)
    assert fastest(choose_on_cpu(BASE, trial)).engine.way == chosen
    assert {way for way, _, _ in scripted.ran} == ran


def test_two_members_cannot_use_four_cores(choosing):
    scripted, trial = choosing({"serial": 100.0, "threads": 180.0, "processes": 900.0}, count=2)
    assert fastest(choose_on_cpu(BASE, trial)).engine.way == "threads"
    assert "processes" not in {way for way, _, _ in scripted.ran}


GPU = {
    "serial": 100.0,
    "stacked": 300.0,
    "graph": 200.0,
    "streams": 250.0,
    "stacked-graph": lambda group: 100.0 * group,
}


def test_on_a_gpu_every_way_is_tried_and_the_best_grows_while_that_gains(choosing):
    _, trial = choosing(GPU | {"stacked-graph": lambda group: {4: 400.0, 8: 700.0, 16: 710.0}[group]}, count=32)
    found = choose_on_cuda(BASE, trial)
    best = fastest(found)
    assert (best.engine.way, best.engine.room.group) == ("stacked-graph", 8)
    assert [m.engine.room.group for m in found if m.engine.way == "stacked-graph"] == [4, 8, 16]
    assert {m.engine.way for m in found} == set(GPU)


def test_a_group_never_outgrows_the_members_and_stops_where_memory_ends(choosing):
    _, trial = choosing(GPU, count=6)
    assert fastest(choose_on_cuda(BASE, trial)).engine.room.group == 6

    def limited(group):
        return 100.0 * group if group <= 8 else torch.OutOfMemoryError("CUDA out of memory")

    _, trial = choosing(GPU | {"stacked-graph": limited}, count=64)
    found = choose_on_cuda(BASE, trial)
    assert fastest(found).engine.room.group == 8
    assert [m.reason for m in found if m.rate == 0] == ["not enough memory"]


def test_a_way_that_gives_other_numbers_is_not_chosen_however_fast(choosing):
    def alike(expected, found):
        assert expected == ["serial", "serial"]
        return "member 0 has another loss" if found == ["stacked", "stacked"] else ""

    _, trial = choosing(GPU | {"stacked": 10**6}, alike=alike)
    found = {m.engine.way: m for m in choose_on_cuda(BASE, trial)}
    assert (found["stacked"].rate, found["stacked"].reason) == (0.0, "member 0 has another loss")
    assert fastest(list(found.values())).engine.way == "stacked-graph"


def test_a_way_that_does_something_else_instead_is_not_chosen_and_nobody_is_warned(choosing):
    _, trial = choosing(GPU | {"stacked": "the networks cannot be stacked; they run one at a time instead"})
    found = {m.engine.way: m for m in choose_on_cuda(BASE, trial)}
    assert found["stacked"].rate == 0
    assert "cannot be stacked" in found["stacked"].reason


@pytest.mark.parametrize("error", [ValueError("no such thing"), MemberFailed("member 0 diverged", 3)])
def test_a_way_that_raises_is_a_result(choosing, error):
    _, trial = choosing({"serial": 100.0, "threads": error, "processes": 150.0})
    found = choose_on_cpu(BASE, trial)
    assert found[0].reason == f"{type(error).__name__}: {error}"
    assert fastest(found).engine.way == "processes"


def test_work_that_ends_too_soon_cannot_be_timed(choosing):
    _, trial = choosing({"threads": 10.0})
    short = Trial(Fake(1, 1), Fake(1, 1), trial.alike, trial.clock)
    assert "ended before it could be timed" in measure(Engine("threads"), short).reason


def test_of_nearly_equal_ways_the_first_is_taken():
    engines = [Measured(Engine("serial"), 96.0), Measured(Engine("threads"), 100.0)]
    assert fastest(engines).engine.way == "serial"
    assert fastest([Measured(Engine("serial"), 94.0), engines[1]]).engine.way == "threads"


def test_with_real_work_every_way_here_is_measured():
    work, short = (
        trainings.work(trainings.plan("perceptron"), epochs=10**6),
        trainings.work(trainings.plan("perceptron")),
    )
    ticks = iter(range(10**9))
    trial = Trial(work, short, lambda expected, found: "", lambda: float(next(ticks)), seconds=5.0)
    for way in ("serial", "threads", "processes", "stacked"):
        assert measure(Engine(way, Room(cores=3, group=2)), trial).rate > 0, way


def test_notes_are_said_once_or_heard():
    forget()
    with pytest.warns(EngineNote, match="a new thing"):
        say("a new thing")
    say("a new thing")
    with hearing() as said:
        say("a new thing")
        say("another")
    assert said == ["a new thing", "another"]
    with pytest.warns(EngineNote, match="another"):
        say("another")
    forget()
    with pytest.warns(EngineNote, match="a new thing"):
        say("a new thing")
