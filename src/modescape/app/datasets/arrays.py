"""Read arrays from files of others: never a pickle, never more than expected, proven by checksum where one is known."""

import hashlib
import io
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np

from modescape.errors import DataError

BLOCK = 1 << 22
HEADER_LIMIT = 4096
"""The most bytes that the header of an npy file may have; numpy writes 128."""

FAILURES = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, MemoryError)
"""What numpy and zipfile make of a damaged file."""


@dataclass(frozen=True)
class Part:
    """Some bytes of a file: all of it, or one member of an archive that is not compressed."""

    path: Path
    start: int
    size: int
    name: str = ""

    def __str__(self) -> str:
        return f"{self.path}, member {self.name}," if self.name else str(self.path)


def whole(path: Path) -> Part:
    """All of a file. Raises ``DataError`` if it cannot be read."""
    try:
        return Part(path, 0, path.stat().st_size)
    except OSError as problem:
        raise DataError(
            f"{path} cannot be read: {problem}. Name a readable file or folder: --data-dir DIR"
        ) from problem


def checksum(part: Part, algorithm: str) -> str:
    """The checksum of some bytes, in hex; computed anew only if the file has changed. Raises ``DataError``."""
    try:
        state = part.path.stat()
        return _checksum(part, algorithm, state.st_mtime_ns, state.st_size)
    except OSError as problem:
        raise DataError(f"{part} cannot be read: {problem}. Put a sound copy in its place") from problem


@lru_cache(maxsize=256)
def _checksum(part: Part, algorithm: str, _changed: int, _size: int) -> str:
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with part.path.open("rb") as stream:
        stream.seek(part.start)
        left = part.size
        while left and (block := stream.read(min(BLOCK, left))):
            digest.update(block)
            left -= len(block)
    return digest.hexdigest()


def prove(part: Part, expected: str, size_limit: int) -> str:
    """Compare with a known checksum, "algorithm:hex", and give it. Raises ``DataError`` if it is another."""
    if part.size > size_limit:
        raise DataError(f"{part} has {part.size} bytes, at most {size_limit} expected. Put the official file there")
    algorithm, _, want = expected.partition(":")
    got = checksum(part, algorithm)
    if got != want:
        raise DataError(
            f"{part} is damaged or another version: its checksum is {algorithm}:{got}, expected {expected}. "
            "Put the official file there, or remove it"
        )
    return expected


def rows_of_npy(part: Part, dtypes: tuple[str, ...], shape: tuple[int, ...], rows: slice | None = None) -> np.ndarray:
    """Some or all rows of an array file with one of the dtypes, in C order, of just this shape.

    Raises ``DataError`` for anything else: no array file, a truncated one, Python objects, another shape or dtype.
    """
    first, last, _ = (rows or slice(None)).indices(shape[0])
    try:
        with part.path.open("rb") as stream:
            stream.seek(part.start)
            dtype, data = _header(part, stream, dtypes, shape)
            per_row = dtype.itemsize * int(np.prod(shape[1:], dtype=np.int64))
            if part.start + part.size != data + per_row * shape[0]:
                raise DataError(
                    f"{part} is truncated or too long: {part.size} bytes, "
                    f"{data - part.start + per_row * shape[0]} expected. Put a sound copy in its place"
                )
            stream.seek(data + per_row * first)
            values = np.frombuffer(stream.read(per_row * (last - first)), dtype)
            return values.reshape(last - first, *shape[1:])
    except FAILURES as problem:
        raise DataError(f"{part} is not an array file that can be read: {problem}. Put a sound copy there") from problem


def _header(part: Part, stream: BinaryIO, dtypes: tuple[str, ...], shape: tuple[int, ...]) -> tuple[np.dtype, int]:
    version = np.lib.format.read_magic(stream)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"format {version} is not known")
    have, by_columns, dtype = read(stream, max_header_size=HEADER_LIMIT)
    if dtype.hasobject:
        raise DataError(f"{part} holds Python objects, which are never read. Put the official file there")
    if have != shape or dtype.str not in dtypes or by_columns:
        order = ", by columns" if by_columns else ""
        raise DataError(
            f"{part} is {dtype} {list(have)}{order}, expected {' or '.join(np.dtype(d).name for d in dtypes)} "
            f"{list(shape)}. Put the official file there"
        )
    return dtype, stream.tell()


def arrays_of_npz(path: Path, forms: Mapping[str, tuple[str, tuple[int, ...]]]) -> dict[str, np.ndarray]:
    """These arrays of an archive of arrays, each of just this dtype and shape; others in it are not read.

    Raises ``DataError`` if one is missing, damaged or of another form.
    """
    found = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name, (dtype, shape) in forms.items():
                expected = np.dtype(dtype).itemsize * int(np.prod(shape, dtype=np.int64))
                member = archive.getinfo(f"{name}.npy")
                if member.file_size > expected + HEADER_LIMIT:
                    raise ValueError(f"{name} has {member.file_size} bytes, about {expected} expected")
                raw = io.BytesIO(archive.read(member))
                found[name] = np.lib.format.read_array(raw, allow_pickle=False, max_header_size=HEADER_LIMIT)
    except KeyError as problem:
        raise DataError(
            f"{path} lacks {', '.join(name for name in forms if name not in found)}. Put the official file there"
        ) from problem
    except FAILURES as problem:
        raise DataError(f"{path} cannot be read: {problem}. Put a sound copy in its place") from problem
    for name, (dtype, shape) in forms.items():
        if found[name].dtype.str != dtype or found[name].shape != shape:
            raise DataError(
                f"{path}: {name} is {found[name].dtype} {list(found[name].shape)}, "
                f"expected {np.dtype(dtype)} {list(shape)}. Put the official file there"
            )
    return found
