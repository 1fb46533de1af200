"""What every connector promises, one suite over all of them, and wrong ones that it must reject."""

from functools import cache
from itertools import combinations

import pytest
import torch
from references.networks import finished
from torch import nn

from modescape.core.landscape.connectors.abstract import Connector, between, ends_of, fitted
from modescape.core.landscape.connectors.bent import Bent
from modescape.core.landscape.connectors.bezier import Bezier
from modescape.core.landscape.connectors.catalogue import CONNECTORS
from modescape.core.landscape.connectors.descent import Descent, Problem, Slope, row_of
from modescape.core.landscape.connectors.elastic_band import ElasticBand
from modescape.core.landscape.connectors.path import Connection, Route
from modescape.core.landscape.connectors.polygon import Polygon
from modescape.core.landscape.connectors.star import Star
from modescape.core.landscape.connectors.straight import Straight
from modescape.core.splits import Split, scaling_of
from modescape.core.training.settings import Optimiser
from modescape.core.weights import Weights, flatten, of_module, stack

CASES = {
    "straight": Straight(),
    "bent": Bent(),
    "bent, two": Bent(interior=2),
    "polygon": Polygon(),
    "bezier": Bezier(),
    "elastic_band": ElasticBand(),
    "elastic_band, free": ElasticBand(pivots=1, cycles=2, insertions=2, spring=0.0),
    "star": Star(),
}
STEPS = 60


def network():
    layers = [nn.Flatten(), nn.Linear(2, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.3), nn.Linear(6, 3)]
    return nn.Sequential(*layers)


@cache
def data():
    chance = torch.Generator().manual_seed(0)
    targets = torch.randint(0, 3, (60,), generator=chance)
    centres = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 3.0]])
    return Split((centres[targets] + torch.randn(60, 2, generator=chance))[..., None], targets)


def problem(root=0, steps=STEPS):
    how = Descent(steps=steps, batch=20, optimiser=Optimiser(rate=0.02))
    return Problem(network(), data(), scaling_of("standard", data().inputs), how, root, ("contract",))


@cache
def solutions(count):
    """Networks that were trained a little, each from its own initialisation."""
    made = []
    for origin in range(count):
        torch.manual_seed(origin)
        module = network()
        inputs, optimiser = problem().scaling(data().inputs), torch.optim.Adam(module.parameters(), lr=0.05)
        for _ in range(60):
            optimiser.zero_grad()
            nn.functional.cross_entropy(module(inputs), data().targets).backward()
            optimiser.step()
        made.append(of_module(module, origin))
    return ends_of(made)


def ends_for(connector):
    return solutions(3 if connector.joins_many else 2)


def same(one, other):
    pairs = zip({**one.params, **one.buffers}.values(), {**other.params, **other.buffers}.values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs) and one.origin == other.origin


def check_ends(connector):
    """There is a path for every pair of ends, and it returns both bit for bit, buffers included."""
    ends = ends_for(connector)
    found = fitted(connector, ends, problem())
    pairs = list(combinations(range(len(ends)), 2))
    assert [(route.through[0], route.through[-1]) for route in found.routes] == pairs, "a pair of ends has no path"
    for number, (first, second) in enumerate(pairs):
        there = found.path(number).at(torch.tensor([0.0, 1.0]))
        assert same(there, ends[[first, second]]), "an end was moved"


def check_members(connector):
    """Points of a path are weights like the ends, finite, of an end's origin, and lie close to their neighbours."""
    ends = ends_for(connector)
    found = fitted(connector, ends, problem())
    path = found.path(len(found.routes) - 1)
    members = path.at(torch.linspace(0, 1, 201))
    for given, own in ((members.params, ends.params), (members.buffers, ends.buffers)):
        assert list(given) == list(own), "members have other tensors"
        for name, tensor in given.items():
            assert tensor.shape == (201, *own[name].shape[1:]), f"{name} has another shape"
            assert tensor.dtype == own[name].dtype, f"{name} has another dtype"
    assert set(members.origin) <= set(ends.origin), "members descend from nobody"
    assert flatten(members).isfinite().all(), "a member is not finite"
    steps = flatten(members).diff(dim=0).norm(dim=1)
    assert float(steps.max()) < 10 * path.length / 200, "the path jumps"


def check_seeds(connector):
    """The seed decides, alone; nobody's global generator is drawn from."""
    given, ends = [problem(root) for root in (0, 0, 1)], ends_for(connector)
    before = torch.get_rng_state()
    first, again, other = (fitted(connector, ends, one) for one in given)
    assert torch.equal(torch.get_rng_state(), before), "the global generator was drawn from"
    assert same(first.controls, again.controls), "one seed found two paths"
    assert first.routes == again.routes, "one seed found two routes"
    varies = connector.gradients(problem().descent) > 0
    assert same(first.controls, other.controls) != varies, "the seed must decide wherever there is chance"


def check_nothing_is_worn(connector):
    """Neither the ends nor the network are changed by a fit."""
    ends, given = ends_for(connector), problem()
    kept, state = ends[list(range(len(ends)))], {n: t.clone() for n, t in given.network.state_dict().items()}
    mode = given.network.training
    fitted(connector, ends, given)
    assert same(ends, kept), "the ends were changed"
    assert all(torch.equal(t, state[n]) for n, t in given.network.state_dict().items()), "the network was changed"
    assert given.network.training == mode, "the network's mode was changed"


def check_cost(connector):
    """It costs what it says."""
    descent = problem().descent
    _, amounts = finished(connector.fit(ends_for(connector), problem()))
    assert sum(amounts) == connector.gradients(descent), "it does not cost what it says"


def check_loss(connector):
    """Training loss is lower along the path than along the straight line, at the highest point between two ends."""
    ends, given = ends_for(connector), problem(steps=300)
    slope = Slope(given, ends)
    sample, t = slope.sample(), torch.linspace(0, 1, 21)

    def highest(path):
        members = path.at(t)
        return max(slope.loss(row_of(members, row), sample) for row in range(len(t)))

    found = fitted(connector, ends, given)
    straight = fitted(Straight(), ends[[0, 1]], given)
    moved = connector.gradients(given.descent) > 0
    assert highest(found.path(0)) < (0.8 if moved else 1.001) * highest(straight.path(0)), "the loss is no lower"


CHECKS = [check_ends, check_members, check_seeds, check_nothing_is_worn, check_cost, check_loss]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
@pytest.mark.parametrize("label", CASES)
def test_every_connector_keeps(label, check):
    check(CASES[label])


def test_every_connector_is_a_case():
    assert {label.split(",")[0] for label in CASES} == CONNECTORS.keys()
    assert all(type(kind) is CONNECTORS[label.split(",")[0]] for label, kind in CASES.items())


class Wrong(Connector):
    """The straight line bent at its middle by ``by``, at no cost."""

    def by(self, middle, problem):
        return middle

    def gradients(self, descent):
        return 1

    def moved(self, ends, problem):
        middle = between(ends, [0.5])
        params = {name: self.by(tensor, problem) for name, tensor in middle.params.items()}
        yield 1
        bend = Weights(params, middle.buffers, middle.origin)
        return Connection(stack([ends, bend]), (Route((0, 2, 1), (0.0, 0.5, 1.0)),))


class Common(Wrong):
    """Draws from the global generator."""

    def by(self, middle, problem):
        return middle + 0.1 * torch.randn(middle.shape)


class Deaf(Wrong):
    """Has one seed for all."""


class Pushing(Wrong):
    """Moves an end."""

    def moved(self, ends, problem):
        found = yield from super().moved(ends, problem)
        moved = {n: torch.cat([t[:1] + 1e-6, t[1:]]) for n, t in found.controls.params.items()}
        return Connection(Weights(moved, found.controls.buffers, found.controls.origin), found.routes)


class Halfway(Wrong):
    """Forgets a pair."""

    joins_many = True

    def moved(self, ends, problem):
        return Connection(ends, (Route((0, 1), (0.0, 1.0)), Route((0, 2), (0.0, 1.0))))
        yield 1


class Writing(Wrong):
    """Writes into the ends."""

    def moved(self, ends, problem):
        for tensor in ends.params.values():
            tensor.add_(1e-3)
        return (yield from super().moved(ends, problem))


class Careless(Wrong):
    """Goes where the loss is no lower."""

    def by(self, middle, problem):
        return middle + 1


@pytest.mark.parametrize(
    ("wrong", "check", "reason"),
    [
        (Common(), check_seeds, "global generator"),
        (Deaf(), check_seeds, "the seed must decide"),
        (Pushing(), check_ends, "an end was moved"),
        (Halfway(), check_ends, "has no path"),
        (Careless(), check_loss, "no lower"),
        (Halfway(), check_cost, "cost what it says"),
    ],
    ids=lambda given: getattr(given, "__name__", None) or str(given).split("(")[0],
)
def test_a_wrong_connector_is_rejected(wrong, check, reason):
    with pytest.raises(AssertionError, match=reason):
        check(wrong)


def test_a_connector_that_writes_into_the_ends_is_rejected():
    with pytest.MonkeyPatch.context() as patch:
        own = stack([solutions(2)])
        patch.setattr(f"{__name__}.solutions", lambda count: own)
        with pytest.raises(AssertionError, match="the ends were changed"):
            check_nothing_is_worn(Writing())
