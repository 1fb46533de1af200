"""Read the batches of one place, a folder or an archive that is never unpacked, and prove them by checksum."""

import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from modescape.app.datasets.layouts import Batch, Layout
from modescape.app.datasets.pickled import PickledArray, read_pickled_batch
from modescape.app.datasets.places import Place
from modescape.errors import DataError

NAMES_LIMIT = 65536
BLOCK = 1 << 20
ARCHIVE_SLACK = 16 << 20
"""Bytes that an unpacked archive may have beyond its batches: headers, padding, readme, names of classes."""


@dataclass(frozen=True)
class Records:
    """The verified records of one batch: uint8 [record, label bytes + 3072]."""

    batch: Batch
    values: np.ndarray


def read_records(place: Place) -> Iterator[Records]:
    """Yield every batch, in the order in which the place holds them; one batch is in memory at a time.

    Raises ``DataError``, naming the file, if one is missing, truncated, too large, not a regular file, not readable,
    or has another checksum than the official one.
    """
    layout = place.layout
    batches = {batch.name: batch for batch in layout.batches}
    for name, raw in _members(place, {name: layout.size_limit(batch) for name, batch in batches.items()}):
        yield Records(batches[name], _verified(place, batches.pop(name), raw))
    if batches:
        raise DataError(f"{place.path} lacks {', '.join(batches)}. {place.remedy()}")


def read_class_names(place: Place) -> tuple[str, ...]:
    """The class names in the place's own list if its folder has one, otherwise those of the layout.

    Raises ``DataError`` if the list cannot be read or has another number of names.
    """
    known, name = place.layout.classes, place.layout.names_file
    if name is None or not (place.path / name).is_file():
        return known
    raw = dict(_members(place, {name: NAMES_LIMIT}))[name]
    listed = tuple(raw.decode("utf-8", errors="replace").split())
    if len(listed) != len(known) or len(set(listed)) != len(known):
        raise DataError(f"{place.path / name} does not name {len(known)} different classes. {place.remedy()}")
    return listed


def _members(place: Place, limits: dict[str, int]) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each of these files that the place holds, none longer than its limit."""
    try:
        if place.path.is_file():
            yield from _from_archive(place, limits)
        else:
            yield from _from_folder(place, limits)
    except (tarfile.TarError, EOFError, zlib.error, OSError) as problem:
        raise DataError(f"{place.path} cannot be read: {problem}. {place.remedy()}") from problem


def _from_folder(place: Place, limits: dict[str, int]) -> Iterator[tuple[str, bytes]]:
    for name, limit in limits.items():
        path = place.path / name
        if path.is_file():
            _refuse_oversize(place, str(path), path.stat().st_size, limit)
            with path.open("rb") as stream:
                raw = stream.read(limit)
            yield name, raw


def _from_archive(place: Place, limits: dict[str, int]) -> Iterator[tuple[str, bytes]]:
    # Names must match to the letter and nothing is written anywhere, so names like ../x need no special care.
    wanted = {f"{place.layout.folder}/{name}": name for name in limits}
    with _CappedUnzip(place.path) as unzipped:
        unzipped.limit = sum(limits.values()) + ARCHIVE_SLACK
        with tarfile.open(fileobj=unzipped, mode="r|", bufsize=BLOCK) as archive:
            for member in archive:
                name = wanted.pop(member.name, None)
                if name is None:
                    continue
                where = f"{place.path}, member {member.name},"
                if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.issparse():
                    raise DataError(f"{where} is a link or another special file, not data. {place.remedy()}")
                _refuse_oversize(place, where, member.size, limits[name])
                yield name, _in_blocks(archive, member)
                if not wanted:
                    return


def _in_blocks(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    # Read at once, tarfile would hold a member twice, and that of CIFAR-100 has 154 MB.
    raw, stream = io.BytesIO(), archive.extractfile(member)
    while stream and (block := stream.read(BLOCK)):
        raw.write(block)
    return raw.getvalue()


class _CappedUnzip(gzip.GzipFile):
    """Ends the reading once too many bytes have come out, whatever the headers inside declare."""

    limit = 0

    def read(self, size: int | None = -1) -> bytes:
        block = super().read(size)
        if self.tell() > self.limit:
            raise tarfile.ReadError("it unpacks to far more than its batches")
        return block


def _refuse_oversize(place: Place, where: str, size: int, limit: int) -> None:
    if size > limit:
        raise DataError(f"{where} has {size} bytes, at most {limit} expected. {place.remedy()}")


def _verified(place: Place, batch: Batch, raw: bytes) -> np.ndarray:
    where = f"{place.path} / {batch.name}"
    got = _digest(batch.digest, raw)
    if place.layout.pickled:
        return _verified_pickle(place, batch, raw, got)
    expected = place.layout.size_limit(batch)
    if len(raw) < expected:
        raise DataError(f"{where} is truncated: {len(raw)} of {expected} bytes. {place.remedy()}")
    if got != batch.digest:
        raise DataError(f"{where} is damaged: its checksum is {got}, expected {batch.digest}. {place.remedy()}")
    return np.frombuffer(raw, np.uint8).reshape(batch.records, place.layout.record_bytes)


def _verified_pickle(place: Place, batch: Batch, raw: bytes, got: str) -> np.ndarray:
    where = f"{place.path} / {batch.name}"
    try:
        records = _from_pickle(place.layout, batch, raw)
    except DataError as problem:
        raise DataError(f"{where} cannot be used: {problem}. {place.remedy()}") from problem
    got_records = _digest(batch.records_digest, records.data)
    if got != batch.digest and got_records != batch.records_digest:
        raise DataError(
            f"{where} is damaged: its checksum is {got}, expected {batch.digest}; "
            f"that of its records is {got_records}, expected {batch.records_digest}. {place.remedy()}"
        )
    return records


def _from_pickle(layout: Layout, batch: Batch, raw: bytes) -> np.ndarray:
    entries = read_pickled_batch(raw)
    images = entries.get("data")
    if not isinstance(images, PickledArray):
        raise DataError("it has no images under the key 'data'")
    pixels = np.frombuffer(images.bytes_of(batch.records, 3072), np.uint8).reshape(batch.records, 3072)
    records = np.empty((batch.records, layout.record_bytes), np.uint8)
    for column, key in enumerate(layout.label_keys):
        records[:, column] = _labels(entries, key, batch.records)
    records[:, len(layout.label_keys) :] = pixels
    return records


def _labels(entries: dict[str, object], key: str, count: int) -> np.ndarray:
    labels = entries.get(key)
    if not isinstance(labels, list) or len(labels) != count:
        raise DataError(f"it has no list of {count} labels under the key '{key}'")
    for row, label in enumerate(labels):
        if not isinstance(label, int) or not 0 <= label <= 255:
            raise DataError(f"label in row {row} of '{key}' is not a number from 0 to 255")
    return np.array(labels, np.uint8)


def _digest(like: str, values: bytes | memoryview) -> str:
    algorithm = like.partition(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, values, usedforsecurity=False).hexdigest()}"
