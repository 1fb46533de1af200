"""Batch-norm statistics computed anew, against torch's own tool for averaged weights."""

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from modescape.core.evaluation import STATISTICS_CHUNK as CHUNK
from modescape.core.models.batch_norm import has_batch_norm, refresh_statistics, tracking
from modescape.core.predictions import predict_all
from modescape.core.splits import Split, scaling_of
from modescape.core.subspaces.random_direction import RandomDirection
from modescape.core.weights import Trajectory, load_into, of_module


def chance(seed=0):
    return torch.Generator().manual_seed(seed)


def network(dropout=0.0, momentum=0.1):
    """Two batch-norm layers; drawn members differ from it in both."""
    torch.manual_seed(0)
    first = [nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3, momentum=momentum), nn.ReLU(), nn.Dropout(dropout)]
    second = [nn.Flatten(), nn.Linear(48, 5), nn.BatchNorm1d(5, momentum=0.3), nn.ReLU(), nn.Linear(5, 3)]
    return nn.Sequential(*first, *second)


def batches(count=3, size=20, seed=0):
    drawing = chance(seed)
    return [2 + torch.randn(size, 2, 4, 4, generator=drawing) for _ in range(count)]


def statistics(module):
    return {n: t.clone() for n, t in module.named_buffers()}


def split_of(examples, seed):
    inputs = 2 + torch.randn(examples, 2, 4, 4, generator=chance(seed))
    return Split(inputs, torch.zeros(examples, dtype=torch.int64))


def drawn(module, count):
    """Members some way from a module's weights, with its statistics."""
    subspace = RandomDirection(scale=2.0, uniform=False)
    trajectory = Trajectory(of_module(module, 0), (1,), "member/0")
    return subspace.draw(subspace.fit(trajectory), count, chance(8))


@pytest.mark.parametrize("momentum", [0.1, 0.9, None])
def test_statistics_equal_those_of_the_library(momentum):
    ours, library = network(momentum=momentum), network(momentum=momentum)
    refresh_statistics(ours, batches())
    update_bn(batches(), library)
    found, expected = statistics(ours), statistics(library)
    assert found.keys() == expected.keys()
    # the same layers see the same batches in the same order
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert not torch.allclose(found["1.running_mean"], torch.zeros(3), atol=0.1)
    assert int(found["1.num_batches_tracked"]) == 3


def test_statistics_of_the_first_layer_are_plain_means_over_batches():
    module = network()
    refresh_statistics(module, batches())
    seen = [module[0](batch).detach().double().transpose(0, 1).reshape(3, -1) for batch in batches()]
    means = torch.stack([values.mean(1) for values in seen]).mean(0)
    variances = torch.stack([values.var(1) for values in seen]).mean(0)
    # float32 sums of 320 values of order 1
    assert torch.allclose(module[1].running_mean.double(), means, atol=1e-5)
    assert torch.allclose(module[1].running_var.double(), variances, rtol=1e-5)


def test_old_statistics_leave_no_trace():
    fresh, stale = network(), network()
    stale.train()
    for batch in batches(5, seed=4):
        stale(9 * batch)
    refresh_statistics(fresh, batches())
    refresh_statistics(stale, batches())
    assert all(torch.equal(a, b) for a, b in zip(statistics(fresh).values(), statistics(stale).values(), strict=True))


def test_the_module_ends_in_evaluation_with_its_momenta_and_weights():
    module = network()
    before = {n: p.detach().clone() for n, p in module.named_parameters()}
    module.train()
    refresh_statistics(module, batches())
    assert not any(layer.training for layer in module.modules())
    assert [layer.momentum for layer in tracking(module)] == [0.1, 0.3]
    assert all(torch.equal(p, before[n]) for n, p in module.named_parameters())
    assert all(p.grad is None and p.requires_grad for p in module.parameters())


def test_no_graph_is_recorded_for_gradients():
    module, recorded = network(), []
    module.register_forward_hook(lambda layer, given, found: recorded.append(found.requires_grad))
    refresh_statistics(module, batches())
    assert recorded == [False] * 3


def test_dropout_stays_off_while_statistics_are_computed():
    with_dropout, without = network(dropout=0.5), network(dropout=0.0)
    with_dropout.train()
    before = torch.get_rng_state()
    refresh_statistics(with_dropout, batches())
    assert torch.equal(torch.get_rng_state(), before)
    refresh_statistics(without, batches())
    expected = statistics(without)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in statistics(with_dropout).items())


def test_layers_that_do_not_track_are_left_alone():
    module = nn.Sequential(nn.BatchNorm1d(3, track_running_stats=False), nn.LayerNorm(3))
    assert not has_batch_norm(module)
    assert has_batch_norm(network())
    mixed = nn.Sequential(module, nn.BatchNorm1d(3, affine=False))
    assert tracking(mixed) == [mixed[1]]
    refresh_statistics(mixed, [torch.randn(9, 3, generator=chance())])
    assert module[0].running_mean is None
    assert mixed[1].num_batches_tracked == 1


def slow_predictions(members, train, test):
    """Build, load, let the library refresh, evaluate: one member after another."""
    rows = []
    for member in range(len(members)):
        module = network()
        load_into(module, members, member)
        update_bn(train.inputs.split(CHUNK), module)
        rows.append(module.eval()(test.inputs).detach())
    return torch.stack(rows)


def test_drawn_members_predict_by_statistics_of_their_own():
    module, train, test = network(), split_of(CHUNK + 150, 1), split_of(30, 2)
    refresh_statistics(module, [train.inputs])
    members, raw = drawn(module, 3), scaling_of("raw", train.inputs)
    found = predict_all(network, members, test, raw, train)
    # other memory formats sum in other orders
    assert torch.allclose(found, slow_predictions(members, train, test), atol=1e-4)
    stale = predict_all(network, members, test, raw)
    assert ((found - stale).abs().amax(dim=(1, 2)) > 0.05).all()


def test_one_member_leaves_no_statistics_to_the_next():
    module, train, test = network(), split_of(60, 1), split_of(30, 2)
    members, raw = drawn(module, 3), scaling_of("raw", train.inputs)
    found = predict_all(network, members, test, raw, train)
    alone = [predict_all(network, members[member], test, raw, train)[0] for member in (2, 1, 0)]
    assert torch.equal(found, torch.stack(alone[::-1]))


def test_statistics_are_computed_from_scaled_inputs():
    train, test = split_of(60, 1), split_of(30, 2)
    bytes_of = lambda split: Split((split.inputs * 20 + 60).clamp(0, 255).byte(), split.targets)  # noqa: E731
    train, test = bytes_of(train), bytes_of(test)
    scaling, members = scaling_of("standard", train.inputs), drawn(network(), 2)
    found = predict_all(network, members, test, scaling, train)
    ready = [Split(scaling(split.inputs), split.targets) for split in (train, test)]
    assert torch.allclose(found, slow_predictions(members, *ready), atol=1e-4)


def test_without_batch_norm_statistics_change_nothing():
    plain = lambda: nn.Sequential(nn.Flatten(), nn.Linear(32, 3))  # noqa: E731
    torch.manual_seed(0)
    members, test = drawn(plain(), 2), split_of(30, 2)
    # of a shape that the network would refuse: they are not even looked at
    train = Split(torch.zeros(5, 2, 9, 9), torch.zeros(5, dtype=torch.int64))
    raw = scaling_of("raw", test.inputs)
    assert torch.equal(predict_all(plain, members, test, raw, train), predict_all(plain, members, test, raw))
    module = plain()
    before = [tensor.clone() for tensor in module.state_dict().values()]
    refresh_statistics(module, batches())
    assert all(torch.equal(a, b) for a, b in zip(module.state_dict().values(), before, strict=True))
    assert not module.training


def test_without_inputs_there_are_no_statistics():
    with pytest.raises(ValueError, match="at least one batch of training examples"):
        refresh_statistics(network(), [])


def test_a_pass_that_fails_leaves_the_layers_as_they_predict():
    module = network()
    with pytest.raises(RuntimeError):
        refresh_statistics(module, [torch.zeros(2, 9)])
    assert [layer.momentum for layer in tracking(module)] == [0.1, 0.3]
    assert not any(layer.training for layer in module.modules())
