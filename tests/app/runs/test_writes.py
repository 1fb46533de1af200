"""Writes are whole, the journal only grows, and every altered byte is noticed."""

import errno
import json
import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from modescape.app.runs import commit, run
from modescape.app.runs.commit import sweep, write_file, write_folder, write_json
from modescape.app.runs.journal import Journal
from modescape.app.runs.layout import Layout
from modescape.app.runs.manifest import Damaged, read_manifest
from modescape.app.runs.results import drop_passing, read_result, verify, write_result
from modescape.app.runs.run import differences, open_run
from modescape.app.runs.tables_file import read_tables, write_tables
from modescape.errors import RunError
from modescape.studies.abstract import Result
from modescape.tables import STUDIES, Table

KINDS = {"int": [3, -1], "float": [0.5, float("nan")], "text": ["ä <b>", ""], "flag": [True, False]}


class Crash(BaseException):
    """A kill, as far as Python can play one."""


def crash_at(monkeypatch, place):
    """Let the process "die" at one of the steps of a write."""

    def dies(*arguments, **named):
        raise Crash

    owner, name = {"fsync": (os, "fsync"), "replace": (Path, "replace"), "rename": (Path, "rename")}[place]
    monkeypatch.setattr(owner, name, dies)


@pytest.mark.parametrize("place", ["fsync", "replace"])
def test_a_file_holds_its_old_bytes_until_it_holds_the_new(tmp_path, monkeypatch, place):
    path = tmp_path / "x.json"
    write_file(path, b"old")
    crash_at(monkeypatch, place)
    with pytest.raises(Crash):
        write_file(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    write_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


@pytest.mark.parametrize("place", ["fsync", "rename"])
def test_a_folder_is_there_whole_or_not_at_all(tmp_path, monkeypatch, place):
    target = tmp_path / "a" / "result"
    crash_at(monkeypatch, place)
    with pytest.raises(Crash):
        write_folder(target, {"one": lambda: b"1", "two": lambda: b"2"})
    monkeypatch.undo()
    assert not target.exists()
    write_folder(target, {"one": lambda: b"1", "two": lambda: b"2"})
    write_folder(target, {"three": lambda: b"3"})
    assert {p.name: p.read_bytes() for p in target.iterdir()} == {"three": b"3"}
    assert [p.name for p in target.parent.iterdir()] == ["result"]


def test_what_killed_writes_left_is_swept(tmp_path):
    (tmp_path / "deep" / f"{commit.ASIDE}1").mkdir(parents=True)
    (tmp_path / f"{commit.ASIDE}2").write_text("half")
    (tmp_path / "kept").write_text("whole")
    sweep(tmp_path)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["deep", "kept"]


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_files_follow_the_umask(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        write_result(tmp_path / "r", Result({"w": {"a": torch.zeros(2)}}, {}), {})
    finally:
        os.umask(before)
    assert {stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "r").iterdir()} == {mode}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT, errno.EIO])
def test_a_refused_write_says_where_and_what_to_do(tmp_path, monkeypatch, number):
    def refuses(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuses)
    with pytest.raises(RunError) as told:
        write_json(tmp_path / "x.json", {})
    monkeypatch.undo()
    message = str(told.value)
    assert str(tmp_path / "x.json") in message
    assert os.strerror(number) in message
    assert any(word in message for word in ("free some", "--out", "run the same command again"))
    assert list(tmp_path.iterdir()) == []


def test_a_real_limit_on_file_sizes_ends_in_the_error_and_leaves_nothing(tmp_path):
    code = (
        "import resource, signal, sys, pathlib\n"
        "from modescape.app.runs.commit import write_file\n"
        "from modescape.errors import RunError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n    write_file(pathlib.Path('x'), b'0' * 5000)\n"
        "except RunError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
    )
    assert "cannot write x: File too large" in done.stdout
    assert list(tmp_path.iterdir()) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1000


def test_the_journal_survives_a_torn_line(tmp_path):
    journal = Journal(tmp_path / "j")
    assert journal.events() == []
    journal.append("done", {"task": "a"})
    with (tmp_path / "j").open("ab") as handle:
        handle.write(b'{"event": "done", "ta')
    journal.append("done", {"task": "b"})
    journal.append("failed", {"task": "c"})
    assert [event["task"] for event in journal.events()] == ["a", "b", "c"]
    assert [event["task"] for event in journal.events("failed")] == ["c"]


def result():
    tensors = {"z": torch.arange(3), "a": torch.randn(2, 3, dtype=torch.float64), "m": torch.ones(2, dtype=torch.uint8)}
    return Result({"w": tensors, "none": {}, "p": {"s": torch.zeros(1)}}, {"x": [1, None, 0.1]}, frozenset({"p"}))


def test_results_come_back_with_their_order_types_and_bits(tmp_path):
    written = result()
    write_result(tmp_path / "r", written, {"task": "t"})
    found = read_result(tmp_path / "r")
    assert found.facts == written.facts
    assert set(found.files) == {"w", "none", "p"}
    for group, tensors in written.files.items():
        assert list(found.files[group]) == list(tensors)
        for name, tensor in tensors.items():
            assert found.files[group][name].dtype == tensor.dtype
            assert torch.equal(found.files[group][name], tensor)
    first = {p.name: p.read_bytes() for p in (tmp_path / "r").iterdir()}
    write_result(tmp_path / "again", written, {"task": "t"})
    assert {p.name: p.read_bytes() for p in (tmp_path / "again").iterdir()} == first


def test_what_only_the_next_task_needed_can_be_dropped(tmp_path):
    write_result(tmp_path / "r", result(), {})
    drop_passing(tmp_path / "r")
    found = read_result(tmp_path / "r")
    assert set(found.files) == {"w", "none"}
    verify(tmp_path / "r", read_manifest(tmp_path / "r"))


def test_every_flipped_bit_is_noticed(tmp_path):
    folder = tmp_path / "r"
    write_result(folder, Result({"w": {"a": torch.zeros(3)}}, {"n": 1}), {})
    flips = 0
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        for position in range(len(whole)):
            for bit in range(8):
                altered = bytearray(whole)
                altered[position] ^= 1 << bit
                path.write_bytes(altered)
                with pytest.raises((Damaged, RunError)):
                    manifest = read_manifest(folder)
                    verify(folder, manifest)
                flips += 1
        path.write_bytes(whole)
    assert flips > 3000
    verify(folder, read_manifest(folder))


def test_truncation_and_loss_are_noticed_by_name(tmp_path):
    folder = tmp_path / "r"
    write_result(folder, result(), {})
    path = folder / "w.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(Damaged, match=r"w\.safetensors is damaged"):
        read_result(folder)
    path.unlink()
    with pytest.raises(Damaged, match=r"w\.safetensors is missing"):
        read_result(folder)


def tables_of(study):
    return {name: Table(s, {c.name: np.array(KINDS[c.kind]) for c in s.columns}) for name, s in STUDIES[study].items()}


@pytest.mark.parametrize("study", STUDIES)
def test_tables_come_back_and_are_the_same_bytes_each_time(tmp_path, study):
    for name in ("one", "two"):
        write_tables(Layout(tmp_path / name), study, tables_of(study), {"key": "k"})
    found = read_tables(Layout(tmp_path / "one"), study)
    for name, table in tables_of(study).items():
        for column in table.schema.names:
            assert np.array_equal(found[name][column], table[column], equal_nan=table[column].dtype.kind == "f")
    one, two = ({p.name: p.read_bytes() for p in Layout(tmp_path / n).tables(study).iterdir()} for n in ("one", "two"))
    assert one == two
    assert read_tables(Layout(tmp_path / "none"), study) is None
    path = Layout(tmp_path / "one").table(study, "answers")
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(Damaged, match="answers"):
        read_tables(Layout(tmp_path / "one"), study)


BELONGS = {"recipe": {"training": {"epochs": 3}}, "data_sha256": "d"}


def test_a_run_is_for_one_process_one_configuration_and_one_version(tmp_path):
    root = tmp_path / "run"
    with open_run(root, BELONGS, {}) as first:
        assert first.layout.root == root
        with pytest.raises(RunError, match="another process is filling"), open_run(root, BELONGS, {}):
            raise AssertionError
    with open_run(root, BELONGS, {}):
        pass
    other = {"recipe": {"training": {"epochs": 4}}, "data_sha256": "d"}
    with pytest.raises(RunError, match=r"recipe\.training\.epochs is 3 there, 4 here"), open_run(root, other, {}):
        raise AssertionError
    assert differences(BELONGS, BELONGS) == []
    identity = Layout(root).identity
    record = json.loads(identity.read_text())
    identity.write_text(json.dumps(record | {"schema": 99, "version": "9.0"}))
    with pytest.raises(RunError, match="newer modescape"), open_run(root, BELONGS, {}):
        raise AssertionError
    identity.write_text("{")
    with pytest.raises(RunError, match="damaged"), open_run(root, BELONGS, {}):
        raise AssertionError


def test_what_a_run_was_asked_for_follows_the_latest_command_and_how_it_was_begun_stays(tmp_path):
    root = tmp_path / "run"
    with open_run(root, BELONGS, {"versions": {"torch": "1"}}, {"settings": {"draws": 1}}) as first:
        assert first.identity["settings"] == {"draws": 1}
    before = (root / "run.json").stat().st_mtime_ns
    with open_run(root, BELONGS, {"versions": {"torch": "2"}}, {"settings": {"draws": 1}}):
        assert (root / "run.json").stat().st_mtime_ns == before
    with open_run(root, BELONGS, {"versions": {"torch": "2"}}, {"settings": {"draws": 2}}) as again:
        assert again.identity == {
            "schema": 1, "belongs": BELONGS, "versions": {"torch": "1"}, "settings": {"draws": 2},
        }  # fmt: skip


def test_a_killed_process_holds_no_lock(tmp_path):
    code = (
        "import os, signal, pathlib\nfrom modescape.app.runs.run import open_run\n"
        f"with open_run(pathlib.Path('run'), {BELONGS!r}, {{}}):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=False)
    assert done.returncode == -9
    with open_run(tmp_path / "run", BELONGS, {}) as again:
        assert again.identity["belongs"] == BELONGS


def test_somebody_elses_folder_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years")
    with pytest.raises(RunError, match="is not a run"), open_run(tmp_path, BELONGS, {}):
        raise AssertionError
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]
    assert run.free_bytes(tmp_path / "not" / "there") > 0
