"""The variational subspace against closed forms, a slow twin, and what every subspace promises."""

import copy
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from contracts import subspace_suite as suite
from references import toy
from references.subspaces import Expected, scale_moments, vectors
from torch import nn

from modescape.core.models.plain_cnn import small_cnn
from modescape.core.splits import Split, scaling_of
from modescape.core.subspaces.abstract import Problem
from modescape.core.subspaces.variational import Variational
from modescape.core.weights import Trajectory, Weights, load_into, of_module, stack
from modescape.studies.diversity_accuracy import DiversityAccuracy

QUICK = Variational(scale=0.7, epochs=2, batch=64, rate=0.01, initial_deviation=0.3)
STARTS = ("solution", "initialisation")


def network(dropped=0.5):
    """35 weights, dropout and batch-norm."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(2, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout(dropped), nn.Linear(4, 3)
    )


def walk(build=network, length=3):
    """Checkpoints at random, with statistics of batch-norm that differ along the way."""
    chance, checkpoints = suite.chance(3), []
    for place in range(length):
        start = of_module(build(), origin=7)
        params = {name: torch.randn(tensor.shape, generator=chance) for name, tensor in start.params.items()}
        buffers = {name: tensor + 1 + place for name, tensor in start.buffers.items()}
        checkpoints.append(Weights(params, buffers, (7,)))
    return Trajectory(stack(checkpoints), tuple(range(length)), "member/7")


def a_problem(build=network, count=150):
    """Integers, so that what is not scaled shows; the last batch of 64 is not whole."""
    inputs = torch.randint(0, 17, (count, 2), generator=suite.chance(4))
    targets = (inputs[:, 0] > 8).long() + (inputs.sum(1) > 20).long()
    return Problem(build(), Split(inputs, targets), scaling_of("standard", inputs), None, root=11)


def of_state(state, subspace):
    """Mean and deviation as rows of numbers."""
    return (vectors(subspace, weights)[0] for weights in (state.mean, state.deviation))


@cache
def case(start, uniform=False):
    """The four arguments of a check: draws are those of a Gaussian with the fitted moments."""
    subspace, trajectory, problem = replace(QUICK, start=start, uniform=uniform), walk(), a_problem()
    mean, deviation = of_state(subspace.fit(trajectory, problem), subspace)
    covariance = scale_moments(subspace)[1] * np.diag(deviation**2)
    return subspace, trajectory, problem, Expected(mean, mean, covariance)


@pytest.mark.parametrize("check", suite.CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
@pytest.mark.parametrize("uniform", [False, True], ids=["fixed", "uniform"])
@pytest.mark.parametrize("start", STARTS)
def test_variational_keeps_what_every_subspace_promises(start, uniform, check):
    check(*case(start, uniform))


@pytest.mark.parametrize("start", STARTS)
def test_the_fit_begins_where_it_says_and_moves(start):
    subspace, trajectory, problem, _ = case(start)
    origin = vectors(subspace, trajectory.weights)[0 if start == "initialisation" else -1]
    mean, deviation = of_state(replace(subspace, rate=1e-6).fit(trajectory, problem), subspace)
    # four steps of Adam at 1e-6, and roundings of 2e-7 for values up to 3
    assert np.allclose(mean, origin, atol=6e-6, rtol=0)
    assert np.allclose(deviation, 0.3, rtol=6e-6)
    mean, deviation = of_state(subspace.fit(trajectory, problem), subspace)
    # four steps of Adam, of 0.01 each while gradients keep their sign
    assert 0.01 < np.abs(mean - origin).max() < 0.05
    assert 0.01 < np.abs(np.log(deviation / 0.3)).max() < 0.05


def linear():
    """A softmax over three classes, linear in two inputs."""
    return nn.Sequential(nn.Flatten(), nn.Linear(2, 3))


def gradients_and_curvatures(weights, inputs, targets):
    """Of the sum of cross-entropies, for each draw of the nine weights and each weight: numpy, no differentiation."""
    kernels, biases = weights[:, :6].reshape(-1, 3, 2), weights[:, 6:]
    logits = np.einsum("dci,ni->dnc", kernels, inputs) + biases[:, None]
    chances = np.exp(logits - logits.max(axis=2, keepdims=True))
    chances /= chances.sum(axis=2, keepdims=True)
    apart, spread = chances - np.eye(3)[targets], chances * (1 - chances)
    first = [np.einsum("dnc,ni->dci", apart, inputs).reshape(-1, 6), apart.sum(axis=1)]
    second = [np.einsum("dnc,ni->dci", spread, inputs**2).reshape(-1, 6), spread.sum(axis=1)]
    return np.concatenate(first, axis=1), np.concatenate(second, axis=1)


def optimum(inputs, targets, prior, temperature):
    """The slow twin: the fixed point that the best Gaussian is (Opper and Archambeau 2009, equations 6 and 7).

    Its mean has E[gradient] = 0 and its precisions are E[curvature] / temperature, of the log likelihood and the prior.
    """
    noise = np.random.default_rng(0).standard_normal((400, 9))
    noise = np.concatenate([noise, -noise])
    mean, precision = np.zeros(9), np.full(9, prior**-2)
    for _ in range(60):
        first, second = gradients_and_curvatures(mean + noise / np.sqrt(precision), inputs, targets)
        gradient, curvature = first.mean(axis=0) + mean / prior**2, second.mean(axis=0) + prior**-2
        mean, precision = mean - 0.3 * gradient / curvature, 0.5 * precision + 0.5 * curvature / temperature
    return mean, precision**-0.5


def at_zero():
    """A trajectory whose solution is all zeros."""
    found = walk(linear)
    zeros = {name: torch.zeros_like(tensor) for name, tensor in found.weights.params.items()}
    return replace(found, weights=Weights(zeros, {}, found.weights.origin))


def half_at_random():
    """Targets that nobody can tell: classes that are apart pull weights far away, where Adam takes long to arrive."""
    problem = a_problem(linear, count=60)
    targets = problem.train.targets.clone()
    targets[::2] = torch.randint(0, 3, (30,), generator=suite.chance(5))
    return replace(problem, train=replace(problem.train, targets=targets))


@pytest.mark.parametrize(("prior", "temperature"), [(0.5, 1.0), (0.15, 1.0), (0.5, 0.1)])
def test_the_best_gaussian_of_a_linear_softmax_is_found(prior, temperature):
    problem = half_at_random()
    inputs = problem.scaling(problem.train.inputs).double().numpy()
    best_mean, best_deviation = optimum(inputs, problem.train.targets.numpy(), prior, temperature)
    subspace = Variational(
        epochs=1000, batch=1000, rate=3e-3, prior_deviation=prior, temperature=temperature, initial_deviation=0.1
    )
    mean, deviation = of_state(subspace.fit(at_zero(), problem), subspace)
    # Adam never rests: its last steps are worth some rates of 0.003; the twin's draws err by less.
    assert np.allclose(deviation, best_deviation, rtol=0.06)
    assert np.allclose(mean, best_mean, atol=0.04)
    # neither the prior nor the data may decide alone
    assert (best_deviation < 0.9 * prior * temperature**0.5).all()
    assert np.abs(best_mean).max() > 0.15


@pytest.mark.parametrize(("prior", "temperature"), [(0.5, 1.0), (2.0, 1.0), (0.5, 0.04)])
def test_weights_that_no_data_speak_of_have_the_prior(prior, temperature):
    """Mean 0 and deviation prior * sqrt(temperature), whatever the others do."""
    problem = a_problem(linear)
    blind = problem.train.inputs.clone()
    blind[:, 1] = 0
    problem = replace(problem, train=Split(blind, problem.train.targets), scaling=scaling_of("raw", blind))
    spread = prior * temperature**0.5
    subspace = Variational(
        epochs=1000,
        batch=1000,
        rate=5e-3,
        prior_deviation=prior,
        temperature=temperature,
        initial_deviation=0.5 * spread,
    )
    state = subspace.fit(at_zero(), problem)
    # at the optimum this estimate of the gradient has no noise; Adam approaches it with steps of 0.005
    assert torch.allclose(state.deviation.params["1.weight"][0, :, 1], torch.tensor(spread), rtol=0.03)
    assert torch.allclose(state.mean.params["1.weight"][0, :, 1], torch.tensor(0.0), atol=0.05 * spread)
    assert state.deviation.params["1.weight"][0, :, 0].max() < 0.6 * spread


@pytest.mark.parametrize("batch", [1000, 4])
def test_what_is_minimised_is_the_negative_evidence_lower_bound(batch):
    """Steps too small to move anything leave 300 estimates of it at the start, whose mean is known otherwise."""
    trajectory, problem = walk(linear), a_problem(linear, count=12)
    still = replace(QUICK, epochs=300, batch=batch, rate=1e-12, prior_deviation=0.8, temperature=0.7)
    still = replace(still, initial_deviation=0.1)
    found = np.array(still.fit(trajectory, problem).losses)
    inputs, targets = problem.scaling(problem.train.inputs).double().numpy(), problem.train.targets.numpy()
    mean = vectors(still, trajectory.solution)[0]
    draws = mean + 0.1 * np.random.default_rng(1).standard_normal((3000, 9))
    logits = np.einsum("dci,ni->dnc", draws[:, :6].reshape(-1, 3, 2), inputs) + draws[:, None, 6:]
    picked = np.take_along_axis(logits, targets[None, :, None], axis=2)[:, :, 0]
    losses = (np.log(np.exp(logits).sum(axis=2)) - picked).mean(axis=1)
    # The cross-entropy of the prior and T times the entropy, nine weights each, for each of 12 examples.
    prior = 0.5 * ((mean**2 + 0.1**2) / 0.8**2 + np.log(2 * np.pi * 0.8**2)).sum()
    entropy = 9 * 0.5 * np.log(2 * np.pi * np.e * 0.1**2)
    error = (found.var() / len(found) + losses.var() / len(losses)) ** 0.5
    assert abs(found.mean() - losses.mean() - (prior - 0.7 * entropy) / 12) < 4 * error
    # neither term of the bound may be lost in that error
    assert min(abs(prior), abs(0.3 * entropy)) / 12 > 8 * error


def test_the_bound_rises():
    subspace, trajectory, problem, _ = case("solution")
    losses = replace(subspace, epochs=60).fit(trajectory, problem).losses
    assert len(losses) == 60
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:3])


def test_the_colder_the_narrower():
    widths = []
    for temperature in (1.0, 0.01):
        cold = replace(QUICK, epochs=1000, batch=1000, rate=3e-3, prior_deviation=0.5, temperature=temperature)
        subspace = replace(cold, initial_deviation=0.1)
        _, deviation = of_state(subspace.fit(at_zero(), half_at_random()), subspace)
        widths.append(np.median(deviation))
    # a Gaussian's deviation goes with the root of the temperature: by a tenth
    assert 0.05 < widths[1] / widths[0] < 0.2


def test_chance_is_that_of_the_root_and_the_seed_path():
    subspace, trajectory, problem, _ = case("solution")
    first, again, root, path = (
        subspace.fit(t, p)
        for t, p in (
            (trajectory, problem),
            (trajectory, problem),
            (trajectory, replace(problem, root=12)),
            (replace(trajectory, seed_path="member/8"), problem),
        )
    )
    assert suite.same(first.mean, again.mean)
    assert suite.same(first.deviation, again.deviation)
    assert first.losses == again.losses
    assert not suite.same(first.mean, root.mean)
    assert not suite.same(first.mean, path.mean)


def test_steps_roots_and_seed_paths_do_not_share_their_noise():
    """Without a step's weight and with all examples in a batch, estimates differ by their noise alone."""
    still = Variational(epochs=3, batch=1000, rate=1e-12, initial_deviation=0.4)
    trajectory, problem = walk(linear), a_problem(linear)
    losses = [
        *still.fit(trajectory, problem).losses,
        *still.fit(replace(trajectory, seed_path="member/8"), problem).losses,
        *still.fit(trajectory, replace(problem, root=12)).losses,
    ]
    # nine numbers between about 2 and 4, whose order of summation moves them by 1e-6
    assert np.diff(sorted(losses)).min() > 1e-4


def test_fit_neither_hears_nor_moves_the_global_generator_nor_heeds_whether_gradients_are_on():
    subspace, trajectory, problem, _ = case("solution")
    states = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        with torch.set_grad_enabled(seed == 0):
            states.append(subspace.fit(trajectory, problem))
        assert torch.equal(torch.get_rng_state(), before)
    assert suite.same(states[0].mean, states[1].mean)
    assert not any(t.requires_grad for s in states for t in suite.tensors_in(s).values())


def test_fit_and_the_scratch_network_leave_each_other_alone():
    subspace, trajectory, problem, _ = case("solution")
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


def test_nothing_is_dropped_and_batch_norm_keeps_the_solutions_statistics():
    """The fit is that of a network without dropout whose batch-norm is a plain map by the solution's statistics."""
    subspace, trajectory, problem, _ = case("initialisation")
    found = subspace.fit(trajectory, problem)

    class Still(nn.BatchNorm1d):
        def forward(self, values):
            kept = trajectory.solution.buffers
            mean, variance = kept["2.running_mean"][0], kept["2.running_var"][0]
            return (values - mean) / (variance + self.eps).sqrt() * self.weight + self.bias

    plain = network(dropped=0.0)
    plain[2] = Still(4)
    expected = subspace.fit(trajectory, replace(problem, network=plain))
    for name, tensor in found.mean.params.items():
        # four steps of 0.01 whose float32 sums round otherwise
        assert torch.allclose(tensor, expected.mean.params[name], atol=1e-5)


def test_an_epoch_is_a_permutation_and_what_is_left_over_stays_out():
    subspace, _, problem, _ = case("solution")
    numbered = replace(problem.train, inputs=torch.arange(300.0).reshape(150, 2))
    problem = replace(problem, train=numbered, scaling=scaling_of("raw", numbered.inputs))
    epochs = []
    for epoch in range(2):
        batches = [inputs[:, 0].tolist() for inputs, _ in subspace._batches(problem, "member/7", epoch)]
        assert [len(batch) for batch in batches] == [64, 64]
        assert len({row for batch in batches for row in batch}) == 128
        epochs.append(batches)
    assert epochs[0] != epochs[1]
    streamed = replace(problem, train=replace(numbered, stream_to=torch.device("cpu")))
    assert epochs[0] == [inputs[:, 0].tolist() for inputs, _ in subspace._batches(streamed, "member/7", 0)]


def test_a_fit_that_diverges_is_told():
    subspace, trajectory, problem, _ = case("solution")
    with pytest.raises(ValueError, match=r"variational diverged in epoch [01]; lower rate or initial_deviation"):
        replace(subspace, rate=1e30).fit(trajectory, problem)


def test_kernels_in_another_memory_format_change_nothing():
    """Studies hand over networks whose kernels lie channels last."""
    images = Split(torch.rand(40, 3, 8, 8, generator=suite.chance()), torch.arange(40) % 4)
    net = small_cnn((3, 8, 8), 4, channels=(5, 6))
    trajectory = Trajectory(of_module(net, origin=0), (0,), "member/0")
    drawn = []
    for layout in (torch.contiguous_format, torch.channels_last):
        problem = Problem(net.to(memory_format=layout), images, scaling_of("raw", images.inputs), None, root=0)
        drawn.append(QUICK.draw(QUICK.fit(trajectory, problem), 2, suite.chance(1)))
    for name, tensor in drawn[0].params.items():
        # two steps of Adam at 0.01, whose float32 sums may round otherwise
        assert torch.allclose(tensor, drawn[1].params[name], atol=1e-4)


def test_a_study_draws_from_it():
    context = toy.context_of(2, variational=Variational(epochs=2, batch=16))
    study = DiversityAccuracy(subspaces=("variational",), count=3, ensemble=2, draws=100)
    _, tables = toy.performed(context, study)
    rows = [row for row in tables["plane"].rows() if row["kind"] == "variational"]
    assert len(rows) == 6
    assert max(row["scale"] for row in rows) == Variational().plane_scale


def test_members_predict_and_a_fit_makes_a_poor_solution_better():
    """From random weights to a classifier: the mean's accuracy on the data rises far."""
    trajectory, problem = walk(linear), a_problem(linear)

    def accuracy(weights):
        load_into(problem.network, weights, 0)
        with torch.no_grad():
            found = problem.network(problem.scaling(problem.train.inputs)).argmax(dim=1)
        return float(found.eq(problem.train.targets).double().mean())

    subspace = Variational(epochs=200, batch=50, rate=0.01, temperature=0.1)
    state = subspace.fit(trajectory, problem)
    assert accuracy(state.mean) > 0.9 > 0.7 > accuracy(trajectory.solution)
    assert accuracy(subspace.draw(state, 1, suite.chance())) > 0.8
