"""How hidden units pass through a network: which entries of which values and tensors belong to the same unit.

A *space* is a row of interchangeable units. A *layout* says along which axis of a value units lie, in parts one after
the other; a part is a space, each of whose units takes ``block`` entries in a row. Spaces that must be permuted alike
are merged, as by a sum of two feature maps. A space is *held* where permuting it might change the function: at inputs,
at outputs, and wherever an operation is not understood.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn


@dataclass(frozen=True)
class Part:
    """A space along an axis; each of its units takes ``block`` entries in a row."""

    space: int
    block: int = 1


Parts = tuple[Part, ...]


@dataclass(frozen=True)
class Layout:
    """Units lie along this axis of a value, in these parts; along every other axis nothing may be permuted."""

    axis: int
    parts: Parts


class Spaces:
    """Spaces by number, merged where they must be permuted alike (union-find)."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self._parents: list[int] = []
        self._held: list[bool] = []

    def fresh(self, size: int) -> int:
        """A new space of so many units."""
        self.sizes.append(size)
        self._parents.append(len(self._parents))
        self._held.append(False)
        return len(self.sizes) - 1

    def find(self, space: int) -> int:
        """The number that stands for all spaces that this one was merged with."""
        while self._parents[space] != space:
            space = self._parents[space]
        return space

    def is_held(self, space: int) -> bool:
        """Whether its units must stay where they are."""
        return self._held[self.find(space)]

    def hold(self, space: int) -> None:
        """Its units must stay where they are."""
        self._held[self.find(space)] = True

    def merge(self, one: int, other: int) -> None:
        """Two spaces of one size must be permuted alike."""
        first, second = sorted((self.find(one), self.find(other)))
        self._parents[second] = first
        self._held[first] = self._held[first] or self._held[second]


Rule = Callable[["Flow", fx.Node, Any], Layout | None]
"""The layout of what a node gives, from the flow so far; a rule is told the layer, or None for a function."""


class Flow:
    """Walks through a traced network once, in order; see ``symmetry_of`` for what comes of it.

    ``shapes`` are those of the nodes' values on some examples, None for what is no tensor. ``places`` are the tensors'
    axes along which units lie, by the tensor's identity: one that is read twice must be permuted for both.
    """

    def __init__(self, root: nn.Module, graph: fx.Graph, shapes: Mapping[fx.Node, tuple[int, ...] | None]) -> None:
        self.root, self.graph, self.shapes = root, graph, shapes
        self.spaces = Spaces()
        self.layouts: dict[fx.Node, Layout | None] = {}
        self.places: dict[tuple[int, int], Parts] = {}
        self.reasons: list[str] = []
        own = [*root.named_parameters(), *root.named_buffers()]
        self._known = {id(tensor) for _, tensor in own}

    def run(self, rule_of: Callable[[fx.Node, nn.Module | None], Rule | None]) -> None:
        """Give every node its layout, by the rules; a node without a rule is not understood."""
        for node in self.graph.nodes:
            layer = self.root.get_submodule(str(node.target)) if node.op == "call_module" else None
            if node.op == "output":
                self._stop(node)
                self.layouts[node] = None
            elif node.op in ("placeholder", "get_attr"):
                self.layouts[node] = None
            else:
                rule = rule_of(node, layer)
                self.layouts[node] = self.unknown(node) if rule is None else rule(self, node, layer)

    def shape(self, node: fx.Node) -> tuple[int, ...]:
        """The shape of a value that is a tensor."""
        found = self.shapes[node]
        assert found is not None, f"{node.name} is no tensor"
        return found

    def given(self, node: fx.Node) -> Layout | None:
        """The layout of a value that a rule takes as it is: a tensor of the network must stay as it is, then."""
        tensor = self.tensor(node) if node.op == "get_attr" else None
        if tensor is not None:
            self._tell(f"{str(node.target).removeprefix('network.')} is read by itself")
            self.register(tensor, {})
        return self.layouts[node]

    def along(self, node: fx.Node, axis: int) -> Parts | None:
        """The parts along the one axis that an operation can carry; units along another are held."""
        layout = self.given(node)
        if layout is None or layout.axis == axis:
            return None if layout is None else layout.parts
        self._hold(layout.parts, f"{node.name}: units lie along axis {layout.axis}, where axis {axis} is read")
        return None

    def unknown(self, node: fx.Node) -> Layout | None:
        """An operation that is not understood, or not in this form: all that it reads stays where it is."""
        self._stop(node, f"{self.describe(node)} is not understood")
        if node.op == "call_module":
            layer = self.root.get_submodule(str(node.target))
            own = [*layer.parameters(), *layer.buffers()]
            if own:
                self._tell(f"{self.describe(node)} is not understood")
            for tensor in own:
                self.register(tensor, {})
        return None

    def hold(self, node: fx.Node, parts: Parts) -> None:
        """Units that meet something fixed in a node stay where they are."""
        self._hold(parts, f"{self.describe(node)} joins units to values that are fixed")

    def describe(self, node: fx.Node) -> str:
        """An operation in messages."""
        if node.op == "call_module":
            layer = self.root.get_submodule(str(node.target))
            return f"{type(layer).__name__} {str(node.target).removeprefix('network.')}".strip()
        return f"{getattr(node.target, '__name__', node.target)} ({node.name})"

    def tensor(self, node: fx.Node) -> Tensor | None:
        """The parameter, buffer or constant that a node reads; None for anything else."""
        path, _, last = str(node.target).rpartition(".")
        value = getattr(self.root.get_submodule(path), last)
        return value if isinstance(value, Tensor) else None

    def register(self, tensor: Tensor | None, axes: Mapping[int, Parts | None]) -> None:
        """A tensor is read with units along these of its axes; its other axes are fixed."""
        for axis in range(0 if tensor is None else tensor.ndim):
            assert tensor is not None
            if tensor.shape[axis] == 1:
                continue
            parts = axes.get(axis)
            if parts is None:
                parts = self.fixed(tensor.shape[axis])
            elif sum(self.spaces.sizes[part.space] * part.block for part in parts) != tensor.shape[axis]:
                self._hold(parts, "a tensor of the network is longer or shorter than the units that it meets")
                parts = self.fixed(tensor.shape[axis])
            if id(tensor) not in self._known:
                # A constant of the graph is no weight: it cannot follow a permutation.
                self._hold(parts, "a constant tensor of the network meets units")
            self.unify(self.places.setdefault((id(tensor), axis), parts), parts)

    def fresh(self, size: int) -> Parts:
        """A new space as the one part of an axis."""
        return (Part(self.spaces.fresh(size)),)

    def fixed(self, size: int) -> Parts:
        """Entries that stay where they are."""
        parts = self.fresh(size)
        self.spaces.hold(parts[0].space)
        return parts

    def unify(self, one: Parts, other: Parts) -> None:
        """Two rows of parts along axes of one length must be permuted alike; held where they do not match."""
        if [self._form(part) for part in one] == [self._form(part) for part in other]:
            for a, b in zip(one, other, strict=True):
                self.spaces.merge(a.space, b.space)
        else:
            self._hold(one + other, "values that are joined have their units in different places")

    def _form(self, part: Part) -> tuple[int, int]:
        return self.spaces.sizes[part.space], part.block

    def _stop(self, node: fx.Node, reason: str = "") -> None:
        for before in node.all_input_nodes:
            layout = self.given(before)
            if layout is not None:
                self._hold(layout.parts, reason)

    def _hold(self, parts: Sequence[Part], reason: str) -> None:
        for part in parts:
            if not self.spaces.is_held(part.space):
                self._tell(reason)
            self.spaces.hold(part.space)

    def _tell(self, reason: str) -> None:
        if reason and reason not in self.reasons:
            self.reasons.append(reason)


def shapes_of(root: nn.Module, graph: fx.Graph, inputs: Any) -> dict[fx.Node, tuple[int, ...] | None]:
    """The shape of every node's value on these inputs; None for what is no tensor."""
    shapes: dict[fx.Node, tuple[int, ...] | None] = {}

    class _Recorder(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            value = super().run_node(n)
            shapes[n] = tuple(value.shape) if isinstance(value, Tensor) else None
            return value

    with torch.no_grad():
        _Recorder(root, graph=graph).run(inputs)
    return shapes
