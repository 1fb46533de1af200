"""Streamed examples: the same batches from a file or from host memory, a few of them at a time."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from references import trainings

from modescape.core.ahead import ahead
from modescape.core.engine.catalogue import WAYS
from modescape.core.splits import Split
from modescape.core.training.feed import batches_of
from modescape.core.training.member import InTraining
from modescape.core.training.plan import initial_state

CPU = torch.device("cpu")


def on_disk(tensor, path):
    """The tensor as a file that is mapped into memory."""
    mapped = np.memmap(path, dtype=np.uint8, mode="w+", shape=tuple(tensor.shape))
    mapped[:] = tensor.numpy()
    mapped.flush()
    return torch.from_numpy(np.memmap(path, dtype=np.uint8, mode="r+", shape=tuple(tensor.shape)))


def streamed(plan, path):
    data = Split(on_disk(plan.data.inputs, path), plan.data.targets, stream_to=CPU)
    return replace(plan, data=data)


@pytest.mark.parametrize("way", ["serial", "threads", "stacked"])
def test_training_from_a_file_gives_the_bits_of_training_from_memory(way, tmp_path):
    plan = trainings.plan("batch norm")
    expected = trainings.results(WAYS[way], trainings.work(plan))
    found = trainings.results(WAYS[way], trainings.work(streamed(plan, tmp_path / "images")))
    assert all(trainings.same(one, other) for one, other in zip(found, expected, strict=True))


def test_batches_are_the_same_and_fetched_before_they_are_asked_for(tmp_path):
    plan = trainings.plan()
    member = InTraining(plan, 0, initial_state(plan, 0))
    member.begin_epoch(2)
    expected = list(batches_of([member], 2))
    lazy = InTraining(streamed(plan, tmp_path / "images"), 0, initial_state(plan, 0))
    lazy.begin_epoch(2)
    found = list(batches_of([lazy], 2))
    assert [number for number, _, _ in found] == [8, 9, 10, 11]
    for (_, inputs, targets), (_, own, wanted) in zip(found, expected, strict=True):
        assert torch.equal(inputs, own)
        assert torch.equal(targets, wanted)


def test_what_is_fetched_ahead_is_bounded():
    made = []

    def fetch():
        for number in range(100):
            made.append(number)
            yield torch.tensor(number), torch.tensor(number)

    ready = ahead(fetch(), depth=3)
    assert int(next(ready)[0]) == 0
    until = time.monotonic() + 5
    while len(made) < 5 and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.3)
    # one was taken, three wait, one more is in the thread's hands
    assert made == [0, 1, 2, 3, 4]
    assert [int(one) for one, _ in ready] == list(range(1, 100))


def test_an_error_of_the_thread_is_raised_where_the_batch_is_missing():
    def fetch():
        yield torch.tensor(1), torch.tensor(1)
        raise OSError("the disk is gone")

    ready = ahead(fetch())
    assert int(next(ready)[0]) == 1
    with pytest.raises(OSError, match="the disk is gone"):
        next(ready)


def test_closing_early_ends_the_thread():
    def endless():
        while True:
            yield torch.zeros(1), torch.zeros(1)

    before = set(threading.enumerate())
    ready = ahead(endless())
    next(ready)
    assert len(set(threading.enumerate()) - before) == 1
    ready.close()
    assert set(threading.enumerate()) == before


def test_a_member_that_is_stopped_in_an_epoch_leaves_no_thread(tmp_path):
    before = set(threading.enumerate())
    plan = streamed(trainings.plan(batch=8, epochs=10**6), tmp_path / "images")
    events = WAYS["serial"].run(trainings.work(plan, epochs=10**6), trainings.ROOM)
    next(events)
    events.close()
    assert set(threading.enumerate()) == before


def test_a_split_knows_where_its_work_is_done():
    inputs, targets = torch.arange(12).view(4, 3), torch.arange(4)
    assert Split(inputs, targets).device == CPU
    streaming = Split(inputs, targets, stream_to=torch.device("meta"))
    assert streaming.device.type == "meta"
    assert streaming.take(slice(0, 2)).device.type == "meta"
    assert Split(inputs, targets).take(slice(1, 3)).tolist() == [[3, 4, 5], [6, 7, 8]]
    chosen, classes = Split(inputs, targets).fetch(torch.tensor([3, 0, 3]))
    assert chosen.tolist() == [[9, 10, 11], [0, 1, 2], [9, 10, 11]]
    assert classes.tolist() == [3, 0, 3]
