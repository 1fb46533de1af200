"""Paths against sums written out, and what is measured along them against networks loaded one by one."""

import math

import numpy as np
import pytest
import torch
from references import slow, valleys
from references.joined import blobs, network, solutions, toy_problem
from references.networks import finished
from torch import nn

from modescape.core.evaluation import Scratch
from modescape.core.landscape.connectors.path import Path
from modescape.core.landscape.connectors.profile import Look, barrier, profile, scores_along
from modescape.core.weights import flatten, load_into


def test_a_path_equals_its_points_written_out():
    controls = solutions(3)
    t = torch.tensor([0.0, 0.1, 0.5, 0.75, 1.0], dtype=torch.float64)
    a, b, c = flatten(controls).double().numpy()
    bezier, polygon = Path(controls, (0.0, 0.5, 1.0), "bezier").at(t), Path(controls, (0.0, 0.25, 1.0)).at(t)
    for row, at in enumerate(t.tolist()):
        curve = (1 - at) ** 2 * a + 2 * at * (1 - at) * b + at**2 * c
        chain = a + at / 0.25 * (b - a) if at < 0.25 else b + (at - 0.25) / 0.75 * (c - b)
        assert np.allclose(flatten(bezier)[row].numpy(), curve, rtol=1e-6, atol=1e-7)
        assert np.allclose(flatten(polygon)[row].numpy(), chain, rtol=1e-6, atol=1e-7)
    assert bezier.origin == (0, 0, 1, 2, 2)


def test_control_points_return_bit_for_bit_with_their_buffers():
    controls = solutions(3)
    controls.params["1.bias"][0, 0], controls.params["1.bias"][2, 1] = -0.0, -0.0
    for row in range(3):
        controls.buffers["2.running_mean"][row] = row
    path = Path(controls, (0.0, 0.3, 1.0))
    for members, wanted in (
        (path.at(torch.tensor([0.0, 0.3, 1.0], dtype=torch.float64)), [0, 1, 2]),
        (path.ends, [0, 2]),
    ):
        for name, tensor in {**members.params, **members.buffers}.items():
            own = {**controls.params, **controls.buffers}[name][wanted]
            assert torch.equal(tensor, own)
            assert torch.equal(tensor.signbit(), own.signbit())
        assert members.origin == tuple(wanted)


def test_lengths_of_known_curves():
    corner = valleys.at([0.0, 0.0], [3.0, 0.0], [3.0, 4.0])
    polygon, bezier = Path(corner, (0.0, 0.2, 1.0)), Path(corner, (0.0, 0.5, 1.0), "bezier")
    assert (polygon.length, polygon.distance) == (7.0, 5.0)
    t = np.linspace(0, 1, 200_001)
    x, y = 6 * t * (1 - t) + 3 * t**2, 4 * t**2
    assert bezier.length == pytest.approx(np.hypot(np.diff(x), np.diff(y)).sum(), rel=1e-5)
    straight = Path(valleys.at([1.0, 1.0], [4.0, 5.0]), (0.0, 1.0))
    assert straight.length == straight.distance == 5.0


def test_a_barrier_is_the_rise_above_the_line_between_the_ends():
    t = torch.tensor([0.0, 0.25, 0.5, 1.0])
    assert barrier(torch.tensor([1.0, 2.0, 2.0, 3.0]), t) == 0.5
    assert barrier(torch.tensor([1.0, 1.0, 1.0, 3.0]), t) == 0.0
    assert math.isnan(barrier(torch.tensor([1.0, torch.nan, 1.0, 3.0]), t))
    with pytest.raises(ValueError, match="from t = 0 to t = 1"):
        barrier(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 0.5]))


def by_hand(member, weights, statistics, split, scaling):
    """Logits of one member after a pass over the statistics in training mode, by a loop over nothing but torch."""
    module = network()
    load_into(module, weights, member)
    module.eval()
    values = scaling(statistics.inputs)
    hidden = module[1](module[0](values))
    module[2].running_mean.copy_(hidden.mean(dim=0).detach())
    module[2].running_var.copy_(hidden.var(dim=0).detach())
    with torch.no_grad():
        return module(scaling(split.inputs))


def test_what_is_measured_equals_a_slow_twin_with_fresh_statistics_at_every_point():
    ends, problem, split = solutions(), toy_problem(), blobs(50, 1)
    path = Path(ends, (0.0, 1.0))
    t = torch.linspace(0, 1, 35, dtype=torch.float64)
    look = Look(Scratch(network(), split, problem.scaling), split, problem.scaling, problem.train)
    found, _ = finished(profile(path, t, look))
    assert torch.equal(found.scores.nll, finished(scores_along(path, t, look))[0].nll)
    first, last = (by_hand(end, ends, problem.train, split, problem.scaling) for end in (0, 1))
    for row, at in enumerate(t.tolist()):
        logits = by_hand(0, path.at(torch.tensor([at])), problem.train, split, problem.scaling)
        nll = nn.functional.cross_entropy(logits.double(), split.targets)
        assert float(found.scores.nll[row]) == pytest.approx(float(nll), rel=1e-4)
        assert float(found.scores.accuracy[row]) == float((logits.argmax(1) == split.targets).double().mean())
        for place, end in enumerate((first, last)):
            apart = float((logits.argmax(1) != end.argmax(1)).double().mean())
            assert float(found.disagreement[row, place]) == pytest.approx(apart)
            error = 1 - float(found.scores.accuracy[row])
            assert float(found.normalised[row, place]) == pytest.approx(apart / error)
            p, q = ([slow.softmax(one) for one in some.tolist()] for some in (logits, end))
            wanted = np.mean([_jensen_shannon(a, b) for a, b in zip(p, q, strict=True)])
            assert float(found.divergence[row, place]) == pytest.approx(wanted, rel=1e-3, abs=1e-7)
    assert found.disagreement[0, 0] == found.disagreement[-1, 1] == 0
    assert found.divergence[0, 0] == found.divergence[-1, 1] == 0


def _jensen_shannon(p, q):
    entropy = lambda r: -sum(v * math.log(v) for v in r if v > 0)  # noqa: E731
    return entropy([(a + b) / 2 for a, b in zip(p, q, strict=True)]) - (entropy(p) + entropy(q)) / 2


def test_stale_statistics_would_be_noticed():
    ends, problem, split = solutions(), toy_problem(), blobs(50, 1)
    t = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    scratch = Scratch(network(), split, problem.scaling)
    fresh, stale = (
        finished(scores_along(Path(ends, (0.0, 1.0)), t, Look(scratch, split, problem.scaling, statistics)))[0].nll
        for statistics in (problem.train, None)
    )
    assert not torch.allclose(fresh, stale, rtol=1e-3)
