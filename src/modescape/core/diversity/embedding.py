"""Predictions as points of a plane: an exact isometric reduction, then PCA, t-SNE or MDS; and how pure it is."""

import inspect
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from modescape.core.settings import require
from modescape.core.shapes import Float, Int


def isometric(points: Float[Tensor, "point dimension"]) -> Float[Tensor, "point axis"]:
    """The same points in as many dimensions as there are points, all distances kept (float64).

    Principal axes by the Gram matrix of the centred points: with 200 checkpoints and 100,000 numbers each that is
    hundreds of times smaller. Axes are ordered by spread and their signs fixed (the largest coordinate is positive).
    """
    mean = points.double().mean(dim=0)
    gram = torch.zeros(len(points), len(points), dtype=torch.float64, device=points.device)
    for columns, centre in zip(points.split(2**14, dim=1), mean.split(2**14), strict=True):
        wide = columns.double() - centre
        gram += wide @ wide.T
    values, axes = torch.linalg.eigh(gram)
    order = values.argsort(descending=True)
    axes = axes[:, order] * values[order].clamp(min=0).sqrt()
    largest = axes.gather(0, axes.abs().argmax(dim=0, keepdim=True))
    signed: Tensor = axes * torch.where(largest < 0, -1.0, 1.0)
    return signed


@dataclass(frozen=True)
class Embedding:
    """Points of a plane, and what the method says of its own fit (NaN where it says nothing).

    ``divergence`` is the Kullback-Leibler divergence that t-SNE ended with, in nats; ``explained`` the fraction of the
    variance that two principal axes keep; ``stress`` the normalised stress of MDS (Kruskal's stress-1, 0 is exact).
    """

    points: Float[Tensor, "point 2"]
    divergence: float = torch.nan
    explained: float = torch.nan
    stress: float = torch.nan


def pca(reduced: Float[Tensor, "point axis"]) -> Embedding:
    """The two principal axes of points that ``isometric`` reduced."""
    variance = reduced.square().sum(dim=0)
    plane = torch.zeros(len(reduced), 2, dtype=reduced.dtype)
    plane[:, : min(2, reduced.shape[1])] = reduced[:, :2]
    total = float(variance.sum())
    return Embedding(plane, explained=float(variance[:2].sum()) / total if total > 0 else 1.0)


def tsne(reduced: Float[Tensor, "point axis"], perplexity: float, seed: int) -> Embedding:
    """scikit-learn's t-SNE of points that ``isometric`` reduced, with its default settings and a seeded random start.

    A random start is the paper's choice, and repeating it over seeds shows what the picture owes to chance.
    """
    from sklearn.manifold import TSNE

    require(
        0 < perplexity < len(reduced), f"perplexity must lie between 0 and the {len(reduced)} points, got {perplexity}"
    )
    method = TSNE(2, perplexity=perplexity, init="random", random_state=seed, n_jobs=1)
    points = method.fit_transform(reduced.to(torch.float32).numpy())
    return Embedding(torch.from_numpy(points.astype(np.float64)), divergence=float(method.kl_divergence_))


def mds(reduced: Float[Tensor, "point axis"], seed: int) -> Embedding:
    """scikit-learn's metric multidimensional scaling (SMACOF) of reduced points, from one seeded random start."""
    from sklearn.manifold import MDS

    wanted = torch.pdist(reduced.double())
    if not wanted.any():
        return Embedding(torch.zeros(len(reduced), 2, dtype=torch.float64), stress=0.0)
    # The start was random before there was a choice; later versions warn that it will change.
    known = inspect.signature(MDS.__init__).parameters
    start = {"init": "random"} if "init" in known else {}
    method = MDS(2, n_init=1, random_state=seed, normalized_stress="auto", **start)
    # Reduced points are centred, so the last axis is empty; without it the matrix is not square, which the library
    # takes for a table of distances and warns of.
    points = torch.from_numpy(method.fit_transform(reduced[:, :-1].double().numpy()).astype(np.float64))
    missed = (torch.pdist(points) - wanted).square().sum()
    return Embedding(points, stress=float((missed / wanted.square().sum()).sqrt()))


def nearest_neighbour_purity(
    points: Float[Tensor, "point dimension"], labels: Int[Tensor, " point"], rows: Int[Tensor, " row"] | None = None
) -> float:
    """Fraction of points, or of those in ``rows``, whose nearest other point has the same label.

    The neighbour may be any point. Needs at least two points.
    """
    require(len(points) >= 2, f"purity needs at least two points, got {len(points)}")
    # The plain way, not by products: close points far from the origin would swap neighbours by rounding.
    distance = torch.cdist(points.double(), points.double(), compute_mode="donot_use_mm_for_euclid_dist")
    distance.fill_diagonal_(torch.inf)
    same = labels[distance.argmin(dim=1)] == labels
    return float((same if rows is None else same[rows]).double().mean())
