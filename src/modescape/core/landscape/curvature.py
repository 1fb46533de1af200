"""Curvature at a solution: extreme eigenvalues, trace and spectral density of the Hessian of its mean loss.

All by products of the Hessian with vectors. Numbers are those of the examples that the loss is a mean over, and no
estimate for others.
"""

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from modescape.core.landscape.directions import stacked
from modescape.core.landscape.mean_loss import MeanLoss
from modescape.core.settings import require
from modescape.core.shapes import Float
from modescape.core.weights import Weights, flatten

DENSE = 128
"""Weights up to which the whole Hessian is taken: iterations need some room, and gain nothing here."""

TOGETHER_BYTES = 2**29
"""Memory at most for the vectors of probes that are iterated at once."""

_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-8}
_SYMMETRIC = 1e-3
"""How far from symmetric products may be, over the largest eigenvalue: more than rounding and tolerance make."""


@dataclass(frozen=True)
class Eigenpairs:
    """Eigenvalues, the largest first, each with its error, and their eigenvectors as directions of unit length.

    The Hessian has an eigenvalue within ``error`` of ``value``: the error is the norm of H v - value v. In nats for
    each squared unit of a weight. Vectors are in float64, of each the largest entry positive.
    """

    values: Float[Tensor, " pair"]
    errors: Float[Tensor, " pair"]
    vectors: Weights


def top_eigenpairs(loss: MeanLoss, count: int, generator: torch.Generator) -> Eigenpairs:
    """The ``count`` largest eigenvalues of the Hessian, with their sign, the largest first.

    By ARPACK's restarted Lanczos iteration from a start of the generator; of few weights, from the whole matrix.
    Raises ``ValueError`` where the products are not those of a symmetric matrix or the iteration does not converge.
    """
    return _extreme(loss, count, generator, 1.0, 0.0)


def bottom_eigenpairs(loss: MeanLoss, count: int, generator: torch.Generator, top: float) -> Eigenpairs:
    """The ``count`` smallest eigenvalues of the Hessian, with their sign, the largest of them first.

    ``top`` is the largest, or a bound above it. Errors are relative to the width of the spectrum: near zero
    eigenvalues crowd, and none of them could be found to a fraction of itself.
    """
    return _extreme(loss, count, generator, -1.0, top)


def trace_samples(loss: MeanLoss, probes: int, generator: torch.Generator, known: Eigenpairs) -> Iterator[float]:
    """Samples whose mean is the trace of the Hessian: the known eigenvalues, and Hutchinson's estimate of all others.

    A probe has entries of 1 and -1, less what lies along the known eigenvectors; these need not be exact, but at right
    angles. So the largest eigenvalues add nothing to the spread of the samples.
    """
    require(probes >= 1, f"probes must be at least 1, got {probes}")
    own = flatten(known.vectors).to(loss.device)
    for _ in range(probes):
        probe = _signs(loss, generator)
        probe = probe - (own @ probe) @ own
        yield float(known.values.sum()) + float(probe @ loss.products(probe[None])[0])


@dataclass(frozen=True)
class Quadrature:
    """What one probe v tells of the spectrum: v^T f(H) v is about the sum of ``weights * f(nodes)``.

    Exact where f is a polynomial of degree 2 n - 1 at most, n the number of nodes. The weights sum to 1.
    """

    nodes: Float[Tensor, " node"]
    weights: Float[Tensor, " node"]

    def below(self, value: float) -> float:
        """The weight of nodes below a value: of a probe's mean, the fraction of eigenvalues there."""
        return float(self.weights[self.nodes < value].sum())


def quadratures(
    loss: MeanLoss, probes: int, steps: int, generator: torch.Generator, known: Eigenpairs | None = None
) -> Iterator[Quadrature]:
    """One quadrature for each random probe; their mean is that of the density of eigenvalues.

    Stochastic Lanczos quadrature (Ubaru, Chen and Saad 2017; for networks Ghorbani et al. 2019, arXiv 1901.10159): the
    entries of a probe are 1 and -1, over the root of their number. ``known`` eigenvalues are nodes of their own, each
    with the weight of one eigenvalue, and probes have no part along their eigenvectors: what chance decides about is
    the rest alone. How many probes are iterated at once changes nothing but rounding.
    """
    require(probes >= 1, f"probes must be at least 1, got {probes}")
    require(steps >= 1, f"steps must be at least 1, got {steps}")
    own = None if known is None else flatten(known.vectors).to(loss.device)
    require(own is None or len(own) < loss.size, "all eigenvalues are known: there is nothing left for a probe")
    together = max(1, TOGETHER_BYTES // (8 * loss.size * min(steps, loss.size)))
    for first in range(0, probes, together):
        drawn = torch.stack([_signs(loss, generator) for _ in range(min(together, probes - first))])
        rest = drawn if own is None else drawn - (drawn @ own.T) @ own
        for found in lanczos(loss, rest, steps):
            yield found if known is None else _joined(known, found, loss.size)


def _joined(known: Eigenpairs, found: Quadrature, size: int) -> Quadrature:
    one = torch.full_like(known.values, 1 / size)
    weights = torch.cat([found.weights * (1 - len(one) / size), one])
    nodes, order = torch.cat([found.nodes, known.values]).sort()
    return Quadrature(nodes, weights[order])


def lanczos(loss: MeanLoss, vectors: Float[Tensor, "vector weight"], steps: int) -> list[Quadrature]:
    """The quadrature of each vector by so many steps of Lanczos, fewer where the vector spans no more.

    Every new vector is made orthogonal to all before it, twice. The nodes are the eigenvalues of the tridiagonal
    matrix, the weights the squares of the *first* entries of its eigenvectors.
    """
    rows = vectors.double().to(loss.device)
    norms = rows.norm(dim=1, keepdim=True)
    require(bool((norms > 0).all()), "a probe is zero")
    count = min(steps, loss.size)
    at_work = [_Iteration(row, count, _noise(loss)) for row in rows / norms]
    for _ in range(count):
        going = [one for one in at_work if not one.ended]
        if not going:
            break
        images = loss.products(torch.stack([one.current for one in going]))
        for one, image in zip(going, images, strict=True):
            one.advance(image)
    return [one.quadrature() for one in at_work]


def density(quadrature: Quadrature, grid: Float[Tensor, " point"], width: float) -> Float[Tensor, " point"]:
    """The density of eigenvalues that one probe tells, for each unit of eigenvalue: it integrates to 1.

    Every node is drawn as a Gaussian of standard deviation ``width``, which adds its square to the variance.
    """
    require(width > 0, f"width must be above 0, got {width}")
    apart = (grid.double()[:, None] - quadrature.nodes.to(grid.device)) / width
    peaks = torch.exp(-apart.square() / 2) / (width * (2 * torch.pi) ** 0.5)
    result: Tensor = peaks @ quadrature.weights.to(grid.device)
    return result


class _Iteration:
    """Lanczos from one unit vector: its basis, and the tridiagonal matrix."""

    def __init__(self, start: Float[Tensor, " weight"], count: int, noise: float) -> None:
        self.basis = torch.empty(count, len(start), dtype=torch.float64, device=start.device)
        self.basis[0] = start
        self.diagonal: list[float] = []
        self.beside: list[float] = []
        self.noise, self.ended = noise, False

    @property
    def current(self) -> Float[Tensor, " weight"]:
        """The vector whose image is asked for."""
        return self.basis[len(self.diagonal)]

    def advance(self, image: Float[Tensor, " weight"]) -> None:
        """Take the image of the current vector."""
        place = len(self.diagonal)
        known = self.basis[: place + 1]
        shares = known @ image
        rest = image - shares @ known
        rest = rest - (known @ rest) @ known
        self.diagonal.append(float(shares[place]))
        length = float(rest.norm())
        scale = max(float(shares.abs().max()), max(map(abs, self.diagonal)), length)
        leak = float(shares[: max(0, place - 1)].abs().max()) if place > 1 else 0.0
        _require_symmetric(leak, scale)
        self.ended = place + 1 == len(self.basis) or length <= self.noise * scale
        if not self.ended:
            self.beside.append(length)
            self.basis[place + 1] = rest / length

    def quadrature(self) -> Quadrature:
        """Nodes and weights."""
        diagonal = torch.tensor(self.diagonal, dtype=torch.float64)
        beside = torch.tensor(self.beside, dtype=torch.float64)
        matrix = diagonal.diag() + beside.diag(1) + beside.diag(-1)
        nodes, vectors = torch.linalg.eigh(matrix)
        return Quadrature(nodes, vectors[0].square())


def _extreme(loss: MeanLoss, count: int, generator: torch.Generator, sign: float, shift: float) -> Eigenpairs:
    """The largest eigenvalues of ``sign * H + shift``, as those of H."""
    require(1 <= count <= loss.size, f"count must be from 1 to {loss.size}, the number of weights, got {count}")
    if loss.size <= DENSE or count > loss.size // 4:
        matrix = loss.products(torch.eye(loss.size, dtype=torch.float64))
        _require_symmetric(float((matrix - matrix.T).abs().max()), float(matrix.abs().max()))
        values, columns = torch.linalg.eigh(matrix + matrix.T)
        ends = columns.T[-count:] if sign > 0 else columns.T[:count]
    else:
        ends = _by_arpack(loss, count, generator, sign, shift)
    vectors, _ = torch.linalg.qr(ends.to(loss.device).T)
    rows = vectors.T
    images = loss.products(rows)
    products = rows @ images.T
    scale = max(float(images.norm(dim=1).max()), abs(shift))
    _require_symmetric(float((products - products.T).abs().max()), scale)
    # Rayleigh and Ritz: of all vectors in the span these come nearest to eigenvectors.
    values, turn = torch.linalg.eigh((products + products.T) / 2)
    rows, images, values = (turn.T @ rows).flip(0), (turn.T @ images).flip(0), values.flip(0)
    errors = (images - values[:, None] * rows).norm(dim=1)
    require(
        float(errors.max()) <= _SYMMETRIC * scale,
        f"the eigenvalues are not found: off by {float(errors.max()):.2g} of {scale:.2g}; the products are not those "
        "of a symmetric matrix (a custom autograd function?), or too coarse: take float64",
    )
    peak = rows.gather(1, rows.abs().argmax(dim=1, keepdim=True))
    home = next(iter(loss.weights.params.values())).device
    return Eigenpairs(values.cpu(), errors.cpu(), stacked((rows * peak.sign()).to(home), loss.weights))


def _by_arpack(
    loss: MeanLoss, count: int, generator: torch.Generator, sign: float, shift: float
) -> Float[Tensor, "pair weight"]:
    from scipy.sparse import linalg

    def image(vector: np.ndarray) -> np.ndarray:
        row = torch.from_numpy(np.array(vector, dtype=np.float64)).reshape(1, -1).to(loss.device)
        result: np.ndarray = (sign * loss.products(row)[0] + shift * row[0]).cpu().numpy()
        return result

    start = _signs(loss, generator).cpu().numpy()
    require(
        bool(np.any(image(start) != shift * start)),
        "the Hessian is zero: the loss is so flat here that its curvature rounds to nothing; take float64",
    )
    operator: Any = linalg.LinearOperator((loss.size, loss.size), matvec=image, dtype=np.float64)
    # Counted from the other end of the spectrum, the smallest must be found to a smaller part of what is counted.
    tolerance = _TOLERANCE[loss.dtype] * (1.0 if sign > 0 else 0.1)
    room = min(loss.size, max(2 * count + 1, 20))
    # Where its start spans too little, newer versions draw another vector.
    fresh: dict[str, Any] = {}
    if "rng" in inspect.signature(linalg.eigsh).parameters:
        fresh["rng"] = np.random.default_rng(generator.initial_seed())
    try:
        _, columns = linalg.eigsh(operator, count, which="LA", v0=start, ncv=room, tol=tolerance, maxiter=300, **fresh)
    except linalg.ArpackError as error:
        raise ValueError(f"the extreme eigenvalues are not found ({error}); ask for fewer, or take float64") from error
    return torch.from_numpy(columns.T.copy())


def _require_symmetric(apart: float, scale: float) -> None:
    require(
        apart <= _SYMMETRIC * scale,
        f"the products are not those of a symmetric matrix (off by {apart:.2g} of {scale:.2g}): the network has second "
        "derivatives that are wrong, as of a custom autograd function",
    )


def _signs(loss: MeanLoss, generator: torch.Generator) -> Float[Tensor, " weight"]:
    """Numbers that are 1 or -1 (Rademacher), in float64."""
    drawn = torch.randint(0, 2, (loss.size,), generator=generator, device=generator.device)
    return (2.0 * drawn.double() - 1.0).to(loss.device)


def _noise(loss: MeanLoss) -> float:
    """What remains of a vector that lies in the span of others, over the largest eigenvalue."""
    return 100 * torch.finfo(loss.dtype).eps


def moments(quadratures: Sequence[Quadrature], power: int) -> Float[Tensor, " probe"]:
    """For each probe the mean of a power of the eigenvalues; times the number of weights, the trace of that power."""
    return torch.stack([(one.weights * one.nodes**power).sum() for one in quadratures])
