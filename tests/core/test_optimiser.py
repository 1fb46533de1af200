"""Optimisers over several members: rates, decay and clipping are each member's own."""

from dataclasses import replace

import pytest
import torch
from references import trainings
from torch import nn

from modescape.core.training.optimiser import make_optimiser, set_rates
from modescape.core.training.settings import Checkpoints, Optimiser, Training


def plan(**settings):
    """A plan without anything that would change a gradient on its way."""
    plain = {"augmentation": "none", "label_smoothing": 0.0, "clip_norm": None, "epochs": 1, "batch": 64}
    return trainings.plan("batch norm", **plain | settings)


def weights_of(wanted):
    return trainings.alone(trainings.work(wanted, members=(0,), epochs=1), 0).weights


def test_decay_can_spare_what_is_no_kernel():
    network = nn.Linear(3, 2)
    wanted = Optimiser(name="sgd", rate=0.1, weight_decay=0.5, momentum=0.0, decay_on="kernels")
    spared = make_optimiser([network], wanted, [0.1])
    before = {n: p.detach().clone() for n, p in network.named_parameters()}
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    spared.step()
    assert torch.equal(network.bias, before["bias"])
    assert torch.allclose(network.weight, before["weight"] * (1 - 0.1 * 0.5))


@pytest.mark.parametrize("kind", ["adam", "adamw", "sgd"])
def test_one_optimiser_over_members_moves_each_by_its_own_rate(kind):
    wanted = Optimiser(name=kind, weight_decay=0.1, decay_on="kernels")
    rates = (0.1, 0.02, 0.1)
    together, apart = ([build_linear(seed) for seed in range(3)] for _ in range(2))
    shared = make_optimiser(together, wanted, rates)
    own = [make_optimiser([network], wanted, [rate]) for network, rate in zip(apart, rates, strict=True)]
    assert sorted({group["base"] for group in shared.param_groups}) == [0.02, 0.1]
    for step, factor in enumerate((1.0, 0.5, 0.5)):
        for networks in (together, apart):
            for place, network in enumerate(networks):
                chance = torch.Generator().manual_seed(10 * step + place)
                for parameter in network.parameters():
                    parameter.grad = torch.randn(parameter.shape, generator=chance)
        for optimiser in (shared, *own):
            set_rates(optimiser, factor)
            optimiser.step()
    for one, other in zip(together, apart, strict=True):
        assert torch.equal(one.weight, other.weight)
        assert torch.equal(one.bias, other.bias)
    moved = [(network.weight - build_linear(seed).weight).abs().mean() for seed, network in enumerate(together)]
    assert moved[1] < 0.5 * min(moved[0], moved[2])


def build_linear(seed):
    torch.manual_seed(seed)
    return nn.Linear(3, 2)


def test_gradients_longer_than_the_limit_are_shortened_to_it():
    """Plain gradient descent moves by the rate times the gradient: the step's length is the limit's."""
    sgd = Optimiser(name="sgd", rate=0.1, momentum=0.0)
    wanted = plan(optimiser=sgd, clip_norm=0.01, checkpoints=Checkpoints(every=1, unit="step"))
    weights = weights_of(wanted)
    moved = torch.cat([(tensor[1] - tensor[0]).flatten() for tensor in weights.params.values()])
    # weights of about 1 are kept to 6e-8, a thousandth of 1e-3 has to be a step of many such
    assert float(moved.norm()) == pytest.approx(0.1 * 0.01, rel=1e-3)
    free = weights_of(replace(wanted, training=replace(wanted.training, clip_norm=None)))
    longer = torch.cat([(tensor[1] - tensor[0]).flatten() for tensor in free.params.values()])
    assert float(longer.norm()) > 0.1 * 0.01 * 10
    assert torch.allclose(moved / moved.norm(), longer / longer.norm(), atol=1e-3)


def test_rates_must_be_one_for_all_or_one_for_each():
    with pytest.raises(ValueError, match=r"optimiser\.rate has 2 rates for 5 members"):
        Training(optimiser=Optimiser(rate=(0.1, 0.2)))
    with pytest.raises(ValueError, match="rate must be positive and finite"):
        Optimiser(rate=(0.1, -0.2))
    with pytest.raises(ValueError, match="clip_norm must be positive"):
        Training(clip_norm=0.0)
    wanted = plan(members=2, optimiser=Optimiser(rate=(0.1, 0.2)))
    assert (wanted.rate(0), wanted.rate(1), plan(optimiser=Optimiser(rate=0.3)).rate(7)) == (0.1, 0.2, 0.3)
