"""Writes a few random images in every official form of CIFAR, with checksums to match."""

import hashlib
import io
import pickle
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from modescape.app.datasets import layouts
from modescape.app.datasets.layouts import Batch, Layout


class SmallCifar:
    """CIFAR with 3, 4, 5, ... images in its batches; ``records`` holds them as in the binary files."""

    def __init__(self, name: str, last_label: int = 0) -> None:
        binary, python = layouts.LAYOUTS[name]
        chance = np.random.default_rng(7)
        labels = len(binary.label_keys)
        self.records = []
        for count, _ in enumerate(binary.batches, start=3):
            values = chance.integers(0, 256, (count, binary.record_bytes), dtype=np.uint8)
            values[:, :labels] = chance.integers(0, len(binary.classes), (count, labels))
            self.records.append(values)
        self.records[-1][-1, labels - 1] = last_label
        self.keys = binary.label_keys
        sums = [f"sha256:{hashlib.sha256(values).hexdigest()}" for values in self.records]
        self.binary = replace(binary, batches=self._batches(binary, sums, [""] * len(sums)))
        self.python = replace(python, batches=self._batches(python, ["md5:0"] * len(sums), sums))

    def _batches(self, layout: Layout, digests: list[str], record_digests: list[str]) -> tuple[Batch, ...]:
        parts = zip(layout.batches, self.records, digests, record_digests, strict=True)
        return tuple(Batch(b.name, b.split, len(values), one, other) for b, values, one, other in parts)

    def write_binary(self, root: Path) -> Path:
        folder = root / self.binary.folder
        folder.mkdir(parents=True)
        for batch, values in zip(self.binary.batches, self.records, strict=True):
            (folder / batch.name).write_bytes(values.tobytes())
        return folder

    def write_python(self, root: Path, dump: Callable[[dict], bytes]) -> Path:
        folder = root / self.python.folder
        folder.mkdir(parents=True)
        for batch, values in zip(self.python.batches, self.records, strict=True):
            (folder / batch.name).write_bytes(dump(self.entries(values)))
        return folder

    def entries(self, values: np.ndarray) -> dict:
        labels = {key: values[:, column].tolist() for column, key in enumerate(self.keys)}
        names = [f"image_{row}.png" for row in range(len(values))]
        return {"batch_label": "a batch", **labels, "data": values[:, len(self.keys) :].copy(), "filenames": names}

    def members(self) -> list[tuple[tarfile.TarInfo, bytes]]:
        """Archive members in another order than that of the batches, with company, as in the official archive."""
        files = [
            (batch.name, values.tobytes()) for batch, values in zip(self.binary.batches, self.records, strict=True)
        ]
        files = [files[-1], ("readme.html", b"<html></html>"), *files[:-1]]
        return [member(f"{self.binary.folder}/{name}", raw) for name, raw in files]


def member(name: str, raw: bytes, **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    header = tarfile.TarInfo(name)
    header.size = len(raw)
    for field, value in fields.items():
        setattr(header, field, value)
    return header, raw


def write_archive(path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for header, raw in members:
            archive.addfile(header, io.BytesIO(raw))
    return path


def dump_python2(entries: dict) -> bytes:
    """A pickle with the opcodes that Python 2 wrote: byte strings, and an array's pixels as one of them."""

    def item(value: object) -> bytes:
        if isinstance(value, str):
            return b"U" + bytes([len(value)]) + value.encode()
        if isinstance(value, int):
            return b"K" + bytes([value])
        if isinstance(value, list):
            return b"](" + b"".join(item(each) for each in value) + b"e"
        assert isinstance(value, np.ndarray)
        kind = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        shape = b"K" + bytes([value.shape[0]]) + b"M" + value.shape[1].to_bytes(2, "little") + b"\x86"
        pixels = b"T" + value.nbytes.to_bytes(4, "little") + value.tobytes()
        made = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        return made + b"(K\x01" + shape + kind + b"\x89" + pixels + b"tb"

    return b"\x80\x02}(" + b"".join(item(key) + item(value) for key, value in entries.items()) + b"u."


def dump_python3(entries: dict) -> bytes:
    return pickle.dumps(entries, protocol=2)


def dump_protocol4(entries: dict) -> bytes:
    return pickle.dumps(entries, protocol=4)
