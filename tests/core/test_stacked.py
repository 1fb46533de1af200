"""The stack: views both ways, members that cannot be stacked, groups that are too large."""

from dataclasses import replace

import pytest
import torch
from references import trainings
from references.trainings import Deciding
from torch import nn

from modescape.core.engine.catalogue import WAYS
from modescape.core.engine.events import Advanced, Failed, Finished
from modescape.core.engine.memory import is_out_of_memory
from modescape.core.engine.notes import EngineNote, forget
from modescape.core.engine.stack import Stack
from modescape.core.engine.way import Room
from modescape.core.engine.work import CannotStack, Work
from modescape.core.training.together import clip_each

WAY = WAYS["stacked"]


@pytest.fixture(autouse=True)
def anew():
    forget()


def networks(count, build):
    torch.manual_seed(5)
    return [build() for _ in range(count)]


def normalised():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5))


def test_a_stack_computes_what_each_network_computes():
    inputs = torch.randn(3, 8, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    stacked, plain = networks(3, normalised), networks(3, normalised)
    stack = Stack(stacked)
    outputs = stack(inputs)
    outputs.square().sum().backward()
    stack.hand_out_gradients()
    for place, (mine, own) in enumerate(zip(stacked, plain, strict=True)):
        expected = own(inputs[place])
        expected.square().sum().backward()
        # float32 sums of a few hundred terms in another order
        assert torch.allclose(outputs[place], expected, atol=1e-5)
        for name, parameter in own.named_parameters():
            assert torch.allclose(mine.get_parameter(name).grad, parameter.grad, atol=2e-3, rtol=1e-4), name
        for name, buffer in own.named_buffers():
            assert torch.allclose(mine.get_buffer(name).double(), buffer.double(), atol=1e-6), name
        assert int(mine[1].num_batches_tracked) == 1


def test_what_changes_the_stack_changes_the_networks_and_the_other_way_round():
    modules = networks(2, lambda: nn.Linear(2, 3))
    stack = Stack(modules)
    with torch.no_grad():
        modules[1].weight.fill_(7.0)
        stack.params["bias"][0].fill_(-1.0)
    assert (stack.params["weight"][1] == 7).all()
    assert (modules[0].bias == -1).all()
    assert not (stack.params["weight"][0] == 7).any()


def test_no_networks_make_no_stack():
    with pytest.raises(ValueError, match="at least one network"):
        Stack([])


class Counting(nn.Module):
    """A network that gives something else every second time."""

    def __init__(self):
        super().__init__()
        self.inner, self.calls = nn.Linear(192, 4), 0

    def forward(self, images):
        self.calls += 1
        return self.inner(images.flatten(1)) * (1 + self.calls % 2)


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (Deciding, "cannot be stacked .*vmap"),
        (Counting, "cannot be stacked .*gives other outputs in a stack than alone"),
    ],
)
def test_networks_that_cannot_be_stacked_run_one_at_a_time_and_that_is_said_once(build, reason):
    work = trainings.work(replace(trainings.plan(), build=build))
    with pytest.warns(EngineNote, match=reason) as said:
        found = trainings.results(WAY, work, Room(cores=2, group=2))
    assert len(said) == 1
    assert "they run one at a time instead" in str(said[0].message)
    expected = [trainings.alone(work, index) for index in range(3)]
    assert all(trainings.same(one, other) for one, other in zip(found, expected, strict=True)) or build is Counting
    assert trainings.results(WAY, work, Room(cores=2, group=2))  # a second note would be an error here


class Greedy(Work[int]):
    """Work that needs more memory than there is for more than ``most`` members at once."""

    def __init__(self, count, most, after=2):
        self.count, self.most, self.after, self.groups = count, most, after, []

    def __len__(self):
        return self.count

    def alone(self, index, mode):
        raise AssertionError("never alone")

    def together(self, indices, mode):
        self.groups.append(list(indices))
        for step in range(5):
            if len(indices) > self.most and step == self.after:
                raise torch.OutOfMemoryError("CUDA out of memory")
            yield from (Advanced(index, 10) for index in indices)
        yield from (Finished(index, index) for index in indices)


@pytest.mark.parametrize("most", [1, 2, 3])
def test_a_group_that_runs_out_of_memory_is_halved_and_its_progress_told_once(most):
    work = Greedy(7, most)
    with pytest.warns(EngineNote, match="need more memory than there is; . at a time are used instead"):
        events = list(WAY.run(work, Room(group=5)))
    assert sorted(e.result for e in events if isinstance(e, Finished)) == list(range(7))
    amounts = {i: sum(e.amount for e in events if isinstance(e, Advanced) and e.index == i) for i in range(7)}
    assert amounts == dict.fromkeys(range(7), 50)
    done = [group for group in work.groups if len(group) <= most]
    assert sorted(index for group in done for index in group) == list(range(7))


def test_one_member_that_does_not_fit_is_an_error():
    with pytest.raises(torch.OutOfMemoryError):
        list(WAY.run(Greedy(1, 0), Room(group=4)))


def test_groups_are_as_large_as_the_room_allows():
    work = Greedy(7, 9)
    list(WAY.run(work, Room(group=3)))
    assert work.groups == [[0, 1, 2], [3, 4, 5], [6]]


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: not enough memory: you tried"), True),
        (RuntimeError("shape mismatch"), False),
        (ValueError("not enough memory"), False),
    ],
)
def test_running_out_of_memory_is_told_from_other_errors(error, is_memory):
    assert is_out_of_memory(error) is is_memory


def test_memory_that_runs_out_in_the_trial_is_not_taken_for_a_network_that_cannot_be_stacked():
    class Hungry(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, values):
            raise RuntimeError("DefaultCPUAllocator: not enough memory")

    with pytest.raises(RuntimeError, match="not enough memory"):
        Stack([Hungry()]).try_out(torch.ones(1, 2, 3))
    with pytest.raises(CannotStack, match="vmap"):
        Stack([Deciding()]).try_out(torch.ones(1, 2, 192))


def test_clipping_a_stack_is_clipping_each_and_a_wild_gradient_touches_no_other():
    chance = torch.Generator().manual_seed(1)
    shapes = [(4, 3, 2), (4,), (4, 5)]
    stacked = [
        torch.randn(shape, generator=chance) * torch.tensor([0.01, 1.0, 50.0, 1.0]).view(-1, *(1,) * (len(shape) - 1))
        for shape in shapes
    ]
    stacked[0][3, 0, 0] = torch.nan
    single = [[nn.Parameter(torch.zeros(shape[1:])) for shape in shapes] for _ in range(4)]
    for member, params in enumerate(single):
        for parameter, gradient in zip(params, stacked, strict=True):
            parameter.grad = gradient[member].clone()
        nn.utils.clip_grad_norm_(params, 0.5)
    clip_each(stacked, 0.5)
    for member in range(3):
        for parameter, gradient in zip(single[member], stacked, strict=True):
            assert torch.allclose(gradient[member], parameter.grad, rtol=1e-6, atol=0)
    assert stacked[0][3].isnan().all()
    assert not any(gradient[:3].isnan().any() for gradient in stacked)


def test_failures_of_a_stack_are_the_members_own():
    wild = trainings.work(trainings.one_diverging(trainings.plan("batch norm"), 0))
    ends = trainings.ended(WAY.run(wild, trainings.ROOM), 3)
    assert [type(end) for end in ends] == [Failed, Finished, Finished]
    for end in ends[1:]:
        assert all(tensor.isfinite().all() for tensor in end.result.end.weights.params.values())
