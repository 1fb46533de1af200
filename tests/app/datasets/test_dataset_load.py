from pathlib import Path

import pytest
import torch
from small_cifar import SmallCifar

from modescape.app.datasets import layouts, load
from modescape.app.datasets.dataset import Dataset
from modescape.core.splits import Split
from modescape.errors import DataError, SettingsError


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """Ten training examples, one pixel each, whose value is their row; three are held out by default."""
    rows = torch.arange(10)
    splits = {"train": Split(rows.view(10, 1, 1), rows % 2), "test": Split(rows.view(10, 1, 1) + 100, rows % 2)}
    made = Dataset("toy", splits, ("even", "odd"), "made up", "none")
    monkeypatch.setitem(load.DATASETS, "toy", lambda data_dir: made)
    monkeypatch.setitem(load.HELD_OUT, "toy", 3)
    return made


@pytest.mark.parametrize(
    ("train", "validation", "kept", "held_out"),
    [
        (None, None, [0, 1, 2, 3, 4, 5, 6], [7, 8, 9]),
        (None, 1, [0, 1, 2, 3, 4, 5, 6, 7, 8], [9]),
        (2, None, [0, 1], [7, 8, 9]),
        (1, 9, [0], [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (10, 0, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], None),
    ],
)
def test_who_is_in_which_split(
    toy: Dataset, train: int | None, validation: int | None, kept: list[int], held_out: list[int] | None
) -> None:
    made = load.load("toy", train=train, validation=validation)
    assert made.splits["train"].inputs.flatten().tolist() == kept
    assert made.splits["train"].targets.tolist() == [row % 2 for row in kept]
    assert made.splits["test"] is toy.splits["test"]
    if held_out is None:
        assert "validation" not in made.splits
    else:
        assert made.splits["validation"].inputs.flatten().tolist() == held_out


@pytest.mark.parametrize(
    ("train", "validation", "says"),
    [
        (None, 10, "validation = 10 is impossible for toy: choose from 0 to 9"),
        (None, -1, "validation = -1 is impossible"),
        (8, None, "train = 8 is impossible for toy: choose from 1 to 7, the examples left after 3 for validation"),
        (0, None, "train = 0 is impossible"),
        (-1, 0, "train = -1 is impossible for toy: choose from 1 to 10"),
    ],
)
def test_impossible_numbers(toy: Dataset, train: int | None, validation: int | None, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        load.load("toy", train=train, validation=validation)


def test_few_examples_do_not_keep_all_in_memory(toy: Dataset) -> None:
    few = load.load("toy", train=2).splits["train"].inputs
    assert few.untyped_storage().nbytes() == few.nbytes


def test_unusable_data_are_refused(toy: Dataset) -> None:
    toy.splits["test"].targets[4] = 2
    with pytest.raises(DataError, match=r"toy, split test: label 2 .* \(4\)"):
        load.load("toy")


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(
        SettingsError, match=r"there is no dataset 'cifar-10'; did you mean 'cifar10'\? Choose one of dig"
    ):
        load.load("cifar-10")
    with pytest.raises(
        SettingsError, match=r"there is no dataset 'xyz'\. Choose one of digits, mnist1d, cifar10, cifar100"
    ):
        load.load("xyz")


def test_every_known_name_has_a_loader() -> None:
    assert set(load.DATASETS) == set(load.HELD_OUT) == set(layouts.known_names())
    assert set(layouts.DOWNLOADS) == set(layouts.LAYOUTS)
    for name, download in layouts.DOWNLOADS.items():
        assert download.archive == layouts.LAYOUTS[name][0].archive and not layouts.LAYOUTS[name][0].pickled


def test_cifar_by_name(cifar10: SmallCifar, tmp_path: Path) -> None:
    cifar10.write_binary(tmp_path)
    made = load.load("cifar10", data_dir=tmp_path, validation=5)
    assert [len(made.splits[name]) for name in ("train", "validation", "test")] == [20, 5, 8]
    assert "Krizhevsky 2009" in made.source and made.licence


def test_cifar_with_a_label_beyond_its_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The checksums agree, so only the check of the loaded data can notice.
    small = SmallCifar("cifar10", last_label=200)
    monkeypatch.setitem(layouts.LAYOUTS, "cifar10", (small.binary,))
    small.write_binary(tmp_path)
    with pytest.raises(DataError, match=r"cifar10, split test: label 200 is not from 0 to 9, in 1 of 8 rows \(7\)"):
        load.load("cifar10", data_dir=tmp_path, validation=5)


def test_cifar_absent_says_where_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load.load("cifar10", data_dir=tmp_path)
    message = str(caught.value)
    for part in ("cifar-10-batches-bin", "cifar-10-binary.tar.gz", "cifar-10-batches-py", str(tmp_path)):
        assert part in message
    assert "`modescape data fetch cifar10`" in message and "--data-dir DIR" in message
