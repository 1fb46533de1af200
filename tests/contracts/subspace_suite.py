"""What every subspace promises: checks of one signature, each of which raises ``AssertionError`` if it is not kept.

``expected`` holds the closed forms of this very subspace (``references.subspaces``).
"""

from dataclasses import fields, is_dataclass, replace

import numpy as np
import torch
from references.subspaces import masks, vectors

from modescape.core.weights import Trajectory, Weights, stack

DRAWS = {False: 600, True: 200}
"""By whether scales are uniform: the moments of fixed scales carry the shape, those of uniform ones a factor of 3."""

ROUNDING = 1e-6
"""Members are float32: a few roundings of 6e-8 for values up to about 3."""


def chance(seed=0):
    return torch.Generator().manual_seed(seed)


def sample(subspace, trajectory, problem, count, seed=0):
    return subspace.draw(subspace.fit(trajectory, problem), count, chance(seed))


def shortened(trajectory, length):
    return Trajectory(trajectory.weights[:length], trajectory.steps[:length], trajectory.seed_path)


def same(first, second):
    """Whether two stacks are equal bit for bit."""
    a, b = {**first.params, **first.buffers}, {**second.params, **second.buffers}
    return a.keys() == b.keys() and first.origin == second.origin and all(torch.equal(a[n], b[n]) for n in a)


def tensors_in(state, path=""):
    """Every tensor in a state, by the path to it."""
    if isinstance(state, torch.Tensor):
        return {path: state}
    if isinstance(state, Weights):
        return {f"{path}/{name}": tensor for name, tensor in {**state.params, **state.buffers}.items()}
    parts = {f.name: getattr(state, f.name) for f in fields(state)} if is_dataclass(state) else {}
    return {inner: t for name, part in parts.items() for inner, t in tensors_in(part, f"{path}/{name}").items()}


def check_moments(subspace, trajectory, problem, expected):
    """Mean of every weight, covariance of every pair and the sum of all variances, within 5 standard errors.

    The standard error of a mean over n draws is sqrt(S_ii / n). That of a covariance is the deviation of the n products
    over sqrt(n), as found and as it is for a scale times a Gaussian, whichever is larger: not every subspace is a
    Gaussian, and draws that happen to be short seem to have a small error. Chance alone fails the cases for none of 40
    other seeds.
    """
    count = DRAWS[subspace.uniform]
    apart = vectors(subspace, sample(subspace, trajectory, problem, count)) - expected.mean
    variances = np.diag(expected.covariance)
    off = np.abs(apart.mean(axis=0)) - 5 * np.sqrt(variances / count)
    assert (off <= ROUNDING).all(), f"mean: weights {np.flatnonzero(off > ROUNDING).tolist()} are off"
    products = apart[:, :, None] * apart[:, None, :]
    error = np.maximum(products.std(axis=0), product_deviation(expected.covariance, subspace.uniform)) / count**0.5
    beyond = np.abs(products.mean(axis=0) - expected.covariance) - 5 * error
    wrong = np.argwhere(beyond > ROUNDING**2)
    assert not len(wrong), f"covariance: {len(wrong)} of {beyond.size} pairs are off, first {wrong[:1].tolist()}"
    squares = (apart**2).sum(axis=1)
    excess = abs(squares.mean() - variances.sum()) - 5 * squares.std() / count**0.5
    assert excess <= ROUNDING**2 * len(variances), f"covariance: the sum of all variances is off, {squares.mean()}"


def product_deviation(covariance, uniform):
    """Of x_i x_j, for x = t g with a Gaussian g: E[t^4] / E[t^2]^2 is 9 / 5 for a uniform t, 1 for a fixed one."""
    squares = np.outer(np.diag(covariance), np.diag(covariance))
    return np.sqrt((9 / 5 if uniform else 1) * (squares + 2 * covariance**2) - covariance**2)


def check_scale_zero(subspace, trajectory, problem, expected):
    """Scale 0 draws the centre, bit for bit."""
    for uniform in (False, True):
        still = replace(subspace, scale=0.0, uniform=uniform)
        for row in vectors(subspace, sample(still, trajectory, problem, 3)):
            assert np.array_equal(row, expected.centre.astype(np.float32)), "scale 0 is not the centre"


def check_seeds(subspace, trajectory, problem, expected):
    """The generator decides about the draw, alone."""
    before = torch.get_rng_state()
    first, again, other = (sample(subspace, trajectory, problem, 3, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before), "the global generator was drawn from"
    assert same(first, again), "one seed drew two different stacks"
    varies = bool(expected.covariance.any())
    assert same(first, other) != varies, "the seed must decide wherever there is chance"
    assert same(first[0], first[1]) != varies, "members must differ wherever there is chance"


def check_chunks(subspace, trajectory, problem, expected):
    """Draws of 2 and of 4 from one generator are one draw of 6."""
    state, ticket = subspace.fit(trajectory, problem), chance()
    parts = stack([subspace.draw(state, 2, ticket), subspace.draw(state, 4, ticket)])
    assert same(parts, subspace.draw(state, 6, chance())), "members depend on how many are drawn at once"


def check_members(subspace, trajectory, problem, expected):
    """Drawn members are weights like the trajectory's; what does not vary is the solution's."""
    drawn, solution = sample(subspace, trajectory, problem, 3), trajectory.solution
    assert drawn.origin == solution.origin * 3, "members descend from another solution"
    for found, own in ((drawn.params, solution.params), (drawn.buffers, solution.buffers)):
        assert list(found) == list(own), "members have other tensors"
        for name, tensor in found.items():
            assert tensor.shape == (3, *own[name].shape[1:]), f"{name} has another shape"
            assert tensor.dtype == own[name].dtype, f"{name} has another dtype"
            assert tensor.isfinite().all(), f"{name} is not finite"
    kept = {n: t for n, t in solution.buffers.items() if n not in masks(solution)}
    kept |= solution.params if subspace.holds_masks else {}
    whole = {**drawn.params, **drawn.buffers}
    assert all(torch.equal(whole[n], t.expand_as(whole[n])) for n, t in kept.items()), "what does not vary has changed"


def check_nothing_is_worn(subspace, trajectory, problem, expected):
    """Neither drawing nor writing into what was drawn changes the state or the trajectory."""
    state = subspace.fit(trajectory, problem)
    watched = {**tensors_in(state, "state"), **tensors_in(trajectory.weights, "trajectory")}
    assert any(path.startswith("state") for path in watched), "there is no state to watch"
    before = {path: tensor.clone() for path, tensor in watched.items()}
    drawn = subspace.draw(state, 2, chance())
    for tensor in {**drawn.params, **drawn.buffers}.values():
        tensor.fill_(77)
    worn = [path for path, tensor in watched.items() if not torch.equal(tensor, before[path])]
    assert not worn, f"changed by drawing: {worn}"


def check_length(subspace, trajectory, problem, expected):
    """A trajectory that is too short is refused with what is needed and found; one just long enough is not."""
    needed = subspace.checkpoints_needed
    assert 1 <= needed < len(trajectory), "the trajectory of the suite must be longer than needed"
    exact = sample(subspace, shortened(trajectory, needed), problem, 2)
    assert np.isfinite(vectors(subspace, exact)).all(), "members of the shortest trajectory are not finite"
    if needed > 1:
        found = refusal(lambda: subspace.fit(shortened(trajectory, needed - 1), problem))
        assert f"needs {needed} checkpoints" in found, f"the refusal does not say what is needed: {found}"
        assert f"{trajectory.seed_path} has {needed - 1}" in found, f"the refusal does not say what is found: {found}"


def check_impossible_scales(subspace, trajectory, problem, expected):
    """No scale is below zero or without end."""
    for field in ("scale", "plane_scale"):
        for value in (-1.0, float("nan"), float("inf")):
            found = refusal(lambda field=field, value=value: replace(subspace, **{field: value}))
            assert found.startswith(f"{field} must"), f"{field} = {value} is refused without its name: {found}"


def check_state_ignores_scale(subspace, trajectory, problem, expected):
    """One state serves every scale: that of the diversity-accuracy plane is fitted once."""
    fixed = replace(subspace, scale=subspace.scale / 2, uniform=False)
    states = [s.fit(trajectory, problem) for s in (subspace, fixed, replace(subspace, uniform=not subspace.uniform))]
    first, *others = (fixed.draw(state, 2, chance()) for state in states)
    assert all(same(first, other) for other in others), "the state depends on the scale"


def refusal(action):
    """The message of the ``ValueError`` that an action must raise."""
    try:
        action()
    except ValueError as error:
        return str(error)
    raise AssertionError("nothing was refused")


CHECKS = (
    check_moments,
    check_scale_zero,
    check_seeds,
    check_chunks,
    check_members,
    check_nothing_is_worn,
    check_length,
    check_impossible_scales,
    check_state_ignores_scale,
)
