"""The main job end to end on a toy: performed once, failures told, results found again."""

import shutil

import pytest
from toy_recipe import RECORD, toy

from modescape.app.executors.abstract import Blocked, Damage, Done, FailedTask, Progressed, Skipped
from modescape.app.jobs.perform import disk_needed, perform
from modescape.app.jobs.prepare import Options, prepare
from modescape.app.jobs.recipe import validate
from modescape.app.runs.journal import Journal
from modescape.app.runs.layout import Layout
from modescape.app.runs.run import read_identity
from modescape.core.training.loop import train
from modescape.errors import MemberFailed, RunError
from modescape.tables import STUDIES

STUDY = "trajectories"


def prepared(record=RECORD):
    return prepare(validate(record, "toy"), Options(device="cpu", cores=2))


def performed(ready, root):
    """The outcome, and how each task ended."""
    told = []
    outcome = perform(ready, [STUDY], root, {"title": "Toy"}, told.append)
    return outcome, {h.task.name: type(h) for h in told if not isinstance(h, Progressed | Damage)}


def written(root):
    """Bytes and time of every file of results and tables."""
    found = [p for folder in ("results", "tables") for p in (root / folder).rglob("*") if p.is_file()]
    return {p.relative_to(root): (p.read_bytes(), p.stat().st_mtime_ns) for p in found}


def bytes_of(root):
    return {path: data for path, (data, _) in written(root).items()}


@pytest.fixture(scope="module")
def ready():
    return prepared()


@pytest.fixture(scope="module")
def finished(ready, tmp_path_factory):
    root = tmp_path_factory.mktemp("toy") / "run"
    return root, *performed(ready, root)


@pytest.fixture
def copied(finished, tmp_path):
    """The finished run, to be harmed."""
    return shutil.copytree(finished[0], tmp_path / "run")


def test_a_run_writes_all_tables_of_its_study(finished, ready):
    root, outcome, ends = finished
    assert set(ends.values()) == {Done}
    assert outcome.failures == {}
    tables = outcome.tables[STUDY]
    assert tables.keys() == STUDIES[STUDY].keys()
    assert tables["members"]["status"].tolist() == ["done"] * 3
    assert tables["members"]["step"].tolist() == [6] * 3
    assert len(tables["checkpoints"]) == 3 * 4
    assert len(tables["pairs"]) == 12 * 11 // 2
    events = [event["event"] for event in Journal(Layout(root).journal).events()]
    assert events == ["started", *["done"] * 13, "tables", "ended"]
    assert read_identity(root)["belongs"] == ready.belongs


def test_a_second_run_does_nothing(copied, ready, finished):
    before = written(copied)
    outcome, ends = performed(ready, copied)
    assert set(ends.values()) == {Skipped}
    assert written(copied) == before
    for name, table in finished[1].tables[STUDY].items():
        assert repr(outcome.tables[STUDY][name].rows()) == repr(table.rows())


def test_the_same_recipe_elsewhere_gives_the_same_bytes(finished, ready, tmp_path):
    again = prepare(ready.recipe, Options(device="cpu", cores=1))
    performed(again, tmp_path / "other")
    assert bytes_of(tmp_path / "other") == bytes_of(finished[0])


@pytest.mark.parametrize(
    "lost", ["tables", "results", f"tables/{STUDY}/manifest.json", "results/compare/manifest.json"]
)
def test_what_is_lost_is_made_again_with_the_same_bytes(copied, ready, finished, lost):
    path = copied / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    performed(ready, copied)
    assert bytes_of(copied) == bytes_of(finished[0])


def test_a_damaged_table_is_never_read_but_made_again(copied, ready):
    path = Layout(copied).table(STUDY, "pairs")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"!")
    assert performed(ready, copied)[0].tables[STUDY]["pairs"]["disagreement"].size == 66
    assert path.read_bytes() == whole
    told = Journal(Layout(copied).journal).events("damaged")
    assert "pairs.parquet is damaged" in told[0]["reason"]


def test_other_settings_do_not_fit_into_a_run(copied):
    before = written(copied)
    with pytest.raises(RunError, match=r"recipe\.training\.epochs is 3 there, 4 here"):
        performed(prepared(toy(epochs=4)), copied)
    assert written(copied) == before


def diverging(which, from_epoch):
    """Training in which one member diverges in its segment from an epoch on."""

    def train_but(plan, member, start, epochs, mode):
        if member == which and start.epoch >= from_epoch:
            yield 20
            raise MemberFailed(f"member {member} diverged: the loss is nan at step 5", step=5)
        return (yield from train(plan, member, start, epochs, mode))

    return train_but


def test_one_member_diverges_and_the_others_finish(ready, tmp_path, monkeypatch, finished):
    monkeypatch.setattr("modescape.core.training.work.train", diverging(1, 2))
    outcome, ends = performed(ready, tmp_path / "run")
    assert outcome.failures == {"member 1 diverged: the loss is nan at step 5": "train/member/1/epoch/3"}
    assert ends["train/member/1/epoch/2"] is Done
    assert ends["train/member/1/epoch/3"] is FailedTask
    assert ends["predict/member/1/test"] is Blocked
    assert {end for name, end in ends.items() if "member/1" not in name} == {Done}
    assert outcome.tables[STUDY]["members"].rows() == [
        {"member": 0, "status": "done", "step": 6, "reason": ""},
        {"member": 1, "status": "failed", "step": 5, "reason": "member 1 diverged: the loss is nan at step 5"},
        {"member": 2, "status": "done", "step": 6, "reason": ""},
    ]
    # its neighbours are what they are without it, bit for bit
    alone, together = bytes_of(tmp_path / "run"), bytes_of(finished[0])
    neighbours = [path for path in together if "member/0" in str(path) or "member/2" in str(path)]
    assert len(neighbours) > 10
    assert all(alone[path] == together[path] for path in neighbours)
    # a failure is final: the second run reports it and does nothing, though the member would not diverge any more
    monkeypatch.undo()
    before = written(tmp_path / "run")
    again, ends = performed(ready, tmp_path / "run")
    assert again.failures == outcome.failures
    assert ends["train/member/1/epoch/3"] is FailedTask
    assert written(tmp_path / "run") == before


def test_when_all_members_diverge_there_is_no_answer(tmp_path):
    ready = prepared(toy(optimiser={"rate": 1e30}))
    for _ in range(2):
        with pytest.raises(MemberFailed) as error:
            performed(ready, tmp_path / "run")
        assert str(error.value).startswith("0 of 3 members came to the end, and it takes two to compare; member 0 div")
        assert "lower training.optimiser.rate" in str(error.value)
        assert error.value.exit_code == 4
    journal = Journal(Layout(tmp_path / "run").journal)
    assert len(journal.events("started")) == 2
    assert journal.events("ended") == []
    assert not Layout(tmp_path / "run").tables(STUDY).exists()


def test_a_disk_that_is_too_small_is_told_before_any_work(ready, tmp_path, monkeypatch):
    tasks = ready.tasks([STUDY])
    needed = disk_needed(ready, tasks)
    # weights of 12 checkpoints, states of three members, predictions of 12 checkpoints, and what is left over
    assert needed == 12 * ready.parameters * 4 + 6 * ready.parameters * 4 * 3 + 12 * 1500 * 10 * 4 + 2**24
    monkeypatch.setattr("modescape.app.jobs.perform.free_bytes", lambda root: 5 * 2**20)
    with pytest.raises(RunError, match=r"needs about 17 MiB more in .*run, there are 5 MiB free; free some space"):
        performed(ready, tmp_path / "run")
    assert not Layout(tmp_path / "run").results.exists()


def test_a_finished_run_needs_no_more_space_than_it_holds(ready, copied, monkeypatch):
    (copied / "results" / "padding").write_bytes(bytes(disk_needed(ready, ready.tasks([STUDY]))))
    monkeypatch.setattr("modescape.app.jobs.perform.free_bytes", lambda root: 0)
    assert set(performed(ready, copied)[1].values()) == {Skipped}
