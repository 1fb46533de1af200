"""The mean loss, its gradient and products with its Hessian; and the networks that have none."""

import math

import pytest
import torch
from references.losses import (
    CLASSES,
    Activated,
    at_random,
    chance,
    convolutional,
    data,
    images,
    linear,
    loss_of,
    smooth,
    whole,
)
from torch import nn

from modescape.core.evaluation import chunk_size
from modescape.core.landscape.curvature import top_eigenpairs
from modescape.core.landscape.mean_loss import MeanLoss
from modescape.core.splits import scaling_of
from modescape.core.weights import Weights
from modescape.errors import NetworkError


def test_kinks_idle_parameters_and_several_chunks(monkeypatch):
    monkeypatch.setattr("modescape.core.evaluation.CHUNK", 100)
    split = images()
    module = convolutional()
    loss = MeanLoss(module, at_random(module), split, scaling_of("standard", split.inputs), "float64")
    assert chunk_size(split) == 100
    wanted = whole(loss, module)
    # inputs are scaled in float32
    vectors = torch.randn(2, loss.size, generator=chance(), dtype=torch.float64)
    assert torch.allclose(loss.products(vectors), vectors @ wanted, atol=1e-11)
    single = MeanLoss(convolutional(), loss.weights, split, loss.scaling)
    assert torch.allclose(single.products(vectors), vectors @ wanted, atol=2e-5 * float(wanted.abs().sum(0).max()))


def test_the_loss_and_its_gradient_are_means_over_all_chunks(monkeypatch):
    monkeypatch.setattr("modescape.core.evaluation.CHUNK", 100)
    split = images()
    module = convolutional()
    loss = MeanLoss(module, at_random(module), split, scaling_of("standard", split.inputs), "float64")
    value, slope = loss.gradient()
    double = convolutional().double()
    for tensor, (_, row) in zip(double.parameters(), loss.weights.params.items(), strict=True):
        tensor.data.copy_(row[0])
    wanted = nn.functional.cross_entropy(double(loss.scaling(split.inputs).double()), split.targets)
    wanted.backward()
    rows = [torch.zeros(2) if t.grad is None else t.grad.reshape(-1) for t in double.parameters()]
    assert value == pytest.approx(float(wanted.detach()), abs=1e-12)
    assert torch.allclose(slope, torch.cat(rows).double(), atol=1e-12)


class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.tanh()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, slope):
        (x,) = ctx.saved_tensors
        return slope * (1 - x.tanh() ** 2)


class Detached(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, CLASSES)

    def forward(self, x):
        return self.layer(x.flatten(1)).detach()


def test_a_loss_that_cannot_be_differentiated_twice_is_refused():
    loss = loss_of(Activated(Once.apply))
    with pytest.raises(ValueError, match=r"cannot be differentiated twice: RuntimeError: .*once_differentiable"):
        top_eigenpairs(loss, 2, chance())


def test_a_network_that_gives_no_gradient_is_refused():
    with pytest.raises(ValueError, match="has no gradient"):
        loss_of(Detached()).products(torch.ones(1, 15, dtype=torch.float64))


def test_a_network_that_draws_in_evaluation_mode_is_refused():
    with pytest.raises(NetworkError, match="draws random numbers in evaluation mode"):
        loss_of(Activated(lambda x: nn.functional.dropout(x, 0.5, training=True)))


def test_a_solution_that_diverged_is_refused():
    module = linear()
    weights = at_random(module)
    weights.params["1.bias"][0, 1] = math.nan
    split = data(4)
    with pytest.raises(ValueError, match="not finite"):
        MeanLoss(module, weights, split, scaling_of("standard", split.inputs))


def test_the_module_given_is_left_as_it_is():
    module = smooth().train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    top_eigenpairs(loss_of(module), 1, chance())
    assert module.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert all(tensor.dtype != torch.float64 and tensor.grad is None for tensor in module.parameters())


def test_what_is_no_loss_of_one_solution_is_refused():
    split, module, loss = data(4), linear(), loss_of(linear())
    with pytest.raises(ValueError, match="vectors of 2 numbers"):
        loss.products(torch.zeros(1, 2))
    two = Weights({n: torch.cat([t, t]) for n, t in at_random(module).params.items()}, {}, (0, 1))
    with pytest.raises(ValueError, match="stack of one, got 2"):
        MeanLoss(module, two, split, loss.scaling)
    with pytest.raises(ValueError, match="no examples"):
        MeanLoss(module, at_random(module), data(4, 0), loss.scaling)


def test_vectors_that_float32_could_not_hold_have_products():
    loss = loss_of(linear(), "float32")
    vector = torch.randn(1, loss.size, generator=chance(), dtype=torch.float64)
    assert torch.allclose(loss.products(vector * 1e-60) * 1e60, loss.products(vector), rtol=1e-5, atol=1e-6)
