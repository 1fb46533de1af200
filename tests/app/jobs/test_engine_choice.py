"""Which engine a command gets: named or measured, remembered, and what is said when it cannot be had."""

import json
import warnings
from dataclasses import replace

import pytest
from references import toy
from torch import nn

from modescape.app.jobs import engine as module
from modescape.app.jobs.engine import Chosen, Wanted, alike, choose, memory_file, trial_of
from modescape.core.engine.engine import Engine
from modescape.core.engine.notes import EngineNote, forget
from modescape.core.engine.probe import Measured, choose_on_cuda
from modescape.core.engine.way import Room
from modescape.core.training.plan import Segment, State
from modescape.core.weights import of_module
from modescape.errors import SettingsError
from modescape.studies.abstract import Context


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    forget()
    monkeypatch.setenv("MODESCAPE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def rates(monkeypatch):
    """Rates that ways are said to have, in place of seconds of work; and how often anybody asked."""
    found = {"serial": 100.0, "threads": 190.0, "processes": 50.0, "asked": 0}

    def measured(base, trial):
        found["asked"] += 1
        return [Measured(replace(base, way=way), found[way]) for way in ("serial", "threads", "processes")]

    monkeypatch.setattr(module, "choose_on_cpu", measured)
    return found


def test_the_fastest_is_taken_and_remembered(rates, cache):
    context = toy.context_of(3)
    first = choose(context, Wanted("auto"))
    assert first.engine.way == "threads"
    assert "threads 190" in first.sentence
    assert (cache / "engine.json").exists()
    rates["processes"] = 10**6
    again = choose(context, Wanted("auto"))
    assert again == first
    assert rates["asked"] == 1


def test_another_network_batch_or_room_is_measured_anew(rates):
    context = toy.context_of(3)
    choose(context, Wanted("auto"))
    training = replace(context.setup.training, batch=8)
    changed = [
        toy.context_of(3, normalised=False),
        replace(context, setup=replace(context.setup, training=training)),
        replace(context, engine=Engine(room=Room(3))),
    ]
    for place, other in enumerate(changed):
        choose(other, Wanted("auto"))
        assert rates["asked"] == 2 + place
    longer = replace(context, setup=replace(context.setup, training=replace(context.setup.training, epochs=60)))
    choose(longer, Wanted("auto"))
    assert rates["asked"] == 4


@pytest.mark.parametrize("text", ["", "{", "[]", '{"form": 1, "entries": 3}', '{"form": 0, "entries": {}}'])
def test_a_memory_that_cannot_be_read_is_made_again(rates, text):
    choose(toy.context_of(3), Wanted("auto"))
    memory_file().write_text(text)
    assert choose(toy.context_of(3), Wanted("auto")).engine.way == "threads"
    assert rates["asked"] == 2
    assert json.loads(memory_file().read_text())["form"] == 1


def test_an_entry_that_names_no_way_is_made_again(rates):
    choose(toy.context_of(3), Wanted("auto"))
    found = json.loads(memory_file().read_text())
    for entry in found["entries"].values():
        entry["way"] = "magic"
    memory_file().write_text(json.dumps(found))
    assert choose(toy.context_of(3), Wanted("auto")).engine.way == "threads"
    assert rates["asked"] == 2


def test_a_memory_that_cannot_be_written_is_said_and_does_no_harm(rates, tmp_path, monkeypatch):
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("MODESCAPE_CACHE", str(tmp_path / "a file" / "inside"))
    with pytest.warns(EngineNote, match="will be measured again next time"):
        assert choose(toy.context_of(3), Wanted("auto")).engine.way == "threads"


def test_one_core_or_one_member_needs_no_measuring(rates):
    assert choose(toy.context_of(1), Wanted("auto")) == Chosen(Engine("serial", Room(2, 1)))
    alone = replace(toy.context_of(3), engine=Engine(room=Room(1)))
    assert choose(alone, Wanted("auto")).engine.way == "serial"
    assert rates["asked"] == 0


def test_a_probe_in_which_nothing_works_is_said(rates):
    rates.update(serial=0.0, threads=0.0, processes=0.0)
    with pytest.warns(EngineNote, match="trying the ways of training failed .*; threads is used instead"):
        assert choose(toy.context_of(3), Wanted("auto")).engine.way == "threads"
    assert not memory_file().exists()


def test_named_ways_are_taken_without_measuring(rates):
    for way in ("serial", "threads", "processes", "stacked"):
        assert choose(toy.context_of(3), Wanted(way)).engine.way == way
    assert rates["asked"] == 0
    assert choose(toy.context_of(3), Wanted("stacked", group=2)).engine.arithmetic == "stacked of 2, float32"
    assert choose(toy.context_of(3), Wanted("stacked", group=99)).engine.arithmetic == "stacked of 3, float32"
    assert choose(toy.context_of(3), Wanted("processes")).engine.arithmetic == "alone, float32"


@pytest.mark.parametrize(
    ("wanted", "note"),
    [
        (Wanted("graph"), "the way graph is not for cpu; threads is used instead"),
        (Wanted("streams"), "the way streams is not for cpu; threads is used instead"),
        (Wanted("serial", precision="tf32"), "precision tf32 is for GPUs; float32 is used instead"),
    ],
)
def test_what_cannot_be_had_here_is_said_once_with_what_is_used(wanted, note):
    with pytest.warns(EngineNote, match=note):
        found = choose(toy.context_of(3), wanted)
    assert found.engine.arithmetic == "alone, float32"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        choose(toy.context_of(3), wanted)


def test_processes_share_a_batch_only_if_they_are_asked_to(rates, monkeypatch):
    context = replace(toy.context_of(3), engine=Engine(room=Room(cores=3)))
    found = choose(context, Wanted("data_parallel", group=2))
    assert found.engine.arithmetic == "data_parallel of 2, float32"
    monkeypatch.setattr("modescape.core.engine.probe.measure", lambda engine, trial: Measured(engine, 0.0, "untried"))
    tried = [measured.engine.way for measured in choose_on_cuda(Engine("serial"), trial_of(context))]
    assert "serial" in tried and "data_parallel" not in tried
    with pytest.warns(EngineNote, match="8 processes were to share each batch, and there are 3 cores; 3 are used"):
        assert choose(context, Wanted("data_parallel")).engine.room.group == 3
    small = replace(context.setup, training=replace(context.setup.training, batch=2))
    with pytest.raises(SettingsError, match="a batch of 2 examples cannot be shared by 3 processes; lower --group"):
        choose(replace(context, setup=small), Wanted("data_parallel", group=3))
    assert rates["asked"] == 0


def test_mixed_precision_is_had_on_a_cpu_too():
    with pytest.warns(EngineNote, match="bf16 is slower than float32 on most CPUs"):
        assert choose(toy.context_of(3), Wanted("serial", precision="bf16")).engine.arithmetic == "alone, bf16"


def test_a_network_that_cannot_be_stacked_is_known_before_anything_is_trained(monkeypatch):
    reason = "the networks cannot be stacked (because)"
    monkeypatch.setattr(module, "measure", lambda engine, trial: Measured(engine, 0.0, reason))
    with pytest.warns(EngineNote, match="the way stacked cannot be used here .*because.*; threads is used instead"):
        assert choose(toy.context_of(3), Wanted("stacked")).engine.arithmetic == "alone, float32"


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Wanted("fast"), "there is no way 'fast'; choose auto, serial, threads, processes, stacked"),
        (Wanted(precision="fp8"), "there is no precision 'fp8'; choose float32, tf32, bf16"),
        (Wanted(group=0), "group must be at least 1"),
    ],
)
def test_what_does_not_exist_is_refused(wanted, message):
    with pytest.raises(SettingsError, match=message):
        choose(toy.context_of(3), wanted)


def test_a_real_trial_measures_the_users_own_network():
    context = toy.context_of(3)
    assert isinstance(context, Context)
    trial = replace(trial_of(context), seconds=0.05)
    found = module.choose_on_cpu(Engine("serial", Room(2, 3)), trial)
    assert [measured.reason for measured in found] == [""] * len(found)
    assert all(measured.rate > 0 for measured in found)
    stacked = module.measure(Engine("stacked", Room(2, 3)), trial)
    assert (stacked.reason, stacked.rate > 0) == ("", True)


def segment(loss):
    return Segment((), (), (), State(of_module(nn.Linear(1, 1), 0), {}, 1, loss * 3, 3))


def test_losses_of_the_trial_must_agree():
    assert alike([segment(1.0)], [segment(1.01)]) == ""
    assert alike([segment(1.0), segment(2.0)], [segment(1.0), segment(3.0)]) == (
        "member 1 has a loss of 3.0000 after three steps, alone 2.0000"
    )
    assert "nan" in alike([segment(1.0)], [segment(float("nan"))])
