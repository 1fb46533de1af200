"""ImageNet's layout: what is found where, the flat validation folder, and what is said of one that is not right."""

import numpy as np
import pytest
import scipy.io
from references import photographs_made as made

from modescape.app.datasets.download import fetch
from modescape.app.datasets.imagenet import META, SOLUTION, SYNSETS, TRUTH
from modescape.app.datasets.load import load
from modescape.app.datasets.locate import check_files, status
from modescape.errors import DataError, SettingsError


@pytest.fixture
def root(tmp_path):
    return made.folder(tmp_path / "data")


def imagenet(folder, **choice):
    return load("imagenet", data_dir=folder, **{"validation": 3, "size": 8} | choice)


def test_classes_are_folders_and_val_is_the_test_split(root):
    dataset = imagenet(root)
    assert dataset.classes == made.CLASSES
    assert {name: len(split) for name, split in dataset.splits.items()} == {"train": 15, "validation": 3, "test": 9}
    test = dataset.splits["test"]
    assert [name.split("/")[0] for name in test.inputs.found.names] == [made.CLASSES[t] for t in test.targets]
    assert "Russakovsky" in dataset.source


@pytest.mark.parametrize("place", ["imagenet", "ILSVRC/Data/CLS-LOC"])
def test_the_folder_may_lie_in_the_data_folder(root, tmp_path, place):
    expected = imagenet(root).digest
    (tmp_path / "all" / place).parent.mkdir(parents=True)
    root.rename(tmp_path / "all" / place)
    assert imagenet(tmp_path / "all").digest == expected


def in_the_solution(root, labels):
    rows = [f"{name.removesuffix('.JPEG')},{label} 85 1 499 272 {label} 1 2 3 4" for name, label in labels.items()]
    (root / SOLUTION).write_text("\n".join(["ImageId,PredictionString", *reversed(rows)]) + "\n")


def in_the_list(root, labels):
    (root / SYNSETS).write_text("\n".join(labels.values()) + "\n")


def in_the_devkit(root, labels):
    """Numbers of the devkit follow another order than names, and some are of groups of classes."""
    numbers = {"n01": 2, "n02": 3, "n03": 1}
    (root / META).parent.mkdir(parents=True)
    (root / TRUTH).write_text("\n".join(str(numbers[label]) for label in labels.values()) + "\n")
    form = [("ILSVRC2012_ID", "f8"), ("WNID", "O"), ("words", "O"), ("num_children", "f8")]
    rows = [(number, name, "some words", 0) for name, number in numbers.items()] + [(4, "n00", "a group", 3)]
    scipy.io.savemat(root / META, {"synsets": np.array(rows, form)})


@pytest.mark.parametrize("write", [in_the_solution, in_the_list, in_the_devkit])
def test_a_flat_validation_folder_needs_a_file_of_labels(root, write):
    sorted_in = imagenet(root).splits["test"]
    expected = sorted_in.inputs[:]
    labels = made.flat(root)
    with pytest.raises(DataError, match=r"one flat folder of 9 images.*LOC_val_solution.csv.*devkit.*of its class"):
        imagenet(root)
    write(root, labels)
    found = imagenet(root).splits["test"]
    assert found.targets.tolist() == sorted_in.targets.tolist()
    assert (found.inputs[:] == expected).all()


def test_labels_that_do_not_fit_the_images_are_refused(root):
    labels = made.flat(root)
    (root / SYNSETS).write_text("n01\n" * 8)
    with pytest.raises(DataError, match="8 labels for 9 images"):
        imagenet(root)
    (root / SYNSETS).write_text("n77\n" * 9)
    with pytest.raises(DataError, match="the class n77, which has no folder in train"):
        imagenet(root)
    (root / SOLUTION).write_text("Image,Class\na,b\n")
    with pytest.raises(DataError, match="not a table of ImageId"):
        imagenet(root)
    first = next(iter(labels))
    in_the_solution(root, {name: label for name, label in labels.items() if name != first})
    with pytest.raises(DataError, match=f"{first} is given no class"):
        imagenet(root)


def harmed(root, how):
    if how == "no train":
        (root / "train").rename(root / "training")
    if how == "no classes":
        for path in (root / "train").glob("*/*"):
            path.unlink()
        for path in (root / "train").glob("*"):
            path.rmdir()
    if how == "empty class":
        (root / "train" / "n00").mkdir()
    if how == "unknown class":
        (root / "val" / "n09").mkdir()
    if how == "both":
        made.picture(0, 9, 9).save(root / "val" / "a.jpg")
    if how == "no images":
        made.flat(root)
        for path in (root / "val").glob("*"):
            path.unlink()


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("no train", "has no folder train"),
        ("no classes", "train has no folders"),
        ("empty class", "n00 has no images"),
        ("unknown class", "n09 has no counterpart in .*train"),
        ("both", r"both folders and images \(a.jpg"),
        ("no images", "no images, nor folders of them"),
    ],
)
def test_a_layout_that_is_not_right_is_told_in_one_line(root, how, words):
    harmed(root, how)
    with pytest.raises(DataError, match=words) as told:
        load(str(root))
    assert str(root) in str(told.value) and "\n" not in str(told.value)


def test_what_is_not_there_is_said_with_how_to_get_it(tmp_path):
    with pytest.raises(DataError, match=r"imagenet was not found.*image-net.org.*--data-dir DIR"):
        imagenet(tmp_path)
    with pytest.raises(SettingsError, match=r"cannot be fetched.*image-net.org"):
        fetch("imagenet", tmp_path)
    with pytest.raises(DataError, match="no folder train"):
        load(f"{tmp_path}/nothing")
    (line,) = [line for line in status(tmp_path) if line.name == "imagenet"]
    assert not line.found and "image-net.org" in line.how


def test_files_are_checked_by_decoding_them(root):
    checked = check_files("imagenet", root)
    assert (checked.where, len(checked.files)) == (root, 27)
    for path in sorted((root / "val" / "n02").glob("*"))[:2]:
        path.write_bytes(b"damaged")
    with pytest.raises(DataError) as told:
        check_files("imagenet", root)
    assert str(told.value).count("cannot be decoded") == 2


def test_a_size_is_for_images_in_files():
    with pytest.raises(SettingsError, match="size = 8 is for images that are decoded from files; digits has none"):
        load("digits", size=8)
