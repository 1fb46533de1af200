"""What is read back is what was written, or an error that names the file."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modescape.app.runs import run
from modescape.app.runs.history import summary
from modescape.app.runs.journal import Journal
from modescape.app.runs.layout import MANIFEST, Layout
from modescape.app.runs.manifest import Damaged, entry, manifest_bytes, read_manifest
from modescape.app.runs.results import read_result, write_result
from modescape.app.runs.run import differences, open_run, read_identity
from modescape.app.runs.tables_file import read_tables, tables_key, write_tables
from modescape.errors import RunError
from modescape.studies.abstract import Result
from modescape.tables import STUDIES, Table

BELONGS = {"recipe": {"seed": 0, "training": {"epochs": 3, "rate": 0.1}}, "data_sha256": "d", "engine": {"way": "w"}}


def opened(root, belongs):
    """Open a run and leave it at once."""
    with open_run(root, belongs, {}) as found:
        return found


# --- manifests ---------------------------------------------------------------------------------------------------


def test_bytes_that_mean_the_same_are_still_altered_bytes(tmp_path):
    write_result(tmp_path, Result({}, {"loss": 1e-05, "name": "ä"}), {})
    path = tmp_path / MANIFEST
    whole = path.read_bytes()
    assert json.loads(whole)["self_sha256"] != ""
    for was, becomes in (
        (b"1e-05", b"1E-05"),
        (b"\\u00e4", b"\\u00E4"),
        (b"\n", b"\n\n"),
        (b'"schema": 1', b'"schema":1'),
    ):
        assert was in whole
        path.write_bytes(whole.replace(was, becomes, 1))
        with pytest.raises(Damaged, match=r"manifest\.json is damaged"):
            read_manifest(tmp_path)
    path.write_bytes(whole)
    assert read_manifest(tmp_path).record["facts"] == {"loss": 1e-05, "name": "ä"}


def test_every_flipped_bit_of_facts_of_all_forms_is_told_in_one_line(tmp_path):
    facts = {"losses": [1e-05, 2.5e20, None, -0.25], "flag": True, "text": "ä\n\\", "empty": {}, "none": []}
    path = tmp_path / MANIFEST
    whole = manifest_bytes({"w.safetensors": entry(b"123", passing=True)}, {"facts": facts})
    told = set()
    for position in range(whole.index(b'"facts"'), whole.index(b'"files"')):
        for bit in range(8):
            altered = bytearray(whole)
            altered[position] ^= 1 << bit
            path.write_bytes(altered)
            with pytest.raises(RunError) as error:
                read_manifest(tmp_path)
            told.add(str(error.value).replace(str(tmp_path), "")[:40])
    assert all("\n" not in line and line.startswith("/manifest.json") for line in told)
    path.write_bytes(whole)
    assert read_manifest(tmp_path).record["facts"] == facts


@pytest.mark.parametrize("text", ["", "[]", "1", "null", '"x"', "{}", '{"self_sha256": 1}', '{"schema": []}', "\x00"])
def test_what_is_no_manifest_is_told(tmp_path, text):
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(Damaged, match="is not a manifest; delete"):
        read_manifest(tmp_path)


def test_a_manifest_whose_schema_is_text_is_told(tmp_path):
    whole = json.loads(manifest_bytes({}, {}))
    (tmp_path / MANIFEST).write_text(json.dumps(whole | {"schema": "1"}))
    with pytest.raises(Damaged, match="is not a manifest"):
        read_manifest(tmp_path)


def test_a_manifest_of_a_newer_form_is_refused_and_not_called_damaged(tmp_path):
    (tmp_path / MANIFEST).write_bytes(manifest_bytes({}, {"schema": 1}).replace(b'"schema": 1', b'"schema": 2'))
    with pytest.raises(RunError, match="has form 2, this modescape knows up to 1; install a newer") as refused:
        read_manifest(tmp_path)
    assert not isinstance(refused.value, Damaged)


def test_no_manifest_is_no_result(tmp_path):
    assert read_manifest(tmp_path / "nowhere") is None
    (tmp_path / "file").write_text("x")
    assert read_manifest(tmp_path / "file") is None
    with pytest.raises(Damaged, match="nowhere holds no result"):
        read_result(tmp_path / "nowhere")


@settings(max_examples=40, deadline=None, derandomize=True)
@given(start=st.integers(0, 10**6), length=st.integers(1, 400), fill=st.sampled_from([0, 255]))
def test_a_block_that_the_disk_lost_is_told(tmp_path_factory, start, length, fill):
    folder = tmp_path_factory.mktemp("block")
    write_result(folder / "r", Result({"w": {"a": torch.arange(200)}}, {"n": 1}), {})
    for path in sorted((folder / "r").iterdir()):
        whole = path.read_bytes()
        first = start % len(whole)
        altered = whole[:first] + bytes([fill]) * len(whole[first : first + length]) + whole[first + length :]
        path.write_bytes(altered)
        if altered != whole:
            with pytest.raises(Damaged, match=path.name.replace(".", r"\.")):
                read_result(folder / "r")
        path.write_bytes(whole[: len(whole) - 1 - start % len(whole)])
        with pytest.raises(Damaged, match=path.name.replace(".", r"\.")):
            read_result(folder / "r")
        path.write_bytes(whole)


# --- results -----------------------------------------------------------------------------------------------------

KINDS = [torch.uint8, torch.int32, torch.int64, torch.float32, torch.float64, torch.bool, torch.bfloat16]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_tensors_of_every_kind_and_shape_come_back_bit_for_bit(tmp_path, kind):
    chance = torch.Generator().manual_seed(0)
    values = (torch.randn(4, 3, 2, generator=chance) * 100).to(kind)
    if kind.is_floating_point:
        values[0, 0] = torch.tensor([float("nan"), float("-inf")])
        values[0, 1, 0] = -0.0
    written = {"whole": values, "none": values[:0], "one": values[1, 1, 1].clone()}
    written["across"] = values.clone().transpose(0, 2)
    write_result(tmp_path / "r", Result({"w": written}, {}), {})
    found = read_result(tmp_path / "r").files["w"]
    assert list(found) == list(written)
    for name, tensor in written.items():
        assert found[name].dtype == kind
        assert found[name].shape == tensor.shape
        same = [t.contiguous().reshape(-1).view(torch.uint8) for t in (found[name], tensor)]
        assert torch.equal(*same)


def test_a_smaller_result_leaves_nothing_of_the_larger_before(tmp_path):
    write_result(tmp_path / "r", Result({"w": {"a": torch.ones(1)}, "v": {"a": torch.ones(1)}}, {}), {})
    write_result(tmp_path / "r", Result({"w": {"a": torch.zeros(1)}}, {}), {})
    assert sorted(p.name for p in (tmp_path / "r").iterdir()) == [MANIFEST, "w.safetensors"]
    assert read_result(tmp_path / "r").files == {"w": {"a": torch.zeros(1)}}


# --- tables ------------------------------------------------------------------------------------------------------

VALUES = {
    "int": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(),
    "text": st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    "flag": st.booleans(),
}
TYPES = {"int": np.int64, "float": np.float64, "text": np.str_, "flag": np.bool_}


@st.composite
def drawn_tables(draw, study):
    tables = {}
    for name, schema in STUDIES[study].items():
        count = draw(st.integers(0, 4))
        columns = {
            c.name: np.array(draw(st.lists(VALUES[c.kind], min_size=count, max_size=count)), dtype=TYPES[c.kind])
            for c in schema.columns
        }
        tables[name] = Table(schema, columns)
    return tables


@pytest.mark.parametrize("study", STUDIES)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_tables_come_back_value_for_value(tmp_path_factory, study, data):
    layout = Layout(tmp_path_factory.mktemp("tables"))
    tables = data.draw(drawn_tables(study))
    write_tables(layout, study, tables, {"key": "k"})
    found = read_tables(layout, study)
    assert found.keys() == tables.keys()
    assert tables_key(layout, study) == "k"
    for name, table in tables.items():
        assert len(found[name]) == len(table)
        for column in table.schema.columns:
            before, after = table[column.name], found[name][column.name]
            assert after.dtype.kind == np.dtype(TYPES[column.kind]).kind
            if column.kind == "float":  # NaN where NaN was, and the sign of zero
                assert np.array_equal(np.isnan(before), np.isnan(after))
                assert np.where(np.isnan(before), 0, before).tobytes() == np.where(np.isnan(after), 0, after).tobytes()
            else:
                assert before.tolist() == after.tolist()


def empty_tables(study):
    return {
        name: Table(schema, {c.name: np.array([], dtype=TYPES[c.kind]) for c in schema.columns})
        for name, schema in STUDIES[study].items()
    }


@pytest.mark.parametrize("study", STUDIES)
def test_a_table_that_is_missing_or_altered_is_named(tmp_path, study):
    layout, tables = Layout(tmp_path), empty_tables(study)
    last = list(tables)[-1]
    write_tables(layout, study, {name: table for name, table in tables.items() if name != last}, {})
    with pytest.raises(Damaged, match=f"lacks the table {last}"):
        read_tables(layout, study)
    write_tables(layout, study, tables, {})
    path = layout.table(study, last)
    whole = path.read_bytes()
    for position in range(0, len(whole), 31):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 16]) + whole[position + 1 :])
        with pytest.raises(Damaged, match=rf"{last}\.parquet is damaged"):
            read_tables(layout, study)
    path.unlink()
    with pytest.raises(Damaged, match=rf"{last}\.parquet is missing"):
        read_tables(layout, study)
    assert tables_key(Layout(tmp_path / "none"), study) is None


# --- journals ----------------------------------------------------------------------------------------------------


def test_a_journal_cut_at_any_byte_loses_one_line_at_most(tmp_path):
    path = tmp_path / "j"
    for number in range(3):
        Journal(path).append("done", {"task": f"ä{number}"})
    whole = path.read_bytes()
    for end in range(len(whole) + 1):
        path.write_bytes(whole[:end])
        complete = whole[:end].count(b"\n")
        before = [event["task"] for event in Journal(path).events()]
        # a last line that lacks nothing but its end still counts
        assert before in ([f"ä{n}" for n in range(complete)], [f"ä{n}" for n in range(complete + 1)])
        Journal(path).append("done", {"task": "next"})
        assert [event["task"] for event in Journal(path).events()] == [*before, "next"]


def test_lines_that_are_no_events_are_left_out(tmp_path):
    path = tmp_path / "j"
    path.write_bytes(b'nonsense\n[1]\n3\n\xff\xfe\n\n{"event": "done", "task": "a"}\n{"event": "failed"}\n')
    assert Journal(path).events() == [{"event": "done", "task": "a"}, {"event": "failed"}]
    assert Journal(path).events("done") == [{"event": "done", "task": "a"}]
    assert Journal(path).events("ended") == []


def test_many_appends_are_all_there_in_order_each_with_its_time(tmp_path):
    journals = [Journal(tmp_path / "j"), Journal(tmp_path / "j")]
    for number in range(200):
        journals[number % 2].append("done", {"n": number, "text": "line\nbreak"})
    events = Journal(tmp_path / "j").events()
    assert [event["n"] for event in events] == list(range(200))
    assert {event["text"] for event in events} == {"line\nbreak"}
    times = [event["at"] for event in events]
    assert times == sorted(times)
    assert all(time.endswith("+00:00") for time in times)


# --- runs --------------------------------------------------------------------------------------------------------


def test_other_configurations_are_told_by_their_first_differences(tmp_path):
    opened(tmp_path / "run", BELONGS)
    other = {"recipe": {"seed": 1, "training": {"epochs": 4, "rate": 0.1, "new": {}}}, "data_sha256": "e"}
    with pytest.raises(RunError) as refused:
        opened(tmp_path / "run", other)
    assert (
        "data_sha256 is 'd' there, 'e' here; engine.way is 'w' there, None here; "
        "recipe.seed is 0 there, 1 here (and 2 more); choose another place" in str(refused.value)
    )
    assert differences(BELONGS, other)[3:] == [
        "recipe.training.epochs is 3 there, 4 here",
        "recipe.training.new is None there, {} here",
    ]
    assert opened(tmp_path / "run", BELONGS).identity["belongs"] == BELONGS


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "7", '{"schema": 1}', '{"belongs": {}}', '{"schema": "1", "belongs": {}}']
)
def test_a_damaged_identity_is_told_and_left(tmp_path, text):
    opened(tmp_path, BELONGS)
    Layout(tmp_path).identity.write_text(text)
    with pytest.raises(RunError, match=r"run\.json is damaged; choose another place"):
        opened(tmp_path, BELONGS)
    assert Layout(tmp_path).identity.read_text() == text


def test_what_is_no_run_is_told(tmp_path):
    with pytest.raises(RunError, match=r"is not a run: it has no run\.json"):
        read_identity(tmp_path)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunError, match="file exists and is not a run"):
        opened(tmp_path / "file", BELONGS)
    with pytest.raises(RunError, match="cannot write"):
        opened(tmp_path / "file" / "below", BELONGS)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_run_that_another_process_fills_is_free_once_that_is_killed(tmp_path):
    code = (
        "import pathlib, sys, time\nfrom modescape.app.runs.run import open_run\n"
        f"with open_run(pathlib.Path('run'), {BELONGS!r}, {{}}):\n    print('open', flush=True)\n    time.sleep(600)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    ) as holder:
        try:
            assert holder.stdout.readline() == "open\n"
            with pytest.raises(RunError, match=r"another process is filling .*run; wait for it to end"):
                opened(tmp_path / "run", BELONGS)
        finally:
            holder.send_signal(signal.SIGKILL)
        assert holder.wait() == -signal.SIGKILL
    assert opened(tmp_path / "run", BELONGS).identity["belongs"] == BELONGS


def test_an_error_inside_frees_the_run(tmp_path):
    with pytest.raises(ZeroDivisionError), open_run(tmp_path / "run", BELONGS, {}):
        raise ZeroDivisionError
    assert opened(tmp_path / "run", BELONGS).layout.root == tmp_path / "run"


def test_free_space_is_asked_where_the_run_would_be(tmp_path, monkeypatch):
    asked = []

    def usage(path):
        asked.append(path)
        return type("Usage", (), {"free": 7})

    monkeypatch.setattr(run.shutil, "disk_usage", usage)
    assert run.free_bytes(tmp_path / "not" / "there") == 7
    assert asked == [tmp_path]


def test_a_run_is_told_in_one_line(tmp_path):
    with open_run(tmp_path, BELONGS, {"source": {"title": "Digits"}}) as made:
        assert summary(tmp_path).status == "unfinished"
        made.journal.append("done", {"task": "a"})
        made.journal.append("failed", {"task": "b"})
        assert (summary(tmp_path).title, summary(tmp_path).status, summary(tmp_path).done) == (
            "Digits",
            "unfinished",
            1,
        )
        made.journal.append("ended", {})
    found = summary(tmp_path)
    assert (found.status, found.done, len(found.at)) == ("finished", 1, len("2020-01-01 00:00:00"))
