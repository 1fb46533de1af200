"""Pads: what a long task puts down survives the task, and goes when it is done."""

import contextlib

import torch

from modescape.app.executors.pad import FolderPad
from modescape.app.executors.serial import SerialExecutor
from modescape.app.executors.store import RunResults
from modescape.app.runs.run import open_run
from modescape.core.engine.events import Failed, Finished
from modescape.errors import MemberFailed
from modescape.studies.abstract import Result, Task, content_keys


def numbers(pad):
    return [int(piece["x"]) for piece in pad.read()]


def test_pieces_come_back_in_order_and_more_can_follow(tmp_path):
    first = FolderPad(tmp_path / "pad")
    assert numbers(first) == []
    for number in range(12):
        first.put({"x": torch.tensor(number)})
    again = FolderPad(tmp_path / "pad")
    assert numbers(again) == list(range(12))
    again.put({"x": torch.tensor(12)})
    assert numbers(FolderPad(tmp_path / "pad")) == list(range(13))
    again.drop()
    assert not (tmp_path / "pad").exists()


def test_a_damaged_piece_ends_the_pad_and_is_overwritten(tmp_path):
    pad = FolderPad(tmp_path / "pad")
    for number in range(4):
        pad.put({"x": torch.tensor(number)})
    file = tmp_path / "pad" / "2" / "piece.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\xff")
    mended = FolderPad(tmp_path / "pad")
    assert numbers(mended) == [0, 1]
    mended.put({"x": torch.tensor(7)})
    assert numbers(FolderPad(tmp_path / "pad")) == [0, 1, 7, 3]


def counting(context, jobs):
    """Counts to three on its pad; is stopped, fails or ends as it is told."""
    for place, job in enumerate(jobs):
        found = numbers(job.pad)
        context.append(found)
        for number in range(len(found), 3):
            job.pad.put({"x": torch.tensor(number)})
            if number == job.arguments.get("stop") and len(context) == 1:
                raise KeyboardInterrupt
        if job.arguments.get("fails"):
            yield Failed(place, MemberFailed("on purpose", step=0))
        else:
            yield Finished(place, Result({"sum": {"x": torch.tensor(numbers(job.pad))}}, {}))


def performed(root, arguments, seen):
    task = Task("count", counting, arguments)
    with open_run(root, {"it": "is"}, {}) as run:
        results = RunResults(run, [task], content_keys([task], {}), {})
        list(SerialExecutor().perform([task], seen, results))
        return results.read("count"), run.layout.pad(results.keys["count"])


def test_a_task_that_was_stopped_finds_its_pieces_and_leaves_none(tmp_path):
    seen = []
    with contextlib.suppress(KeyboardInterrupt):
        performed(tmp_path, {"stop": 1}, seen)
    result, folder = performed(tmp_path, {"stop": 1}, seen)
    assert seen == [[], [0, 1]]
    assert result.files["sum"]["x"].tolist() == [0, 1, 2]
    assert not folder.exists()


def test_another_task_does_not_see_them_and_a_failed_one_leaves_none(tmp_path):
    seen = []
    with contextlib.suppress(KeyboardInterrupt):
        performed(tmp_path, {"stop": 1}, seen)
    _, folder = performed(tmp_path, {"stop": 1, "fails": True}, seen)
    assert seen == [[], []]
    assert not folder.exists()
