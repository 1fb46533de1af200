import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
from small_cifar import SmallCifar, dump_python2, dump_python3, member, write_archive

from modescape.app.datasets import records
from modescape.app.datasets.cifar import load_cifar
from modescape.app.datasets.pickled import read_pickled_batch
from modescape.errors import DataError


def test_truncated_batch(cifar10: SmallCifar, tmp_path: Path) -> None:
    path = cifar10.write_binary(tmp_path) / "data_batch_2.bin"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(DataError, match=r"data_batch_2\.bin is truncated: 5000 of 12292 bytes.*data fetch cifar10"):
        load_cifar("cifar10", tmp_path)


def test_too_long_batch(cifar10: SmallCifar, tmp_path: Path) -> None:
    path = cifar10.write_binary(tmp_path) / "test_batch.bin"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(DataError, match=r"test_batch\.bin has 24585 bytes, at most 24584 expected"):
        load_cifar("cifar10", tmp_path)


def test_altered_byte(any_cifar: tuple[str, SmallCifar], tmp_path: Path) -> None:
    name, small = any_cifar
    batch = small.binary.batches[1]
    path = small.write_binary(tmp_path) / batch.name
    raw = bytearray(path.read_bytes())
    raw[4000] ^= 1
    path.write_bytes(raw)
    with pytest.raises(
        DataError, match=rf"{batch.name} is damaged: its checksum is sha256:\w+, expected {batch.digest}"
    ):
        load_cifar(name, tmp_path)


def test_altered_pixel_in_a_pickle(cifar10: SmallCifar, tmp_path: Path) -> None:
    folder = cifar10.write_python(tmp_path, dump_python2)
    entries = cifar10.entries(cifar10.records[0])
    entries["data"][1, 5] ^= 1
    (folder / "data_batch_1").write_bytes(dump_python2(entries))
    with pytest.raises(
        DataError, match=r"data_batch_1 is damaged: its checksum is md5:\w+, expected md5:0; that of its"
    ):
        load_cifar("cifar10", tmp_path)


def test_member_outside_is_ignored(cifar10: SmallCifar, tmp_path: Path) -> None:
    data = tmp_path / "data"
    evil = [
        member("../escaped", b"x"),
        member("/escaped", b"x"),
        member(f"../{cifar10.binary.folder}/test_batch.bin", b"x"),
    ]
    write_archive(data / cifar10.binary.archive, [*evil, *cifar10.members()])
    load_cifar("cifar10", data)
    assert sorted(path.name for path in tmp_path.rglob("*")) == [cifar10.binary.archive, "data"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_expected_name_on_a_special_member(cifar10: SmallCifar, tmp_path: Path, kind: bytes) -> None:
    link = member(f"{cifar10.binary.folder}/data_batch_3.bin", b"", type=kind, linkname="/etc/passwd")
    write_archive(tmp_path / cifar10.binary.archive, [link, *cifar10.members()])
    with pytest.raises(DataError, match=r"data_batch_3\.bin, is a link or another special file"):
        load_cifar("cifar10", tmp_path)


def test_member_declares_too_much(cifar10: SmallCifar, tmp_path: Path) -> None:
    large = member(f"{cifar10.binary.folder}/data_batch_3.bin", bytes(100_000))
    write_archive(tmp_path / cifar10.binary.archive, [large, *cifar10.members()])
    with pytest.raises(DataError, match=r"data_batch_3\.bin, has 100000 bytes, at most 15365 expected"):
        load_cifar("cifar10", tmp_path)


def test_archive_unpacks_to_too_much(cifar10: SmallCifar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "ARCHIVE_SLACK", 1 << 20)
    bomb = member("something else", bytes(8 << 20))
    path = write_archive(tmp_path / cifar10.binary.archive, [bomb, *cifar10.members()])
    assert path.stat().st_size < 300_000
    with pytest.raises(DataError, match="unpacks to far more than its batches"):
        load_cifar("cifar10", tmp_path)


def test_archive_lacks_a_batch(cifar10: SmallCifar, tmp_path: Path) -> None:
    write_archive(tmp_path / cifar10.binary.archive, cifar10.members()[:-2])
    with pytest.raises(DataError, match=r"cifar-10-binary\.tar\.gz lacks data_batch_4\.bin, data_batch_5\.bin"):
        load_cifar("cifar10", tmp_path)


@pytest.mark.parametrize("keep", [10, 1000, 50_000])
def test_archive_is_cut(cifar10: SmallCifar, tmp_path: Path, keep: int) -> None:
    path = write_archive(tmp_path / cifar10.binary.archive, cifar10.members())
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"cifar-10-binary\.tar\.gz cannot be read: .*data fetch cifar10"):
        load_cifar("cifar10", tmp_path)


def test_archive_is_something_else(cifar10: SmallCifar, tmp_path: Path) -> None:
    (tmp_path / cifar10.binary.archive).write_bytes(b"<html>Please log in</html>")
    with pytest.raises(DataError, match="cannot be read: Not a gzipped file"):
        load_cifar("cifar10", tmp_path)


class Payload:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.marker),)


def test_a_pickle_cannot_run_anything(cifar10: SmallCifar, tmp_path: Path) -> None:
    folder = cifar10.write_python(tmp_path, dump_python2)
    evil = dump_python3(cifar10.entries(cifar10.records[0]) | {"filenames": Payload(tmp_path / "has run")})
    (folder / "data_batch_1").write_bytes(evil)
    with pytest.raises(DataError, match=r"data_batch_1 cannot be used: .*it asks for '(posix|nt)\.mkdir'"):
        load_cifar("cifar10", tmp_path)
    assert not (tmp_path / "has run").exists()
    pickle.loads(evil)  # noqa: S301 - shows that the payload was live
    assert (tmp_path / "has run").exists()


@pytest.mark.parametrize(
    "asks",
    [
        b"cbuiltins\neval\n(U\x011tR",
        b"c__builtin__\neval\n(U\x011tR",
        b"cnumpy\nload\n(U\x01xtR",
        b"\x8c\x05numpy\x8c\x15ndarray.__subclasses__\x93",
        b"c_codecs\ndecode\n(U\x01xU\x05hex_ctR",
        b"c_codecs\nencode\n(X\x01\x00\x00\x00xX\x05\x00\x00\x00rot13tR",
        b"cnumpy\nndarray\n}U\x01aK\x01sb",
        b"cnumpy\ndtype\nN}U\x04codeK\x01s\x86b",
        b"cnumpy.core.multiarray\n_reconstruct\n)RK\x01b",
        b"Pname\n",
        b"\x82\x01",
    ],
)
def test_nothing_else_is_answered(asks: bytes) -> None:
    with pytest.raises(DataError, match="not a batch that can be read safely"):
        read_pickled_batch(b"\x80\x04}U\x01a" + asks + b"s.")


@pytest.mark.parametrize(
    "raw", [b"", b"\x80\x04", b"\x80\x04K\x01.", b"\x80\x04(K\x01", b"\xff" * 20, b"\x80\x02}]K\x01s."]
)
def test_damaged_pickle(raw: bytes) -> None:
    with pytest.raises(DataError):
        read_pickled_batch(raw)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"data": np.zeros((3, 3071), np.uint8)}, "images are not an array of 3 rows and 3072 columns"),
        ({"data": np.zeros((3, 3072), np.int8)}, "images are not unsigned bytes"),
        ({"data": np.zeros((3, 3072), object)}, "images are not unsigned bytes"),
        ({"data": np.asfortranarray(np.zeros((3, 3072), np.uint8))}, "stored by columns"),
        ({"data": [1, 2, 3]}, "no images under the key 'data'"),
        ({"labels": [1, 2]}, "no list of 3 labels under the key 'labels'"),
        ({"labels": [1, 2, 256]}, "label in row 2 of 'labels' is not a number from 0 to 255"),
        ({"labels": [1, "x", 3]}, "label in row 1 of 'labels'"),
    ],
)
def test_pickle_of_another_form(cifar10: SmallCifar, tmp_path: Path, change: dict, says: str) -> None:
    folder = cifar10.write_python(tmp_path, dump_python2)
    (folder / "data_batch_1").write_bytes(dump_python3(cifar10.entries(cifar10.records[0]) | change))
    with pytest.raises(DataError, match=f"data_batch_1 cannot be used: .*{says}"):
        load_cifar("cifar10", tmp_path)
