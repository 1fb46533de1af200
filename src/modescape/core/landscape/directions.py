"""Directions of weight space: stacks of weights with parameters in float64 and no buffers, as a cross-section's basis.

Filters are normalised as by Li et al. 2018 (arXiv 1712.09913), and several directions stand at right angles.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from modescape.core.landscape.cross_section import line
from modescape.core.landscape.mean_loss import MeanLoss
from modescape.core.settings import require
from modescape.core.shapes import Float
from modescape.core.splits import Scaling, Split
from modescape.core.weights import Weights, inner_products

Normalisation = Literal["filter", "tensor", "whole", "none"]
Others = Literal["zero", "normalise"]

_DEPENDENT = 1e-8
"""Least eigenvalue of the directions' cosines at which they are still told apart."""

_STRAIGHT = 1e-14
"""Cosine that is nothing but rounding."""


def between(start: Weights, end: Weights) -> Weights:
    """The direction from one solution to another, both stacks of one, as long as they are apart."""
    return line(start, end).basis


def stacked(vectors: Float[Tensor, "direction weight"], like: Weights) -> Weights:
    """Vectors, each with the parameters in the order of ``weights.flatten``, as directions around a stack of one."""
    sizes = [tensor[0].numel() for tensor in like.params.values()]
    require(vectors.shape[1] == sum(sizes), f"vectors of {vectors.shape[1]} numbers for {sum(sizes)} weights")
    pieces = zip(like.params.items(), vectors.split(sizes, dim=1), strict=True)
    params = {name: piece.reshape(len(vectors), *tensor.shape[1:]) for (name, tensor), piece in pieces}
    return Weights(params, {}, like.origin[:1] * len(vectors))


def random_directions(
    centre: Weights,
    count: int,
    generator: torch.Generator,
    normalisation: Normalisation = "filter",
    others: Others = "zero",
) -> Weights:
    """Random directions around a stack of one: normal numbers of mean zero, normalised, at right angles.

    What is normalised: every ``filter`` (the weights of one unit: an entry of the first axis of a tensor with two or
    more) or every ``tensor`` to the norm that it has in the centre; the ``whole`` vector to 1; or ``none``, whose
    directions keep the length that was drawn. ``others`` says what becomes of tensors with one axis or none, such as
    biases and the parameters of normalisation layers: ``zero`` does not move them (as Li et al. by default),
    ``normalise`` draws them as well and treats each as one filter. What is zero in the centre does not move, unless
    ``whole`` or ``none``.

    A filter's directions are at right angles within the filter, where it has as many weights as there are directions,
    so all of them are, and every norm is exact. Filters with fewer weights (such as a scalar) cannot do so; what their
    cosines sum to is taken back by an equal tilt in all other filters, which changes no norm either. Only where
    the others are too few for that, norms give way: every direction loses what it shares with those before it,
    as whole vectors, and keeps its whole length. So cosines are below 1e-12 in every case.

    The first direction is the same however many are asked for. Raises ``ValueError`` if nothing would move, or
    if directions at right angles do not exist.
    """
    _check(centre, count, normalisation, others)
    moving = [name for name, tensor in centre.params.items() if others == "normalise" or tensor.ndim > 2]
    require(
        len(moving) > 0,
        "no tensor has two or more axes, so that no weight would move; take others = 'normalise' for these",
    )
    drawn = [_normal(centre, moving, generator) for _ in range(count)]
    draws = {name: torch.stack([one[name] for one in drawn]) for name in moving}
    blocks = list(_blocks(centre, draws, normalisation))
    made = _unflattened(_at_right_angles(blocks), centre, moving, normalisation)
    params = {
        name: made[name] if name in made else torch.zeros(count, *t.shape[1:], dtype=torch.float64, device=t.device)
        for name, t in centre.params.items()
    }
    return _straight(Weights(params, {}, centre.origin * count))


@dataclass(frozen=True)
class PrincipalDirections:
    """Unit directions along which checkpoints lie, the widest first, and the share of the squared distance of each.

    ``centre`` is the stack of one that distances are taken from.
    """

    centre: Weights
    directions: Weights
    shares: Float[Tensor, " direction"]


def principal_axes(weights: Weights, count: int, about: Literal["mean", "last"] = "mean") -> PrincipalDirections:
    """The first principal axes of checkpoints, by the Gram matrix of as many rows as there are checkpoints.

    Distances are taken from the checkpoints' mean, or from the ``last`` one (as Li et al. 2018 do). A centre that is
    a mean has the last checkpoint's buffers, which describe no such network: recompute batch-norm statistics. Of each
    axis the largest share is positive. Raises ``ValueError`` if the checkpoints span fewer axes.
    """
    require(count >= 1, f"count must be at least 1 axis, got {count}")
    require(
        count <= len(weights) - 1,
        f"{count} principal axes need {count + 1} checkpoints, got {len(weights)}; lower count or record more",
    )
    require(about in ("mean", "last"), f"about must be 'mean' or 'last', got {about!r}")
    middle = {
        n: (t.double().mean(dim=0)[None] if about == "mean" else t[-1:].double()) for n, t in weights.params.items()
    }
    apart = Weights({name: tensor - middle[name] for name, tensor in weights.params.items()}, {}, weights.origin)
    values, vectors = torch.linalg.eigh(inner_products(apart))
    values, vectors = values.flip(0).clamp(min=0), vectors.flip(1)
    spanned = int((values > 1e-12 * values[0]).sum())
    require(
        count <= spanned,
        f"{count} principal axes asked for, but the {len(weights)} checkpoints span {spanned}; lower count",
    )
    chosen = vectors[:, :count]
    largest = chosen.gather(0, chosen.abs().argmax(dim=0, keepdim=True))
    mixing = (chosen * largest.sign() / values[:count].sqrt()).T
    axes = {n: (mixing @ t.reshape(len(t), -1)).reshape(count, *t.shape[1:]) for n, t in apart.params.items()}
    directions = _straight(Weights(axes, {}, weights.origin[-1:] * count))
    centre = Weights(
        {name: middle[name].to(tensor) for name, tensor in weights.params.items()},
        {name: tensor[-1:] for name, tensor in weights.buffers.items()},
        weights.origin[-1:],
    )
    return PrincipalDirections(centre, directions, values[:count] / values.sum())


def gradient(module: nn.Module, weights: Weights, split: Split, scaling: Scaling) -> Weights:
    """The gradient of the mean cross-entropy at a stack of one: nats for each unit of a weight, uphill.

    In evaluation mode, over all examples of the split. The eigenvectors of its Hessian are those of
    ``curvature.top_eigenpairs``.
    """
    _, found = MeanLoss(module, weights, split, scaling).gradient()
    return stacked(found[None].to(next(iter(weights.params.values())).device), weights)


def _check(centre: Weights, count: int, normalisation: str, others: str) -> None:
    require(len(centre) == 1, f"the centre is a stack of one, got {len(centre)} members")
    require(count >= 1, f"count must be at least 1 direction, got {count}")
    for name, value, choices in (
        ("normalisation", normalisation, ("filter", "tensor", "whole", "none")),
        ("others", others, ("zero", "normalise")),
    ):
        require(value in choices, f"{name} must be one of {', '.join(choices)}, got {value!r}")


def _normal(centre: Weights, moving: list[str], generator: torch.Generator) -> dict[str, Tensor]:
    """One direction's numbers, tensor by tensor in the centre's order."""
    found = {}
    for name in moving:
        like = centre.params[name]
        drawn = torch.randn(like.shape[1:], generator=generator, dtype=torch.float64, device=generator.device)
        found[name] = drawn.to(like.device)
    return found


@dataclass(frozen=True)
class _Block:
    """Filters of one size: their draws, and the length that each direction is to have in each filter."""

    draws: Float[Tensor, "filter direction weight"]
    lengths: Float[Tensor, "filter direction"]

    @property
    def roomy(self) -> bool:
        """Whether directions can be at right angles within such a filter."""
        return self.draws.shape[2] >= self.draws.shape[1]


def _blocks(centre: Weights, draws: dict[str, Tensor], normalisation: Normalisation) -> Iterator[_Block]:
    if normalisation in ("whole", "none"):
        rows = torch.cat([tensor.reshape(len(tensor), -1) for tensor in draws.values()], dim=1)[None]
        lengths = rows.norm(dim=2)
        yield _Block(rows, torch.ones_like(lengths) if normalisation == "whole" else lengths)
        return
    for name, drawn in draws.items():
        count, tensor = len(drawn), centre.params[name][0].double()
        filters = len(tensor) if normalisation == "filter" and tensor.ndim >= 2 else 1
        rows = drawn.reshape(count, filters, -1).transpose(0, 1)
        yield _Block(rows, tensor.reshape(filters, -1).norm(dim=1)[:, None].expand(filters, count))


def _at_right_angles(blocks: list[_Block]) -> list[Float[Tensor, "filter direction weight"]]:
    """Every block's directions at their lengths; whole vectors at right angles where tilting can make them so."""
    made: list[Tensor | None] = [None if block.roomy else _scaled(block.draws, block.lengths) for block in blocks]
    count, device = blocks[0].draws.shape[1], blocks[0].draws.device
    tight = [part.transpose(0, 1).flatten(1) for part in made if part is not None]
    left = sum((rows @ rows.T for rows in tight), torch.zeros(count, count, dtype=torch.float64, device=device))
    room = sum(float(block.lengths[:, 0].square().sum()) for block in blocks if block.roomy)
    gram = -(left - left.diagonal().diag()) / (room or 1.0) + torch.eye(count, dtype=torch.float64, device=device)
    factor: Tensor
    factor, failed = torch.linalg.cholesky_ex(gram)
    if int(failed) or not room:
        factor = torch.eye(count, dtype=torch.float64, device=device)
    return [
        factor @ _frame(block.draws) * block.lengths[..., None] if part is None else part
        for block, part in zip(blocks, made, strict=True)
    ]


def _scaled(rows: Float[Tensor, "filter direction weight"], lengths: Float[Tensor, "filter direction"]) -> Tensor:
    scaled: Tensor = rows * (lengths / rows.norm(dim=2))[..., None]
    return scaled


def _frame(draws: Float[Tensor, "filter direction weight"]) -> Float[Tensor, "filter direction weight"]:
    """Unit rows at right angles, each the draw without what it shares with those before it (Gram and Schmidt)."""
    columns, upper = torch.linalg.qr(draws.transpose(1, 2))
    rows: Tensor = (columns * upper.diagonal(dim1=1, dim2=2).sign()[:, None]).transpose(1, 2)
    return rows


def _unflattened(
    made: list[Tensor], centre: Weights, moving: list[str], normalisation: Normalisation
) -> dict[str, Float[Tensor, "direction ..."]]:
    shapes = {name: centre.params[name].shape[1:] for name in moving}
    if normalisation in ("whole", "none"):
        pieces = list(made[0][0].split([shape.numel() for shape in shapes.values()], dim=1))
    else:
        pieces = [part.transpose(0, 1) for part in made]
    return {n: piece.reshape(piece.shape[0], *shapes[n]) for n, piece in zip(moving, pieces, strict=True)}


def _straight(directions: Weights) -> Weights:
    """Each direction without what it shares with those before it (Gram and Schmidt), as long as it was.

    Those that are at right angles but for rounding stay as they are.
    """
    for _ in range(4):
        gram = inner_products(directions)
        norm = gram.diagonal().sqrt()
        require(bool((norm > 0).all()), "a direction has no length: the centre is zero wherever it could move")
        cosines = gram / torch.outer(norm, norm)
        unit = torch.eye(len(norm)).to(cosines)
        if float((cosines - unit).abs().max()) < _STRAIGHT:
            break
        require(
            float(torch.linalg.eigvalsh(cosines)[0]) > _DEPENDENT,
            f"{len(norm)} directions at right angles do not exist: too few weights move; lower count",
        )
        turn = torch.linalg.solve_triangular(torch.linalg.cholesky(cosines), unit, upper=False)
        turn = turn * torch.outer(norm, 1 / norm)
        params = {n: (turn @ t.reshape(len(t), -1)).reshape(t.shape) for n, t in directions.params.items()}
        directions = Weights(params, {}, directions.origin)
    return directions
