"""Connectors against closed forms: quadratic losses and a ring-shaped valley; what a fit sees and refuses."""

import math
from functools import cache

import numpy as np
import pytest
import torch
from references import valleys
from references.joined import network, solutions, toy_problem
from references.networks import finished
from references.valleys import RING, RING_CENTRE, Valley
from torch import nn

from modescape.core.landscape.connectors import bezier, polygon, star
from modescape.core.landscape.connectors import descent as descending
from modescape.core.landscape.connectors.abstract import ends_of, fitted
from modescape.core.landscape.connectors.bent import Bent
from modescape.core.landscape.connectors.bezier import Bezier
from modescape.core.landscape.connectors.catalogue import CONNECTORS
from modescape.core.landscape.connectors.descent import Descent, Problem, Slope, row_of
from modescape.core.landscape.connectors.elastic_band import ElasticBand, _across, band_of
from modescape.core.landscape.connectors.path import Path
from modescape.core.landscape.connectors.polygon import Polygon
from modescape.core.landscape.connectors.star import Star
from modescape.core.training.settings import Optimiser
from modescape.core.weights import Weights, flatten, load_into, of_module, stack
from modescape.errors import MemberFailed, NetworkError

A, C, GOAL = torch.tensor([1.0, 0.0]), torch.tensor([-0.5, 0.5]), torch.tensor([0.3, 1.2])


def bowl(place):
    return 0.05 + 0.5 * (place - GOAL.to(place)).square().sum()


def bend(connector, *ends, height=bowl, **how):
    found = fitted(connector, valleys.at(*[end.tolist() for end in ends]), valleys.problem(height, **how))
    return found.controls.params["place"][len(ends)]


@cache
def bend_in_the_bowl(kind):
    return bend(kind(), A, C, steps=1500, rate=0.03)


@pytest.mark.parametrize(
    ("connector", "ends", "wanted"),
    [
        # The mean of s(t) (curve(t) - goal) is zero for the share s of what is moved: 2t(1-t), 1 - |1-2t|, or t.
        (Bezier(), (A, C), 2.5 * GOAL - 0.75 * (A + C)),
        (Polygon(), (A, C), 1.5 * GOAL - 0.25 * (A + C)),
        (Star(), (A, C), 1.5 * GOAL - 0.25 * (A + C)),
        (Star(), (A, C, GOAL), 1.5 * GOAL - (A + C + GOAL) / 6),
    ],
    ids=["bezier", "polygon", "star of two", "star of three"],
)
def test_in_a_bowl_the_bend_is_the_least_squares_one(connector, ends, wanted):
    found = bend_in_the_bowl(type(connector)) if len(ends) == 2 else bend(connector, *ends, steps=1500, rate=0.03)
    # what the noise of one random t a step has left at the end of the cosine
    assert torch.allclose(found, wanted, atol=0.08), (found, wanted)


@pytest.mark.parametrize(("kind", "curve"), [(Bezier, "bezier"), (Polygon, "polygon")])
def test_the_bend_minimises_the_slow_integral_of_the_loss(kind, curve):
    def integral(middle):
        path = Path(stack([valleys.at(A.tolist()), valleys.at(middle), valleys.at(C.tolist())]), (0.0, 0.5, 1.0), curve)
        places = path.at(torch.arange(0.0005, 1, 0.001)).params["place"].double()
        return sum(float(bowl(place)) for place in places) / len(places)

    x, y = bend_in_the_bowl(kind).tolist()
    best = integral([x, y])
    for across, up in ((0.3, 0), (-0.3, 0), (0, 0.3), (0, -0.3)):
        assert integral([x + across, y + up]) > best


@pytest.mark.parametrize(("module", "curve"), [(bezier, "bezier"), (polygon, "polygon")])
def test_the_shares_of_a_random_t_are_those_of_the_path_there(module, curve):
    chance, twin = (torch.Generator().manual_seed(3) for _ in range(2))
    shares = torch.tensor([module._shares(chance) for _ in range(200)], dtype=torch.float64)
    t = torch.stack([torch.rand((), generator=twin, dtype=torch.float64) for _ in range(200)])
    wanted = Path(valleys.at([0, 0], [1, 0], [2, 0]), (0.0, 0.5, 1.0), curve).coefficients(t)
    # the moved point comes last, and stands in the middle of the path
    assert torch.allclose(shares[:, [0, 2, 1]], wanted, atol=1e-12)


def test_every_leg_of_a_star_is_as_likely_and_no_other_end_counts():
    chance = torch.Generator().manual_seed(3)
    shares = torch.tensor([star._shares(3, chance) for _ in range(600)], dtype=torch.float64)
    assert torch.allclose(shares.sum(dim=1), torch.ones(600, dtype=torch.float64))
    assert ((shares[:, :3] > 0).sum(dim=1) == 1).all()
    # four standard errors of a third among 600, and of the mean of a uniform number
    assert ((shares[:, :3] > 0).double().mean(dim=0) - 1 / 3).abs().max() < 0.08
    assert abs(float(shares[:, 3].mean()) - 0.5) < 0.05


def test_the_band_feels_no_force_along_the_path():
    gradient = [torch.tensor([3.0, 1.0]), torch.tensor([2.0])]
    tangent = [torch.tensor([0.6, 0.0], dtype=torch.float64), torch.tensor([0.8], dtype=torch.float64)]
    # 3.4 of it lies along the tangent
    found = _across(gradient, tangent)
    assert torch.allclose(found[0], torch.tensor([3 - 0.6 * 3.4, 1.0]))
    assert torch.allclose(found[1], torch.tensor([2 - 0.8 * 3.4]))


def test_a_bent_point_finds_the_valley_in_its_hyperplane():
    found = bend(Bent(interior=1), torch.tensor([-1.0, 0.0]), torch.tensor([1.0, 0.0]), height=valleys.ring)
    assert abs(float(found[0])) < 1e-6
    assert float(found[1]) == pytest.approx(RING - 0.2, abs=0.01)


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_bent_points_stay_in_their_hyperplanes_and_go_down(name):
    ends, problem = solutions(), toy_problem(80, name=name)
    found = fitted(Bent(), ends, problem).path(0)
    along = (flatten(ends)[1] - flatten(ends)[0]).double().numpy()
    slope, sample = Slope(problem, ends), Slope(problem, ends).sample()
    for share, row in ((0.25, 1), (0.5, 2), (0.75, 3)):
        start = (1 - share) * flatten(ends)[0].double().numpy() + share * flatten(ends)[1].double().numpy()
        way = flatten(found.controls)[row].double().numpy() - start
        assert np.linalg.norm(way) > 0.1
        # the rounding of float32 weights
        assert abs(way @ along) < 1e-6 * np.linalg.norm(way) * np.linalg.norm(along)
        before = slope.loss(row_of(Path(ends, (0.0, 1.0)).at(torch.tensor([share])), 0), sample)
        assert slope.loss(row_of(found.controls, row), sample) < before


def band(steps=300, **settings):
    ends = valleys.at([-1.0, 0.0], [1.0, 0.0])
    return fitted(ElasticBand(**settings), ends, valleys.problem(valleys.ring, steps=steps, rate=0.02)).path(0)


def test_the_band_bends_round_the_hill_and_its_pivots_keep_even_distances():
    path = band(pivots=5, cycles=1)
    pivots = path.controls.params["place"]
    assert (pivots[:, 1] >= -1e-6).all()
    assert torch.allclose((pivots - RING_CENTRE).norm(dim=1), torch.full((7,), RING), atol=0.02)
    apart = pivots.diff(dim=0).norm(dim=1)
    # on a circle even distances are even angles
    assert float(apart.max() / apart.min()) < 1.05
    assert path.knots == pytest.approx(np.linspace(0, 1, 7), abs=0.01)
    angle = 2 * math.asin(1 / RING)
    assert path.length == pytest.approx(6 * 2 * RING * math.sin(angle / 12), rel=0.01)


def test_without_springs_pivots_are_not_spread():
    free = band(pivots=5, cycles=1, spring=0.0).controls.params["place"].diff(dim=0).norm(dim=1)
    tied = band(pivots=5, cycles=1, spring=1.0).controls.params["place"].diff(dim=0).norm(dim=1)
    assert free.std() > 3 * tied.std()


def test_pivots_are_added_in_the_pieces_with_the_highest_excess():
    ends = valleys.at([-1.0, 0.0], [1.0, 0.0])
    pivots = valleys.at([-0.9, 0.1], [-0.8, 0.2])
    path = band_of(ends, pivots)
    slope = Slope(valleys.problem(valleys.ring), ends)
    more = ElasticBand(insertions=1, looks=3)._with_more(slope, path, slope.sample()).params["place"]
    # the last piece is the one that crosses the hill; of a quarter, half and three quarters of it
    looks = [torch.lerp(torch.tensor([-0.8, 0.2]), torch.tensor([1.0, 0.0]), share) for share in (0.25, 0.5, 0.75)]
    line = [
        torch.lerp(valleys.ring(torch.tensor([-0.8, 0.2])), valleys.ring(torch.tensor([1.0, 0.0])), s)
        for s in (0.25, 0.5, 0.75)
    ]
    excess = [float(valleys.ring(look) - base) for look, base in zip(looks, line, strict=True)]
    assert len(more) == 3
    assert torch.allclose(more[2], looks[int(np.argmax(excess))], atol=1e-6)
    assert torch.allclose(more[:2], pivots.params["place"], atol=1e-6)


def test_the_band_grows_by_its_insertions_and_costs_what_it_says():
    path = band(steps=32, pivots=2, cycles=4, insertions=2)
    assert len(path.controls) == 2 + 2 + 3 * 2
    kind, how = ElasticBand(pivots=1, cycles=3, insertions=4), Descent(steps=10)
    work = kind.fit(valleys.at([-1.0, 0.0], [1.0, 0.0]), valleys.problem(valleys.ring, steps=10))
    assert sum(finished(work)[1]) == kind.gradients(how) == 4 * 1 + 3 * 3 + 3 * 7


def test_while_fitting_dropout_is_off_and_batch_norm_sees_the_batch():
    ends, problem = solutions(), toy_problem(dropout=0.5)
    slope = Slope(problem, ends)
    inputs, targets = slope.sample()
    plain = network()
    load_into(plain, ends, 1)
    wanted = nn.functional.cross_entropy(plain.train()(inputs), targets)
    assert slope.loss(row_of(ends, 1), (inputs, targets)) == pytest.approx(float(wanted.detach()), rel=1e-6)


def test_gradients_are_those_of_the_plain_network():
    ends, problem = solutions(), toy_problem()
    slope, plain = Slope(problem, ends), network()
    batch = slope.sample()
    load_into(plain, ends, 0)
    nn.functional.cross_entropy(plain.train()(batch[0]), batch[1]).backward()
    _, found = slope.gradient(row_of(ends, 0), batch, 0)
    for own, parameter in zip(found, plain.parameters(), strict=True):
        assert torch.allclose(own, parameter.grad, rtol=1e-5, atol=1e-7)


def test_every_epoch_is_a_permutation_that_the_seed_names():
    slope = Slope(toy_problem(), solutions())
    epoch = torch.cat([next(slope.batches)[0] for _ in range(3)])
    assert len(epoch.flatten(1).unique(dim=0)) == 48
    again = Slope(toy_problem(), solutions())
    assert torch.equal(epoch[:16], next(again.batches)[0])
    assert not torch.equal(epoch[:16], next(Slope(toy_problem(root=1), solutions()).batches)[0])


class Drawing(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 3)

    def forward(self, inputs):
        return nn.functional.dropout(self.layer(inputs.flatten(1)), 0.5, training=True)


@pytest.mark.parametrize("name", CONNECTORS)
def test_a_network_that_draws_is_refused_before_any_step(name, monkeypatch):
    def never(*_):
        raise AssertionError("a gradient was computed")

    monkeypatch.setattr(descending.Slope, "gradient", never)
    ends = ends_of([of_module(Drawing(), 0), of_module(Drawing(), 1)])
    problem = toy_problem()
    drawing = Problem(Drawing(), problem.train, problem.scaling, problem.descent, 0, ("x",))
    with pytest.raises(NetworkError, match="draws random numbers"):
        fitted(CONNECTORS[name](), ends, drawing)


def test_a_fit_that_diverges_is_told_with_its_step():
    def cliff(place):
        return torch.where(place[1] < 0.2, 1.0 - place[1], torch.nan)

    with pytest.raises(MemberFailed, match=r"the fit of valley diverged.*at step") as caught:
        bend(Polygon(), torch.tensor([-1.0, 0.0]), torch.tensor([1.0, 0.0]), height=cliff)
    assert caught.value.step > 0


def test_impossible_ends_are_refused():
    other = of_module(nn.Linear(2, 3), 5)
    wider = of_module(nn.Sequential(nn.Flatten(), nn.Linear(2, 8), nn.BatchNorm1d(8)), 0)
    narrow = of_module(nn.Sequential(nn.Flatten(), nn.Linear(2, 7), nn.BatchNorm1d(7)), 0)
    broken = Weights({n: t * torch.nan for n, t in solutions().params.items()}, solutions().buffers, (0, 1))
    for message, attempt in (
        ("solutions of another architecture", lambda: ends_of([solutions()[0], other])),
        (r"1.weight has \(8, 2\) and \(7, 2\)", lambda: ends_of([wider, narrow])),
        ("no solutions to join", lambda: ends_of([])),
        (
            "network and solutions of another architecture",
            lambda: fitted(Polygon(), stack([other, _moved(other)]), toy_problem()),
        ),
        ("Polygon joins two solutions, got 3", lambda: fitted(Polygon(), solutions(3), toy_problem())),
        ("Star joins two solutions or more, got 1", lambda: fitted(Star(), solutions(1), toy_problem())),
        ("solutions 0 and 1: they are the same", lambda: fitted(Bent(), solutions()[[0, 0]], toy_problem())),
        ("not finite in 1.weight", lambda: fitted(Bezier(), broken, toy_problem())),
    ):
        with pytest.raises(ValueError, match=message):
            attempt()


def _moved(weights):
    return Weights({n: t + 1 for n, t in weights.params.items()}, weights.buffers, weights.origin)


@pytest.mark.parametrize(
    ("message", "make"),
    [
        ("interior must be at least 1", lambda: Bent(interior=0)),
        ("pivots must be at least 1", lambda: ElasticBand(pivots=0)),
        ("spring must lie in", lambda: ElasticBand(spring=1.5)),
        ("steps must be at least 1", lambda: Descent(steps=0)),
        ("is one number", lambda: Descent(optimiser=Optimiser(rate=(0.1, 0.2)))),
        ("two control points or more", lambda: Path(valleys.at([0, 0]), (0.0,))),
        ("knots must rise from 0 to 1", lambda: Path(valleys.at([0, 0], [1, 0]), (0.0, 0.9))),
        ("has 3 control points", lambda: Path(valleys.at([0, 0], [1, 0]), (0.0, 1.0), "bezier")),
        ("t must lie in", lambda: Path(valleys.at([0, 0], [1, 0]), (0.0, 1.0)).at(torch.tensor([1.5]))),
        ("is not finite in place", lambda: Path(valleys.at([0, math.inf], [1, 0]), (0.0, 1.0))),
    ],
)
def test_impossible_settings_are_refused(message, make):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_valleys_are_as_high_as_they_say():
    module = Valley(valleys.ring)
    for place in ([0.0, -0.2], [1.0, 0.0], [0.3, 0.4]):
        module.place.data = torch.tensor(place)
        loss = nn.functional.cross_entropy(module(torch.zeros(4, 1)), torch.zeros(4, dtype=torch.int64))
        assert float(loss.detach()) == pytest.approx(float(valleys.ring(torch.tensor(place))), rel=1e-5)
