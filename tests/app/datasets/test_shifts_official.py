"""The published archive: used where it is there, refused where it is damaged; seven families rebuilt to its bits."""

import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from pretend import dataset_of, digest, npy, real_data, scenes
from small_cifar import member

from modescape.app.datasets import load as loading
from modescape.app.datasets import official, rebuilt, shifted
from modescape.app.datasets.dataset import Dataset
from modescape.app.datasets.extra import extra
from modescape.errors import DataError

EXAMPLES = 7


class SmallArchive:
    """Fog of seven images at five severities, and labels; the package believes that this is CIFAR-10-C."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        self.dataset = dataset_of(scenes(EXAMPLES, 32, 32, 3), name)
        self.folder = official.FOLDERS[name]
        self.images = scenes(5 * EXAMPLES, 32, 32, 3, seed=6).permute(0, 2, 3, 1).contiguous().numpy()
        labels = np.tile(self.dataset.splits["test"].targets.numpy(), 5).astype(np.uint8)
        self.files = {"fog.npy": npy(self.images), "labels.npy": npy(labels)}
        monkeypatch.setitem(official.MD5[name], "fog", digest(self.files["fog.npy"]))

    def write(self, root: Path, **changes: bytes | None) -> Path:
        folder = root / self.folder
        folder.mkdir(parents=True)
        for name, raw in (self.files | {f"{key}.npy": raw for key, raw in changes.items()}).items():
            if raw is not None:
                (folder / name).write_bytes(raw)
        return folder

    def write_tar(self, root: Path, *others: tuple[tarfile.TarInfo, bytes]) -> Path:
        path = root / f"{self.folder}.tar"
        with tarfile.open(path, "w") as archive:
            for header, raw in (*others, *(member(f"{self.folder}/{name}", raw) for name, raw in self.files.items())):
                archive.addfile(header, io.BytesIO(raw))
        return path

    def fog(self, root: Path, severity: int = 3):
        return extra(self.dataset, f"shift/fog/{severity}", root, 0)


@pytest.fixture(params=["cifar10", "cifar100"])
def archive(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> SmallArchive:
    return SmallArchive(monkeypatch, request.param)


@pytest.mark.parametrize("how", ["write", "write_tar"])
@pytest.mark.parametrize("severity", [1, 5])
def test_official_images_come_first(archive: SmallArchive, tmp_path: Path, how: str, severity: int) -> None:
    getattr(archive, how)(tmp_path)
    found = archive.fog(tmp_path, severity)
    assert found.source == "official archive" and found.examples == EXAMPLES
    split = found.load()
    expected = archive.images[EXAMPLES * (severity - 1) : EXAMPLES * severity].transpose(0, 3, 1, 2)
    assert torch.equal(split.inputs, torch.from_numpy(expected.copy())) and split.inputs.is_contiguous()
    assert torch.equal(split.targets, archive.dataset.splits["test"].targets)
    assert found.digest != archive.fog(tmp_path, 2).digest


def test_other_families_and_other_datasets_are_drawn(archive: SmallArchive, tmp_path: Path) -> None:
    archive.write(tmp_path)
    assert extra(archive.dataset, "shift/snow/1", tmp_path, 0).source == "drawn anew"
    assert extra(dataset_of(scenes(3, 32, 32, 3)), "shift/fog/1", tmp_path, 0).source == "drawn anew"


def test_the_archive_itself_may_be_named(archive: SmallArchive, tmp_path: Path) -> None:
    path = archive.write_tar(tmp_path)
    assert archive.fog(path).source == "official archive"


def test_damage_is_told_at_once(archive: SmallArchive, tmp_path: Path) -> None:
    raw = bytearray(archive.files["fog.npy"])
    raw[-9] ^= 1
    archive.write(tmp_path, fog=bytes(raw))
    with pytest.raises(DataError, match=r"fog\.npy is damaged or .*: its checksum is md5:\w+, expected md5"):
        archive.fog(tmp_path)


def test_damage_in_the_meantime(archive: SmallArchive, tmp_path: Path) -> None:
    folder = archive.write(tmp_path)
    found = archive.fog(tmp_path)
    raw = bytearray(archive.files["fog.npy"])
    raw[-9] ^= 1
    (folder / "fog.npy").unlink()
    (folder / "fog.npy").write_bytes(raw)
    with pytest.raises(DataError, match=r"fog\.npy is damaged"):
        found.load()
    (folder / "fog.npy").unlink()
    with pytest.raises(DataError, match=r"fog\.npy cannot be read"):
        found.load()


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (npy(np.zeros((35, 32, 32, 3), np.float32)), r"is float32 \[35, 32, 32, 3\], expected uint8 \[35, 32, 32, 3\]"),
        (npy(np.zeros((35, 64, 64, 3), np.uint8)), r"is uint8 \[35, 64, 64, 3\], expected uint8 \[35, 32, 32, 3\]"),
        (npy(np.zeros((7, 32, 32, 3), np.uint8)), r"is uint8 \[7, 32, 32, 3\], expected"),
        (npy(np.asfortranarray(np.zeros((35, 32, 32, 3), np.uint8))), "by columns"),
        (npy(np.zeros((35, 32, 32, 3), np.uint8))[:-5], "is truncated or too long: 107643 bytes, 107648 expected"),
        (npy(np.zeros((35, 32, 32, 3), np.uint8)) + b"x", "is truncated or too long: 107649 bytes"),
        (npy(np.zeros(3, np.uint8))[:50], "is not an array file that can be read"),
        (b"", "is not an array file that can be read"),
        (b"<html>Please log in</html>", "is not an array file that can be read"),
        (b"\x93NUMPY\x09\x00" + bytes(200), "format .* is not known"),
        (b"\x93NUMPY\x01\x00\xff\xff" + b" " * 65535, "is not an array file that can be read"),
    ],
)
def test_arrays_of_another_form(archive: SmallArchive, tmp_path: Path, raw: bytes, says: str) -> None:
    archive.write(tmp_path, fog=raw)
    with pytest.raises(DataError, match=rf"fog\.npy .*{says}"):
        archive.fog(tmp_path)


def test_objects_are_never_read(archive: SmallArchive, tmp_path: Path) -> None:
    saved = io.BytesIO()
    np.save(saved, np.array([{}] * 35, object), allow_pickle=True)
    archive.write(tmp_path, fog=saved.getvalue())
    with pytest.raises(DataError, match=r"fog\.npy holds Python objects"):
        archive.fog(tmp_path)


def test_labels_show_the_order(archive: SmallArchive, tmp_path: Path) -> None:
    archive.write(tmp_path / "a", labels=npy(np.zeros(35, np.uint8)))
    with pytest.raises(DataError, match=r"labels\.npy does not list the classes of the test split five times"):
        archive.fog(tmp_path / "a")
    archive.write(tmp_path / "b", labels=None)
    with pytest.raises(DataError, match=r"lacks labels\.npy"):
        archive.fog(tmp_path / "b")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE])
def test_special_and_foreign_members_are_passed_over(archive: SmallArchive, tmp_path: Path, kind: bytes) -> None:
    names = (f"../{archive.folder}/fog.npy", f"/{archive.folder}/fog.npy", "fog.npy")
    foreign = [member(name, b"x") for name in names]
    link = member(f"{archive.folder}/snow.npy", b"", type=kind, linkname="/etc/passwd")
    archive.write_tar(tmp_path, *foreign, link)
    assert archive.fog(tmp_path).load().inputs.shape == (EXAMPLES, 3, 32, 32)
    with pytest.raises(DataError, match=rf"lacks {archive.folder}/snow\.npy"):
        extra(archive.dataset, "shift/snow/1", tmp_path, 0)
    assert [path.name for path in tmp_path.iterdir()] == [f"{archive.folder}.tar"]


@pytest.mark.parametrize("raw", [b"", b"\x00" * 700, b"not an archive" * 100])
def test_something_else_is_called_tar(archive: SmallArchive, tmp_path: Path, raw: bytes) -> None:
    (tmp_path / f"{archive.folder}.tar").write_bytes(raw)
    with pytest.raises(DataError, match=r"\.tar (cannot be read|lacks)"):
        archive.fog(tmp_path)


def test_an_archive_that_is_cut(archive: SmallArchive, tmp_path: Path) -> None:
    path = archive.write_tar(tmp_path)
    path.write_bytes(path.read_bytes()[:60_000])
    with pytest.raises(DataError, match=r"\.tar cannot be read: unexpected end of data"):
        archive.fog(tmp_path)


@pytest.fixture
def pretends_to_be_rebuilt(monkeypatch: pytest.MonkeyPatch) -> Dataset:
    dataset = dataset_of(scenes(8, 32, 32, 3), "cifar10")
    monkeypatch.setattr(shifted, "PROBE", 4)
    made = extra(dataset, "shift/contrast/2", None, 0).load().inputs
    parts = (part.permute(0, 2, 3, 1).contiguous().numpy() for part in (made[:4], made))
    sums = tuple(hashlib.sha256(part.data).hexdigest()[:32] for part in parts)
    monkeypatch.setitem(rebuilt.REBUILT, "contrast", (("", ""), sums, (sums[0], "?"), ("", ""), ("", "")))
    return dataset


def test_equal_bits_are_told_and_proven(pretends_to_be_rebuilt: Dataset) -> None:
    found = extra(pretends_to_be_rebuilt, "shift/contrast/2", None, 0)
    assert found.source == "rebuilt, equal to CIFAR-10-C bit for bit"
    assert found.digest == extra(pretends_to_be_rebuilt, "shift/contrast/2", None, 99).digest
    assert len(found.load()) == 8
    assert extra(pretends_to_be_rebuilt, "shift/contrast/1", None, 0).source == "drawn anew"


def test_bits_that_differ_later_are_refused(pretends_to_be_rebuilt: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    sums = rebuilt.REBUILT["contrast"][1]
    monkeypatch.setitem(rebuilt.REBUILT, "contrast", (("", ""), (sums[0], "?"), ("", ""), ("", ""), ("", "")))
    found = extra(pretends_to_be_rebuilt, "shift/contrast/2", None, 0)
    with pytest.raises(DataError, match=r"shift/contrast/2 of cifar10 differs here from CIFAR-10-C.*contrast\.npy"):
        found.load()


@pytest.mark.recipe
@pytest.mark.timeout(0)
@pytest.mark.parametrize("family", rebuilt.REBUILT)
def test_rebuilt_file_has_the_published_md5(family: str, tmp_path: Path) -> None:
    dataset = loading.load("cifar10", data_dir=real_data())
    header = io.BytesIO()
    form = {"descr": "|u1", "fortran_order": False, "shape": (50000, 32, 32, 3)}
    np.lib.format.write_array_header_1_0(header, form)
    md5 = hashlib.md5(header.getvalue(), usedforsecurity=False)
    for severity in range(1, 6):
        found = extra(dataset, f"shift/{family}/{severity}", tmp_path, 0)
        assert found.source == "rebuilt, equal to CIFAR-10-C bit for bit"
        md5.update(found.load().inputs.permute(0, 2, 3, 1).contiguous().numpy().data)
    assert f"md5:{md5.hexdigest()}" == official.MD5["cifar10"][family]
