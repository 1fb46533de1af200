from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from small_cifar import SmallCifar, dump_protocol4, dump_python2, dump_python3, member, write_archive

from modescape.app.datasets.cifar import load_cifar
from modescape.app.datasets.dataset import Dataset
from modescape.app.datasets.layouts import LAYOUTS
from modescape.errors import DataError


def assert_same(loaded: Dataset, small: SmallCifar) -> None:
    """Every image, label and row is where the official order has it."""
    train, test = np.concatenate(small.records[:-1]), small.records[-1]
    for split, values in (("train", train), ("test", test)):
        pixels = values[:, len(small.keys) :].reshape(-1, 3, 32, 32)
        assert torch.equal(loaded.splits[split].inputs, torch.from_numpy(pixels.copy()))
        assert loaded.splits[split].targets.dtype == torch.int64
        assert loaded.splits[split].targets.tolist() == values[:, len(small.keys) - 1].tolist()
    assert loaded.classes == small.binary.classes


def test_binary_folder(any_cifar: tuple[str, SmallCifar], tmp_path: Path) -> None:
    name, small = any_cifar
    small.write_binary(tmp_path)
    assert_same(load_cifar(name, tmp_path), small)


def test_folder_of_batches_named_directly(any_cifar: tuple[str, SmallCifar], tmp_path: Path) -> None:
    name, small = any_cifar
    assert_same(load_cifar(name, small.write_binary(tmp_path)), small)


def test_archive_is_read_and_not_unpacked(any_cifar: tuple[str, SmallCifar], tmp_path: Path) -> None:
    name, small = any_cifar
    archive = write_archive(tmp_path / small.binary.archive, small.members())
    assert_same(load_cifar(name, tmp_path), small)
    assert_same(load_cifar(name, archive), small)
    assert [path.name for path in tmp_path.rglob("*")] == [archive.name]


@pytest.mark.parametrize("dump", [dump_python2, dump_python3, dump_protocol4])
def test_python_folder(any_cifar: tuple[str, SmallCifar], tmp_path: Path, dump: Callable[[dict], bytes]) -> None:
    name, small = any_cifar
    small.write_python(tmp_path, dump)
    assert_same(load_cifar(name, tmp_path), small)


def test_python_archive(cifar10: SmallCifar, tmp_path: Path) -> None:
    folder = cifar10.write_python(tmp_path / "elsewhere", dump_python2)
    members = [member(f"{folder.name}/{path.name}", path.read_bytes()) for path in folder.iterdir()]
    write_archive(tmp_path / cifar10.python.archive, members)
    assert_same(load_cifar("cifar10", tmp_path), cifar10)


def test_binary_is_preferred(cifar10: SmallCifar, tmp_path: Path) -> None:
    cifar10.write_binary(tmp_path)
    folder = cifar10.write_python(tmp_path, dump_python2)
    for path in folder.iterdir():
        path.write_bytes(b"must not be opened")
    assert_same(load_cifar("cifar10", tmp_path), cifar10)


def test_class_names_of_the_folder(cifar10: SmallCifar, tmp_path: Path) -> None:
    names = tuple(f"class_{number}" for number in range(10))
    folder = cifar10.write_binary(tmp_path)
    (folder / "batches.meta.txt").write_text("\n".join(names) + "\n\n")
    assert load_cifar("cifar10", tmp_path).classes == names
    (folder / "batches.meta.txt").write_text("only\ntwo\n")
    with pytest.raises(DataError, match=r"batches\.meta\.txt does not name 10 different classes"):
        load_cifar("cifar10", tmp_path)


def test_official_layouts_are_complete() -> None:
    for name, classes, sizes in (("cifar10", 10, 184_380_000), ("cifar100", 100, 184_440_000)):
        binary, python = LAYOUTS[name]
        assert len(set(binary.classes)) == classes and python.classes == binary.classes
        assert sum(binary.size_limit(batch) for batch in binary.batches) == sizes
        digests = [b.digest for layout in (binary, python) for b in layout.batches]
        assert len(set(digests)) == len(digests)
        assert [b.records_digest for b in python.batches] == [b.digest for b in binary.batches]
