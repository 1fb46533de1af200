"""Curvature against whole Hessians: of a linear network written out, of others by torch.func."""

import math

import numpy as np
import pytest
import torch
from references.losses import CLASSES, Activated, at_random, chance, data, linear, loss_of, smooth, whole
from torch import nn

from modescape.core.landscape.curvature import (
    DENSE,
    bottom_eigenpairs,
    density,
    lanczos,
    moments,
    quadratures,
    top_eigenpairs,
    trace_samples,
)
from modescape.core.landscape.mean_loss import MeanLoss
from modescape.core.splits import scaling_of
from modescape.core.weights import Weights, flatten


@pytest.fixture(scope="module")
def case():
    """The smooth network's loss and its whole Hessian."""
    loss = loss_of(smooth())
    assert loss.size > DENSE
    return loss, whole(loss, smooth())


def test_a_linear_network_has_the_hessian_of_the_textbook():
    """The mean over examples of (diag(p) - p p^T) times z z^T, z the inputs and a 1 for the bias."""
    loss = loss_of(linear())
    weight, bias = (tensor[0].double().numpy() for tensor in loss.weights.params.values())
    inputs = loss.scaling(loss.split.inputs).double().numpy()[..., 0]
    wanted = np.zeros((15, 15))
    places = [(c, d) for c in range(3) for d in range(4)] + [(c, 4) for c in range(3)]
    for x in inputs:
        z, logits = np.append(x, 1.0), weight @ x + bias
        p = np.exp(logits) / np.exp(logits).sum()
        for i, (a, d) in enumerate(places):
            for j, (b, e) in enumerate(places):
                wanted[i, j] += (p[a] * (a == b) - p[a] * p[b]) * z[d] * z[e] / len(inputs)
    found = loss.products(torch.eye(15, dtype=torch.float64)).numpy()
    assert np.allclose(found, wanted, rtol=0, atol=1e-12)
    values = np.linalg.eigvalsh(wanted)[::-1]
    top = top_eigenpairs(loss, 15, chance())
    assert np.allclose(top.values, values, atol=1e-12)
    assert (top.errors < 1e-12).all()


def test_products_are_those_of_the_whole_hessian(case):
    loss, wanted = case
    vectors = torch.randn(3, loss.size, generator=chance(), dtype=torch.float64)
    vectors[2] *= 1e-30
    assert torch.allclose(loss.products(vectors)[:2], vectors[:2] @ wanted, atol=1e-12)
    assert torch.allclose(loss.products(vectors)[2] * 1e30, vectors[2] * 1e30 @ wanted, atol=1e-12)
    assert torch.allclose(loss.products(vectors[1:2]), loss.products(vectors)[1:2], rtol=0, atol=1e-14)


def test_extreme_eigenpairs_are_those_of_the_whole_hessian(case):
    loss, wanted = case
    values, vectors = torch.linalg.eigh(wanted)
    top = top_eigenpairs(loss, 4, chance())
    assert torch.allclose(top.values, values.flip(0)[:4], atol=1e-9)
    bottom = bottom_eigenpairs(loss, 3, chance(), float(top.values[0]))
    assert torch.allclose(bottom.values, values[:3].flip(0), atol=1e-9)
    assert values[0] < -1e-3
    assert torch.allclose((flatten(top.vectors) * vectors.T.flip(0)[:4]).sum(dim=1).abs().float(), torch.ones(4))
    for found in (top, bottom):
        rows = flatten(found.vectors)
        assert torch.allclose(rows @ rows.T, torch.eye(len(rows), dtype=torch.float64), atol=1e-12)
        assert torch.allclose((rows @ wanted - found.values[:, None] * rows).norm(dim=1), found.errors, atol=1e-12)
        assert (rows.gather(1, rows.abs().argmax(dim=1, keepdim=True)) > 0).all()
        assert (found.vectors.origin, dict(found.vectors.buffers)) == ((6,) * len(rows), {})


def test_in_float32_an_eigenvalue_lies_within_its_error(case):
    _, wanted = case
    values = torch.linalg.eigvalsh(wanted).flip(0)
    found = top_eigenpairs(loss_of(smooth(), "float32"), 4, chance())
    rounding = 1e-5 * float(values[0])
    assert bool(((found.values - values[:4]).abs() <= found.errors + rounding).all())
    assert 0 < float(found.errors.max()) < 1e-3 * float(values[0])


@pytest.mark.parametrize("count", [2, 12])
def test_of_few_examples_most_eigenvalues_are_zero(count):
    """A linear network of 153 weights and two examples: four eigenvalues at most are not zero."""
    module = nn.Sequential(nn.Flatten(), nn.Linear(50, CLASSES))
    loss = loss_of(module, examples=2, channels=50)
    assert loss.size > DENSE
    values = torch.linalg.eigvalsh(whole(loss, module)).flip(0)
    assert float(values[4].abs()) < 1e-12 < float(values[3])
    one, found = (top_eigenpairs(loss, count, chance()) for _ in range(2))
    assert torch.allclose(found.values, values[:count], atol=1e-9)
    assert torch.equal(flatten(one.vectors), flatten(found.vectors))
    assert torch.allclose(bottom_eigenpairs(loss, 2, chance(), float(values[0])).values, values[-2:], atol=1e-7)
    assert len(next(quadratures(loss, 1, 20, chance())).nodes) <= 6


def test_the_same_generator_gives_the_same_bits(case):
    loss, _ = case
    one, other = (top_eigenpairs(loss, 2, chance(3)) for _ in range(2))
    assert torch.equal(one.values, other.values)
    assert torch.equal(flatten(one.vectors), flatten(other.vectors))


def test_few_weights_need_no_iteration():
    loss = loss_of(linear())
    values = torch.linalg.eigvalsh(loss.products(torch.eye(15, dtype=torch.float64)))
    top = top_eigenpairs(loss, 2, chance())
    assert torch.allclose(top.values, values.flip(0)[:2], atol=1e-13)
    assert torch.allclose(bottom_eigenpairs(loss, 2, chance(), 9.0).values, values[:2].flip(0), atol=1e-13)


def test_samples_of_the_trace_have_it_as_their_mean(case):
    loss, wanted = case
    known = top_eigenpairs(loss, 5, chance())
    samples = np.array(list(trace_samples(loss, 100, chance(1), known)))
    error = samples.std(ddof=1) / 10
    assert abs(samples.mean() - float(wanted.trace())) < 4 * error
    rest = wanted - flatten(known.vectors).T @ known.values.diag() @ flatten(known.vectors)
    # Hutchinson's variance: twice the squares off the diagonal
    spread = math.sqrt(2 * float((rest - rest.diagonal().diag()).square().sum()))
    assert samples.std(ddof=1) == pytest.approx(spread, rel=0.25)
    # far less than without the known ones
    assert spread < 0.7 * math.sqrt(2 * float((wanted - wanted.diagonal().diag()).square().sum()))


def test_all_known_the_trace_has_no_spread():
    loss = loss_of(linear())
    known = top_eigenpairs(loss, 15, chance())
    samples = list(trace_samples(loss, 3, chance(1), known))
    assert samples == pytest.approx([float(known.values.sum())] * 3, abs=1e-12)


def test_a_quadrature_has_the_moments_of_its_probe(case):
    """n nodes are exact for polynomials of degree 2 n - 1: eight nodes for the first fifteen moments."""
    loss, wanted = case
    vector = torch.randn(1, loss.size, generator=chance(9), dtype=torch.float64)
    unit = vector[0] / vector.norm()
    (found,) = lanczos(loss, vector, 8)
    assert len(found.nodes) == 8
    power = unit.clone()
    for degree in range(16):
        mine = float((found.weights * found.nodes**degree).sum())
        assert mine == pytest.approx(float(unit @ power), rel=1e-9)
        power = wanted @ power
    assert float(found.weights.sum()) == pytest.approx(1, abs=1e-12)


def test_probes_at_right_angles_together_have_the_whole_spectrum():
    """Unit vectors of a basis: the mean of their quadratures is the spectrum itself, and so are all its functions."""
    loss = loss_of(linear())
    values = torch.linalg.eigvalsh(loss.products(torch.eye(15, dtype=torch.float64)))
    turned, _ = torch.linalg.qr(torch.randn(15, 15, generator=chance(7), dtype=torch.float64))
    found = lanczos(loss, turned, 15)
    for one in (lambda x: x.abs().sqrt(), torch.cos, lambda x: (x - 0.2).square()):
        mine = sum(float((q.weights * one(q.nodes)).sum()) for q in found) / 15
        # square roots of zeros that round to 1e-16
        assert mine == pytest.approx(float(one(values).mean()), abs=1e-7)
    cut = float((values[8] + values[9]) / 2)
    assert np.mean([q.below(cut) for q in found]) == pytest.approx(9 / 15, abs=1e-9)


def test_the_density_integrates_to_one_and_has_the_moments_of_the_spectrum(case):
    """Over all Hadamard probes the mean is the trace over the dimension, without error of chance."""
    loss, wanted = case
    turned, _ = torch.linalg.qr(torch.randn(loss.size, loss.size, generator=chance(7), dtype=torch.float64))
    found = lanczos(loss, turned, 4)
    grid, width = torch.linspace(-4, 8, 2001, dtype=torch.float64), 0.02
    curve = torch.stack([density(q, grid, width) for q in found]).mean(dim=0)
    mass, mean, square = (float(torch.trapezoid(curve * grid**power, grid)) for power in range(3))
    assert mass == pytest.approx(1, abs=1e-9)
    assert mean == pytest.approx(float(wanted.trace()) / loss.size, abs=1e-9)
    assert square == pytest.approx(float(wanted.square().sum()) / loss.size + width**2, abs=1e-9)
    assert float(moments(found, 1).mean()) == pytest.approx(mean, abs=1e-9)
    assert float(moments(found, 2).mean()) == pytest.approx(square - width**2, abs=1e-9)


def test_random_probes_have_the_trace_as_their_mean(case):
    loss, wanted = case
    found = list(quadratures(loss, 80, 3, chance(5)))
    first = moments(found, 1) * loss.size
    assert abs(float(first.mean() - wanted.trace())) < 4 * float(first.std()) / 80**0.5
    second = moments(found, 2) * loss.size
    assert abs(float(second.mean() - wanted.square().sum())) < 4 * float(second.std()) / 80**0.5


def test_known_eigenvalues_are_nodes_of_their_own(case):
    """The mean stays that of the spectrum, to 4 standard errors that are smaller; moments of high degree are exact."""
    loss, wanted = case
    known = top_eigenpairs(loss, 6, chance())
    plain, found = (list(quadratures(loss, 40, 6, chance(5), given)) for given in (None, known))
    for quadrature in found:
        assert float(quadrature.weights.sum()) == pytest.approx(1, abs=1e-12)
        assert quadrature.nodes.tolist() == sorted(quadrature.nodes.tolist())
        heavy = dict(zip(quadrature.nodes.tolist(), quadrature.weights.tolist(), strict=True))
        assert all(heavy[value] == pytest.approx(1 / loss.size) for value in known.values.tolist())
    for power in (1, 2, 3):
        samples = moments(found, power) * loss.size
        error = float(samples.std()) / 40**0.5
        assert abs(float(samples.mean()) - float(torch.linalg.matrix_power(wanted, power).trace())) < 4 * error
        assert error < 0.8 * float(moments(plain, power).std() * loss.size) / 40**0.5
    every = top_eigenpairs(loss_of(linear()), 15, chance())
    with pytest.raises(ValueError, match="nothing left for a probe"):
        list(quadratures(loss_of(linear()), 1, 2, chance(), every))


def test_vectors_follow_the_order_of_the_weights_and_not_the_networks():
    loss = loss_of(smooth())
    params = dict(sorted(loss.weights.params.items()))
    turned = Weights(params, loss.weights.buffers, (6,))
    other = MeanLoss(smooth(), turned, loss.split, loss.scaling, "float64")
    one, found = top_eigenpairs(loss, 1, chance()), top_eigenpairs(other, 1, chance())
    assert list(found.vectors.params) == list(params) != list(one.vectors.params)
    for name in params:
        assert torch.allclose(found.vectors.params[name], one.vectors.params[name], atol=1e-6)


def test_the_whole_spectrum_comes_out_of_long_iterations(case):
    """Without orthogonality that is renewed, eigenvalues would come twice and others never."""
    loss, wanted = case
    (found,) = quadratures(loss, 1, loss.size, chance(5))
    values = torch.linalg.eigvalsh(wanted)
    assert len(found.nodes) <= loss.size
    for value in values[-20:].tolist() + values[:20].tolist():
        assert float((found.nodes - value).abs().min()) < 1e-8
    close = found.nodes[found.weights > 1e-9]
    assert float(close.diff().min()) > 1e-9


def test_a_vector_that_spans_little_ends_early():
    loss = loss_of(linear())
    top = top_eigenpairs(loss, 2, chance())
    both = flatten(top.vectors)
    one, two = lanczos(loss, torch.stack([both[0], both[0] + 2 * both[1]]), 10)
    assert one.nodes.tolist() == pytest.approx([float(top.values[0])])
    assert two.nodes.tolist() == pytest.approx(sorted(top.values.tolist()))
    assert two.weights.tolist() == pytest.approx([0.8, 0.2])


def test_how_many_probes_are_at_work_at_once_changes_none(case, monkeypatch):
    loss, _ = case
    together = list(quadratures(loss, 3, 5, chance(2)))
    monkeypatch.setattr("modescape.core.landscape.curvature.TOGETHER_BYTES", 1)
    for one, other in zip(together, quadratures(loss, 3, 5, chance(2)), strict=True):
        # where a vector lies may change the order in which its products are summed
        assert torch.allclose(one.nodes, other.nodes, atol=1e-12)
        assert torch.allclose(one.weights, other.weights, atol=1e-12)


class Wrong(torch.autograd.Function):
    """Its gradient is not the gradient of anything."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.tanh()

    @staticmethod
    def backward(ctx, slope):
        (x,) = ctx.saved_tensors
        return slope * x.roll(1, dims=1)


@pytest.mark.parametrize("width", [5, 40])
def test_second_derivatives_that_are_wrong_are_noticed(width):
    loss = loss_of(Activated(Wrong.apply, width))
    with pytest.raises(ValueError, match="symmetric matrix"):
        top_eigenpairs(loss, 2, chance())
    with pytest.raises(ValueError, match="symmetric matrix"):
        list(quadratures(loss, 1, 20, chance()))


def test_a_loss_that_is_flat_says_so():
    module = Activated(lambda x: 0 * x)
    weights = at_random(module)
    weights.params["last.bias"][0] = torch.tensor([0.0, 2000.0, 0.0])
    split = data(4)
    loss = MeanLoss(module, weights, split, scaling_of("standard", split.inputs))
    with pytest.raises(ValueError, match="the Hessian is zero"):
        top_eigenpairs(loss, 2, chance())


def test_what_cannot_be_asked_is_refused(case):
    loss, _ = case
    known = top_eigenpairs(loss, 1, chance())
    with pytest.raises(ValueError, match=f"count must be from 1 to {loss.size}"):
        top_eigenpairs(loss, 0, chance())
    with pytest.raises(ValueError, match="count must be from 1"):
        bottom_eigenpairs(loss, loss.size + 1, chance(), 1.0)
    with pytest.raises(ValueError, match="probes must be at least 1"):
        list(trace_samples(loss, 0, chance(), known))
    with pytest.raises(ValueError, match="probes must be at least 1"):
        list(quadratures(loss, 0, 5, chance()))
    with pytest.raises(ValueError, match="steps must be at least 1"):
        list(quadratures(loss, 1, 0, chance()))
    with pytest.raises(ValueError, match="a probe is zero"):
        lanczos(loss, torch.zeros(1, loss.size), 3)
    with pytest.raises(ValueError, match="width must be above 0"):
        density(next(quadratures(loss, 1, 2, chance())), torch.zeros(3), 0.0)
