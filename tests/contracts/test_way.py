"""What every way of running networks promises, and that the suite notices one that does not keep it."""

from dataclasses import replace

import pytest
from references import trainings

from modescape.core.engine.catalogue import WAYS
from modescape.core.engine.events import Advanced, Failed, Finished
from modescape.core.engine.serial import Serial
from modescape.core.engine.way import Room, Way
from modescape.core.training.settings import Optimiser
from modescape.errors import MemberFailed

HERE = [name for name, way in WAYS.items() if "cpu" in way.devices and not way.shares_batches]
"""Ways for GPUs alone are tested by their parts: what they record and how they take turns (test_capture). Those that
share batches have tests of their own (test_data_parallel): a part of a batch is another batch to batch norm."""


def rounding(build):
    """How far float32 leads a member alone from its float64 self, at worst over its tensors, for each member."""
    single, double = trainings.work(trainings.plan(build)), trainings.work(trainings.plan(build, double=True))
    found = []
    for index in range(len(single)):
        one, exact = (
            trainings.tensors(trainings.alone(single, index)),
            trainings.tensors(trainings.alone(double, index)),
        )
        found.append({n: float((t - exact[n.replace("/", "/inner.", 1)]).abs().max()) for n, t in one.items()})
    return found


def check_results(way, build):
    """Every member equals itself alone: in every bit, or as nearly as float32 has any say in the matter.

    Where sums are taken in another order, float32 may lead elsewhere, but not further from the exact training than
    float32 alone is: at most four times as far, the sum of two such errors and as much again.
    """
    work = trainings.work(trainings.plan(build))
    found = trainings.results(way, work)
    if way.arithmetic == "alone":
        for index, segment in enumerate(found):
            assert trainings.same(segment, trainings.alone(work, index)), index
        return
    for index, (segment, error) in enumerate(zip(found, rounding(build), strict=True)):
        own = trainings.tensors(trainings.alone(work, index))
        worst = max(error.values())
        for name, tensor in trainings.tensors(segment).items():
            assert float((tensor - own[name]).abs().max()) <= 4 * worst + 1e-7, (index, name)
        assert segment.steps == (0, 4, 8, 12, 16, 20)


def check_failure(way):
    """A member that diverges ends alone, and the others have the bits that they have beside a member that does not."""
    calm = trainings.plan()
    calm = replace(calm, training=replace(calm.training, optimiser=Optimiser(name="sgd", rate=(1e-3, 3e-3, 1e-2))))
    wild = trainings.one_diverging(calm, 1)
    expected = trainings.results(way, trainings.work(calm))
    ends = trainings.ended(way.run(trainings.work(wild), trainings.ROOM), 3)
    assert isinstance(ends[1], Failed)
    assert isinstance(ends[1].error, MemberFailed)
    assert "member 1 diverged" in str(ends[1].error)
    assert 1 <= ends[1].error.step <= trainings.STEPS
    for index in (0, 2):
        assert isinstance(ends[index], Finished)
        assert trainings.same(ends[index].result, expected[index]), index


@pytest.mark.parametrize("build", trainings.BUILDS)
@pytest.mark.parametrize("way", HERE)
def test_every_member_is_the_member_trained_alone(way, build):
    check_results(WAYS[way], build)


@pytest.mark.parametrize("way", HERE)
def test_a_diverging_member_leaves_the_others_their_bits(way):
    check_failure(WAYS[way])


@pytest.mark.parametrize("way", HERE)
def test_the_loss_and_step_of_a_divergence_are_those_of_the_member_alone(way):
    wild = trainings.work(trainings.one_diverging(trainings.plan(), 1))
    found = trainings.ended(WAYS[way].run(wild, trainings.ROOM), 3)[1]
    with pytest.raises(MemberFailed) as alone:
        trainings.alone(wild, 1)
    assert (str(found.error), found.error.step) == (str(alone.value), alone.value.step)


@pytest.mark.parametrize("way", HERE)
def test_progress_counts_every_image_of_every_member(way):
    work = trainings.work(trainings.plan())
    amounts = dict.fromkeys(range(3), 0)
    for event in WAYS[way].run(work, trainings.ROOM):
        if isinstance(event, Advanced):
            amounts[event.index] += event.amount
    assert amounts == dict.fromkeys(range(3), trainings.STEPS * 16)


@pytest.mark.parametrize("way", HERE)
def test_two_legs_are_one_journey(way):
    wanted = trainings.plan()
    whole = trainings.results(WAYS[way], trainings.work(wanted))
    first = trainings.results(WAYS[way], trainings.work(wanted, epochs=2))
    legs = [
        replace(leg, start=segment.end, epochs=3)
        for leg, segment in zip(trainings.work(wanted).legs, first, strict=True)
    ]
    second = trainings.results(WAYS[way], replace(trainings.work(wanted), legs=legs))
    for one, two, all_ in zip(first, second, whole, strict=True):
        assert [*one.steps, *two.steps] == list(all_.steps)
        assert trainings.same(
            replace(all_, checkpoints=(), steps=(), losses=()), replace(two, checkpoints=(), steps=(), losses=())
        )


@pytest.mark.parametrize("way", HERE)
def test_members_that_have_gone_unequally_far_train_on_together(way):
    wanted = trainings.plan()
    ahead = trainings.alone(trainings.work(wanted, epochs=2), 1).end
    legs = list(trainings.work(wanted).legs)
    legs[1] = replace(legs[1], start=ahead, epochs=3)
    found = trainings.results(WAYS[way], replace(trainings.work(wanted), legs=legs))
    assert [segment.end.epoch for segment in found] == [5, 5, 5]
    assert [segment.steps[0] for segment in found] == [0, 12, 0]


@pytest.mark.parametrize("way", HERE)
def test_closing_early_ends_the_work_and_the_way_works_again(way):
    endless = trainings.plan(epochs=10**6)
    events = WAYS[way].run(trainings.work(endless, epochs=10**6), trainings.ROOM)
    assert isinstance(next(events), Advanced)
    events.close()
    check_results(WAYS[way], "perceptron")


@pytest.mark.parametrize("way", HERE)
def test_no_members_give_no_events(way):
    assert list(WAYS[way].run(trainings.work(trainings.plan(), members=()), trainings.ROOM)) == []


class Swaps(Way):
    """Wrong on purpose: gives the members each other's results."""

    def run(self, work, room):
        for event in Serial().run(work, room):
            yield replace(event, index=len(work) - 1 - event.index)


class Spans(Way):
    """Wrong on purpose: one failure fails all."""

    def run(self, work, room):
        ends = [e for e in Serial().run(work, room) if not isinstance(e, Advanced)]
        failed = next((e for e in ends if isinstance(e, Failed)), None)
        for event in ends:
            yield Failed(event.index, failed.error) if failed else event


def test_the_suite_notices_wrong_ways():
    with pytest.raises(AssertionError):
        check_results(Swaps(), "dropout")
    with pytest.raises(AssertionError):
        check_failure(Spans())


def test_one_core_and_small_groups_change_nothing_that_they_should_not():
    work = trainings.work(trainings.plan("perceptron"))
    for way in ("threads", "processes"):
        for room in (Room(cores=1), Room(cores=7)):
            for index, segment in enumerate(trainings.results(WAYS[way], work, room)):
                assert trainings.same(segment, trainings.alone(work, index))
