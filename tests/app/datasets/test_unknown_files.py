"""Unknown inputs and CIFAR-10.1 from files of the published layouts, in small."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pretend import dataset_of, digest, npy, scenes
from scipy.io import savemat

from modescape.app.datasets import natural, other_files
from modescape.app.datasets.dataset import Dataset
from modescape.app.datasets.extra import extra, unknown_inputs
from modescape.errors import DataError

COUNT = 6


@pytest.fixture(scope="module")
def colour() -> Dataset:
    return dataset_of(scenes(4, 32, 32, 3), "cifar10")


@pytest.fixture
def images() -> np.ndarray:
    return scenes(COUNT, 32, 32, 3, seed=9).permute(0, 2, 3, 1).contiguous().numpy()


def put(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, raw: bytes, examples: int = COUNT) -> Path:
    """Write a file; the package believes that it is the official one."""
    folder.mkdir(exist_ok=True)
    known = other_files.FILES[name]
    (folder / known.file).write_bytes(raw)
    algorithm = known.digest.partition(":")[0]
    pinned = replace(known, digest=digest(raw, algorithm), size=len(raw), examples=examples)
    monkeypatch.setitem(other_files.FILES, name, pinned)
    return folder / known.file


def npz(**arrays: np.ndarray) -> bytes:
    saved = io.BytesIO()
    np.savez_compressed(saved, **arrays)
    return saved.getvalue()


def svhn(images: np.ndarray) -> bytes:
    saved = io.BytesIO()
    savemat(
        saved, {"X": images.transpose(1, 2, 3, 0), "y": np.arange(1, len(images) + 1)[:, None]}, do_compression=True
    )
    return saved.getvalue()


def test_svhn(colour: Dataset, images: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, monkeypatch, "svhn", svhn(images))
    assert unknown_inputs(colour, tmp_path)[0] == "unknown/svhn"
    found = extra(colour, "unknown/svhn", tmp_path, 0)
    split = found.load()
    assert torch.equal(split.inputs, torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))
    assert (split.targets == 0).all() and found.examples == COUNT and "Netzer" in found.source


def test_textures(colour: Dataset, images: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mosaic = images.reshape(2, 3, 32, 32, 3).transpose(0, 2, 1, 3, 4).reshape(64, 96, 3)
    saved = io.BytesIO()
    Image.fromarray(mosaic).save(saved, "WEBP", lossless=True, exact=True)
    put(tmp_path, monkeypatch, "textures", saved.getvalue())
    split = extra(colour, "unknown/textures", tmp_path, 0).load()
    assert torch.equal(split.inputs, torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))


def tiny_imagenet(images: np.ndarray, overlaps: list[int]) -> bytes:
    """Image i is of class i; some classes overlap."""
    parts = []
    for image in images:
        saved = io.BytesIO()
        Image.fromarray(image).save(saved, "JPEG", quality=95)
        parts.append(saved.getvalue())
    offsets = np.cumsum([0, *(len(part) for part in parts)]).astype(np.int32)
    return npz(
        jpeg=np.frombuffer(b"".join(parts), np.uint8),
        offsets=offsets,
        labels=np.arange(len(images), dtype=np.uint8),
        overlaps_cifar10=np.isin(np.arange(200), overlaps),
        wnids=np.array(["n0"] * 200),
    )


def test_tiny_imagenet_without_known_classes(
    colour: Dataset, images: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = tiny_imagenet(images, overlaps=[1, 4, 77])
    with np.load(io.BytesIO(raw)) as made:
        monkeypatch.setattr(other_files, "TINY_SIZES", (COUNT, made["jpeg"].size))
    put(tmp_path, monkeypatch, "tinyimagenet", raw, COUNT - 2)
    put(tmp_path, monkeypatch, "tinyimagenet_all", raw)
    assert unknown_inputs(colour, tmp_path)[0] == "unknown/tinyimagenet"
    assert "unknown/tinyimagenet_all" not in unknown_inputs(colour, tmp_path)
    every = extra(colour, "unknown/tinyimagenet_all", tmp_path, 0).load().inputs
    assert (every.float() - torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).abs().mean() < 6
    assert torch.equal(extra(colour, "unknown/tinyimagenet", tmp_path, 0).load().inputs, every[[0, 2, 3, 5]])


def test_grey_sets(colour: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = np.random.default_rng(3)
    sets = {
        f"{name}_test_x": chance.integers(0, 256, (1000, 28, 28), dtype=np.uint8)
        for name in ("mnist", "fashion", "notmnist")
    }
    for name in ("mnist", "fashion", "notmnist"):
        put(tmp_path, monkeypatch, name, npz(**sets), 1000)
    for name in ("mnist", "fashion", "notmnist"):
        inputs = extra(colour, f"unknown/{name}", tmp_path, 0).load().inputs
        assert np.array_equal(inputs[:, 1, 2:30, 2:30].numpy(), sets[f"{name}_test_x"])
    usps = chance.integers(0, 2001, (2007, 16, 16)).astype(np.uint16)
    put(tmp_path, monkeypatch, "usps", npz(test_x=usps), 2007)
    inputs = extra(colour, "unknown/usps", tmp_path, 0).load().inputs
    corner = np.rint(usps[:, 0, 0] / 2000 * 255)
    assert inputs.shape == (2007, 3, 32, 32) and np.abs(inputs[:, 0, 0, 0].numpy() - corner).max() <= 1


@pytest.mark.parametrize("name", list(other_files.FILES))
def test_missing_files_say_which_and_where(colour: Dataset, tmp_path: Path, name: str) -> None:
    file = other_files.FILES[name].file
    with pytest.raises(DataError, match=rf"{file} \(.*\) was not found in {tmp_path}; put it there"):
        extra(colour, f"unknown/{name}", tmp_path, 0)


def test_damage_is_told_at_once(
    colour: Dataset, images: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(tmp_path, monkeypatch, "svhn", svhn(images))
    raw = bytearray(path.read_bytes())
    raw[-7] ^= 1
    path.write_bytes(raw)
    assert "unknown/svhn" in unknown_inputs(colour, tmp_path)
    with pytest.raises(DataError, match=r"test_32x32\.mat is damaged or another version: its checksum is md5:"):
        extra(colour, "unknown/svhn", tmp_path, 0)
    path.write_bytes(raw + b"x")
    with pytest.raises(DataError, match=r"test_32x32\.mat has \d+ bytes, at most \d+ expected"):
        extra(colour, "unknown/svhn", tmp_path, 0)


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("svhn", b"MATLAB 5.0 MAT-file" + bytes(200)),
        ("svhn", b""),
        ("svhn", b"\x89HDF\r\n\x1a\n" + bytes(600)),
        ("textures", b"RIFF\x00\x00\x00\x00WEBPVP8L" + bytes(30)),
        ("usps", b"PK\x03\x04" + bytes(50)),
        ("usps", npz(test_x=np.zeros((3, 16, 16), np.uint16))),
        ("usps", npz(test_x=np.zeros((2007, 16, 16), np.float32))),
        ("usps", npz(train_x=np.zeros((2007, 16, 16), np.uint16))),
        ("mnist", npz(mnist_test_x=np.zeros((2000, 28, 28), np.uint8))),
        ("svhn", svhn(np.zeros((COUNT + 1, 32, 32, 3), np.uint8))),
        ("svhn", svhn(np.zeros((COUNT, 32, 32, 3), np.float32))),
    ],
)
def test_files_of_another_form(
    colour: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, raw: bytes
) -> None:
    # Their checksums agree, so only the reading can notice.
    path = put(tmp_path, monkeypatch, name, raw)
    with pytest.raises(DataError, match=path.name.replace(".", r"\.")):
        extra(colour, f"unknown/{name}", tmp_path, 0).load()


def test_objects_are_never_read(colour: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, monkeypatch, "usps", npz(test_x=np.array([{}] * 3, object)))
    with pytest.raises(DataError, match=r"usps\.npz cannot be read: Object arrays cannot be loaded"):
        extra(colour, "unknown/usps", tmp_path, 0).load()


def test_an_array_that_unpacks_to_too_much(colour: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, monkeypatch, "usps", npz(test_x=np.zeros((40_000_000,), np.uint16)))
    with pytest.raises(DataError, match=r"usps\.npz cannot be read: test_x has 80000128 bytes, about 1027584 expected"):
        extra(colour, "unknown/usps", tmp_path, 0).load()


class Small101:
    """CIFAR-10.1 with five images."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.images = scenes(5, 32, 32, 3, seed=4).permute(0, 2, 3, 1).contiguous().numpy()
        self.labels = np.array([3, 0, 9, 9, 1], np.int32)
        small = replace(natural.NATURAL["natural/cifar10_1"], examples=5)
        monkeypatch.setitem(natural.NATURAL, "natural/cifar10_1", small)

    def write(self, images: np.ndarray | None = None, labels: np.ndarray | None = None) -> None:
        for name, values in (("data", images), ("labels", labels)):
            own = self.images if name == "data" else self.labels
            (self.folder / f"cifar10.1_v6_{name}.npy").write_bytes(npy(own if values is None else values))


@pytest.fixture
def small101(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small101:
    return Small101(tmp_path, monkeypatch)


def test_cifar10_1_has_classes_of_its_own(colour: Dataset, small101: Small101) -> None:
    assert "natural/cifar10_1" not in unknown_inputs(colour, small101.folder)
    small101.write()
    assert unknown_inputs(colour, small101.folder)[0] == "natural/cifar10_1"
    found = extra(colour, "natural/cifar10_1", small101.folder, 0)
    split = found.load()
    assert found.examples == 5 and "v6" in found.source
    assert torch.equal(split.inputs, torch.from_numpy(small101.images.transpose(0, 3, 1, 2).copy()))
    assert split.targets.tolist() == [3, 0, 9, 9, 1]
    small101.write(labels=small101.labels[::-1].copy())
    assert extra(colour, "natural/cifar10_1", small101.folder, 0).digest != found.digest
    with pytest.raises(DataError, match="has changed while it was in use"):
        found.load()


@pytest.mark.parametrize(
    ("images", "labels", "says"),
    [
        (np.zeros((5, 32, 32, 3), np.float32), None, r"data\.npy is float32"),
        (np.zeros((2021, 32, 32, 3), np.uint8), None, r"data\.npy is uint8 \[2021, 32, 32, 3\], expected uint8 \[5, "),
        (None, np.zeros(4, np.int32), r"labels\.npy is int32 \[4\], expected .* \[5\]"),
        (None, np.array([0, 1, 2, 3, 10], np.int32), r"labels\.npy has labels outside 0 to 9"),
        (None, np.array([0, 1, 2, 3, -1], np.int64), r"labels\.npy has labels outside 0 to 9"),
    ],
)
def test_cifar10_1_of_another_form(
    colour: Dataset, small101: Small101, images: np.ndarray | None, labels: np.ndarray | None, says: str
) -> None:
    small101.write(images, labels)
    with pytest.raises(DataError, match=says):
        extra(colour, "natural/cifar10_1", small101.folder, 0)


def test_cifar10_1_is_missing(colour: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"needs cifar10\.1_v4_data\.npy and cifar10\.1_v4_labels\.npy, not found in"):
        extra(colour, "natural/cifar10_1_v4", tmp_path, 0)
