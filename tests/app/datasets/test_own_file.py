"""A dataset of one's own in an npz file."""

import numpy as np
import pytest
import torch

from modescape.app.datasets.load import load
from modescape.core.engine.notes import EngineNote, forget
from modescape.errors import DataError

CHANCE = np.random.default_rng(0)
INPUTS = CHANCE.normal(size=(12, 1, 5))
TARGETS = np.arange(12) % 3


def saved(tmp_path, **arrays):
    np.savez(tmp_path / "mine.npz", **arrays)
    return str(tmp_path / "mine.npz")


def test_two_sets_become_two_splits_as_they_are(tmp_path):
    images = CHANCE.integers(0, 256, size=(7, 3, 4, 4), dtype=np.uint8)
    file = saved(
        tmp_path,
        train_inputs=images,
        train_targets=TARGETS[:7],
        test_inputs=images[:4],
        test_targets=TARGETS[:4].astype(np.uint8),
        classes=np.array(["a", "b", "c"]),
    )
    found = load(file)
    assert found.name == "mine.npz" and found.classes == ("a", "b", "c")
    assert {name: len(split) for name, split in found.splits.items()} == {"train": 7, "test": 4}
    assert torch.equal(found.splits["train"].inputs, torch.from_numpy(images))
    assert found.splits["test"].targets.tolist() == [0, 1, 2, 0]
    assert load(file, validation=2).splits["validation"].targets.tolist() == [2, 0]


def test_one_set_is_both_splits_and_that_is_said(tmp_path):
    forget()
    with pytest.warns(EngineNote, match="what is called test is what is called train"):
        found = load(saved(tmp_path, inputs=INPUTS, targets=TARGETS))
    assert found.splits["train"].inputs.dtype == torch.float32
    assert torch.equal(found.splits["train"].inputs, found.splits["test"].inputs)
    assert found.classes == ("0", "1", "2")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"train_inputs": INPUTS, "train_targets": TARGETS}, "has no test_inputs; it needs train_inputs"),
        ({"inputs": INPUTS, "targets": TARGETS / 2}, "targets are float64"),
        ({"inputs": INPUTS[:5], "targets": TARGETS}, r"train_inputs are \[5, 1, 5\] for 12 train_targets"),
        ({"inputs": INPUTS[:, 0], "targets": TARGETS}, "add a channel axis"),
        ({"inputs": np.full((12, 1, 5), np.nan), "targets": TARGETS}, "NaN or infinite"),
        ({"inputs": INPUTS, "targets": TARGETS - 1}, "train_targets run from -1 to 1; number the classes from 0 on"),
        ({"inputs": INPUTS, "targets": TARGETS * 10**9}, "run from 0 to 2000000000"),
        ({"inputs": INPUTS * 1j, "targets": TARGETS}, "train_inputs are complex128, expected real numbers"),
        ({"inputs": INPUTS, "targets": TARGETS, "test_inputs": INPUTS}, "keep one of both forms"),
        ({"inputs": np.array([object()] * 12), "targets": TARGETS}, "is no npz of plain arrays"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*one set of examples")
def test_arrays_of_another_form_are_refused(tmp_path, arrays, message):
    with pytest.raises(DataError, match=message):
        load(saved(tmp_path, **arrays))


def test_a_file_that_is_missing_or_none_is_told(tmp_path):
    with pytest.raises(DataError, match=r"cannot read .*none\.npz"):
        load(str(tmp_path / "none.npz"))
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(DataError, match="is no npz of plain arrays"):
        load(str(tmp_path / "text.npz"))
