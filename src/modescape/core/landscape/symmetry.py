"""Which hidden units of a network may change places without changing its function, read off its traced graph.

Permuting the units of a layer, with everything that writes or reads them, is the symmetry of Ainsworth et al. 2022 (Git
Re-Basin, arXiv 2209.04836). Nothing here knows an architecture: operations are followed by the rules of ``unit_rules``,
and units that meet an operation without a rule stay where they are.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from modescape.core.landscape.unit_flow import Flow, Layout, shapes_of
from modescape.core.landscape.unit_rules import rule_of
from modescape.core.models.lean import TOLERANCE, perturb
from modescape.core.models.tracing import traced
from modescape.core.settings import require
from modescape.core.shapes import Float, Int, Shaped
from modescape.core.weights import Weights, load_into, of_module
from modescape.errors import in_a_line

Permutations = tuple[Int[Tensor, " _"], ...]
"""One for each group, in order: the unit that comes to place i is the one that was at place ``permutation[i]``."""


@dataclass(frozen=True)
class Place:
    """Where a group's units lie in a tensor: unit i is the ``block`` entries from ``offset + i * block`` on."""

    tensor: str
    axis: int
    block: int = 1
    offset: int = 0


@dataclass(frozen=True)
class Group:
    """Hidden units that may change places with each other.

    ``name`` is the first layer that writes them, ``node`` the value of the traced graph by which activations are
    compared: the last of those with most axes, in which every unit is one entry of axis ``node_axis``.
    """

    name: str
    size: int
    places: tuple[Place, ...]
    node: str
    node_axis: int


@dataclass(frozen=True)
class Symmetry:
    """All groups of a network in the order in which they are computed, and why other units stay where they are."""

    groups: tuple[Group, ...]
    held: tuple[str, ...]


def symmetry_of(module: nn.Module, example_inputs: Float[Tensor, "example *shape"]) -> Symmetry:
    """The groups of interchangeable hidden units of a network in evaluation mode.

    What is found is tried on these inputs with moved weights and a random permutation. Raises ``ValueError`` if the
    network cannot be traced, if no unit may change places (naming the operations that were not understood), or if the
    trial changes the function.
    """
    require(len(example_inputs) > 0, "finding the hidden units of a network needs at least one example")
    several = example_inputs[[0] * 3] if len(example_inputs) < 3 else example_inputs[:3]
    network = copy.deepcopy(module).eval()
    try:
        root, graph = traced(network)
        shapes = shapes_of(root, graph, several.clone())
    except Exception as error:
        raise ValueError(
            f"the hidden units of {type(module).__name__} cannot be followed, since torch.fx cannot trace it: "
            f"{in_a_line(error)}"
        ) from error
    flow = Flow(root, graph, shapes)
    flow.run(rule_of)
    found = Symmetry(_groups(flow, network), tuple(flow.reasons))
    told = "; ".join(found.held) or "it has no hidden layers, or none that can be followed"
    require(len(found.groups) > 0, f"no hidden unit of {type(module).__name__} may change places: {told}")
    _require_unchanged(network, found, several)
    return found


def _groups(flow: Flow, network: nn.Module) -> tuple[Group, ...]:
    spaces = flow.spaces
    names = {id(tensor): name for name, tensor in [*network.named_parameters(), *network.named_buffers()]}
    places: dict[int, list[Place]] = {}
    for (tensor, axis), parts in flow.places.items():
        offset = 0
        for part in parts:
            size = spaces.sizes[part.space]
            if not spaces.is_held(part.space) and size > 1:
                home = places.setdefault(spaces.find(part.space), [])
                home.append(Place(names[tensor], axis, part.block, offset))
            offset += size * part.block
    values: dict[int, list[tuple[fx.Node, Layout]]] = {}
    for node, layout in flow.layouts.items():
        if layout is not None and len(layout.parts) == 1 and layout.parts[0].block == 1:
            values.setdefault(spaces.find(layout.parts[0].space), []).append((node, layout))
    order = [space for space in values if space in places]
    return tuple(_group(flow, spaces.sizes[space], values[space], places[space]) for space in order)


def _group(flow: Flow, size: int, values: Sequence[tuple[fx.Node, Layout]], places: Sequence[Place]) -> Group:
    most = max(len(flow.shape(node)) for node, _ in values)
    node, layout = [value for value in values if len(flow.shape(value[0])) == most][-1]
    first = str(values[0][0].target).removeprefix("network").removeprefix(".")
    return Group(first, size, tuple(places), node.name, layout.axis)


def entries(group: Group, place: Place, permutation: Int[Tensor, " unit"], length: int) -> Int[Tensor, " entry"]:
    """Positions along a tensor's axis of this length that bring the units of one place into their new order."""
    index = torch.arange(length)
    stop = place.offset + group.size * place.block
    own = torch.arange(place.offset, stop).reshape(group.size, place.block)
    index[place.offset : stop] = own[permutation].flatten()
    return index


def permute(weights: Weights, symmetry: Symmetry, permutations: Permutations) -> Weights:
    """The same members with their hidden units in another order: parameters and buffers, copied and not recomputed.

    Raises ``ValueError`` if the permutations do not fit the groups, or a tensor does not fit the symmetry.
    """
    require(
        len(permutations) == len(symmetry.groups),
        f"{len(permutations)} permutations for {len(symmetry.groups)} groups of hidden units",
    )
    tensors = {**weights.params, **weights.buffers}
    for group, permutation in zip(symmetry.groups, permutations, strict=True):
        whole = bool(torch.equal(permutation.sort().values.cpu(), torch.arange(group.size)))
        require(whole, f"group {group.name} has {group.size} units, of which this is no permutation")
        _permute_group(tensors, group, permutation)
    return Weights(
        {name: tensors[name] for name in weights.params},
        {name: tensors[name] for name in weights.buffers},
        weights.origin,
    )


def _permute_group(
    tensors: dict[str, Shaped[Tensor, "member ..."]], group: Group, permutation: Int[Tensor, " unit"]
) -> None:
    for place in group.places:
        require(place.tensor in tensors, f"weights of another architecture: there is no {place.tensor}")
        tensor = tensors[place.tensor]
        fits = tensor.ndim > place.axis + 1
        length = tensor.shape[place.axis + 1] if fits else 0
        require(
            length >= place.offset + group.size * place.block,
            f"weights of another architecture: {place.tensor} has {tuple(tensor.shape[1:])}",
        )
        index = entries(group, place, permutation.cpu(), length).to(tensor.device)
        tensors[place.tensor] = tensor.index_select(place.axis + 1, index)


def random_permutations(symmetry: Symmetry, generator: torch.Generator) -> Permutations:
    """Every group in an order of its own, all orders equally likely."""
    return tuple(torch.randperm(group.size, generator=generator) for group in symmetry.groups)


def identity(symmetry: Symmetry) -> Permutations:
    """Every unit where it is."""
    return tuple(torch.arange(group.size) for group in symmetry.groups)


def invert(permutations: Permutations) -> Permutations:
    """What puts the units back."""
    return tuple(permutation.argsort() for permutation in permutations)


def compose(first: Permutations, second: Permutations) -> Permutations:
    """What does the same as permuting by the first and then by the second."""
    return tuple(one[other] for one, other in zip(first, second, strict=True))


def _require_unchanged(network: nn.Module, symmetry: Symmetry, inputs: Float[Tensor, "example *shape"]) -> None:
    """Try it: of two batch sizes, since a size may have been traced as a number."""
    network = copy.deepcopy(network)
    perturb(network)
    moved = of_module(network, 0)
    found = permute(moved, symmetry, random_permutations(symmetry, torch.Generator().manual_seed(0)))
    for batch in (inputs, inputs[:1]):
        logits = []
        for weights in (moved, found):
            load_into(network, weights, 0)
            with torch.no_grad():
                logits.append(network(batch.clone()))
        finite = bool(logits[0].isfinite().all())
        require(finite, f"{type(network).__name__} gives logits that are not finite, by which nothing can be tried")
        error, largest = float((logits[1] - logits[0]).abs().max()), float(logits[0].abs().max())
        require(
            error <= TOLERANCE * largest,
            f"permuting hidden units changes the logits of {type(network).__name__} by {error:.2g}, the largest being "
            f"{largest:.2g}: an operation of it is not what its name says",
        )


def moved_fraction(permutations: Permutations) -> float:
    """The fraction of these units that do not stay where they are."""
    moved = sum(int((p != torch.arange(len(p), device=p.device)).sum()) for p in permutations)
    return moved / sum(len(p) for p in permutations)
