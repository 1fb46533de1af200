"""Runs on disk as the scorecard judges them."""

import tomllib
from importlib import resources

import pytest

from modescape.app.jobs.judged import departures, versions_of
from modescape.app.jobs.provenance import commit, processor
from modescape.app.jobs.recipe import find, read
from modescape.app.runs.history import wall_seconds
from modescape.app.runs.journal import Journal
from modescape.app.runs.layout import Layout


def recipe(name, *overrides):
    return read(find(name), overrides).record()


def test_a_run_of_the_shipped_recipe_departs_in_nothing():
    assert departures(recipe("cifar10-medium-cnn")) == []
    assert departures(recipe("cifar10-small-cnn-sgd")) == []


def test_what_was_reduced_is_said():
    found = departures(recipe("cifar10-medium-cnn-reduced"))
    assert found == ["members 3 instead of 5", "epochs 10 instead of 40"]
    found = departures(recipe("cifar10-resnet20-reduced"))
    assert found == [
        "members 3 instead of 5",
        "epochs 8 instead of 200",
        "schedule.at 5, 7 instead of 80, 120, 160, 180",
        "schedule.factors 0.1, 0.01 instead of 0.1, 0.01, 0.001, 0.0005",
        "checkpoints.every 1 instead of 5",
    ]
    many = departures(
        recipe(
            "cifar10-small-cnn",
            "data.scaling=standard",
            "data.validation=1",
            "training.members=2",
            "training.epochs=1",
            "training.batch=64",
            "training.order=permutation",
            "training.optimiser.rate=0.1",
        )
    )
    assert len(many) == 7
    assert many[-1] == "and 1 more"


def test_a_network_without_a_shipped_recipe_departs_from_none():
    assert departures(recipe("cifar10-small-cnn", "network.name=mlp")) == []


def test_every_reduced_recipe_names_one_that_exists_and_the_studies_of_it():
    for item in resources.files("modescape.recipes").iterdir():
        if item.name.endswith("-reduced.toml"):
            record = tomllib.loads(item.read_text())
            full = read(find(record["reduces"]))
            assert set(record["studies"]) == set(full.studies)
            assert full.record()["network"] == recipe(item.name.removesuffix(".toml"))["network"]


def test_wall_time_is_that_of_every_start_to_its_last_event(tmp_path):
    journal = Journal(Layout(tmp_path).journal)
    times = [("started", "00:00"), ("done", "01:30"), ("started", "05:00"), ("done", "05:10"), ("ended", "05:30")]
    lines = [f'{{"at": "2026-01-01T00:{at}+00:00", "event": "{event}"}}' for event, at in times]
    journal.path.write_text("\n".join(lines) + "\n")
    assert wall_seconds(tmp_path) == 90 + 30


def test_every_commit_that_filled_a_run_is_known(tmp_path):
    assert versions_of({"versions": {"torch": "2"}}, tmp_path) == {"torch": "2"}
    journal = Journal(Layout(tmp_path).journal)
    for found in ("", "abc", "def, changed since", "abc"):
        journal.append("started", {"commit": found} if found else {})
    told = versions_of({"versions": {"torch": "2", "commit": "abc"}}, tmp_path)
    assert told == {"torch": "2", "commit": "abc; def, changed since"}


def test_the_processor_has_a_name_and_the_commit_is_one_or_none():
    assert processor()
    found = commit().partition(",")[0]
    assert found == "" or pytest.approx(int(found, 16)) == int(found, 16)
