"""The command line as a user meets it: answers, exit codes, one-line errors."""

import json
import os
import signal
import subprocess
import sys

import pytest
import torch

from modescape import __version__
from modescape.app.cli.main import main
from modescape.app.runs.layout import Layout
from modescape.app.runs.tables_file import read_tables
from modescape.core.engine.engine import Engine


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Runs and data of a test lie in its own folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODESCAPE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("MODESCAPE_DATA", str(tmp_path / "data"))
    return tmp_path


class Said:
    """What one command printed and how it ended."""

    def __init__(self, capsys, *arguments: str) -> None:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        self.code = ended.value.code or 0
        self.out, self.err = capsys.readouterr()

    @property
    def error(self) -> str:
        """The error line; there must be one, and no traceback. Notes of what is used instead may stand beside it."""
        said = [line for line in self.err.splitlines() if line.startswith("modescape: ")]
        lines = [line for line in said if not line.startswith("modescape: note: ")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        return lines[0]


@pytest.fixture
def say(capsys):
    return lambda *arguments: Said(capsys, *arguments)


def test_a_run_ends_with_its_answers_and_a_report_and_is_not_done_again(say, tmp_path):
    first = say("run", "smoke")
    assert first.code == 0
    assert "different initialisations" in first.out
    page = tmp_path / "runs" / "smoke" / "report.html"
    assert first.out.rstrip().endswith(str(page))
    assert "What was found" in page.read_text() or "disagree" in page.read_text()
    weights = tmp_path / "runs" / "smoke" / "results" / "train" / "member" / "0" / "epoch" / "6"
    before = {path: path.stat().st_mtime_ns for path in weights.iterdir()}
    second = say("run", "smoke")
    assert second.code == 0
    assert "training" not in second.err
    assert {path: path.stat().st_mtime_ns for path in weights.iterdir()} == before


def test_json_is_the_tables_answer_and_nothing_else(say, tmp_path):
    said = say("run", "smoke", "--json")
    record = json.loads(said.out)
    assert said.err == ""
    tables = read_tables(Layout(tmp_path / "runs" / "smoke"), "trajectories")
    told = {row["quantity"]: row["value"] for row in record["studies"]["trajectories"]["answers"]}
    assert told == {row["quantity"]: row["value"] for row in tables["answers"].rows()}


def test_an_override_lies_beside_the_plain_run_and_changes_it(say, tmp_path):
    say("run", "smoke")
    say("run", "smoke", "--seed", "1")
    runs = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert len(runs) == 2
    assert runs[0] == "smoke"
    values = [read_tables(Layout(tmp_path / "runs" / run), "trajectories")["pairs"]["similarity"] for run in runs]
    assert (values[0] != values[1]).any()


def test_another_setting_of_a_study_stays_in_the_run_and_trains_nothing(say, tmp_path):
    say("study", "trajectories", "smoke")
    run = tmp_path / "runs" / "smoke"
    weights = run / "results" / "train" / "member" / "0" / "epoch" / "6" / "checkpoints.safetensors"
    before = weights.stat().st_mtime_ns
    said = say("study", "trajectories", "smoke", "--set", "trajectories.draws=300", "--set", "trajectories.seeds=2")
    assert said.code == 0
    assert "training" not in said.err
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["smoke"]
    assert weights.stat().st_mtime_ns == before
    quality = read_tables(Layout(run), "trajectories")["embedding_quality"]
    assert sorted(set(quality["seed"].tolist())) == [0, 1]
    assert "<td>300</td>" in (run / "report.html").read_text()


def test_the_number_of_cores_changes_no_number(say, tmp_path):
    say("run", "smoke", "--cores", "1", "--out", "one")
    say("run", "smoke", "--cores", "3", "--out", "three")
    one, three = (tmp_path / name / "tables" for name in ("one", "three"))
    written = [path.relative_to(one) for path in one.rglob("*.parquet")]
    weights = {"cross_sections", "connectors", "alignment"}
    studies = {"trajectories", "diversity_accuracy", "subspace_embedding", "ensembling", "shift", "causes"} | weights
    assert {path.parts[0] for path in written} == studies
    # Costs are times, and which ensembles a budget allows follows from them.
    timed = {f"{name}.parquet" for name in ("costs", "verdicts", "answers")}
    for path in written:
        if path.parts[0] != "ensembling" or path.name not in timed:
            assert (one / path).read_bytes() == (three / path).read_bytes()


def test_dry_run_writes_nothing(say, tmp_path, monkeypatch):
    monkeypatch.setattr("modescape.app.jobs.estimate.PROBE_SECONDS", 0.1)
    said = say("run", "smoke", "--dry-run")
    assert said.code == 0
    for word in ("tasks", "time", "memory", "disk", "nothing was written"):
        assert word in said.out
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("run", "digit"), 2, "did you mean digits?"),
        (("run", "nowhere.toml"), 2, "cannot read the recipe nowhere.toml"),
        (("run", "smoke", "--set", "training.epoch=3"), 2, "did you mean training.epochs?"),
        (("run", "smoke", "--set", "training.epochs=many"), 2, "training.epochs"),
        (("run", "smoke", "--set", "training.epochs=0"), 2, "training.epochs must be at least 1"),
        (("run", "smoke", "--set", "training.epochs"), 2, "write it as name=value"),
        (("run", "smoke", "--set", "data.name=mnist"), 2, "mnist1d"),
        (("run", "smoke", "--set", "data.train=5000"), 2, "train = 5000 is impossible"),
        (("run", "smoke", "--set", "trajectories.split=tset"), 2, "there is no split 'tset'"),
        (("run", "smoke", "--set", "trajectories.perplexities=[5000.0]"), 2, "perplexity"),
        (("study", "connectors", "smoke", "--set", "training.members=1"), 2, "at least 2"),
        (("run", "smoke", "--device", "abacus"), 2, "there is no device 'abacus'"),
        (("study", "dreams", "smoke"), 2, "there is no study 'dreams'"),
        (("run", "cifar10-small-cnn"), 3, "modescape data fetch cifar10"),
        (("run", "smoke", "--factory", "nothing_here:make"), 5, "cannot import nothing_here"),
        (("run", "smoke", "--factory", "torch.nn:Identity"), 5, "no parameters"),
        (("report", "nothing"), 6, "there is no run 'nothing'"),
        (("runs", "show", "nothing"), 6, "there is no run 'nothing'"),
        (("data", "fetch", "digits"), 2, "needs no download"),
    ],
)
def test_wrong_input_ends_in_one_line_that_says_what_to_do(say, arguments, code, words):
    said = say(*arguments)
    assert said.code == code
    assert words in said.error


def test_a_run_of_another_configuration_is_not_touched(say, tmp_path):
    say("run", "smoke", "--out", "here")
    before = (tmp_path / "here" / "journal.jsonl").read_bytes()
    said = say("run", "smoke", "--out", "here", "--set", "training.epochs=9")
    assert said.code == 6
    assert "recipe.training.epochs is 6 there, 9 here" in said.error
    assert (tmp_path / "here" / "journal.jsonl").read_bytes() == before


def test_what_is_used_instead_is_a_line_of_its_own(say):
    said = say("run", "smoke", "--dry-run", "--way", "graph", "--precision", "tf32")
    assert said.code == 0
    notes = [line for line in said.err.splitlines() if line.startswith("modescape: note: ")]
    assert notes == [
        "modescape: note: precision tf32 is for GPUs; float32 is used instead",
        "modescape: note: the way graph is not for cpu; threads is used instead",
    ]
    assert "engine       threads" in said.out
    error = say("run", "smoke", "--way", "fast").error
    assert error.startswith("modescape: error: there is no way 'fast'; choose auto,")


def test_a_stack_is_another_run_than_members_alone(say, tmp_path):
    assert say("run", "smoke", "--way", "stacked", "--out", "one").code == 0
    said = say("run", "smoke", "--way", "threads", "--out", "one")
    assert said.code == 6
    assert "engine" in said.error
    assert say("run", "smoke", "--way", "stacked", "--out", "one").code == 0


def test_memory_that_runs_out_is_told_with_what_to_do(say, monkeypatch):
    def hungry(self, work):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")

    monkeypatch.setattr(Engine, "run", hungry)
    said = say("run", "smoke", "--way", "threads")
    assert said.code == 7
    assert "not enough memory: CUDA out of memory" in said.error
    assert "lower training.batch, --group or --cores" in said.error


def test_members_that_diverge_are_told_and_end_in_their_own_exit_code(say):
    said = say("run", "smoke", "--set", "training.optimiser.rate=1e30")
    assert said.code == 4
    assert "diverged" in said.error


def test_a_recipe_from_a_stranger_runs_no_code_unless_trusted(say, tmp_path, monkeypatch):
    (tmp_path / "stranger.py").write_text(
        "import pathlib\npathlib.Path('ran').touch()\nfrom torch import nn\n"
        "def make():\n    return nn.Sequential(nn.Flatten(), nn.Dropout(0.1), nn.Linear(64, 10))\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    said = say("recipes", "smoke")
    text = said.out.replace('name = "small_cnn"', 'factory = "stranger:make"')
    text = "\n".join(line for line in text.splitlines() if not line.startswith("options"))
    (tmp_path / "theirs.toml").write_text(text)
    refused = say("run", "theirs.toml")
    assert refused.code == 2
    assert "--trust" in refused.error
    assert not (tmp_path / "ran").exists()
    trusted = say("run", "theirs.toml", "--trust")
    assert trusted.code == 0
    assert (tmp_path / "ran").exists()
    # What does not fit a network without hidden units stops nothing else, but is told where it was asked for.
    assert "the study alignment is left out: hidden units cannot be matched" in trusted.err
    alone = say("study", "alignment", "theirs.toml", "--trust")
    assert alone.code == 2
    assert "study alignment: hidden units cannot be matched" in alone.error


def test_a_network_of_ones_own_runs_from_the_command_line(say, tmp_path, monkeypatch):
    (tmp_path / "ownnet.py").write_text(
        "from torch import nn\n"
        "def make():\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.BatchNorm1d(20), nn.Linear(20, 10))\n"
        "def wrong():\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 7))\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    said = say("run", "smoke", "--factory", "ownnet:make")
    assert said.code == 0
    assert "Without the parameters of normalisation layers" in said.out
    wrong = say("run", "smoke", "--factory", "ownnet:wrong")
    assert wrong.code == 5
    assert "(4, 10)" in wrong.error


def test_debug_shows_where(capsys):
    with pytest.raises(Exception, match="there is no recipe"):
        main(["run", "digit", "--debug"])


def test_runs_report_recipes_data_and_doctor(say, tmp_path):
    say("run", "smoke")
    assert "finished" in say("runs", "list").out
    assert "different initialisations" in say("runs", "show", "smoke").out
    assert say("runs", "path", "smoke").out.strip() == str(tmp_path / "runs" / "smoke")
    page = tmp_path / "runs" / "smoke" / "report.html"
    page.unlink()
    assert say("report", "smoke").out.strip() == str(page)
    assert page.exists()
    assert "digits" in say("recipes").out
    assert "missing" in say("data", "list").out
    assert say("data", "check", "digits").code == 0
    found = json.loads(say("doctor", "--json").out)
    assert found["modescape"] == __version__
    assert say("--version").out == f"modescape {__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["runs", "--help"], ["data", "list"]])
def test_help_and_listings_load_neither_torch_nor_plotting(arguments, tmp_path):
    code = (
        "import sys\nfrom modescape.app.cli.main import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "heavy = {'torch', 'sklearn', 'matplotlib', 'pyarrow', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_module_is_the_command(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "modescape", "--version"], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert done.stdout == f"modescape {__version__}\n"


def test_help_names_every_study():
    from modescape.app.cli.study import NAMES
    from modescape.studies.catalogue import STUDIES
    from modescape.tables import STUDIES as TABLES

    assert tuple(TABLES) == NAMES
    assert set(STUDIES) == set(NAMES)


def test_every_recipe_that_is_shipped_can_be_read_and_planned():
    from modescape.app.jobs.recipe import find, read, shipped
    from modescape.studies.abstract import Extra, Sizes

    assert {"digits", "mnist1d", "cifar10-small-cnn", "cifar10-medium-cnn", "cifar10-resnet20", "smoke"} <= set(
        shipped()
    )
    for name in shipped():
        recipe = read(find(name))
        sizes = Sizes(
            {"train": 49_500, "validation": 500, "test": 10_000},
            recipe.training.batch,
            dropout=recipe.network.name in ("small_cnn", "medium_cnn"),
            families=("fog",),
            extra=lambda split: Extra(10_000, "made up", split),
        )
        for study in recipe.studies:
            tasks = recipe.study(study).tasks(recipe.setup, sizes)
            assert len({task.name for task in tasks}) == len(tasks)


def test_an_interrupted_run_says_how_to_go_on(say, monkeypatch):
    def interrupted(*arguments, **named):
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("the signal should have ended the run")

    monkeypatch.setattr("modescape.app.executors.serial._together", interrupted)
    said = say("run", "smoke")
    assert said.code == 130
    assert "same command goes on" in said.error
