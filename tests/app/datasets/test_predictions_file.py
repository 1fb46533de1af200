"""Predictions and labels from files of others: what is taken for what, and what is refused in words."""

import pickle

import numpy as np
import pyarrow as pa
import pytest
import torch
from pyarrow import parquet
from safetensors.torch import save_file

from modescape.app.datasets.labels_file import read_labels
from modescape.app.datasets.number_files import read_numbers
from modescape.app.datasets.predictions_file import read_predictions
from modescape.errors import DataError

EXAMPLES, CLASSES = 12, 4


def logits(seed=0, members=None):
    shape = (EXAMPLES, CLASSES) if members is None else (members, EXAMPLES, CLASSES)
    return np.random.default_rng(seed).normal(size=shape)


def probabilities(seed=0, members=None):
    exponentials = np.exp(logits(seed, members))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def csv_of(path, values, header=None, delimiter=","):
    lines = [delimiter.join(header)] if header else []
    lines += [delimiter.join(repr(float(v)) for v in row) for row in np.atleast_2d(values)]
    path.write_text("\n".join(lines) + "\n")
    return path


NAMES = ["cat", "dog", "cow", "owl"]


def save(folder, form, values):
    """The same table in one of the forms that it may have."""
    path = folder / f"file.{form.split('-')[0]}"
    match form:
        case "npz":
            np.savez(path, some_name=values)
        case "safetensors":
            save_file({"predictions": torch.from_numpy(values)}, path)
        case "csv-header":
            csv_of(path, values, NAMES)
        case "csv-plain":
            csv_of(path, values)
        case "csv-semicolon":
            csv_of(path, values, NAMES, ";")
        case "csv-index":
            csv_of(path, np.column_stack([np.arange(len(values)), values]), ["", *NAMES])
            text = path.read_text().splitlines()
            path.write_text("\n".join([text[0], *(line.replace(".0,", ",", 1) for line in text[1:])]))
        case "parquet":
            parquet.write_table(pa.table({name: values[:, place] for place, name in enumerate(NAMES)}), path)
    return path


FORMS = ("npz", "safetensors", "csv-header", "csv-plain", "csv-semicolon", "csv-index", "parquet")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("make", "kind"), [(logits, "logits"), (probabilities, "probabilities")])
def test_every_form_gives_the_numbers_that_were_saved(tmp_path, form, make, kind):
    (found,) = read_predictions(save(tmp_path, form, make()))
    assert found.kind == kind
    np.testing.assert_array_equal(found.values, make())
    named = form in ("csv-header", "csv-semicolon", "csv-index", "parquet")
    assert found.columns == (tuple(NAMES) if named else ())


def test_a_stack_is_a_member_each(tmp_path):
    np.savez(tmp_path / "stack.npz", probs=probabilities(members=3), labels=np.arange(EXAMPLES))
    found = read_predictions(tmp_path / "stack.npz")
    assert [member.where for member in found] == [f"{tmp_path / 'stack.npz'}, member {m}" for m in range(3)]
    np.testing.assert_array_equal(np.stack([member.values for member in found]), probabilities(members=3))


def test_classes_are_whole_numbers_or_what_is_likeliest_if_no_more_is_wanted(tmp_path):
    classes = logits().argmax(axis=-1)
    np.savez(tmp_path / "c.npz", predictions=classes)
    np.savez(tmp_path / "p.npz", predictions=probabilities())
    parquet.write_table(pa.table({"class": classes}), tmp_path / "c.parquet")
    for path, kind in (("c.npz", None), ("p.npz", "classes"), ("c.parquet", None)):
        (found,) = read_predictions(tmp_path / path, kind)
        assert found.kind == "classes"
        assert found.values.tolist() == classes.tolist()
    np.savez(tmp_path / "stack.npz", classes=np.stack([classes, classes[::-1]]))
    assert len(read_predictions(tmp_path / "stack.npz")) == 2


def test_log_probabilities_are_logits_and_few_decimals_are_still_probabilities(tmp_path):
    np.savez(tmp_path / "log.npz", scores=np.log(probabilities()))
    assert read_predictions(tmp_path / "log.npz")[0].kind == "logits"
    np.savez(tmp_path / "rounded.npz", scores=probabilities().round(4))
    assert read_predictions(tmp_path / "rounded.npz")[0].kind == "probabilities"
    assert read_predictions(tmp_path / "rounded.npz", "logits")[0].kind == "logits"


def changed(change):
    values = probabilities()
    change(values)
    return values


def put(where, value):
    def change(values):
        values[where] = value

    return change


REFUSED = {
    "do not sum": (changed(put((3, 0), 0.9)), r"do not sum to 1 within 0.001 in 1 of 12 rows \(3\); repair"),
    "negative": (changed(put((5, slice(0, 2)), [-0.2, 1.2])), r"negative probabilities in 1 of 12 rows \(5\)"),
    "nan": (changed(put((2, 1), np.nan)), r"NaN or infinite numbers in 1 of 12 rows \(2\)"),
    "infinite": (logits() * np.inf, r"NaN or infinite numbers in 12 of 12 rows \(0, 1, 2, \.\.\.\)"),
    "cannot tell": (probabilities() * 0.5, "all numbers lie from 0 to 1, but 12 of 12 rows.*say --kind logits"),
    "one column": (logits()[:, :1], "logits are.*two classes or more"),
    "too many axes": (logits()[None, None], r"logits are \[1, 1, 12, 4\], expected \[example, class\]"),
    "text": (np.array([["a", "b"]] * 3), "expected numbers"),
    "nothing": (np.zeros((0, 4)), r"float64 \[0, 4\], expected numbers"),
    "negative class": (np.array([0, 1, -1]), r"no classes, numbered from 0 on, in 1 of 3 rows \(2\)"),
    "half a class": (np.array([0.5, 1.0]), "they are not whole"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_numbers_that_cannot_be_are_refused_with_file_and_rows(tmp_path, name):
    values, message = REFUSED[name]
    np.savez(tmp_path / "bad.npz", predictions=values)
    with pytest.raises(DataError, match=message) as refused:
        read_predictions(tmp_path / "bad.npz")
    assert "bad.npz" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_array_must_be_found_without_doubt(tmp_path):
    np.savez(tmp_path / "both.npz", logits=logits(), probs=probabilities())
    with pytest.raises(DataError, match=r"holds logits float64 \[12, 4\], probs float64.*tell with --kind"):
        read_predictions(tmp_path / "both.npz")
    assert read_predictions(tmp_path / "both.npz", "probabilities")[0].kind == "probabilities"
    np.savez(tmp_path / "two.npz", a=logits(), b=logits())
    with pytest.raises(DataError, match="exactly one array may be called logits, probabilities"):
        read_predictions(tmp_path / "two.npz")


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_files_that_are_no_tables_of_numbers_are_refused_and_nothing_in_them_is_run(tmp_path):
    sprung = str(tmp_path / "sprung")
    np.savez(tmp_path / "object.npz", predictions=np.array([Trap(sprung)], dtype=object))
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps(Trap(sprung)))
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(Trap(sprung)))
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "header.csv").write_text("a,b\n")
    (tmp_path / "text.csv").write_text("a,b\n0.5,0.5\nyes,no\n")
    (tmp_path / "ragged.csv").write_text("0.5,0.5\n0.5\n")
    (tmp_path / "hole.csv").write_text("a,b\n0.5,0.5\n,1.0\n")
    (tmp_path / "twice.csv").write_text("a,a\n0.5,0.5\n")
    (tmp_path / "nan.csv").write_text("a,b\n0.5,0.5\nnan,1.0\n")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x81")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1nothing")
    (tmp_path / "bad.safetensors").write_bytes(b"\x08")
    parquet.write_table(pa.table({"p": [[0.5, 0.5], [1.0, 0.0]]}), tmp_path / "nested.parquet")
    for name, message in {
        "object.npz": "holds Python objects, which are never read; save plain arrays",
        "pickle.npz": "save plain arrays",
        "model.pkl": r"files may be \.npz, \.safetensors, \.csv, \.parquet; save it as one of these",
        "empty.csv": "is empty; save it again",
        "header.csv": "has no rows; save it again",
        "text.csv": "column a is string and not numbers .*save numbers alone",
        "ragged.csv": "no table that can be read.*save it as plain CSV",
        "hole.csv": "column a: 1 cells are empty or NaN, the first in row 1; fill them",
        "nan.csv": "column a: 1 cells are empty or NaN, the first in row 1; fill them",
        "twice.csv": "two columns of one name",
        "binary.csv": "no table that can be read",
        "bad.parquet": "no sound Parquet file",
        "bad.safetensors": "no sound safetensors file",
        "nested.parquet": r"column p is nested \(list.*\); save a flat column",
        "missing.csv": "cannot read .*: No such file or directory; check the name",
    }.items():
        with pytest.raises(DataError, match=message) as refused:
            read_numbers(tmp_path / name)
        assert name in str(refused.value)
        assert "\n" not in str(refused.value)
    assert not (tmp_path / "sprung").exists()


def test_labels_are_found_by_name_or_alone(tmp_path):
    wanted = [2, 0, 1]
    np.savez(tmp_path / "named.npz", train_label=[0, 0], test_label=wanted, classes=["a", "b", "c"])
    np.savez(tmp_path / "alone.npz", whatever=np.array(wanted, np.float32))
    (tmp_path / "plain.csv").write_text("2\n0\n1\n")
    (tmp_path / "index.csv").write_text(",label\n0,2\n1,0\n2,1\n")
    parquet.write_table(pa.table({"id": [7, 7, 7], "target": wanted}), tmp_path / "some.parquet")
    for name in ("named.npz", "alone.npz", "plain.csv", "index.csv", "some.parquet"):
        found = read_labels(str(tmp_path / name), None)
        assert found.targets.tolist() == wanted
        assert found.targets.dtype == torch.int64
        assert found.classes == (("a", "b", "c") if name == "named.npz" else ())
    digits = read_labels("digits", None)
    assert len(digits.classes) == 10
    assert digits.name == "digits"


def test_what_are_no_labels_is_refused(tmp_path):
    np.savez(tmp_path / "many.npz", a=[1], b=[2])
    np.savez(tmp_path / "half.npz", labels=[0.0, 0.5])
    np.savez(tmp_path / "below.npz", labels=[0, 3, -1])
    np.savez(tmp_path / "wide.npz", labels=np.eye(3))
    np.savez(tmp_path / "text.npz", labels=["cat", "dog"])
    for name, message in {
        "many.npz": r"holds a int64 \[1\], b int64 \[1\], and none is called labels, targets",
        "half.npz": r"1 labels are no classes, the first in row 1 \(0\.5\); number the classes from 0 on",
        "below.npz": r"1 labels are no classes, the first in row 2 \(-1\)",
        "wide.npz": r"labels are float64 \[3, 3\], expected whole numbers \[example\]",
        "text.npz": r"labels are <U3 \[2\], expected whole numbers",
        "cifar11": r"no such dataset \(digits, .*files may be \.npz",
    }.items():
        with pytest.raises(DataError, match=message):
            read_labels(str(tmp_path / name), None)
