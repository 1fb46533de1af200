"""What the engine promises about order, failures and ending, with members that are plain generators."""

import threading
import time

import pytest

from modescape.core.engine.events import Advanced, Failed, Finished
from modescape.core.engine.side_by_side import one_after_another, side_by_side


def counting(slices, amount=1):
    total = 0
    for number in range(slices):
        total += number
        yield amount
    return total


def raising(after):
    yield from (1 for _ in range(after))
    raise KeyError("on purpose")


def by_member(events):
    """What happened to each member, in order."""
    found = {}
    for event in events:
        found.setdefault(event.index, []).append(event)
    return found


@pytest.mark.parametrize("cores", [1, 2, 7])
def test_every_way_of_running_tells_the_same_story_of_each_member(cores):
    def make():
        return [counting(4), counting(0), counting(9, amount=3)]

    expected = by_member(one_after_another(make()))
    assert expected[1] == [Finished(1, 0)]
    assert expected[2][-1] == Finished(2, 36)
    assert by_member(side_by_side(make(), cores)) == expected


@pytest.mark.parametrize("way", [one_after_another, lambda members: side_by_side(members, 2)])
def test_a_member_that_raises_ends_alone(way):
    found = by_member(way([counting(3), raising(2), counting(5)]))
    assert [type(event) for event in found[1]] == [Advanced, Advanced, Failed]
    assert isinstance(found[1][-1].error, KeyError)
    assert found[0][-1] == Finished(0, 3)
    assert found[2][-1] == Finished(2, 10)


def test_amounts_count_and_not_slices():
    log = []

    def member(name, amount):
        for _ in range(3):
            log.append(name)
            yield amount

    list(side_by_side([member("slow", 1), member("fast", 2)], cores=1))
    # fast is at 2 after its first slice, so slow goes twice; at 2 each the lower number goes first
    assert log == ["slow", "fast", "slow", "slow", "fast", "fast"]


def test_no_members_give_no_events():
    assert list(side_by_side([], cores=2)) == []
    assert list(one_after_another([])) == []


def test_one_member_is_never_advanced_by_two_threads():
    inside = set()
    overlaps = []

    def member(index):
        for _ in range(20):
            if index in inside:
                overlaps.append(index)
            inside.add(index)
            time.sleep(0)
            inside.remove(index)
            yield 1

    events = list(side_by_side([member(i) for i in range(3)], cores=3))
    assert overlaps == []
    assert len(events) == 3 * 21


def test_more_cores_than_members_and_fewer_both_use_no_more_threads_than_they_may():
    seen = [set(), set()]

    def member(record):
        for _ in range(5):
            record.add(threading.get_ident())
            yield 1

    list(side_by_side([member(seen[0]) for _ in range(2)], cores=8))
    list(side_by_side([member(seen[1]) for _ in range(6)], cores=2))
    assert 1 <= len(seen[0]) <= 2
    assert 1 <= len(seen[1]) <= 2
    assert threading.get_ident() not in seen[0] | seen[1]


def test_closing_early_ends_every_thread():
    before = set(threading.enumerate())

    def endless():
        while True:
            yield 1

    events = side_by_side([endless() for _ in range(3)], cores=2)
    for _ in range(5):
        next(events)
    assert len(set(threading.enumerate()) - before) == 2
    events.close()
    assert set(threading.enumerate()) - before == set()
