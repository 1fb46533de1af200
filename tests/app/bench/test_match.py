"""Contestants in turns, the table and the record."""

import importlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from modescape.app.bench import bench as module
from modescape.app.bench.assignment import Assignment, gigaflops
from modescape.app.bench.bench import Asked, bench
from modescape.app.bench.comparisons import COMPARISONS, Comparison
from modescape.app.bench.contestant import Contestant
from modescape.app.bench.match import Outcome, Speed, play
from modescape.app.bench.ours import Evaluate, Plane, Train
from modescape.app.bench.peak import peak_of
from modescape.app.bench.peers import PlainEvaluate, PlainTrain, TorchFunc
from modescape.app.bench.report import table
from modescape.app.bench.whole import Recipe
from modescape.errors import SettingsError

WORK = Assignment("small_cnn", members=2, train=256, images=200, points=4, data_dir="/nowhere")


@pytest.fixture(autouse=True)
def findable(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


def comparison(*names, **more):
    contestants = tuple(f"rivals:{name}" for name in names)
    return Comparison("Sleep", "units/s", WORK, contestants, **more)


def played(*names, rounds=3, **more):
    return play("sleep", comparison(*names, **more), WORK, rounds, lambda line: None)


def speed(name, *seconds, error=""):
    return Speed(name, "", tuple(10 / s for s in seconds), seconds, {}, error)


def outcome_of(*speeds, target=None, most_seconds=None):
    return Outcome("sleep", "Sleep", "units/s", speeds, target, most_seconds, ())


def test_every_contestant_works_in_every_round():
    outcome = played("Quick", "Slow", target=5.0)
    assert [len(one.rates) for one in outcome.speeds] == [3, 3]
    for one in outcome.speeds:
        assert one.rates == tuple(10 / s for s in one.seconds)
    assert outcome.speeds[0].about == "sleeps little"


def test_ratios_are_those_of_the_rounds():
    outcome = outcome_of(speed("Own", 1.0, 2.0, 1.0), speed("Peer", 3.0, 2.0, 8.0), target=3.0)
    assert outcome.ratios(outcome.speeds[1]) == (3.0, 1.0, 8.0)
    assert outcome.met is True
    assert outcome_of(*outcome.speeds, target=3.1).met is False
    assert "3.00 (1.00 to 8.00)" in table([outcome], {}, {"gflops": 1.0})
    later = outcome_of(speed("Own", 1.0), speed("Gone", error="gone"), speed("Peer", 2.5), target=2.0)
    assert later.met is True
    assert outcome_of(speed("Own", 1.0), speed("Gone", error="gone"), target=2.0).met is None


def test_a_target_in_seconds_is_modescapes_own():
    assert outcome_of(speed("Own", 1.0, 0.2, 0.4), most_seconds=0.5).met is True
    assert outcome_of(speed("Own", 1.0, 0.2, 0.6), speed("Peer", 9.0, 9.0, 9.0), most_seconds=0.5).met is False


@pytest.mark.parametrize(("name", "message"), [("Missing", "a_library_that_is_not"), ("Dying", "ended with 3")])
def test_a_peer_that_is_not_there_is_left_out_and_the_table_says_why(name, message):
    outcome = played("Quick", name, "Slow", target=2.0)
    assert message in outcome.speeds[1].error
    assert outcome.speeds[1].rates == ()
    page = table([outcome], {"cores": "2"}, {"gflops": 100.0})
    assert f"not measured: {outcome.speeds[1].error}" in page
    assert len(outcome.speeds[2].rates) == 3


def test_a_contestant_that_ends_in_the_middle_is_left_out():
    outcome = played("Quick", "Fading", "Slow", target=2.0)
    assert "ended with 9" in outcome.speeds[1].error
    assert [len(speed.rates) for speed in outcome.speeds] == [3, 1, 3]
    assert "not measured: its process ended with 9" in table([outcome], {}, {"gflops": 100.0})


def test_nothing_is_met_if_modescape_itself_cannot_run():
    outcome = played("Missing", "Quick", target=2.0)
    assert outcome.met is None
    assert "not measured" in table([outcome], {}, {"gflops": 100.0})


def test_what_contestants_print_disturbs_nobody_however_much_it_is():
    assert len(played("Quick", "Chatty", rounds=2).speeds[1].rates) == 2


def test_a_contestant_that_cannot_say_what_it_found_is_left_out():
    outcome = played("Quick", "Secretive", rounds=1)
    assert "no comment" in outcome.speeds[1].error


def test_contestants_that_did_not_find_the_same_are_not_comparable():
    alike = {"loss": 0.1, "picture": 0.2}
    assert played("Quick", "Slow", alike=alike, rounds=1).differences == ()
    outcome = played("Quick", "Other", alike=alike, rounds=1)
    assert outcome.differences == ("loss differs by 0.5 from Other's", "picture differs by 0.4 from Other's")
    assert "**not comparable: loss differs by 0.5 from Other's**" in table([outcome], {}, {"gflops": 1.0})


def test_the_whole_benchmark_writes_a_table_and_a_record(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "COMPARISONS", {"sleep": comparison("Quick", "Slow", target=2.0)})
    said = []
    page = bench(Asked(("sleep",), rounds=2, device="cpu", cores=1, out=tmp_path / "out"), said.append)
    assert (tmp_path / "out" / "bench.md").read_text() == page
    found = json.loads((tmp_path / "out" / "bench.json").read_text())
    rows = found["comparisons"]["sleep"]["contestants"]
    assert [row["name"] for row in rows] == ["Quick", "Slow"]
    assert [len(row["rates"]) for row in rows] == [2, 2]
    each = [own / other for own, other in zip(rows[0]["rates"], rows[1]["rates"], strict=True)]
    assert rows[1]["ratio"][1:] == [min(each), max(each)]
    assert found["peak"]["gflops"] > 0
    assert any("round 2 of 2" in line for line in said)
    assert "Sleep" in page


def test_an_unknown_comparison_is_refused():
    with pytest.raises(SettingsError, match="there is no comparison 'speed'; choose from train-small-cnn"):
        bench(Asked(("speed",)), lambda line: None)


def test_every_comparison_has_modescape_first_and_a_target_or_a_peer():
    for name, one in COMPARISONS.items():
        own, _, kind = one.contestants[0].partition(":")
        assert own in ("modescape.app.bench.ours", "modescape.app.bench.whole"), name
        assert issubclass(getattr(importlib.import_module(own), kind), Contestant), name
        assert one.target or one.seconds or len(one.contestants) > 1 or name == "recipe-resnet20", name


def test_modescape_and_a_plain_loop_find_the_same():
    ours, plain = Evaluate(WORK), PlainEvaluate(WORK)
    assert (ours.once(), plain.once()) == (800.0, 800.0)
    assert ours.found()["accuracy"] == pytest.approx(plain.found()["accuracy"], abs=1e-12)
    # float32 logits of a few units, summed in another order
    assert ours.found()["loss"] == pytest.approx(plain.found()["loss"], abs=1e-4)
    plane = Plane(WORK)
    assert plane.once() == 800.0
    assert plane.found()["loss"] != ours.found()["loss"]


def test_every_trainer_trains_as_many_images():
    for kind in (Train, PlainTrain, TorchFunc):
        trainer = kind(WORK)
        assert trainer.once() == 2 * 256
        assert 0 <= trainer.found()["accuracy"] <= 1


def test_a_whole_recipe_runs_and_leaves_nothing(monkeypatch, tmp_path):
    monkeypatch.setattr(Recipe, "recipe", "smoke")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    whole = Recipe(replace(WORK, cores=2))
    whole.warm_up()
    assert whole.once() == 1.0
    assert list(tmp_path.iterdir()) == []


def test_operations_are_counted_as_they_are_by_hand():
    """SmallCNN: three convolutions and a dense layer, forward, weights' and inputs' gradients (no image needs one)."""
    multiply_adds = [1024 * 16 * 27, 256 * 32 * 144, 64 * 32 * 288, 512 * 10]
    expected = 2 * (3 * sum(multiply_adds) - multiply_adds[0]) / 1e9
    assert gigaflops(Assignment("small_cnn").build(), 4) == pytest.approx(expected, rel=1e-9)


def test_the_peak_is_a_speed():
    assert 0.1 < peak_of("cpu", 1) < 10**5
