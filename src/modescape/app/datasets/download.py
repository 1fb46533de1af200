"""Fetch a dataset's archive from one of its mirrors, taking up a broken download where it stopped."""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock
import pooch

# pooch depends on requests and on its bundle of certificates; the standard library would trust the system's alone.
import requests
import urllib3

from modescape.app.datasets.layouts import BUILT_IN, BY_HAND, DOWNLOADS, Download, unknown_name
from modescape.errors import DataError, SettingsError

Progress = Callable[[int, int], None]

BLOCK = 1 << 16
TRIES = 20
TIMEOUT_S = 30


def fetch(name: str, folder: Path, progress: Progress | None = None) -> Path:
    """Download a dataset's archive into the folder and give its path; a sound archive there is kept as it is.

    ``progress`` is called with (bytes so far, bytes in all). A broken download is kept as ARCHIVE.part and taken up
    again; nothing is found under the archive's own name before its SHA-256 is right. Raises ``SettingsError`` if there
    is nothing to fetch under this name and ``DataError``, with the failure of every mirror, if none delivers.
    """
    if name in BUILT_IN:
        raise SettingsError(f"{name} needs no download: it comes with {BUILT_IN[name]}")
    if name in BY_HAND:
        raise SettingsError(
            f"{name} cannot be fetched; get it from {BY_HAND[name]}, and name its folder: --data-dir DIR"
        )
    if name not in DOWNLOADS:
        raise unknown_name(name)
    return fetch_archive(DOWNLOADS[name], folder, progress)


def fetch_archive(download: Download, folder: Path, progress: Progress | None = None) -> Path:
    """``fetch`` for an archive described by the caller."""
    lock = filelock.FileLock(folder / f".{download.archive}.lock", timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with lock, _quiet_pooch():
            return _first_that_delivers(download, folder, progress)
    except filelock.Timeout as problem:
        raise DataError(f"another process is fetching {download.archive} into {folder}; wait for it") from problem
    except OSError as problem:
        raise DataError(f"cannot write into {folder}: {problem}. Name another folder: --data-dir DIR") from problem


def _first_that_delivers(download: Download, folder: Path, progress: Progress | None) -> Path:
    part = folder / f"{download.archive}.part"
    receive = _Receiver(download, part, progress or (lambda done, total: None))
    failures = []
    for url in download.urls:
        for _ in range(TRIES):
            before = _size(part)
            try:
                known_hash = f"sha256:{download.sha256}"
                return Path(pooch.retrieve(url, known_hash, download.archive, folder, downloader=receive))
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as problem:
                failure = _in_words(problem)
            # It grew: take it up again. It is gone after a wrong digest: its beginning may have come from elsewhere.
            if _size(part) == before:
                break
        failures.append(f"{url}: {failure}")
    raise DataError(
        f"{download.dataset} could not be downloaded. {'; '.join(failures)}. Run the command again to resume, or put "
        f"{download.archive} ({download.size} bytes) into {folder} by hand, or name the folder that holds it: "
        "--data-dir DIR"
    )


class _Receiver:
    """A pooch downloader that keeps what it has received in a file of its own until all of it is there."""

    def __init__(self, download: Download, part: Path, progress: Progress) -> None:
        self._size, self._part, self._progress = download.size, part, progress

    def __call__(self, url: str, output_file: str, pooch: Any, check_only: bool = False) -> None:
        """Receive the archive and move it to ``output_file``, where pooch compares its digest."""
        have = _size(self._part)
        if have < self._size:
            self._receive(url, have)
        self._part.replace(output_file)

    def _receive(self, url: str, have: int) -> None:
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
            response.raise_for_status()
            start, total = _span(response)
            if total is not None and total != self._size:
                raise ValueError(f"the server offers {total} bytes, {self._size} expected")
            if start not in (0, have):
                raise ValueError(f"the server sends bytes from {start} on, {have} were asked for")
            # Raw: a server may label a .tar.gz as compressed content, and then it would arrive unpacked.
            blocks = iter(lambda: response.raw.read(BLOCK, decode_content=False), b"")
            self._store(blocks, start)
        if _size(self._part) < self._size:
            raise ValueError(f"the connection ended after {_size(self._part)} of {self._size} bytes")

    def _store(self, blocks: Iterator[bytes], done: int) -> None:
        with self._part.open("r+b" if done else "wb") as stream:
            stream.seek(done)
            for block in blocks:
                done += len(block)
                if done > self._size:
                    stream.truncate(0)
                    raise ValueError(f"the server sends more than the {self._size} bytes expected")
                stream.write(block)
                self._progress(done, self._size)


def _span(response: requests.Response) -> tuple[int, int | None]:
    """First byte that the response carries and the size of the whole file, None if the server does not say."""
    if response.status_code == 206:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if match is None:
            raise ValueError("the server answers with a part of the file but does not say which")
        return int(match[1]), None if match[2] == "*" else int(match[2])
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _in_words(problem: Exception) -> str:
    if isinstance(problem, requests.HTTPError) and problem.response is not None:
        return f"{problem.response.status_code} {problem.response.reason}"
    if isinstance(problem, requests.Timeout):
        return f"no answer within {TIMEOUT_S} s"
    if isinstance(problem, requests.ConnectionError):
        return "the server cannot be reached"
    # pooch's text on a wrong digest goes on with advice that does not fit here.
    return str(problem).partition(" Deleted download")[0].rstrip(".")


@contextmanager
def _quiet_pooch() -> Iterator[None]:
    """The caller draws the progress; pooch's own lines on the terminal would break it."""
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
