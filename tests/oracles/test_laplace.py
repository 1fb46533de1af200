"""The Laplace subspace against closed forms, and against what every subspace promises."""

import copy
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from contracts import subspace_suite as suite
from references import toy
from references.subspaces import Expected, scale_moments, vectors
from sklearn import datasets
from torch import nn

from modescape.core.models.mlp import mlp
from modescape.core.models.plain_cnn import small_cnn
from modescape.core.models.signal_cnn import signal_cnn
from modescape.core.splits import Split, scaling_of
from modescape.core.subspaces.abstract import Problem
from modescape.core.subspaces.laplace import LARGEST_FULL, Laplace
from modescape.core.weights import Trajectory, Weights, load_into, of_module, stack
from modescape.studies.diversity_accuracy import DiversityAccuracy

LAST = ("5.weight", "5.bias")
PRIOR = 2.0
CASES = {
    f"{weights}, {structure}": Laplace(scale=0.7, weights=weights, structure=structure, prior_precision=PRIOR)
    for weights in ("last_layer", "all")
    for structure in ("kron", "full", "diag")
}


def network(plain=False):
    """35 weights, dropout and batch-norm (which kron of all weights cannot take), the last layer dense."""
    between = [nn.Identity(), nn.Identity()] if plain else [nn.BatchNorm1d(4), nn.Dropout(0.5)]
    return nn.Sequential(nn.Flatten(), nn.Linear(2, 4), between[0], nn.ReLU(), between[1], nn.Linear(4, 3))


def walk(plain, length=3):
    """Checkpoints at random, with statistics of batch-norm that are those of no data."""
    chance, checkpoints = suite.chance(3), []
    for _ in range(length):
        start = of_module(network(plain), origin=7)
        params = {name: torch.randn(tensor.shape, generator=chance) for name, tensor in start.params.items()}
        buffers = {name: tensor + 1 for name, tensor in start.buffers.items()}
        checkpoints.append(Weights(params, buffers, (7,)))
    return Trajectory(stack(checkpoints), tuple(range(length)), "member/7")


def a_problem(plain=False, count=300):
    """More examples than one batch; integers, so that what is not scaled shows."""
    inputs = torch.randint(0, 17, (count, 2), generator=suite.chance(4))
    train = Split(inputs, torch.randint(0, 3, (count,), generator=suite.chance(5)))
    return Problem(network(plain), train, scaling_of("standard", inputs), None, root=11)


def jacobians(trajectory, problem):
    """For every example: d logits / d weights, the curvature of the loss, and the inputs of dense layers."""
    net = copy.deepcopy(problem.network).double().eval()
    load_into(net, trajectory.solution, 0)
    seen = {}
    for name, layer in net.named_modules():
        if isinstance(layer, nn.Linear):
            layer.register_forward_hook(lambda _, given, out, name=name: seen.update({name: given[0][0].detach()}))
    for row in problem.scaling(problem.train.inputs).double():
        logits = net(row[None])[0]
        grads = [torch.autograd.grad(value, list(net.parameters()), retain_graph=True) for value in logits]
        jacobian = torch.stack([torch.cat([part.flatten() for part in parts]) for parts in grads])
        chances = logits.detach().softmax(0)
        yield jacobian, torch.diag(chances) - torch.outer(chances, chances), dict(seen)


def precision(subspace, trajectory, problem):
    """Precision of all weights without the prior: sum of J^T (diag(p) - p p^T) J, or its approximation."""
    spans, start = {}, 0
    for name, tensor in trajectory.weights.params.items():
        spans[name] = slice(start, start + tensor[0].numel())
        start += tensor[0].numel()
    full, squares, count = torch.zeros(start, start).double(), {}, len(problem.train)
    for jacobian, curvature, inputs in jacobians(trajectory, problem):
        full += jacobian.T @ curvature @ jacobian
        for name, given in inputs.items():
            squares[name] = squares.get(name, 0) + torch.outer(given, given) / count
    if subspace.structure == "full":
        return full.numpy(), spans
    if subspace.structure == "diag":
        return full.diagonal().diag().numpy(), spans
    kron = torch.zeros_like(full)
    for name, square in squares.items():
        # a bias is added to the layer's output, so its block is the curvature of that output
        weight, bias = spans[f"{name}.weight"], spans[f"{name}.bias"]
        kron[bias, bias] = full[bias, bias]
        kron[weight, weight] = torch.kron(full[bias, bias], square)
    return kron.numpy(), spans


def closed_form(subspace, trajectory, problem):
    """Inverse of the precision of the weights that move; nothing for the others."""
    found, spans = precision(subspace, trajectory, problem)
    solution = vectors(subspace, trajectory.weights)[-1]
    moving = np.concatenate([np.arange(len(solution))[s] for n, s in spans.items() if n in LAST or free(subspace)])
    covariance = np.zeros_like(found)
    block = np.ix_(moving, moving)
    covariance[block] = np.linalg.inv(found[block] + subspace.prior_precision * np.eye(len(moving)))
    return Expected(solution, solution, scale_moments(subspace)[1] * covariance)


def free(subspace):
    return subspace.weights == "all"


@cache
def case(label, uniform=False):
    """The four arguments of a check."""
    subspace = replace(CASES[label], uniform=uniform)
    plain = label == "all, kron"
    return subspace, walk(plain), a_problem(plain), closed_form(subspace, walk(plain), a_problem(plain))


@pytest.mark.parametrize("check", suite.CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
@pytest.mark.parametrize("uniform", [False, True], ids=["fixed", "uniform"])
@pytest.mark.parametrize("label", CASES)
def test_laplace_keeps_what_every_subspace_promises(label, uniform, check):
    check(*case(label, uniform))


@pytest.mark.parametrize("label", CASES)
def test_moments_of_thousands_of_members_are_those_of_the_closed_form(label, monkeypatch):
    monkeypatch.setattr(suite, "DRAWS", {False: 4000})
    suite.check_moments(*case(label))


@pytest.mark.parametrize("label", CASES)
def test_another_prior_would_show(label, monkeypatch):
    monkeypatch.setattr(suite, "DRAWS", {False: 4000})
    subspace, trajectory, problem, _ = case(label)
    other = closed_form(replace(subspace, prior_precision=1.5 * PRIOR), trajectory, problem)
    with pytest.raises(AssertionError, match="covariance"):
        suite.check_moments(subspace, trajectory, problem, other)


@pytest.mark.parametrize("structure", ["kron", "full", "diag"])
def test_the_last_layer_moves_alone(structure):
    subspace, trajectory, problem, _ = case(f"last_layer, {structure}")
    drawn, solution = suite.sample(subspace, trajectory, problem, 3), trajectory.solution
    moved = [n for n, t in solution.params.items() if not torch.equal(drawn.params[n], t.expand_as(drawn.params[n]))]
    assert moved == list(LAST)
    assert all(not torch.equal(drawn.params[name][i], solution.params[name][0]) for name in LAST for i in range(3))


def test_the_prior_maximises_the_marginal_likelihood():
    subspace, trajectory, problem, _ = case("last_layer, full")
    found = replace(subspace, prior_precision=None).fit(trajectory, problem).fitted.prior_precision.item()
    hessian, spans = precision(subspace, trajectory, problem)
    values = np.linalg.eigvalsh(hessian[spans[LAST[0]].start :, spans[LAST[0]].start :])
    size = float(sum(trajectory.solution.params[name].double().square().sum() for name in LAST))
    grid = np.exp(np.linspace(np.log(1e-3), np.log(1e3), 100_000))
    # Terms of the Laplace evidence that the prior decides: its log density at the solution and two log determinants.
    evidence = len(values) * np.log(grid) - grid * size - sum(np.log(grid + value) for value in values)
    assert found == pytest.approx(grid[evidence.argmax()], rel=0.02)


def test_a_share_of_the_examples_stands_for_all():
    subspace, trajectory, problem, _ = case("last_layer, full")
    few = replace(subspace, examples=25)
    assert not torch.equal(few.fit(trajectory, problem).fitted.H, subspace.fit(trajectory, problem).fitted.H)
    same = replace(problem, train=Split(problem.train.inputs[:1].expand(300, 2), problem.train.targets[:1].expand(300)))
    one, all_of_them = (s.fit(trajectory, same).fitted.posterior_precision for s in (few, subspace))
    # sums of 25 and of 300 equal float32 numbers
    assert torch.allclose(one, all_of_them, rtol=1e-4, atol=1e-4)
    again = (few.fit(trajectory, replace(problem, root=root)).fitted.H for root in (11, 12))
    assert not torch.equal(*again), "the examples must be chosen by the root"


@pytest.mark.parametrize("label", CASES)
def test_fit_and_the_scratch_network_leave_each_other_alone(label):
    subspace, trajectory, problem, _ = case(label)
    own = copy.deepcopy(problem.network).train()
    before = of_module(own, origin=0)
    state = subspace.fit(trajectory, replace(problem, network=own))
    assert suite.same(of_module(own, origin=0), before)
    assert own.training
    drawn = subspace.draw(state, 2, suite.chance())
    with torch.no_grad():
        for tensor in own.double().parameters():
            tensor.fill_(9)
    assert suite.same(subspace.draw(state, 2, suite.chance()), drawn)


def test_fit_neither_hears_nor_moves_the_global_generator():
    subspace, trajectory, problem, _ = case("all, diag")
    states = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        states.append(replace(subspace, prior_precision=None, examples=50).fit(trajectory, problem))
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(*(state.fitted.posterior_precision for state in states))


def test_without_a_problem_there_is_no_curvature():
    subspace, trajectory, _, _ = case("all, diag")
    with pytest.raises(ValueError, match="laplace needs the network and the training data"):
        subspace.fit(trajectory)


@pytest.mark.parametrize(
    ("net", "shape", "subspace", "message"),
    [
        (network(), (2,), Laplace(weights="all"), r"cannot take all \+ kron of this network: .*un-supported layers"),
        (signal_cnn((1, 8), 3), (1, 8), Laplace(weights="all"), r"cannot take all \+ kron of this network"),
        (nn.Sequential(network(), nn.ReLU()), (2,), Laplace(), r"cannot take last_layer \+ kron .* linear last layer"),
        (mlp((1, 8, 8), 10), (1, 8, 8), Laplace(weights="all", structure="full"), f"at most {LARGEST_FULL} weights"),
    ],
)
def test_networks_that_the_library_does_not_know_are_refused(net, shape, subspace, message):
    inputs = torch.rand(8, *shape, generator=suite.chance())
    problem = Problem(net, Split(inputs, torch.zeros(8).long()), scaling_of("raw", inputs), None, root=0)
    with pytest.raises(ValueError, match=message):
        subspace.fit(Trajectory(of_module(net, origin=0), (0,), "member/0"), problem)


@pytest.mark.parametrize("weights", ["last_layer", "all"])
def test_kernels_in_another_memory_format_change_nothing(weights):
    """Studies hand over networks whose kernels lie channels last, which are no flat views."""
    images = Split(torch.rand(40, 3, 8, 8, generator=suite.chance()), torch.arange(40) % 4)
    net = small_cnn((3, 8, 8), 4, channels=(5, 6))
    trajectory = Trajectory(of_module(net, origin=0), (0,), "member/0")
    subspace = Laplace(weights=weights, structure="kron", prior_precision=PRIOR)
    drawn = []
    for layout in (torch.contiguous_format, torch.channels_last):
        problem = Problem(net.to(memory_format=layout), images, scaling_of("raw", images.inputs), None, root=0)
        drawn.append(subspace.draw(subspace.fit(trajectory, problem), 2, suite.chance(1)))
    for name, tensor in drawn[0].params.items():
        # the same numbers, summed in the same order
        assert torch.equal(tensor, drawn[1].params[name])


def test_a_study_draws_from_it():
    context = toy.context_of(2, laplace=Laplace(prior_precision=PRIOR))
    study = DiversityAccuracy(subspaces=("laplace",), count=3, ensemble=2, draws=100)
    _, tables = toy.performed(context, study)
    rows = [row for row in tables["plane"].rows() if row["kind"] == "laplace"]
    assert len(rows) == 6
    assert max(row["scale"] for row in rows) == Laplace().plane_scale
    assert 0 < max(row["disagreement"] for row in rows) <= 1


def trained(scaling):
    """A perceptron after 100 steps on 500 digits, its problem, and the other digits."""
    bunch = datasets.load_digits()
    images, targets = torch.from_numpy(bunch.images).byte()[:, None], torch.from_numpy(bunch.target).long()
    train, scale = Split(images[:500], targets[:500]), scaling_of(scaling, images[:500])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = mlp((1, 8, 8), 10, widths=(30,))
    optimiser = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(100):
        optimiser.zero_grad()
        nn.functional.cross_entropy(net(scale(train.inputs)), train.targets).backward()
        optimiser.step()
    trajectory = Trajectory(of_module(net, origin=0), (100,), "member/0")
    return trajectory, Problem(net, train, scale, None, root=0), Split(images[500:], targets[500:])


@pytest.mark.parametrize("scaling", ["raw", "standard"])
@pytest.mark.parametrize("structure", ["kron", "full", "diag"])
def test_members_of_a_trained_network_know_digits_and_disagree(structure, scaling):
    trajectory, problem, test = trained(scaling)

    def classes(weights):
        found = []
        for member in range(len(weights)):
            load_into(problem.network, weights, member)
            found.append(problem.network(problem.scaling(test.inputs)).argmax(dim=1))
        return torch.stack(found)

    def accuracy(weights):
        return classes(weights).eq(test.targets).double().mean(dim=1)

    near, wide = Laplace(structure=structure, scale=0.3), Laplace(structure=structure, scale=1.0)
    own = accuracy(trajectory.solution).item()
    drawn = suite.sample(near, trajectory, problem, 10)
    assert own > 0.85
    assert accuracy(drawn).min() > own - 0.1
    assert 0.01 < (classes(drawn)[0] != classes(drawn)[1]).double().mean() < 0.2
    assert 0.2 < accuracy(suite.sample(wide, trajectory, problem, 10)).mean() < accuracy(drawn).mean()
