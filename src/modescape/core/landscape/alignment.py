"""Align a network with another: its hidden units in the order that makes the two most alike, and what that changes.

By weights as in Ainsworth et al. 2022 (Git Re-Basin, arXiv 2209.04836): groups of units in turn, each by the linear
assignment that adds most to the inner product of the two weight vectors. By activations as in Li et al. 2015
(Convergent Learning, arXiv 1511.07543): units whose values on the same examples go together.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from modescape.core.evaluation import Scratch, placed, scaled_chunks
from modescape.core.landscape.symmetry import (
    Group,
    Permutations,
    Place,
    Symmetry,
    compose,
    identity,
    permute,
    random_permutations,
)
from modescape.core.models.lean import TOLERANCE
from modescape.core.models.tracing import traced
from modescape.core.predictions import predict_all
from modescape.core.settings import require
from modescape.core.shapes import Float
from modescape.core.splits import Scaling, Split
from modescape.core.weights import Weights, load_into

SWEEPS = 100
"""Rounds over all groups at most; a handful are enough."""


@dataclass(frozen=True)
class Match:
    """Permutations that align a network, and the inner product of permuted tensors: at first and whenever it grew."""

    permutations: Permutations
    objective: tuple[float, ...]


def match_weights(
    symmetry: Symmetry, reference: Weights, moved: Weights, generator: torch.Generator, starts: int = 3
) -> Match:
    """Permutations of ``moved`` (a stack of one, like ``reference``) by which its parameters are most like the other's.

    Coordinate descent in float64, which never makes it worse and ends where no single group can be improved: the best
    of several starts. The first goes through the network in order and looks at tensors of which all other units have
    their places; it finds an exact copy. The second starts from the order as it is, the others from random orders.
    """
    require(starts >= 1, f"matching weights needs at least 1 start, got {starts}")
    require(len(reference) == len(moved) == 1, f"expected stacks of one, got {len(reference)} and {len(moved)} members")
    odd = sorted(reference.params.keys() ^ moved.params.keys())
    require(not odd, f"weights of another architecture: they do not have the same tensors: {odd[:5]}")
    descent = _Descent(symmetry, reference, moved)
    best: Match | None = None
    for start in range(starts):
        first = _first_guess(descent) if start == 0 else identity(symmetry)
        if start > 1:
            first = random_permutations(symmetry, generator)
        found = descent.run(first, generator)
        if best is None or found.objective[-1] > best.objective[-1]:
            best = found
    assert best is not None
    return best


class _Descent:
    """The tensors that hold units, as float64, and what is gained by moving a group's."""

    def __init__(self, symmetry: Symmetry, reference: Weights, moved: Weights) -> None:
        self.symmetry = symmetry
        names = {place.tensor for group in symmetry.groups for place in group.places} & reference.params.keys()
        self.reference = {name: reference.params[name].double().cpu() for name in sorted(names)}
        self.moved = Weights({name: moved.params[name].double().cpu() for name in sorted(names)}, {}, moved.origin)
        # Statistics of batch norm hold units too, but are no weights.
        self.groups = tuple(
            Group(g.name, g.size, tuple(p for p in g.places if p.tensor in names), g.node, g.node_axis)
            for g in symmetry.groups
        )

    def alone(self, number: int) -> Symmetry:
        """One group as a symmetry of its own."""
        return Symmetry((self.groups[number],), ())

    def permuted(self, permutations: Permutations) -> Weights:
        return permute(self.moved, Symmetry(self.groups, ()), permutations)

    def agreement(self, current: Weights, tensors: Sequence[str]) -> float:
        return sum(float((self.reference[name] * current.params[name]).sum()) for name in tensors)

    def gains(self, current: Weights, group: Group, places: Sequence[Place]) -> Float[Tensor, "unit moved"]:
        """What each unit adds in each place of the reference, as long as all other groups stay where they are."""
        total = torch.zeros(group.size, group.size, dtype=torch.float64)
        for place in places:
            own = _rows(self.reference[place.tensor], group, place)
            total += own @ _rows(current.params[place.tensor], group, place).T
        return total

    def run(self, start: Permutations, generator: torch.Generator) -> Match:
        current, permutations = self.permuted(start), list(start)
        reached = [self.agreement(current, list(self.reference))]
        for _ in range(SWEEPS):
            improved = False
            for number in torch.randperm(len(self.groups), generator=generator).tolist():
                group = self.groups[number]
                order = best_assignment(self.gains(current, group, group.places))
                proposed = permute(current, self.alone(number), (order,))
                touched = sorted({place.tensor for place in group.places})
                before, after = self.agreement(current, touched), self.agreement(proposed, touched)
                # A group on two axes of one tensor moves twice, and so may lose where it was promised to gain; and what
                # rounding gains is no gain.
                if after > before + 1e-12 * abs(before):
                    current, improved = proposed, True
                    permutations[number] = compose((permutations[number],), (order,))[0]
                    reached.append(reached[-1] + after - before)
            if not improved:
                break
        return Match(tuple(permutations), tuple(reached))


def _first_guess(descent: _Descent) -> Permutations:
    """Group after group in the order of the network, by tensors in which all other units have their places already."""
    homes: dict[str, set[tuple[int, int]]] = {}
    for number, group in enumerate(descent.groups):
        for place in group.places:
            homes.setdefault(place.tensor, set()).add((number, place.axis))
    current, permutations = descent.moved, list[Tensor]()
    for number, group in enumerate(descent.groups):

        def settled(place: Place, number: int = number) -> bool:
            return all(other < number or (other, axis) == (number, place.axis) for other, axis in homes[place.tensor])

        order = best_assignment(descent.gains(current, group, [place for place in group.places if settled(place)]))
        current = permute(current, descent.alone(number), (order,))
        permutations.append(order)
    return tuple(permutations)


def _rows(tensor: Float[Tensor, "1 *shape"], group: Group, place: Place) -> Float[Tensor, "unit entry"]:
    """All entries of a tensor that belong to each unit of a group at one place."""
    stop = place.offset + group.size * place.block
    return tensor[0].movedim(place.axis, 0)[place.offset : stop].reshape(group.size, -1)


def best_assignment(gains: Float[Tensor, "unit moved"]) -> Tensor:
    """For every row the column of its own by which the sum is largest (a permutation, int64)."""
    from scipy.optimize import linear_sum_assignment

    _, columns = linear_sum_assignment(gains.numpy(), maximize=True)
    return torch.from_numpy(columns).long()


def match_activations(
    module: nn.Module, symmetry: Symmetry, members: tuple[Weights, Weights], split: Split, scaling: Scaling
) -> Permutations:
    """Permutations of the second of two stacks of one by which its units correlate most with the first's.

    The activations of a group are those of its ``node`` on these examples, every position of a map an observation; sums
    are float64. A unit that never varies correlates with none. The module is left as it is.
    """
    require(len(split) > 1, "matching activations needs at least two examples")
    networks = [_Listener(module, symmetry, member, split) for member in members]
    sums = [_Sums(group.size) for group in symmetry.groups]
    for inputs in scaled_chunks(split, scaling):
        heard = [network.activations(inputs) for network in networks]
        for group_sums, first, second in zip(sums, *heard, strict=True):
            group_sums.add(first, second)
    return tuple(best_assignment(group_sums.correlations().cpu()) for group_sums in sums)


class _Listener(fx.Interpreter):
    """A copy of a network that keeps the activations of every group's node."""

    def __init__(self, module: nn.Module, symmetry: Symmetry, member: Weights, split: Split) -> None:
        network = placed(copy.deepcopy(module), split)
        load_into(network, member, 0)
        root, graph = traced(network)
        super().__init__(root, graph=graph)
        self.groups = symmetry.groups
        self._wanted = {group.node for group in symmetry.groups}
        self._heard: dict[str, Tensor] = {}

    @torch.no_grad()
    def activations(self, inputs: Float[Tensor, "example *shape"]) -> list[Tensor]:
        """For every group the activations [observation, unit] in float64."""
        self.run(inputs)
        return [self._heard[group.node].movedim(group.node_axis, -1).reshape(-1, group.size) for group in self.groups]

    def run_node(self, n: fx.Node) -> Any:
        """See ``fx.Interpreter``."""
        value = super().run_node(n)
        if n.name in self._wanted:
            # Copied, since a layer that works in place may follow.
            self._heard[n.name] = value.double()
        return value


class _Sums:
    """What correlations between two networks' units need."""

    def __init__(self, size: int) -> None:
        self.count = 0
        self.means, self.squares = torch.zeros(2, 2, size, dtype=torch.float64)
        self.products = torch.zeros(size, size, dtype=torch.float64)

    def add(self, first: Float[Tensor, "observation unit"], second: Float[Tensor, "observation unit"]) -> None:
        self.count += len(first)
        self.means += torch.stack([first.sum(dim=0), second.sum(dim=0)]).cpu()
        self.squares += torch.stack([first.square().sum(dim=0), second.square().sum(dim=0)]).cpu()
        self.products += (first.T @ second).cpu()

    def correlations(self) -> Float[Tensor, "unit unit"]:
        means = self.means / self.count
        # Of numbers as far from 0 as they spread, rounding leaves some 1e-16 of their squares.
        variance = self.squares / self.count - means.square()
        still = variance <= 1e-12 * self.squares / self.count
        covariance = self.products / self.count - torch.outer(means[0], means[1])
        factor = torch.where(still, 0.0, variance.clamp(min=0).rsqrt())
        return covariance * torch.outer(factor[0], factor[1])


@dataclass(frozen=True)
class Proof:
    """How far a permuted network is from the one that it was: what would be nothing but for rounding.

    ``disagreement`` is the fraction of examples with another predicted class, ``difference`` the largest difference of
    a logit, ``largest`` the largest logit. It ``holds`` where rounding explains the difference; then another class can
    win only where two logits are as close as that.
    """

    disagreement: float
    difference: float
    largest: float
    holds: bool


def prove(module: nn.Module | Scratch, members: tuple[Weights, Weights], split: Split, scaling: Scaling) -> Proof:
    """Compare a member with its permuted copy (stacks of one) on every example of a split.

    Rounding may differ, since sums are in another order: by ``TOLERANCE`` of the largest logit at most.
    """
    scratch = module if isinstance(module, Scratch) else Scratch(module, split, scaling)
    one, other = (predict_all(lambda: scratch, member, split, scaling)[0].double() for member in members)
    difference, largest = float((one - other).abs().max()), float(one.abs().max())
    disagreement = float((one.argmax(dim=1) != other.argmax(dim=1)).double().mean())
    return Proof(disagreement, difference, largest, difference <= TOLERANCE * largest)


def barrier(losses: Float[Tensor, "*row point"], positions: Float[Tensor, " point"]) -> Float[Tensor, "*row"]:
    """How far the loss along a line rises above the straight line between its ends' losses, at most (never below 0).

    As in Entezari et al. 2022 (arXiv 2110.06296); ``positions`` run from 0 to 1, float64.
    """
    require(len(positions) >= 2, f"a barrier needs both ends of a line, got {len(positions)} points")
    ends = bool(positions[0] == 0) and bool(positions[-1] == 1)
    require(ends, f"positions run from 0 to 1, got {float(positions[0]):g} to {float(positions[-1]):g}")
    wide, along = losses.double(), positions.double()
    straight = wide[..., :1] * (1 - along) + wide[..., -1:] * along
    highest: Tensor = (wide - straight).amax(dim=-1)
    return highest
