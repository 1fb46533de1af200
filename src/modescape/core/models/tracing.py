"""A network as a graph that does less: traced once, then without dropout, batch norm folded, ReLU in place."""

import inspect
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from modescape.core.models.batch_norm import tracking
from modescape.core.models.dropout import HeldDropout
from modescape.core.models.sharing import takes_over, tensors_read
from modescape.core.settings import require

LAYERS = frozenset({nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d})
NORMS = frozenset({nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d})
IDLE = frozenset({nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout})
"""Layers that do nothing in evaluation mode."""

_TRACING = threading.Lock()


@dataclass(frozen=True)
class Fold:
    """A layer and the batch norm that is folded into it, by their names in the network."""

    layer: str
    norm: str
    eps: float


@dataclass(frozen=True)
class Slim:
    """A graph in a network's stead, and where its tensors come from.

    ``sources`` maps names of the graph's tensors to names in the network, ``folds`` names of layers to what was folded
    into them. ``upstream`` are the tensors of the network that decide its batch-norm statistics.
    """

    module: fx.GraphModule
    sources: Mapping[str, str]
    folds: Mapping[str, Fold]
    upstream: frozenset[str]


class _Root(nn.Module):
    """Makes the network itself a layer, with a name to be called by."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Any) -> Any:
        return self.network(inputs)


class _Tracer(fx.Tracer):
    """Traces this thread alone: while it works, torch hands it the layers that other threads call as well."""

    proxy_buffer_attributes = True

    def __init__(self) -> None:
        super().__init__()
        self.thread = threading.get_ident()

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        if threading.get_ident() != self.thread:
            return forward(*args, **kwargs)
        if self.is_leaf_module(m, ""):
            return super().call_module(m, forward, args, kwargs)
        # What is wrapped around a forward to check its shapes would find none here.
        return inspect.unwrap(type(m).forward)(m, *args, **kwargs)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, fx.Proxy]) -> Any:
        if threading.get_ident() != self.thread:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)


def traced(network: nn.Module) -> tuple[nn.Module, fx.Graph]:
    """The graph of a network in evaluation mode, and a module around the network by which the graph's names go.

    Names of the network's own parts start with ``network.`` there. Raises if the network cannot be traced.
    """
    for layer in network.modules():
        hooks = [*layer._forward_hooks.values(), *layer._forward_pre_hooks.values()]
        foreign = [hook for hook in hooks if getattr(hook, "__module__", None) != HeldDropout.__module__]
        require(not foreign, f"a hook on {type(layer).__name__} would not be called")
        if isinstance(layer, HeldDropout):
            layer.turn = 0
    root = _Root(network)
    # Tracing replaces how torch calls any layer: of two at once, one would put back the other's replacement.
    with _TRACING:
        return root, _Tracer().trace(root)


def slim(network: nn.Module, folding: bool) -> Slim:
    """The graph of a network in evaluation mode, which becomes part of it. Raises if it cannot be traced."""
    root, graph = traced(network)
    names = {id(tensor): name for name, tensor in [*network.named_parameters(), *network.named_buffers()]}
    upstream = _upstream(graph, root, names)
    folds = _fold(graph, root) if folding else {}
    for node in list(graph.nodes):
        if node.op == "call_module" and type(root.get_submodule(node.target)) in IDLE:
            _erase(graph, node)
    for node in list(graph.nodes):
        if takes_over(node, root):
            with graph.inserting_before(node):
                node.replace_all_uses_with(graph.call_function(torch.relu_, (node.args[0],)))
            graph.erase_node(node)
    module = fx.GraphModule(root, graph)
    own = [*module.named_parameters(), *module.named_buffers()]
    return Slim(module, {name: names[id(tensor)] for name, tensor in own if id(tensor) in names}, folds, upstream)


def _erase(graph: fx.Graph, node: fx.Node) -> None:
    (before,) = node.all_input_nodes
    node.replace_all_uses_with(before)
    graph.erase_node(node)


def _fold(graph: fx.Graph, root: nn.Module) -> dict[str, Fold]:
    """Take out every batch norm whose layer can do its work, and give that layer a bias."""
    calls = Counter(node.target for node in graph.nodes if node.op == "call_module")
    touched = {str(node.target).rpartition(".")[0] for node in graph.nodes if node.op == "get_attr"}
    everything = [*root.named_parameters(remove_duplicate=False), *root.named_buffers(remove_duplicate=False)]
    homes = Counter(id(tensor) for _, tensor in everything)

    def alone(node: fx.Node) -> bool:
        layer = root.get_submodule(str(node.target))
        tied = any(homes[id(tensor)] > 1 for tensor in [*layer.parameters(), *layer.buffers()])
        return calls[node.target] == 1 and node.target not in touched and not tied

    folds = {}
    for node in list(graph.nodes):
        before = node.args[0] if len(node.args) == 1 else None
        if node.op != "call_module" or not isinstance(before, fx.Node) or before.op != "call_module":
            continue
        norm, layer = root.get_submodule(str(node.target)), root.get_submodule(str(before.target))
        if type(layer) not in LAYERS or not isinstance(norm, nn.modules.batchnorm._BatchNorm):
            continue
        fitting = type(norm) in NORMS and norm.running_mean is not None and norm.running_var is not None
        if fitting and len(before.users) == 1 and alone(node) and alone(before):
            within, beyond = (str(target).removeprefix("network.") for target in (before.target, node.target))
            folds[str(before.target)] = Fold(within, beyond, norm.eps)
            if layer.bias is None:
                layer.bias = nn.Parameter(layer.weight.new_zeros(len(layer.weight)))
            _erase(graph, node)
    return folds


def _upstream(graph: fx.Graph, root: nn.Module, names: Mapping[int, str]) -> frozenset[str]:
    """Names of the tensors on which the inputs of batch-norm layers depend; of all, if such a layer is out of sight."""
    tracked = tracking(root)
    norms = [n for n in graph.nodes if n.op == "call_module" and root.get_submodule(n.target) in tracked]
    if len({node.target for node in norms}) < len(tracked):
        return frozenset(names.values())
    recomputed = {id(tensor) for layer in tracked for tensor in layer.buffers(recurse=False)}
    above: set[fx.Node] = set()
    waiting = [before for node in norms for before in node.all_input_nodes]
    while waiting:
        node = waiting.pop()
        if node not in above:
            above.add(node)
            waiting += node.all_input_nodes
    read = {place for node in above for place in tensors_read(node, root)}
    return frozenset(names[place] for place in read - recomputed if place in names)
