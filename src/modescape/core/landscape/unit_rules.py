"""What each operation of a network does to the layout of hidden units; an operation that is not here holds them.

A rule must be right for every shape: what it cannot follow it hands to ``Flow.unknown``, which gives up permutations
and never changes a function.
"""

import math
import re
from typing import Any

import torch
from torch import fx, nn

from modescape.core.landscape.unit_flow import Flow, Layout, Parts, Rule


def _snake(name: str) -> str:
    """The function of a layer: ``AdaptiveAvgPool2d`` -> ``adaptive_avg_pool2d``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _listed(names: str) -> frozenset[str]:
    return frozenset(names.split())


_CONVOLUTIONS: dict[type[nn.Module], int] = {getattr(nn, f"Conv{n}d"): n for n in (1, 2, 3)}

_POOLS = {f"{kind}Pool{n}d": n for kind in ("Max", "Avg", "AdaptiveMax", "AdaptiveAvg") for n in (1, 2, 3)}
"""Names of layers that pool channel by channel, and over how many axes."""

_ENTRYWISE_LAYERS = frozenset(
    getattr(nn, name)
    for name in _listed(
        "Identity Dropout Dropout1d Dropout2d Dropout3d AlphaDropout FeatureAlphaDropout ReLU ReLU6 LeakyReLU ELU SELU "
        "CELU GELU SiLU Mish Tanh Sigmoid Softplus Softsign Softshrink Hardshrink Tanhshrink Hardtanh Hardswish "
        "Hardsigmoid LogSigmoid Threshold"
    )
)

_ENTRYWISE = _listed(
    "relu relu_ relu6 leaky_relu leaky_relu_ elu elu_ selu celu gelu silu mish tanh tanh_ sigmoid sigmoid_ softplus "
    "softsign softshrink hardshrink tanhshrink hardtanh hardswish hardsigmoid logsigmoid threshold neg abs exp log "
    "log1p expm1 sqrt rsqrt square sin cos erf reciprocal clamp clamp_min clamp_max clip contiguous clone detach to "
    "float double add add_ iadd radd sub sub_ isub rsub mul mul_ imul rmul multiply truediv itruediv div div_ divide "
    "pow maximum minimum where"
)
"""Functions and methods whose every entry follows from the entries at the same place, after broadcasting."""

_RESHAPES = frozenset({"view", "reshape", "flatten", "squeeze", "unsqueeze", "unflatten", "ravel"})
_SHAPE_ONLY = frozenset({"size", "dim", "numel", "ndimension", "is_floating_point"})
_SHAPE_ATTRIBUTES = frozenset({"shape", "ndim", "dtype", "device"})


def rule_of(node: fx.Node, layer: nn.Module | None) -> Rule | None:
    """The rule of a node; None where its operation is not understood."""
    if layer is not None:
        return _LAYERS.get(type(layer)) if len(node.all_input_nodes) == 1 and not node.kwargs else None
    if callable(node.target):
        home = str(getattr(node.target, "__module__", None) or "torch").split(".")[0]
        # Somebody's own function may have any name; torch's and Python's names tell what they do.
        if home not in ("torch", "_operator", "builtins"):
            return None
        return _FUNCTIONS.get(node.target.__name__)
    return _FUNCTIONS.get(str(node.target))


def _linear(flow: Flow, node: fx.Node, layer: Any) -> Layout | None:
    (before,) = node.all_input_nodes
    last = len(flow.shape(before)) - 1
    inside, outside = flow.along(before, last), flow.fresh(layer.out_features)
    flow.register(layer.weight, {0: outside, 1: inside})
    flow.register(layer.bias, {0: outside})
    return Layout(last, outside)


def _convolution(flow: Flow, node: fx.Node, layer: Any) -> Layout | None:
    (before,) = node.all_input_nodes
    depthwise = layer.groups == layer.in_channels == layer.out_channels
    if len(flow.shape(before)) != _CONVOLUTIONS[type(layer)] + 2 or not (layer.groups == 1 or depthwise):
        return flow.unknown(node)
    inside = flow.along(before, 1)
    if depthwise and layer.groups > 1:
        flow.register(layer.weight, {0: inside})
        flow.register(layer.bias, {0: inside})
        return None if inside is None else Layout(1, inside)
    outside = flow.fresh(layer.out_channels)
    flow.register(layer.weight, {0: outside, 1: inside})
    flow.register(layer.bias, {0: outside})
    return Layout(1, outside)


def _by_channel(flow: Flow, node: fx.Node, layer: Any) -> Layout | None:
    """Batch norm and PReLU: every channel has numbers of its own, or all have one."""
    (before,) = node.all_input_nodes
    inside = flow.along(before, 1)
    for name in ("weight", "bias", "running_mean", "running_var"):
        flow.register(getattr(layer, name, None), {0: inside})
    return None if inside is None else Layout(1, inside)


def _layer_norm(flow: Flow, node: fx.Node, layer: Any) -> Layout | None:
    """The norm over the last axes is one number whatever their order; along other axes every slice has its own."""
    (before,) = node.all_input_nodes
    layout = flow.given(before)
    first = len(flow.shape(before)) - len(layer.normalized_shape)
    axes = {} if layout is None or layout.axis < first else {layout.axis - first: layout.parts}
    flow.register(layer.weight, axes)
    flow.register(getattr(layer, "bias", None), axes)
    return layout


def _group_norm(flow: Flow, node: fx.Node, layer: Any) -> Layout | None:
    """One group holds all channels in any order, as many groups as channels are channels of their own."""
    return _by_channel(flow, node, layer) if layer.num_groups in (1, layer.num_channels) else flow.unknown(node)


def _pool(dims: int) -> Rule:
    def rule(flow: Flow, node: fx.Node, layer: Any) -> Layout | None:
        before = node.args[0] if node.args else None
        if not isinstance(before, fx.Node) or flow.shapes[node] is None or len(flow.shape(before)) != dims + 2:
            return flow.unknown(node)
        inside = flow.along(before, 1)
        return None if inside is None else Layout(1, inside)

    return rule


def _entrywise(flow: Flow, node: fx.Node, layer: Any) -> Layout | None:
    operands = [before for before in node.all_input_nodes if flow.shapes[before] is not None]
    shapes = [flow.shape(before) for before in operands]
    if not operands or flow.shapes[node] != tuple(torch.broadcast_shapes(*shapes)):
        return flow.unknown(node)
    # Axes are counted from the last, as broadcasting does. A single unit has no order.
    found = [
        (before, layout.axis - len(shape), layout.parts)
        for before, shape in zip(operands, shapes, strict=True)
        if (layout := flow.layouts[before]) is not None and shape[layout.axis] > 1
    ]
    axes = {axis for _, axis, _ in found}
    if len(axes) != 1:
        return flow.unknown(node) if found else _all_given(flow, operands)
    axis, lead = found[0][1:]
    for _, _, parts in found[1:]:
        flow.unify(lead, parts)
    placed = {before for before, _, _ in found}
    for before, shape in zip(operands, shapes, strict=True):
        meets = -axis <= len(shape) and shape[axis] > 1
        if before.op == "get_attr":
            flow.register(flow.tensor(before), {axis + len(shape): lead} if meets else {})
        elif meets and before not in placed:
            flow.hold(node, lead)
    return Layout(axis + len(flow.shape(node)), lead)


def _all_given(flow: Flow, operands: list[fx.Node]) -> Layout | None:
    for before in operands:
        flow.given(before)
    return None


def _dropout(flow: Flow, node: fx.Node, layer: Any) -> Layout | None:
    training = node.kwargs.get("training", node.args[2] if len(node.args) > 2 else True)
    return _entrywise(flow, node, layer) if training is False else flow.unknown(node)


def _reshape(flow: Flow, node: fx.Node, layer: Any) -> Layout | None:
    before = node.args[0] if node.args else None
    if not isinstance(before, fx.Node) or flow.shapes[node] is None:
        return flow.unknown(node)
    layout = flow.given(before)
    if layout is None:
        return None
    found = reshaped(flow.shape(before), flow.shape(node), layout)
    return flow.unknown(node) if found is None else found


def reshaped(before: tuple[int, ...], after: tuple[int, ...], layout: Layout) -> Layout | None:
    """The layout after a reshape in row-major order; None where units end up along no single axis.

    Axes behind the units' make a unit a block; axes before it, other than that of examples, repeat the row of units.
    """
    ahead, size = math.prod(before[: layout.axis]), before[layout.axis]
    for axis, length in enumerate(after):
        leading = math.prod(after[:axis])
        times, rest = divmod(ahead, leading)
        if rest or times == 0 or length % (times * size):
            continue
        if times > 1 and (axis == 0 or after[0] != before[0]):
            continue
        block = length // (times * size)
        behind = math.prod(before[layout.axis + 1 :])
        if behind % block == 0:
            return Layout(axis, tuple(_widened(layout.parts, block)) * times)
    return None


def _widened(parts: Parts, block: int) -> Parts:
    return tuple(type(part)(part.space, part.block * block) for part in parts)


def _reduction(flow: Flow, node: fx.Node, layer: Any) -> Layout | None:
    """A mean, sum or extreme over units is the same in any order; over other axes it leaves the units alone."""
    (before,) = node.all_input_nodes if len(node.all_input_nodes) == 1 else (None,)
    if before is None or flow.shapes[node] is None:
        return flow.unknown(node)
    layout, shape = flow.given(before), flow.shape(before)
    dims = node.kwargs.get("dim", node.kwargs.get("axis", node.args[1] if len(node.args) > 1 else None))
    if layout is None or dims is None:
        return None
    listed = [dims] if isinstance(dims, int) else dims
    if not isinstance(listed, list | tuple) or not all(isinstance(dim, int) for dim in listed):
        return flow.unknown(node)
    gone = {int(dim) % len(shape) for dim in listed if isinstance(dim, int)} or set(range(len(shape)))
    if layout.axis in gone:
        return None
    kept = len(flow.shape(node)) == len(shape)
    return Layout(layout.axis - (0 if kept else sum(dim < layout.axis for dim in gone)), layout.parts)


def _transposed(flow: Flow, node: fx.Node, layer: Any) -> Layout | None:
    before, given = node.args[0], [dim for dim in node.args[1:] if dim is not None]
    order = given[0] if len(given) == 1 and isinstance(given[0], list | tuple) else given
    if not isinstance(before, fx.Node) or node.kwargs or not all(isinstance(dim, int) for dim in order):
        return flow.unknown(node)
    layout, dims = flow.given(before), len(flow.shape(before))
    if layout is None:
        return None
    places = [int(dim) % dims for dim in order if isinstance(dim, int)]
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    if name == "permute":
        return Layout(places.index(layout.axis), layout.parts)
    one, other = places
    return Layout({one: other, other: one}.get(layout.axis, layout.axis), layout.parts)


def _cat(flow: Flow, node: fx.Node, layer: Any) -> Layout | None:
    joined = node.args[0] if node.args else None
    dim = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)
    if not isinstance(joined, list | tuple) or not isinstance(dim, int):
        return flow.unknown(node)
    operands = [before for before in joined if isinstance(before, fx.Node)]
    layouts = [flow.given(before) for before in operands]
    axes = {layout.axis for layout in layouts if layout is not None}
    if not axes:
        return None
    axis = dim % len(flow.shape(node))
    if axes == {axis}:
        parts: Parts = ()
        for before, layout in zip(operands, layouts, strict=True):
            parts += flow.fixed(flow.shape(before)[axis]) if layout is None else layout.parts
        return Layout(axis, parts)
    # Along another axis than the units': all of them lie side by side, as in a sum.
    if len(axes) > 1 or None in layouts:
        return flow.unknown(node)
    lead = layouts[0]
    assert lead is not None
    for layout in layouts[1:]:
        assert layout is not None
        flow.unify(lead.parts, layout.parts)
    return lead


def _shape_only(flow: Flow, node: fx.Node, layer: Any) -> Layout | None:
    """What depends on shapes alone: permuting changes none of them."""
    named = node.target == getattr and (len(node.args) < 2 or node.args[1] not in _SHAPE_ATTRIBUTES)
    return flow.unknown(node) if named else None


_LAYERS: dict[type[nn.Module], Rule] = {
    nn.Linear: _linear,
    **dict.fromkeys(_CONVOLUTIONS, _convolution),
    **{getattr(nn, f"BatchNorm{n}d"): _by_channel for n in (1, 2, 3)},
    nn.PReLU: _by_channel,
    nn.LayerNorm: _layer_norm,
    nn.RMSNorm: _layer_norm,
    nn.GroupNorm: _group_norm,
    nn.Flatten: _reshape,
    nn.Unflatten: _reshape,
    **dict.fromkeys(_ENTRYWISE_LAYERS, _entrywise),
    **{getattr(nn, name): _pool(dims) for name, dims in _POOLS.items()},
}

_FUNCTIONS: dict[str, Rule] = {
    **dict.fromkeys(_ENTRYWISE, _entrywise),
    **dict.fromkeys(_RESHAPES, _reshape),
    **dict.fromkeys(("mean", "sum", "amax", "amin"), _reduction),
    **dict.fromkeys(("permute", "transpose", "swapaxes"), _transposed),
    **dict.fromkeys(("cat", "concat"), _cat),
    **dict.fromkeys(_SHAPE_ONLY, _shape_only),
    "getattr": _shape_only,
    **{_snake(name): _pool(dims) for name, dims in _POOLS.items()},
    **dict.fromkeys(("dropout", "alpha_dropout", "feature_dropout", "dropout1d", "dropout2d", "dropout3d"), _dropout),
}
