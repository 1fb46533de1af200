"""``modescape scorecard`` and ``modescape reproduce`` as somebody who checks the paper meets them."""

import json
from dataclasses import replace

import pytest
from references.small_recipe import small_recipe

from modescape.app.cli.main import main
from modescape.app.jobs import programme
from modescape.app.jobs.estimate import Estimate


def command(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return ended.value.code or 0


@pytest.fixture
def piece(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "piece.toml").write_text(small_recipe("A piece of the paper"))
    return "piece.toml"


def as_cifar(root):
    """The same run, said to be of the paper's data and network: the checklist is about nothing else."""
    path = root / "run.json"
    record = json.loads(path.read_text())
    record["belongs"]["recipe"]["data"]["name"] = "cifar10"
    path.write_text(json.dumps(record))


def test_recipes_are_run_and_judged_and_judged_again(piece, tmp_path, capsys):
    assert command("reproduce", piece) == 0
    told = capsys.readouterr().out
    assert "there is no run of small_cnn on cifar10" in told
    assert "scorecard: runs/scorecard/scorecard.html" in told
    as_cifar(tmp_path / "runs" / "piece")
    assert command("scorecard", "piece", "--out", "card") == 0
    told = capsys.readouterr().out
    assert "  1 " in told and "test accuracy of a network: 0." in told
    record = json.loads((tmp_path / "card" / "scorecard.json").read_text())
    (first,) = [verdict for verdict in record["verdicts"] if verdict["number"] == 1]
    table = {row["quantity"]: row["value"] for row in answers(capsys, "piece")}
    assert first["checks"][0]["value"] == table["accuracy_member"]
    assert record["runs"][0]["wall_seconds"] >= 0
    assert "departs from the paper's recipe" in (tmp_path / "card" / "scorecard.md").read_text()
    assert command("scorecard", "piece", "--against", "card/scorecard.json") == 0
    told = capsys.readouterr().out
    count = sum(check["value"] is not None for verdict in record["verdicts"] for check in verdict["checks"])
    assert f"{count} numbers, {count} agree" in told


def answers(capsys, name):
    from pathlib import Path

    from modescape.app.runs.layout import Layout
    from modescape.app.runs.tables_file import read_tables

    return read_tables(Layout(Path("runs") / name), "trajectories")["answers"].rows()


def test_a_report_of_such_a_run_has_its_claims_and_no_others(piece, tmp_path, capsys):
    assert command("run", piece) == 0
    assert "The paper&#39;s claims" not in (tmp_path / "runs/piece/report.html").read_text().replace("'", "&#39;")
    as_cifar(tmp_path / "runs" / "piece")
    assert command("report", "piece") == 0
    page = (tmp_path / "runs" / "piece" / "report.html").read_text()
    assert "The paper's claims" in page
    assert "Accuracy of SmallCNN" in page
    assert "Accuracy of MediumCNN" not in page


def test_what_cannot_be_judged_is_one_clear_line(piece, tmp_path, capsys):
    assert command("scorecard", "nowhere") == 6
    assert "there is no run 'nowhere'" in capsys.readouterr().err
    assert command("run", piece) == 0
    (tmp_path / "card.json").write_text("{}")
    capsys.readouterr()
    assert command("scorecard", "piece", "--against", "card.json") == 6
    assert "card.json is no scorecard" in capsys.readouterr().err
    assert command("scorecard", "piece", "runs/piece") == 6
    assert "two of these runs are called piece" in capsys.readouterr().err
    assert command("reproduce", "nothing") == 2
    assert "there is no recipe 'nothing'" in capsys.readouterr().err


@pytest.fixture
def costs(monkeypatch):
    """What each recipe would take, without a probe; data are here for all but one."""
    known = Estimate(1, 1, 1.0, 1.0, seconds=100.0, memory=1, disk=1)
    hours = {"cifar10-medium-cnn": 30, "cifar10-resnet20": 300, "cifar10-resnet20-reduced": 20}

    def examine(source, options, most, folder):
        recipe = programme.read(source)
        if recipe.data.name != "cifar10":
            return programme.Item(source, recipe, left_out=f"no {recipe.data.name} here")
        cost = replace(known, seconds=3600.0 * hours.get(source.name, 1))
        return programme.Item(source, recipe, cost, programme._too_much(cost, most, folder))

    monkeypatch.setattr(programme, "examine", examine)


def test_recipes_that_are_too_much_are_left_out_or_reduced_and_why_is_said(costs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command("reproduce", "--dry-run", "--hours", "5") == 0
    told = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert "about 1 h 0 min" in told["cifar10-small-cnn"]
    assert "left out: it would take about 30 h 0 min, --hours is 5" in told["cifar10-medium-cnn"]
    assert "left out" not in told["cifar10-medium-cnn-reduced"]
    assert "left out" in told["cifar10-resnet20-reduced"]
    assert "left out: no cifar100 here" in told["cifar100-resnet20"]
    assert not (tmp_path / "runs").exists()


def test_every_recipe_of_the_programme_is_shipped_and_on_data_of_the_paper():
    for name in programme.PROGRAMME:
        recipe = programme.read(programme.find(name))
        assert recipe.data.name in ("cifar10", "cifar100", "imagenet")
        assert not recipe.reduces
    assert programme.smaller("cifar10-medium-cnn") == "cifar10-medium-cnn-reduced"
    assert programme.smaller("cifar10-small-cnn") is None
