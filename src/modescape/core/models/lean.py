"""A network made ready to predict with many weights: no dropout, and batch norm folded into the layer before it.

The network is traced once; what folding does to *weights* is a function of whole stacks.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from modescape.core.models.batch_norm import tracking
from modescape.core.models.sharing import varying
from modescape.core.models.tracing import Fold, slim
from modescape.core.settings import require
from modescape.core.shapes import Float, Shaped
from modescape.core.weights import Weights, load_into, of_module
from modescape.errors import in_a_line

TOLERANCE = 1e-4
"""Of the largest logit: what float32 loses in a deep network is tens of times less, a mistake many times more."""


@dataclass(frozen=True)
class Lean:
    """What predicts in a network's stead: ``module``, with the weights that ``weights`` makes of the network's.

    Where that is the network itself, ``reason`` says why. ``sources`` says where tensors of the module come from (folds
    apart; one from nowhere is a constant), ``upstream`` which tensors of the network decide batch-norm statistics.
    """

    module: nn.Module
    shapes: Mapping[str, tuple[int, ...]]
    sources: Mapping[str, str]
    folds: Mapping[str, Fold]
    upstream: frozenset[str]
    reason: str | None = None

    def weights(self, weights: Weights) -> Weights:
        """A stack of the network as one of ``module``; what all members share is kept once.

        Rows lie in memory as the module's own tensors do. Raises ``ValueError`` that names the first tensor whose name
        or shape differs.
        """
        given = {name: tensor.detach() for name, tensor in {**weights.params, **weights.buffers}.items()}
        self._check(given)
        made = _Stack(given, varying(weights), len(weights))
        params = {name: self._rows(made, name, own) for name, own in self.module.named_parameters()}
        buffers = {name: self._rows(made, name, own) for name, own in self.module.named_buffers()}
        return Weights(params, buffers, weights.origin)

    def _check(self, given: Mapping[str, Tensor]) -> None:
        odd = sorted(set(self.shapes) ^ set(given))
        require(not odd, f"network and weights do not have the same tensors: {odd[:5]}")
        for name, tensor in given.items():
            shape = tuple(tensor.shape[1:])
            require(
                self.shapes[name] == shape,
                f"{name} has shape {self.shapes[name]} in the network, {shape} in the weights",
            )

    def _rows(self, made: "_Stack", name: str, own: Tensor) -> Shaped[Tensor, "member ..."]:
        layer, _, kind = name.rpartition(".")
        if layer in self.folds:
            rows = made.folded(self.folds[layer], kind)
        elif name in self.sources:
            rows = made.rows(self.sources[name])
        else:
            rows = own.detach()[None]
        rows = rows.to(own)
        if own.ndim == 4 and not own.is_contiguous():
            rows = rows.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, rows.shape[:2])
        return rows.expand(made.count, *own.shape)


@dataclass(frozen=True)
class _Stack:
    """Tensors of a stack: one row where all members share it."""

    given: Mapping[str, Tensor]
    moving: frozenset[str]
    count: int

    def rows(self, name: str) -> Shaped[Tensor, "row ..."]:
        return self.given[name] if name in self.moving else self.given[name][:1]

    def wide(self, name: str) -> Float[Tensor, "row ..."] | None:
        return self.rows(name).double() if name in self.given else None

    def folded(self, fold: Fold, kind: str) -> Float[Tensor, "row ..."]:
        """Weight or bias of a layer that does what it and its batch norm did, float64: rounded once, at the end."""
        variance = self.wide(f"{fold.norm}.running_var")
        assert variance is not None, "only a batch norm that tracks is folded"
        factor, gamma = (variance + fold.eps).rsqrt(), self.wide(f"{fold.norm}.weight")
        factor = factor if gamma is None else factor * gamma
        if kind == "weight":
            weight = self.wide(f"{fold.layer}.weight")
            assert weight is not None
            return weight * factor.reshape(*factor.shape, *(1,) * (weight.ndim - 2))
        bias, mean = self.wide(f"{fold.layer}.bias"), self.wide(f"{fold.norm}.running_mean")
        beta = self.wide(f"{fold.norm}.bias")
        assert mean is not None
        shifted = (-mean if bias is None else bias - mean) * factor
        return shifted if beta is None else shifted + beta


def lean(module: nn.Module, examples: Float[Tensor, "example *shape"]) -> Lean:
    """A copy of a network in evaluation mode that does less and predicts the same, checked on these examples.

    The module is left as it is. A network that cannot be traced, or whose graph gives other logits, is copied as it is;
    one that cannot be copied is ``module`` itself.
    """
    require(len(examples) > 0, "making a network lean needs at least one example")
    shapes = {name: tuple(t.shape) for name, t in [*module.named_parameters(), *module.named_buffers()]}
    difference: str | None = ""
    # Linear layers norm along another axis than they write, now and then: then their batch norm has to stay.
    for folding in (True, False):
        try:
            made = slim(copy.deepcopy(module).eval(), folding)
            found = Lean(made.module, shapes, made.sources, made.folds, made.upstream)
            difference = _difference(found, module, examples)
        except Exception as error:  # noqa: BLE001  (whatever a network does while traced, it can still predict)
            difference = in_a_line(error)
        if difference is None:
            return found
    same, names = {name: name for name in shapes}, frozenset(shapes)
    return Lean(_copied(module), shapes, same, {}, names, difference)


def _copied(module: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(module).eval()
    except Exception:  # noqa: BLE001  (a network may hold anything)
        return module


def _difference(found: Lean, module: nn.Module, examples: Float[Tensor, "example *shape"]) -> str | None:
    """How the lean network differs from one that every weight and statistic was moved in, or None.

    Of two batch sizes, since a size may have been traced as a number; the module's own weights end in the lean network.
    """
    moved = copy.deepcopy(module).eval()
    perturb(moved)
    load_into(found.module, found.weights(of_module(moved, 0)), 0)
    fewer = examples[:1] if len(examples) > 1 else examples[[0, 0]]
    for batch in (examples, fewer):
        with torch.no_grad():
            expected, logits = moved(batch.clone()), found.module(batch.clone())
        if not expected.isfinite().all():
            return "its logits are not finite, and so cannot be compared"
        if logits.shape != expected.shape:
            return f"its graph gives {tuple(logits.shape)} in place of {tuple(expected.shape)}"
        error, largest = float((logits - expected).abs().max()), float(expected.abs().max())
        if not error <= TOLERANCE * largest:
            return f"its graph gives logits that differ by {error:.2g}, the largest being {largest:.2g}"
    load_into(found.module, found.weights(of_module(module, 0)), 0)
    return None


@torch.no_grad()
def perturb(module: nn.Module) -> None:
    """Move every number that members may differ in, so that none can pass for a constant; signs of buffers stay."""
    chance = torch.Generator().manual_seed(0)

    def noise(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=chance).to(like)

    for tensor in module.parameters():
        tensor.add_(0.1 * tensor.square().mean().sqrt().clamp(min=0.1) * noise(tensor))
    for buffer in module.buffers():
        if buffer.is_floating_point():
            buffer.mul_((0.2 * noise(buffer)).exp())
    for layer in tracking(module):
        assert layer.running_mean is not None
        assert layer.running_var is not None
        layer.running_mean.add_(noise(layer.running_mean) * layer.running_var.sqrt())
