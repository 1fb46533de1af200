"""Curvature against the library curvlinops: products, eigenvalues, trace and spectral density of the same Hessian."""

import numpy as np
import pytest
import torch
from curvlinops import HessianLinearOperator, hutchinson_trace
from curvlinops.papyan2020traces.spectrum import fast_lanczos
from scipy.sparse.linalg import eigsh
from torch import nn

from modescape.core.landscape.curvature import lanczos, moments, quadratures, top_eigenpairs, trace_samples
from modescape.core.landscape.mean_loss import MeanLoss
from modescape.core.models.plain_cnn import small_cnn
from modescape.core.splits import Split, scaling_of
from modescape.core.weights import flatten, load_into, of_module

CLASSES = 4


def chance(seed=0):
    return torch.Generator().manual_seed(seed)


def normalised():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, CLASSES)
    )


@pytest.fixture(autouse=True)
def several_chunks(monkeypatch):
    monkeypatch.setattr("modescape.core.evaluation.CHUNK", 90)


@pytest.fixture(params=["small_cnn", "batch norm"], scope="module")
def both(request):
    """Our loss, and the library's operator, of some steps of training on 230 images: three chunks."""
    torch.manual_seed(0)
    module = small_cnn((3, 8, 8), CLASSES) if request.param == "small_cnn" else normalised()
    inputs = torch.randint(0, 256, (230, 3, 8, 8), generator=chance(1)).to(torch.uint8)
    split = Split(inputs, torch.randint(0, CLASSES, (230,), generator=chance(2)))
    scaling = scaling_of("standard", inputs)
    optimiser = torch.optim.Adam(module.parameters(), 3e-3)
    for _ in range(30):
        optimiser.zero_grad()
        nn.functional.cross_entropy(module.train()(scaling(inputs)), split.targets).backward()
        optimiser.step()
    weights = of_module(module, origin=0)
    loss = MeanLoss(module, weights, split, scaling, "float64")
    double = module.double().eval()
    load_into(double, weights, 0)
    batches = [(scaling(inputs[a:b]).double(), split.targets[a:b]) for a, b in ((0, 100), (100, 230))]
    operator = HessianLinearOperator(double, nn.CrossEntropyLoss(), list(double.parameters()), batches)
    return loss, operator


def test_products(both):
    loss, operator = both
    vectors = torch.randn(4, loss.size, generator=chance(), dtype=torch.float64)
    theirs = (operator @ vectors.T).T.detach()
    assert torch.allclose(loss.products(vectors), theirs, rtol=0, atol=1e-12 * float(theirs.abs().max()) + 1e-13)


def test_extreme_eigenvalues(both):
    loss, operator = both
    theirs = eigsh(operator.to_scipy(), 3, which="LA", tol=1e-10, v0=np.ones(loss.size))[0][::-1]
    found = top_eigenpairs(loss, 3, chance())
    assert np.allclose(found.values, theirs, rtol=1e-8)
    assert (found.errors < 1e-6 * theirs[0]).all()


def test_trace(both):
    loss, operator = both
    known = top_eigenpairs(loss, 3, chance())
    samples = np.array(list(trace_samples(loss, 16, chance(1), known)))
    torch.manual_seed(0)
    theirs = [float(hutchinson_trace(operator, 1, "rademacher")) for _ in range(16)]
    error = np.hypot(samples.std(ddof=1), np.std(theirs, ddof=1)) / 16**0.5
    assert abs(samples.mean() - np.mean(theirs)) < 4 * error


def test_spectral_density(both):
    """Their nodes and weights from a start that cannot be chosen: moments and a cumulative, to 4 standard errors."""
    loss, operator = both
    torch.manual_seed(1)
    mine, theirs = list(quadratures(loss, 16, 8, chance(2))), []
    for _ in range(16):
        nodes, vectors = fast_lanczos(operator, 8)
        theirs.append((nodes, vectors[0] ** 2))
    cut = 0.2 * float(max(q.nodes.max() for q in mine))
    kinds = {
        "mean": (moments(mine, 1).numpy(), [float((w * n).sum()) for n, w in theirs]),
        "square": (moments(mine, 2).numpy(), [float((w * n**2).sum()) for n, w in theirs]),
        "below": (np.array([q.below(cut) for q in mine]), [float(w[n < cut].sum()) for n, w in theirs]),
    }
    for name, (ours, other) in kinds.items():
        error = np.hypot(ours.std(ddof=1), np.std(other, ddof=1)) / 16**0.5
        assert abs(ours.mean() - np.mean(other)) < 4 * error, name


def test_one_start_gives_one_quadrature(both):
    """Their operator, iterated without any shortcut from our start, has our nodes and weights."""
    loss, operator = both
    start = torch.randn(loss.size, generator=chance(3), dtype=torch.float64)
    (mine,) = lanczos(loss, start[None], 6)
    basis = [start / start.norm()]
    for _ in range(5):
        image = (operator @ basis[-1]).detach()
        for _ in range(2):
            for row in basis:
                image = image - (row @ image) * row
        basis.append(image / image.norm())
    rows = torch.stack(basis)
    nodes, vectors = torch.linalg.eigh(rows @ (operator @ rows.T).detach())
    assert torch.allclose(mine.nodes, nodes, atol=1e-10)
    assert torch.allclose(mine.weights, vectors[0].square(), atol=1e-10)
    assert flatten(loss.weights).shape[1] == loss.size
