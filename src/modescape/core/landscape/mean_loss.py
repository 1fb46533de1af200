"""The mean loss around one solution: its value, its gradient, and products with its Hessian, which is never held.

The network predicts as in evaluation: batch norm by the running statistics, which do not move with the weights, and no
dropout. Where units have kinks (ReLU, max-pooling) the Hessian is that of the smooth piece that the weights lie on.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from modescape.core.engine.memory import is_out_of_memory
from modescape.core.evaluation import chunk_size, placed, scaled_chunks
from modescape.core.landscape.checks import require_deterministic
from modescape.core.settings import require
from modescape.core.shapes import Float
from modescape.core.splits import Scaling, Split
from modescape.core.weights import Weights, load_into
from modescape.errors import in_a_line

Precision = Literal["float32", "float64"]

_DTYPES = {"float32": torch.float32, "float64": torch.float64}


class MeanLoss:
    """Mean cross-entropy (nats) of one solution, a stack of one, over all examples of a split, in evaluation mode.

    The module is copied. ``precision`` is that of the network; what is summed over examples is kept in float64. A
    vector has the parameters in the order of ``weights.flatten``. Raises ``NetworkError`` if two passes over
    the same examples differ, ``ValueError`` if logits are not finite.
    """

    def __init__(
        self, module: nn.Module, weights: Weights, split: Split, scaling: Scaling, precision: Precision = "float32"
    ) -> None:
        require(len(weights) == 1, f"the loss is that of one solution: expected a stack of one, got {len(weights)}")
        require(len(split) > 0, "there are no examples to take the mean loss of")
        require(precision in _DTYPES, f"precision must be one of {', '.join(_DTYPES)}, got {precision!r}")
        self.weights, self.split, self.scaling = weights, split, scaling
        self.dtype = _DTYPES[precision]
        self._module = placed(copy.deepcopy(module).to(self.dtype), split).requires_grad_()
        load_into(self._module, weights, 0)
        own = dict(self._module.named_parameters())
        self._own = [own[name] for name in weights.params]
        self._twice = False
        self._require_a_function()

    @property
    def examples(self) -> int:
        """Over how many examples the mean is."""
        return len(self.split)

    @property
    def size(self) -> int:
        """How many weights there are: the length of a vector."""
        return sum(tensor.numel() for tensor in self._own)

    @property
    def device(self) -> torch.device:
        """Where vectors lie."""
        return self.split.device

    @torch.enable_grad()
    def gradient(self) -> tuple[float, Float[Tensor, " weight"]]:
        """The mean loss in nats, and its gradient in float64."""
        loss, total = 0.0, torch.zeros(self.size, dtype=torch.float64, device=self.device)
        for part in self._parts(self.split):
            found = self._derived(part)
            loss, total = loss + float(part.detach()), total + found
        return loss, total

    @torch.enable_grad()
    def products(self, vectors: Float[Tensor, "vector weight"]) -> Float[Tensor, "vector weight"]:
        """The Hessian times each vector, in float64; several at once cost less than one by one.

        Raises ``ValueError`` if the loss cannot be differentiated twice.
        """
        require(vectors.shape[1] == self.size, f"vectors of {vectors.shape[1]} numbers for {self.size} weights")
        self._require_smooth()
        total = torch.zeros(vectors.shape, dtype=torch.float64, device=self.device)
        # Unit vectors of many weights have numbers that are small, and products that are smaller: scaled to lie near 1.
        factor = vectors.abs().amax(dim=1, keepdim=True).clamp(min=torch.finfo(torch.float64).tiny)
        ready = (vectors / factor).to(self.device, self.dtype)
        for part in self._parts(self.split):
            slopes = self._slopes(part)
            for row, vector in enumerate(ready):
                total[row] += self._derived([slope for slope, _ in slopes], self._pieces(vector, slopes))
        return total * factor.to(total)

    def _parts(self, split: Split) -> Iterator[Tensor]:
        """What each chunk of examples adds to the mean loss."""
        first = 0
        for inputs in scaled_chunks(split, self.scaling):
            targets = split.targets[first : first + len(inputs)].to(self.device).long()
            logits = self._module(inputs.to(self.dtype))
            yield functional.cross_entropy(logits, targets, reduction="sum") / len(split)
            first += len(inputs)

    def _slopes(self, part: Tensor) -> list[tuple[Tensor, int]]:
        """Derivatives that can be differentiated again, each with the place of its parameter."""
        try:
            found = torch.autograd.grad(part, self._own, create_graph=True, allow_unused=True)
        except RuntimeError as error:
            raise ValueError(f"the loss of this network has no gradient: {in_a_line(error)}") from error
        slopes = [(slope, place) for place, slope in enumerate(found) if slope is not None and slope.requires_grad]
        require(
            len(slopes) > 0,
            "the loss of this network cannot be differentiated twice: its gradient does not depend on its weights "
            "(a rounded or detached activation?); curvature needs one that is smooth almost everywhere",
        )
        return slopes

    def _pieces(self, vector: Tensor, slopes: Sequence[tuple[Tensor, int]]) -> list[Tensor]:
        pieces = vector.split([tensor.numel() for tensor in self._own])
        return [pieces[place].view(slope.shape) for slope, place in slopes]

    def _derived(self, of: Tensor | list[Tensor], along: list[Tensor] | None = None) -> Tensor:
        """One vector in float64: the derivative by all parameters."""
        found = torch.autograd.grad(of, self._own, along, retain_graph=along is not None, allow_unused=True)
        rows = [torch.zeros_like(p) if row is None else row for p, row in zip(self._own, found, strict=True)]
        return torch.cat([row.reshape(-1) for row in rows]).double()

    @torch.no_grad()
    def _require_a_function(self) -> None:
        few = self.split.take(slice(0, min(len(self.split), chunk_size(self.split))))
        inputs = self.scaling(few).to(self.dtype)
        require_deterministic(self._module, inputs)
        logits = self._module(inputs)
        require(
            logits.ndim == 2 and bool(logits.isfinite().all()),
            f"the loss needs finite logits [example, class]; got a tensor of shape {tuple(logits.shape)}, or numbers "
            "that are not finite: does the solution belong to a training that diverged?",
        )

    def _require_smooth(self) -> None:
        """Let functions that refuse a second derivative say so: asked for certain derivatives, torch passes them by."""
        if self._twice:
            return
        few = replace(self.split, inputs=self.split.inputs[:3], targets=self.split.targets[:3])
        slopes = [slope for slope, _ in self._slopes(next(self._parts(few)))]
        try:
            torch.autograd.backward(slopes, [torch.ones_like(slope) for slope in slopes])
        except (RuntimeError, NotImplementedError) as error:
            if is_out_of_memory(error):
                raise
            raise ValueError(f"the loss of this network cannot be differentiated twice: {in_a_line(error)}") from error
        finally:
            for tensor in self._own:
                tensor.grad = None
        self._twice = True
