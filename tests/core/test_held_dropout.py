"""Dropout whose masks are held: replaced layer by layer, silent until masks are drawn, and then a fixed function."""

import pytest
import torch
from torch import nn

from modescape.core.evaluation import placed
from modescape.core.models.dropout import HeldDropout, has_dropout, hold_dropout
from modescape.core.models.mlp import mlp
from modescape.core.models.plain_cnn import small_cnn
from modescape.core.predictions import predict_all
from modescape.core.splits import Split, scaling_of
from modescape.core.subspaces.activation_dropout import ActivationDropout, with_masks
from modescape.core.training.noise import seed_dropout
from modescape.core.weights import Trajectory, load_into, of_module

IMAGES = (3, 8, 8)


def chance(seed=0):
    return torch.Generator().manual_seed(seed)


def images(count, seed=0):
    return torch.randn(count, *IMAGES, generator=chance(seed))


class Twice(nn.Module):
    """One dropout layer after 4 numbers, and again after 6."""

    def __init__(self, rate=0.4):
        super().__init__()
        self.first, self.second, self.head = nn.Linear(3, 4), nn.Linear(4, 6), nn.Linear(6, 2)
        self.dropout = nn.Dropout(rate)

    def forward(self, values):
        return self.head(self.dropout(self.second(self.dropout(self.first(values)))))


class Channels(nn.Module):
    """Dropout of whole channels."""

    def __init__(self, rate=0.4):
        super().__init__()
        self.convolution, self.dropout, self.head = nn.Conv2d(3, 5, 3), nn.Dropout2d(rate), nn.Linear(5 * 36, 2)

    def forward(self, values):
        return self.head(self.dropout(self.convolution(values)).flatten(1))


BUILDS = {
    "mlp": (lambda rate: mlp((3,), 2, (5, 4), rate), lambda n: torch.randn(n, 3, generator=chance())),
    "plain cnn": (lambda rate: small_cnn(IMAGES, 4, (4, 6), rate), images),
    "used twice": (Twice, lambda n: torch.randn(n, 3, generator=chance())),
    "channels": (Channels, images),
}


def built(name, rate=0.4):
    """A network and inputs for it, the same at every call."""
    build, inputs = BUILDS[name]
    torch.manual_seed(0)
    return build(rate), inputs(9)


def drawn(network, module, count, seed=0, scale=1.0):
    """Members of a network whose solution has these weights."""
    trajectory = with_masks(Trajectory(of_module(network, 5), (1,), "member/5"), module)
    subspace = ActivationDropout(scale=scale)
    return subspace.draw(subspace.fit(trajectory), count, chance(seed))


def masks(module):
    return {name: tensor for name, tensor in module.named_buffers() if "mask" in name}


def test_every_layer_of_a_plain_cnn_is_replaced():
    network = small_cnn(IMAGES, 4, (4, 6), 0.3)
    names = [type(layer).__name__ for layer in network.features]
    held = hold_dropout(network, images(2))
    assert held is network
    assert not network.training
    assert [type(layer).__name__ for layer in network.features] == [n.replace("Dropout", "HeldDropout") for n in names]
    assert {name: tuple(mask.shape) for name, mask in masks(network).items()} == {
        "features.1.mask0": (1, 4, 8, 8),
        "features.5.mask0": (1, 6, 4, 4),
    }
    assert all(float(layer.rate) == pytest.approx(0.3) for layer in network.modules() if type(layer) is HeldDropout)


def test_a_layer_that_is_used_twice_has_a_mask_for_each_use():
    network = hold_dropout(Twice(), torch.zeros(2, 3))
    assert {name: tuple(mask.shape) for name, mask in masks(network).items()} == {
        "dropout.mask0": (1, 4),
        "dropout.mask1": (1, 6),
    }


def test_a_layer_that_stands_in_two_places_stays_one():
    shared = nn.Dropout(0.5)
    inner = nn.Sequential(nn.Linear(3, 4), shared)
    network = hold_dropout(nn.Sequential(inner, shared, nn.Dropout(0.2)), torch.zeros(2, 3))
    assert network[0][1] is network[1]
    assert network[1] is not network[2]
    assert list(masks(network)) == ["0.1.mask0", "0.1.mask1", "2.mask0"]


def test_examples_keep_their_own_size_out_of_the_masks():
    for examples in (1, 7):
        network = hold_dropout(Channels(), images(examples))
        # what falls together shares one number
        assert [tuple(mask.shape) for mask in masks(network).values()] == [(1, 5, 1, 1)]
    sides = nn.Sequential(nn.Conv1d(2, 3, 1), nn.Dropout1d(0.3))
    assert hold_dropout(sides, torch.zeros(2, 2, 5))[1].mask0.shape == (1, 3, 1)
    deep = nn.Sequential(nn.Conv3d(2, 3, 1), nn.Dropout3d(0.3))
    assert hold_dropout(deep, torch.zeros(2, 2, 5, 4, 3))[1].mask0.shape == (1, 3, 1, 1, 1)


class Spare(nn.Module):
    """Has a dropout layer that no example passes."""

    def __init__(self):
        super().__init__()
        self.norm, self.used, self.spare = nn.BatchNorm1d(3), nn.Dropout(0.3), nn.Dropout(0.3)

    def forward(self, values):
        return self.used(self.norm(values))


def test_holding_touches_nothing_but_the_layers_that_examples_pass():
    network = Spare().train()
    used, spare, before = network.used, network.spare, torch.get_rng_state()
    hold_dropout(network, torch.randn(5, 3, generator=chance()))
    assert type(network.used) is HeldDropout
    assert network.spare is spare
    assert not used._forward_hooks
    assert not spare._forward_hooks
    assert torch.equal(torch.get_rng_state(), before)
    assert network.norm.running_mean.tolist() == [0, 0, 0]


def test_a_network_without_dropout_is_refused():
    with pytest.raises(ValueError, match=r"needs a network with dropout layers \(nn.Dropout\), and this one has none"):
        hold_dropout(nn.Sequential(nn.Linear(3, 2), nn.ReLU()), torch.zeros(2, 3))


def test_a_network_has_dropout_if_a_rate_is_above_zero():
    assert has_dropout(mlp((3,), 2, (4,), 0.1))
    assert has_dropout(Channels())
    assert has_dropout(nn.Sequential(nn.Dropout(0.0), nn.Sequential(nn.Dropout3d(0.2))))
    assert not has_dropout(mlp((3,), 2, (4,), 0.0))
    assert not has_dropout(nn.Linear(3, 2))


@pytest.mark.parametrize("name", BUILDS)
def test_masks_of_ones_change_no_bit(name):
    network, inputs = built(name)
    expected = network.eval()(inputs)
    held, _ = built(name)
    assert torch.equal(hold_dropout(held, inputs)(inputs), expected)
    assert torch.equal(held(inputs), expected)


@pytest.mark.parametrize("name", BUILDS)
def test_scale_zero_predicts_as_the_solution_bit_for_bit(name):
    network, inputs = built(name)
    held = hold_dropout(built(name)[0], inputs)
    load_into(held, drawn(network, held, 1, scale=0.0), 0)
    assert torch.equal(held(inputs), network.eval()(inputs))


@pytest.mark.parametrize("name", BUILDS)
def test_a_drawn_member_is_one_fixed_function(name):
    network, inputs = built(name)
    held = hold_dropout(built(name)[0], inputs)
    members = drawn(network, held, 2)
    load_into(held, members, 0)
    whole = held(inputs)
    assert torch.equal(held(inputs), whole)
    # batches of other sizes may be summed in another order: a few units in the last place
    parts = torch.cat([held(inputs[:1]), held(inputs[1:4]), held(inputs[4:])])
    assert torch.allclose(parts, whole, atol=1e-6)
    assert torch.allclose(held(inputs.flip(0)).flip(0), whole, atol=1e-6)
    assert not torch.allclose(whole, network.eval()(inputs), atol=1e-3)
    load_into(held, members, 1)
    assert not torch.allclose(held(inputs), whole, atol=1e-3)


def by_hand_twice(network, first, second, values):
    inner = network.first(values) * first
    return network.head(network.second(inner) * second)


def by_hand_channels(network, mask, values):
    thinned = network.convolution(values).clone()
    for channel in range(5):
        thinned[:, channel] *= mask[0, channel, 0, 0]
    return network.head(thinned.flatten(1))


def by_hand_plain(network, first, second, values):
    one, _, pool, relu, two, _, last = network.features
    inner = relu(pool(one(values) * first))
    return network.head(last(two(inner) * second).flatten(1))


@pytest.mark.parametrize(
    ("name", "slow"),
    [("used twice", by_hand_twice), ("channels", by_hand_channels), ("plain cnn", by_hand_plain)],
)
def test_masks_thin_the_activations_of_their_own_layer(name, slow):
    network, inputs = built(name)
    held = hold_dropout(built(name)[0], inputs)
    members = drawn(network, held, 3)
    for member in range(3):
        load_into(held, members, member)
        own = [tensor[member] for buffer, tensor in members.buffers.items() if "mask" in buffer]
        # the same products, laid out alike: no more than a few units in the last place
        assert torch.allclose(held(inputs), slow(network, *own, inputs), atol=1e-6)


@pytest.mark.parametrize("name", ["used twice", "channels"])
def test_the_mean_over_masks_is_that_of_dropout_in_training(name):
    """Both networks are linear, so that the mean is the prediction without dropout as well."""
    network, inputs = built(name)
    held = hold_dropout(built(name)[0], inputs)
    members, found, count = drawn(network, held, 800), [], 800
    for member in range(count):
        load_into(held, members, member)
        found.append(held(inputs).detach())
    torch.manual_seed(1)
    network.train()
    usual = torch.stack([network(inputs).detach() for _ in range(count)])
    found = torch.stack(found)
    # the difference of two means of independent draws: 18 comparisons, 4 standard errors
    error = ((found.var(0) + usual.var(0)) / count).sqrt()
    assert ((found.mean(0) - usual.mean(0)).abs() < 4 * error).all()
    assert ((found.mean(0) - network.eval()(inputs)).abs() < 4 * error).all()
    # a variance of count draws has the relative standard error sqrt((kurtosis - 1) / count)
    spread = ((found - found.mean(0)) ** 4).mean(0) / found.var(0) ** 2
    assert ((found.var(0) / usual.var(0) - 1).abs() < 4 * (2 * (spread - 1) / count).sqrt()).all()


def test_channels_last_predicts_alike():
    network, inputs = built("plain cnn")
    split = Split(inputs, torch.zeros(9, dtype=torch.int64))
    held = hold_dropout(placed(built("plain cnn")[0], split), inputs.contiguous(memory_format=torch.channels_last))
    members = drawn(network, held, 2)
    scratch = hold_dropout(built("plain cnn")[0], inputs)
    found = predict_all(lambda: scratch, members, split, scaling_of("raw", inputs))
    for member in range(2):
        plain = hold_dropout(built("plain cnn")[0], inputs)
        load_into(plain, members, member)
        # other layouts sum in other orders
        assert torch.allclose(found[member], plain(inputs), atol=1e-5)
        load_into(held, members, member)
        assert torch.allclose(held(inputs), plain(inputs), atol=1e-5)


def test_checkpoints_get_masks_of_ones_and_keep_their_own_buffers():
    torch.manual_seed(0)
    build = lambda: nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.3))  # noqa: E731
    network = build()
    network(torch.randn(8, 3))
    held = hold_dropout(build(), torch.zeros(2, 3))
    trajectory = Trajectory(of_module(network, 2)[[0, 0]], (0, 10), "member/2")
    found = with_masks(trajectory, held)
    assert (found.steps, found.seed_path, found.weights.origin) == ((0, 10), "member/2", (2, 2))
    assert torch.equal(found.weights.buffers["1.running_mean"][1], network[1].running_mean)
    assert torch.equal(found.weights.buffers["2.mask0"], torch.ones(2, 1, 4))
    assert found.weights.buffers["2.rate"].tolist() == pytest.approx([0.3, 0.3])
    load_into(held, found.weights, 1)


def test_signals_fall_channel_by_channel_as_torch_lets_them():
    with pytest.warns(UserWarning, match="3D input to dropout2d"):
        held = hold_dropout(nn.Sequential(nn.Dropout2d(0.5), nn.Flatten()), torch.ones(2, 4, 6))
    assert held[0].mask0.shape == (1, 4, 1)
    seeded = nn.Sequential(nn.Dropout2d(0.5))
    (layer,) = seed_dropout(seeded)
    layer.chance = chance()
    thinned = seeded.train()(torch.ones(50, 4, 6))
    assert torch.equal(thinned, thinned[:, :, :1].expand_as(thinned))
    assert (thinned[:, :1] != thinned[:, 1:2]).any()


def test_a_network_that_is_one_dropout_layer_is_replaced_itself():
    assert isinstance(hold_dropout(nn.Dropout(0.5), torch.ones(2, 3)), HeldDropout)


def test_a_layer_that_drops_everything_is_refused():
    with pytest.raises(ValueError, match="rate 1 leaves nothing"):
        hold_dropout(nn.Sequential(nn.Linear(3, 3), nn.Dropout(1.0)), torch.ones(2, 3))


def test_a_pass_that_broke_off_between_two_uses_leaves_the_masks_in_step():
    class Breaking(Twice):
        broken = False

        def forward(self, values):
            first = self.dropout(self.first(values))
            if self.broken:
                raise RuntimeError("on purpose")
            return self.head(self.dropout(self.second(first)))

    network = hold_dropout(Breaking(), torch.ones(1, 3))
    network.dropout.mask0.copy_(2 * torch.ones(1, 4))
    values = torch.randn(5, 3, generator=chance())
    before = network(values)
    network.broken = True
    with pytest.raises(RuntimeError, match="on purpose"):
        network(values)
    network.broken = False
    assert torch.equal(network(values), before)
