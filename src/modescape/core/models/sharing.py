"""What many members have in common is computed once: which tensors vary, and a network's graph cut in two by that."""

import operator
from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from modescape.core.shapes import Shaped
from modescape.core.weights import Weights

COUNTS = "num_batches_tracked"
"""A buffer of batch norm that no prediction reads."""

FRESH = frozenset(
    {nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.MaxPool2d}
)
SUMS = frozenset({operator.add, operator.mul, torch.add, torch.mul})
"""Layers and functions whose values lie in memory of their own."""

RELUS = frozenset({torch.relu, torch.relu_, nn.functional.relu, "relu", "relu_"})


@dataclass(frozen=True)
class Stages:
    """Logits are ``each(*once(inputs))``, where ``once`` reads no tensor that varies; without it ``each(inputs)``.

    With ``alters`` a pass may change its inputs in place.
    """

    once: nn.Module | None
    each: nn.Module
    alters: bool


def varying(weights: Weights) -> frozenset[str]:
    """Names of the parameters and buffers that are not the same, bit for bit, in all members."""
    named = {**weights.params, **weights.buffers}
    return frozenset(name for name, tensor in named.items() if _differ(tensor))


def _differ(rows: Shaped[Tensor, "member ..."]) -> bool:
    # Row by row: mostly the second tells, and no flags are held for a whole stack.
    return rows.stride(0) != 0 and any(not torch.equal(row, rows[0]) for row in rows[1:])


def staged(module: nn.Module, moving: Collection[str]) -> Stages:
    """A network cut into what needs none of the ``moving`` tensors, and the rest; both share the module's tensors.

    A network that is no graph stays whole, and so does one without weights to share before the first that moves.
    """
    if not isinstance(module, fx.GraphModule):
        return Stages(None, module, True)
    if any(_alters(node, module) for node in module.graph.nodes):
        # What a node changes in place may be read before and after it: no order but the graph's own is right.
        return Stages(None, module, True)
    own = [*module.named_parameters(), *module.named_buffers()]
    apart = {id(tensor) for name, tensor in own if name in moving}
    early: set[fx.Node] = set()
    for node in module.graph.nodes:
        still = all(before in early for before in node.all_input_nodes)
        if node.op != "output" and still and not tensors_read(node, module).keys() & apart:
            early.add(node)
    # Tensors are read where they are used, in either stage.
    work = [node for node in module.graph.nodes if node in early and node.op != "get_attr"]
    if not any(tensors_read(node, module) for reader in work for node in (reader, *reader.all_input_nodes)):
        return Stages(None, module, False)
    border = [node for node in work if any(user not in early for user in node.users)]
    return Stages(_first(module, work, border), _second(module, early, border), False)


def takes_over(node: fx.Node, module: nn.Module) -> bool:
    """Whether a node is a ReLU of a value that nothing else reads, so that it may as well work in place."""
    relu = type(module.get_submodule(str(node.target))) is nn.ReLU if node.op == "call_module" else node.target in RELUS
    before = node.args[0] if node.args else None
    if not relu or not isinstance(before, fx.Node) or len(before.users) > 1:
        return False
    if before.op == "call_module":
        return type(module.get_submodule(str(before.target))) in FRESH
    return before.target in SUMS


def _alters(node: fx.Node, module: fx.GraphModule) -> bool:
    """Whether a node may change, in place, what others read as well."""
    if takes_over(node, module) or node.op not in ("call_module", "call_function", "call_method"):
        return False
    if node.op == "call_module":
        return bool(getattr(module.get_submodule(str(node.target)), "inplace", False))
    if node.kwargs.get("inplace") or "out" in node.kwargs:
        return True
    if isinstance(node.target, str):
        return node.target.endswith("_") and not node.target.endswith("__")
    name, home = node.target.__name__, str(getattr(node.target, "__module__", None) or "torch").split(".")[0]
    if home == "_operator":
        return name.startswith("i") or name == "setitem"
    # Torch's own names tell; what anybody else's function does is not known.
    return home not in ("torch", "builtins", "math") or (name.endswith("_") and not name.endswith("__"))


def tensors_read(node: fx.Node, module: nn.Module) -> dict[int, Tensor]:
    """The parameters and buffers that a node reads itself, by identity: one that is tied has several names."""
    path, _, last = str(node.target).rpartition(".")
    if node.op == "get_attr":
        value = getattr(module.get_submodule(path), last)
        return {id(value): value} if isinstance(value, Tensor) else {}
    if node.op != "call_module":
        return {}
    layer = module.get_submodule(str(node.target))
    own = [*layer.named_parameters(), *layer.named_buffers()]
    return {id(tensor): tensor for name, tensor in own if not name.endswith(COUNTS)}


def _copied(graph: fx.Graph, nodes: Collection[fx.Node], known: dict[fx.Node, fx.Node]) -> None:
    """Append copies of these nodes, and of the tensors that they read, to a graph."""

    def place(node: fx.Node) -> fx.Node:
        if node not in known:
            known[node] = graph.node_copy(node, place)
        return known[node]

    for node in nodes:
        place(node)


def _first(module: fx.GraphModule, work: list[fx.Node], border: list[fx.Node]) -> fx.GraphModule:
    graph, known = fx.Graph(), dict[fx.Node, fx.Node]()
    _copied(graph, work, known)
    graph.output(tuple(known[node] for node in border))
    return fx.GraphModule(module, graph)


def _second(module: fx.GraphModule, early: set[fx.Node], border: list[fx.Node]) -> fx.GraphModule:
    graph = fx.Graph()
    known = {node: graph.placeholder(f"value_{place}") for place, node in enumerate(border)}
    _copied(graph, [node for node in module.graph.nodes if node not in early], known)
    return fx.GraphModule(module, graph)
