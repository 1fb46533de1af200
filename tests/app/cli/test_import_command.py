"""``modescape import``, as somebody meets it who has weights or predictions and nothing else of ours."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from pyarrow import parquet
from safetensors.torch import load_file, save_file

from modescape.app.cli.main import main
from modescape.app.datasets.load import load
from modescape.app.datasets.references import are_official
from modescape.app.runs.layout import Layout
from modescape.app.runs.tables_file import read_tables
from modescape.core.models.catalogue import NETWORKS

MEMBERS, CLASSES = 3, 4


def ended(capsys, *words):
    """Exit code, stdout and stderr of the command."""
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    told = capsys.readouterr()
    return left.value.code or 0, told.out, told.err


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Predictions of three members in three forms, their labels, and the probabilities themselves."""
    monkeypatch.chdir(tmp_path)
    chance = np.random.default_rng(0)
    targets = chance.integers(0, CLASSES, 40)
    logits = chance.normal(size=(MEMBERS, 40, CLASSES)) + 2 * np.eye(CLASSES)[targets]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    np.savez("a.npz", logits=logits[0])
    np.savetxt("b.csv", probabilities[1], delimiter=",", header="p,q,r,s", comments="")
    parquet.write_table(pa.table({f"class {k}": probabilities[2][:, k] for k in range(CLASSES)}), "c.parquet")
    np.savez("labels.npz", labels=targets)
    return probabilities, targets


GIVEN = ("--predictions", "a.npz", "--predictions", "b.csv", "--predictions", "c.parquet", "--labels", "labels.npz")


def without_names(command):
    """The table's columns have names, the Parquet file's have others: saved again without."""
    table = parquet.read_table("c.parquet")
    parquet.write_table(table.rename_columns(["p", "q", "r", "s"]), "c.parquet")
    return command


def test_predictions_of_three_forms_are_compared_and_scored(files, tmp_path, capsys):
    probabilities, targets = files
    code, _, err = ended(capsys, "import", *without_names(GIVEN), "--out", "run")
    assert code == 0, err
    assert "1 of logits, 2 of probabilities, each 40 examples of 4 classes" in err
    assert "the studies shift, trajectories" in err or "the studies trajectories" in err
    assert err.count("weights are needed, and network.predictions gives predictions alone") == 1
    tables = {name: read_tables(Layout(tmp_path / "run"), name) for name in ("disagreement", "ensembling")}
    classes = probabilities.argmax(axis=-1)
    for row in tables["disagreement"]["pairs"].rows():
        wanted = np.mean(classes[row["member_a"]] != classes[row["member_b"]])
        assert row["disagreement"] == pytest.approx(wanted)
    (whole,) = [
        row["value"]
        for row in tables["ensembling"]["scores"].rows()
        if (row["solutions"], row["score"]) == (MEMBERS, "accuracy")
    ]
    assert whole == pytest.approx(np.mean(probabilities.mean(axis=0).argmax(axis=-1) == targets))
    page = (tmp_path / "run" / "report.html").read_text()
    assert "predictions of" in page
    assert "3 members trained elsewhere" in page
    assert "modescape import --predictions a.npz" in page
    assert {p.stem for p in (tmp_path / "run" / "figures").glob("*.png")} >= {
        "function_pairs",
        "function_plane",
        "function_map",
    }
    # The same again finds everything done; other predictions under the same names are another run.
    assert ended(capsys, "import", *GIVEN, "--out", "run")[0] == 0
    np.savez("a.npz", logits=np.log(probabilities[1]))
    code, _, err = ended(capsys, "import", *GIVEN, "--out", "run")
    assert code == 6
    assert "\n" not in err.strip().splitlines()[-1]


def test_a_run_of_ones_own_place_is_named_by_what_was_given(files, capsys):
    without_names(())
    _, out, _ = ended(capsys, "import", *GIVEN, "--dry-run")
    (line,) = [line for line in out.splitlines() if line.startswith("would fill")]
    assert "runs/import-" in line
    _, other, _ = ended(capsys, "import", *GIVEN[:4], "--labels", "labels.npz", "--dry-run")
    assert line not in other
    assert not Path("runs").exists()


def test_what_does_not_fit_is_refused_in_one_line_and_nothing_is_written(files, capsys):
    probabilities, targets = files
    save = np.savez
    save("short.npz", probs=probabilities[0][:39])
    save("fewer.npz", probs=np.full((40, 3), 1 / 3))
    save("classes.npz", classes=targets)
    save("far.npz", labels=np.where(targets == 0, 9, targets))
    save("two.npz", labels=targets, classes=["a", "b"])
    base = ("--predictions", "a.npz", "--labels", "labels.npz")
    for code, message, words in (
        (3, r"short.npz has 39 examples, labels.npz has 40 labels", ("--predictions", "short.npz", *base[2:])),
        (3, r"a.npz has 4 classes, fewer.npz has 3; all need", (*base, "--predictions", "fewer.npz")),
        (3, r"labels are not from 0 to 3, the first in row", (*base[:2], "--labels", "far.npz")),
        (3, r"a.npz has 4 classes, two.npz has 2", (*base[:2], "--labels", "two.npz")),
        (3, r"classes.npz has classes alone, a.npz has logits", (*base, "--predictions", "classes.npz")),
        (3, r"the columns of c.parquet (class 0, class 1, class 2, ...) are not those of b.csv (p, q, r", GIVEN),
        (3, r"missing.csv: No such file", (*base, "--predictions", "missing.csv")),
        (2, r"--predictions needs --labels beside it", base[:2]),
        (2, r"--model has no place beside --predictions", (*base, "--model", "mlp")),
        (2, r"give either --weights (with --model and --data) or --predictions", ()),
        (2, r"--weights needs --model beside it", ("--weights", "w.npz")),
        (2, r"--kind has no place beside --weights", ("--weights", "w", "--model", "m", "--data", "d", "--kind", "x")),
        (2, r"hold 1 members and training.members is 2", (*base, "--set", "training.members=2")),
        (2, r"weights are needed", (*base, "--set", 'studies=["curvature"]')),
    ):  # fmt: skip
        found, out, err = ended(capsys, "import", *words, "--out", "run")
        assert message in err.strip().splitlines()[-1], err
        assert found == code
        assert out == ""
        assert not Path("run").exists()


def test_classes_alone_are_compared_and_rows_in_another_order_are_told(files, capsys, tmp_path):
    probabilities, targets = files
    np.savez("classes.npz", classes=probabilities.argmax(axis=-1))
    code, out, err = ended(capsys, "import", "--predictions", "classes.npz", "--labels", "labels.npz", "--out", "hard")
    assert code == 0
    assert "its scores are those of probabilities, and the files have classes alone" in err
    assert "likelihood, calibration and divergences need probabilities" in out
    assert read_tables(Layout(tmp_path / "hard"), "ensembling") is None
    wrong = np.roll(targets, 1)
    np.savez("shuffled.npz", classes=wrong)
    assert np.mean(wrong == targets) < 0.4
    words = ("--predictions", "shuffled.npz", "--labels", "labels.npz", "--out", "order")
    assert "about chance: are its rows in the order of the labels?" in ended(capsys, "import", *words)[2]


def test_predictions_of_a_run_give_the_scores_of_that_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    smaller = ("--set", "training.members=3", "--set", 'methods.names=["independent"]')
    assert ended(capsys, "study", "ensembling", "smoke", *smaller, "--out", "trained")[0] == 0
    assert ended(capsys, "study", "disagreement", "smoke", *smaller, "--out", "trained")[0] == 0
    for member in range(3):
        path = Path("trained/results/predict/member") / str(member) / "test/predictions.safetensors"
        save_file({"logits": load_file(path)["logits"][-1].contiguous()}, f"{member}.safetensors")
    given = [word for member in range(3) for word in ("--predictions", f"{member}.safetensors")]
    recipe = json.loads(Path("trained/run.json").read_text())["belongs"]["recipe"]
    same = ["--labels", recipe["data"]["name"], "--seed", recipe["seed"]]
    same += ["--set", "ensembling.draws=100", "--set", "ensembling.subsets=3"]
    code, _, err = ended(capsys, "import", *given, *same, "--out", "again")
    assert code == 0, err
    for study, table in (("disagreement", "networks"), ("disagreement", "pairs"), ("ensembling", "scores")):
        one, other = (read_tables(Layout(tmp_path / run), study)[table] for run in ("trained", "again"))
        assert len(one) == len(other) > 0
        for name in one.schema.names:
            if one[name].dtype.kind == "f":
                np.testing.assert_allclose(one[name], other[name], rtol=2e-5, atol=2e-6)
            else:
                np.testing.assert_array_equal(one[name], other[name])


def test_weights_of_a_network_of_the_catalogue_are_studied_as_they_are(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    test = load("digits").splits["test"]
    torch.manual_seed(0)
    networks = [NETWORKS["mlp"](tuple(test.inputs.shape[1:]), 10) for _ in range(2)]
    for place, network in enumerate(networks):
        save_file(network.state_dict(), f"w{place}.safetensors")
    words = ["import", "--model", "mlp", "--weights", "w0.safetensors", "--data", "digits"]
    words += ["--set", 'studies=["disagreement", "alignment", "ensembling", "trajectories"]', "--out"]
    few = ("--set", 'methods.names=["independent", "random_direction"]', "--set", "methods.samples=2")
    code, _, err = ended(capsys, *words, "one", *few)
    assert code == 0, err
    assert "the study alignment is left out: networks are compared, and there is one" in err
    assert "the study trajectories is left out: there are no trajectories" in err
    rows = read_tables(Layout(tmp_path / "one"), "disagreement")["networks"].rows()
    found = {row["score"]: row["value"] for row in rows}
    train = load("digits").splits["train"].inputs.float()
    mean, spread = train.mean(dim=(0, 2, 3), keepdim=True), train.std(dim=(0, 2, 3), correction=0, keepdim=True)
    with torch.no_grad():
        own = networks[0].eval()((test.inputs.float() - mean) / spread)
    assert found["accuracy"] == pytest.approx(float((own.argmax(-1) == test.targets).double().mean()))
    assert found["nll"] == pytest.approx(float(torch.nn.functional.cross_entropy(own, test.targets)), rel=1e-4)
    methods = set(read_tables(Layout(tmp_path / "one"), "ensembling")["scores"]["method"])
    assert methods == {"independent", "random_direction"}
    code, out, err = ended(capsys, *words, "two", *few, "--weights", "w1.safetensors", "--set", "alignment.points=3")
    assert code == 0, err
    assert "alignment" in out


def test_labels_of_cifar10_are_known_in_any_file(tmp_path):
    assert not are_official(torch.zeros(10_000, dtype=torch.int64))
    assert not are_official(torch.zeros(10, dtype=torch.int64))
    assert not are_official(torch.full((10_000,), 300))
