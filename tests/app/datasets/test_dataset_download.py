import hashlib
import http.server
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import filelock
import pytest

from modescape.app.datasets import download
from modescape.app.datasets.layouts import Download
from modescape.errors import DataError, SettingsError

PAYLOAD = bytes(number * 37 % 251 for number in range(400_000))
OTHER = PAYLOAD[:-1] + b"?"
HALF = len(PAYLOAD) // 2


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves the payload, well or badly, according to the words in the path; remembers what was asked for."""

    asked: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.asked.append((self.path, wanted))
        if "missing" in self.path:
            return self.send_error(404)
        whole = OTHER if "wrong" in self.path else PAYLOAD + b"more" if "longer" in self.path else PAYLOAD
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and "no-range" not in self.path else 0
        start += 10 if start and "shifted" in self.path else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(whole) - 1}/{len(whole)}")
        if "unsaid" not in self.path:
            self.send_header("Content-Length", str(len(whole) - start))
        if "labelled" in self.path:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        cut = "cut" in self.path and (not start or "always" in self.path)
        self.wfile.write(whole[start : min(start + HALF, len(whole) - 1)] if cut else whole[start:])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    Handler.asked.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def wanted(*urls: str) -> Download:
    return Download("cifar10", "archive.tar.gz", len(PAYLOAD), hashlib.sha256(PAYLOAD).hexdigest(), urls)


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_ok_with_progress(server: str, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = download.fetch_archive(
        wanted(f"{server}/ok"), tmp_path / "new", lambda done, total: seen.append((done, total))
    )
    assert path == tmp_path / "new" / "archive.tar.gz" and path.read_bytes() == PAYLOAD
    assert visible(tmp_path / "new") == ["archive.tar.gz"]
    assert seen == sorted(seen) and seen[-1] == (len(PAYLOAD), len(PAYLOAD)) and len(seen) > 3
    assert path.stat().st_mode & 0o077 == (tmp_path / "new").stat().st_mode & 0o066


def test_a_sound_archive_is_not_fetched_again(server: str, tmp_path: Path) -> None:
    (tmp_path / "archive.tar.gz").write_bytes(PAYLOAD)
    download.fetch_archive(wanted(f"{server}/ok"), tmp_path)
    assert Handler.asked == []


def test_a_damaged_archive_is_replaced(server: str, tmp_path: Path) -> None:
    (tmp_path / "archive.tar.gz").write_bytes(OTHER)
    assert download.fetch_archive(wanted(f"{server}/ok"), tmp_path).read_bytes() == PAYLOAD


def test_second_mirror(server: str, tmp_path: Path) -> None:
    path = download.fetch_archive(wanted(f"{server}/missing", f"{server}/ok"), tmp_path)
    assert path.read_bytes() == PAYLOAD
    assert [asked for asked, _ in Handler.asked] == ["/missing", "/ok"]


@pytest.mark.parametrize("said", ["", "-unsaid"])
def test_cut_then_resumed(server: str, tmp_path: Path, said: str) -> None:
    seen: list[int] = []
    path = download.fetch_archive(wanted(f"{server}/cut{said}"), tmp_path, lambda done, total: seen.append(done))
    assert path.read_bytes() == PAYLOAD
    (_, first), (_, second) = Handler.asked
    assert first is None and second is not None and 0 < int(second[6:-1]) <= HALF
    assert seen == sorted(set(seen)), "no byte was fetched twice"


def test_resumed_by_the_next_call_and_mirror(server: str, tmp_path: Path) -> None:
    (tmp_path / "archive.tar.gz.part").write_bytes(PAYLOAD[:1000])
    assert download.fetch_archive(wanted(f"{server}/ok"), tmp_path).read_bytes() == PAYLOAD
    assert Handler.asked == [("/ok", "bytes=1000-")]


def test_server_ignores_range(server: str, tmp_path: Path) -> None:
    (tmp_path / "archive.tar.gz.part").write_bytes(OTHER[-1000:])
    assert download.fetch_archive(wanted(f"{server}/no-range"), tmp_path).read_bytes() == PAYLOAD


def test_server_sends_another_part(server: str, tmp_path: Path) -> None:
    (tmp_path / "archive.tar.gz.part").write_bytes(PAYLOAD[:1000])
    with pytest.raises(DataError, match="sends bytes from 1010 on, 1000 were asked for"):
        download.fetch_archive(wanted(f"{server}/shifted"), tmp_path)
    assert (tmp_path / "archive.tar.gz.part").read_bytes() == PAYLOAD[:1000]


def test_a_part_of_something_else_is_thrown_away(server: str, tmp_path: Path) -> None:
    (tmp_path / "archive.tar.gz.part").write_bytes(b"x" * 1000)
    assert download.fetch_archive(wanted(f"{server}/ok"), tmp_path).read_bytes() == PAYLOAD
    assert Handler.asked == [("/ok", "bytes=1000-"), ("/ok", None)]


@pytest.mark.parametrize("part", [PAYLOAD, PAYLOAD + b"too long"])
def test_part_is_whole_or_longer(server: str, tmp_path: Path, part: bytes) -> None:
    (tmp_path / "archive.tar.gz.part").write_bytes(part)
    assert download.fetch_archive(wanted(f"{server}/ok"), tmp_path).read_bytes() == PAYLOAD
    assert len(Handler.asked) == (part != PAYLOAD)


def test_never_ending_cuts_end(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "TRIES", 2)
    with pytest.raises(
        DataError,
        match=r"cut-always-unsaid: the connection ended after 399999 of 400000 b.*again to resume",
    ):
        download.fetch_archive(wanted(f"{server}/cut-always-unsaid"), tmp_path)
    assert visible(tmp_path) == ["archive.tar.gz.part"]
    assert (tmp_path / "archive.tar.gz.part").read_bytes() == PAYLOAD[:-1]


def test_wrong_digest_leaves_nothing(server: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"/wrong: SHA256 hash of downloaded file .* does not match"):
        download.fetch_archive(wanted(f"{server}/wrong"), tmp_path)
    assert visible(tmp_path) == []


@pytest.mark.parametrize(
    ("path", "says"), [("longer", "offers 400004 bytes, 400000"), ("longer-unsaid", "sends more than")]
)
def test_too_long_leaves_nothing(server: str, tmp_path: Path, path: str, says: str) -> None:
    with pytest.raises(DataError, match=f"{path}: the server {says}"):
        download.fetch_archive(wanted(f"{server}/{path}"), tmp_path)
    assert [name for name in visible(tmp_path) if (tmp_path / name).stat().st_size] == []


def test_content_encoding_is_not_undone(server: str, tmp_path: Path) -> None:
    assert download.fetch_archive(wanted(f"{server}/labelled"), tmp_path).read_bytes() == PAYLOAD


def test_no_server_and_no_file(server: str, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}/file"
    with pytest.raises(DataError) as caught:
        download.fetch_archive(wanted(nobody, f"{server}/missing"), tmp_path)
    message = str(caught.value)
    assert f"{nobody}: the server cannot be reached; {server}/missing: 404 Not Found." in message
    assert f"put archive.tar.gz (400000 bytes) into {tmp_path} by hand" in message and "--data-dir DIR" in message
    assert visible(tmp_path) == []


def test_two_at_once(server: str, tmp_path: Path) -> None:
    with (
        filelock.FileLock(tmp_path / ".archive.tar.gz.lock"),
        pytest.raises(DataError, match="another process is fetching archive"),
    ):
        download.fetch_archive(wanted(f"{server}/ok"), tmp_path)


def test_folder_cannot_be_written(server: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match=r"cannot write into .*file"):
        download.fetch_archive(wanted(f"{server}/ok"), tmp_path / "file" / "folder")


def test_fetch_by_name(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(download.DOWNLOADS, "cifar10", replace(wanted(f"{server}/ok"), archive="a.tar.gz"))
    assert download.fetch("cifar10", tmp_path) == tmp_path / "a.tar.gz"
    with pytest.raises(SettingsError, match="digits needs no download"):
        download.fetch("digits", tmp_path)
    with pytest.raises(SettingsError, match="did you mean 'cifar100'"):
        download.fetch("cifar-100", tmp_path)
