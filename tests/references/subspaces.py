"""Centre, mean and covariance that every subspace must have, from its definition: loops, numpy and scikit-learn.

A vector is what members vary in, tensor after tensor: their parameters, or their masks where the subspace draws masks.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA

from modescape.core.seeds import generator
from modescape.core.subspaces.random_direction import RandomDirection


@dataclass(frozen=True)
class Expected:
    """What scale 0 draws, and the two moments of what the subspace's own scale draws."""

    centre: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray


def masks(weights):
    """Name -> the masks of held dropout."""
    return {name: tensor for name, tensor in weights.buffers.items() if name.split(".")[-1].startswith("mask")}


def vectors(subspace, weights):
    """One row a member."""
    tensors = masks(weights) if subspace.holds_masks else weights.params
    rows = []
    for member in range(len(weights)):
        rows.append(np.concatenate([tensor[member].numpy().astype(np.float64).ravel() for tensor in tensors.values()]))
    return np.array(rows)


def scale_moments(subspace):
    """Mean of the scale and of its square."""
    s = subspace.scale
    return (s / 2, s * s / 3) if subspace.uniform else (s, s * s)


def over_rates(subspace, function):
    """Mean of a function of the scale: by the midpoint rule where scales are uniform."""
    if not subspace.uniform:
        return function(subspace.scale)
    middles = (np.arange(10_000) + 0.5) / 10_000 * subspace.scale
    return float(np.mean([function(t) for t in middles]))


def random_direction(subspace, trajectory, problem):
    """A direction uniform on the sphere in d dimensions has covariance identity / d."""
    solution = vectors(subspace, trajectory.weights)[-1]
    return Expected(solution, solution, scale_moments(subspace)[1] * np.eye(len(solution)) / len(solution))


def weight_dropout(subspace, trajectory, problem):
    """0 with probability r, w / (1 - r) otherwise: mean w, variance w^2 r / (1 - r)."""
    solution = vectors(subspace, trajectory.weights)[-1]
    odds = over_rates(subspace, lambda r: r / (1 - r))
    return Expected(solution, solution, np.diag([odds * w * w for w in solution]))


def activation_dropout(subspace, trajectory, problem):
    """A mask's entries have mean 1 and the variance scale^2 r / (1 - r), where r is the rate of its own layer."""
    weights, variances = trajectory.weights, []
    for name, mask in masks(weights).items():
        rate = float(weights.buffers[name.replace(name.split(".")[-1], "rate")][-1])
        variances += [scale_moments(subspace)[1] * rate / (1 - rate)] * mask[0].numel()
    ones = np.ones(len(variances))
    return Expected(ones, ones, np.diag(variances))


def diagonal_gaussian(subspace, trajectory, problem):
    """Mean and variance, over n, of each weight of the last checkpoints."""
    recent = vectors(subspace, trajectory.weights)[-subspace.last :]
    mean = recent.mean(axis=0)
    variance = [sum((x - m) ** 2 for x in column) / subspace.last for column, m in zip(recent.T, mean, strict=True)]
    return Expected(mean, mean, scale_moments(subspace)[1] * np.diag(variance))


def on_axes(subspace, points):
    """A Gaussian on the principal axes of the points, as scikit-learn finds them."""
    found = PCA(subspace.rank, svd_solver="full").fit(points)
    covariance = np.zeros((points.shape[1], points.shape[1]))
    for axis, variance in zip(found.components_, found.explained_variance_, strict=True):
        covariance += np.outer(axis, axis) * (variance if subspace.axes == "spread" else 1)
    return Expected(found.mean_, found.mean_, scale_moments(subspace)[1] * covariance)


def low_rank_gaussian(subspace, trajectory, problem):
    """The axes of the last checkpoints."""
    return on_axes(subspace, vectors(subspace, trajectory.weights)[-subspace.last :])


def random_pca(subspace, trajectory, problem):
    """The axes of the random members that are kept, drawn from the generator of their name, one after another."""
    chance = generator(problem.root, trajectory.seed_path, "random_pca")
    rule, kept = subspace.keep, []
    directions = RandomDirection(scale=subspace.distance, uniform=True)
    for _ in range(subspace.samples * rule.tries):
        drawn = directions.draw(trajectory.solution, 1, chance)
        if rule.least is None or problem.score(drawn) >= rule.least:
            kept.append(vectors(subspace, drawn)[0])
        if len(kept) == subspace.samples:
            break
    return on_axes(subspace, np.array(kept))


def weight_average(subspace, trajectory, problem):
    """A point on the line from the solution to the average: it varies only with its scale."""
    points = vectors(subspace, trajectory.weights)
    away = points[-subspace.last :].mean(axis=0) - points[-1]
    first, second = scale_moments(subspace)
    return Expected(points[-1], points[-1] + first * away, (second - first**2) * np.outer(away, away))


def swag(subspace, trajectory, problem):
    """Half the diagonal of variances, and half D D^T / (K - 1), D the last K deviations from the mean so far."""
    recent = vectors(subspace, trajectory.weights)[-subspace.last :]
    deviations = [point - recent[: i + 1].mean(axis=0) for i, point in enumerate(recent)][-subspace.rank :]
    low_rank = sum(np.outer(d, d) for d in deviations) / (subspace.rank - 1)
    mean, diagonal = recent.mean(axis=0), np.diag(recent.var(axis=0, ddof=0))
    return Expected(mean, mean, scale_moments(subspace)[1] * (diagonal + low_rank) / 2)


CLOSED_FORMS = {
    "random_direction": random_direction,
    "weight_dropout": weight_dropout,
    "activation_dropout": activation_dropout,
    "diagonal_gaussian": diagonal_gaussian,
    "low_rank_gaussian": low_rank_gaussian,
    "random_pca": random_pca,
    "weight_average": weight_average,
    "swag": swag,
}
"""Name in the catalogue -> ``closed_form(subspace, trajectory, problem)``."""
