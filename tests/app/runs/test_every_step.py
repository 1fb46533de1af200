"""A write that ends at any of its steps, by a kill or by a refusal, leaves the old or the new, never half of one."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from modescape.app.runs.commit import ASIDE, sweep, write_file, write_folder
from modescape.app.runs.journal import Journal
from modescape.app.runs.layout import Layout
from modescape.app.runs.run import open_run
from modescape.errors import RunError

STEPS = (
    (Path, "mkdir"),
    (Path, "open"),
    (os, "open"),
    (os, "fsync"),
    (Path, "replace"),
    (Path, "rename"),
    (os, "unlink"),
    (os, "rmdir"),
)
"""Everything that a write asks of the system."""

BELONGS = {"recipe": {"seed": 0}}


class Killed(BaseException):
    """The process is gone: no step after this one happens either."""


class System:
    """Lets the first ``last`` steps happen; then either every step is refused, or one is."""

    def __init__(self, monkeypatch, last, error, forever):
        self.left, self.error, self.forever, self.ended = last, error, forever, False
        for owner, name in STEPS:
            monkeypatch.setattr(owner, name, self.watched(getattr(owner, name)))

    def watched(self, step):
        def taken(*arguments, **named):
            if self.left == 0 and (self.forever or not self.ended):
                self.ended = True
                raise self.error
            self.left = max(0, self.left - 1)
            return step(*arguments, **named)

        return taken


def endings(act, error, forever):
    """End ``act`` at its first step, then at its second, and so on until it comes to its end; yields after each."""
    for last in range(100):
        with pytest.MonkeyPatch.context() as patch:
            system = System(patch, last, error, forever)
            try:
                act()
            except Killed:
                told = None
            except RunError as refusal:
                told = str(refusal)
            else:
                if not system.ended:
                    return
                told = None
        yield told
    raise AssertionError("the write never ends")


def left_aside(root):
    return list(root.rglob(f"{ASIDE}*"))


def held(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_a_kill_at_any_step_leaves_a_file_old_or_new(tmp_path):
    path = tmp_path / "x.json"
    path.write_bytes(b"old")
    found = []
    for _ in endings(lambda: write_file(path, b"new"), Killed(), forever=True):
        found.append(path.read_bytes())
        path.write_bytes(b"old")
    assert set(found) == {b"old", b"new"}
    assert found == sorted(found, reverse=True)  # once it is new it stays new
    assert left_aside(tmp_path)
    sweep(tmp_path)
    assert held(tmp_path) == {"x.json": b"new"}  # the last try was let come to its end


def test_a_kill_at_any_step_leaves_a_folder_old_or_new_or_absent(tmp_path):
    folder, old, new = tmp_path / "result", {"a": b"1", "b": b"2"}, {"c": b"3"}
    found = []
    write_folder(folder, {name: lambda data=data: data for name, data in old.items()})
    for _ in endings(
        lambda: write_folder(folder, {name: lambda data=data: data for name, data in new.items()}), Killed(), True
    ):
        found.append(held(folder) if folder.exists() else None)
        sweep(tmp_path)
        assert {p.name for p in tmp_path.iterdir()} <= {"result"}
        write_folder(folder, {name: lambda data=data: data for name, data in old.items()})
    assert len(found) >= 6
    assert all(state in (old, new, None) for state in found)
    assert found[0] == old
    assert found[-1] == new


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_refusal_at_any_step_is_told_and_spoils_nothing(tmp_path, number):
    path, folder = tmp_path / "files" / "x.json", tmp_path / "folders" / "result"
    error = OSError(number, os.strerror(number))
    write_file(path, b"old")
    write_folder(folder, {"a": lambda: b"old"})
    refused = 0
    for told in endings(lambda: write_file(path, b"new"), error, forever=False):
        assert told is not None
        assert f"cannot write {path}: {os.strerror(number)}; " in told
        assert path.read_bytes() in (b"old", b"new")
        refused += 1
    assert path.read_bytes() == b"new"
    for told in endings(lambda: write_folder(folder, {"a": lambda: b"new"}), error, forever=False):
        assert told is None or f"cannot write {folder}: {os.strerror(number)}; " in told
        assert not folder.exists() or held(folder) in ({"a": b"old"}, {"a": b"new"})
        refused += told is not None
    assert held(folder) == {"a": b"new"}
    assert refused >= 12


def test_a_kill_while_a_run_is_made_leaves_a_place_where_it_can_be_made(tmp_path):
    root = tmp_path / "run"

    def make():
        with open_run(root, BELONGS, {"version": "1"}):
            pass

    ended = 0
    for _ in endings(make, Killed(), forever=True):
        ended += 1
        with open_run(root, BELONGS, {"version": "1"}) as again:
            assert again.identity == {"schema": 1, "belongs": BELONGS, "version": "1"}
            assert {p.name for p in root.iterdir()} == {"run.json", "lock"}
        shutil.rmtree(root)
    assert ended >= 5


def test_opening_a_run_again_sweeps_what_a_kill_left(tmp_path):
    root = tmp_path / "run"
    with open_run(root, BELONGS, {}) as run:
        write_folder(run.layout.result("a/b"), {"kept": lambda: b"1"})
    (root / "results" / "a" / f"{ASIDE}half").mkdir()
    (root / "results" / "a" / f"{ASIDE}half" / "state").write_bytes(b"0")
    (root / f"{ASIDE}page").write_bytes(b"0")
    other = {"recipe": {"seed": 1}}
    with pytest.raises(RunError, match="another configuration"), open_run(root, other, {}):
        raise AssertionError
    assert len(left_aside(root)) == 2  # nothing of a run is touched by what it does not belong to
    with open_run(root, BELONGS, {}):
        assert left_aside(root) == []
    assert held(Layout(root).result("a/b")) == {"kept": b"1"}


def test_a_full_disk_is_told_by_the_journal(tmp_path):
    (tmp_path / "journal.jsonl").symlink_to("/dev/full")
    with pytest.raises(RunError, match=r"cannot write .*journal\.jsonl: No space left on device; free some space"):
        Journal(tmp_path / "journal.jsonl").append("done", {"task": "a"})
