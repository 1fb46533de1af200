"""Networks of one architecture as one stack of tensors: one call computes all of them."""

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from modescape.core.engine.memory import is_out_of_memory
from modescape.core.engine.work import CannotStack
from modescape.core.settings import require
from modescape.core.shapes import Float, Shaped
from modescape.errors import in_a_line

Given = Mapping[str, Shaped[Tensor, "member ..."]]


class Stack:
    """The tensors of several modules, laid out so that the modules' own are views of the stack's.

    What changes the stack changes the modules, and the other way round. The modules may be in training or evaluation
    mode; ``skeleton`` is the one whose forward pass is used, by default a copy of the first.
    """

    def __init__(self, modules: Sequence[nn.Module], skeleton: nn.Module | None = None) -> None:
        require(len(modules) > 0, "a stack needs at least one network")
        self.params = {name: _stacked(name, [dict(m.named_parameters()) for m in modules]) for name in _names(modules)}
        self.buffers = {
            name: _stacked(name, [dict(m.named_buffers()) for m in modules]) for name, _ in modules[0].named_buffers()
        }
        for place, module in enumerate(modules):
            for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
                whole = self.params[name] if name in self.params else self.buffers[name]
                tensor.data = whole[place]
        for tensor in self.params.values():
            tensor.requires_grad_()
        self.own = [dict(module.named_parameters()) for module in modules]
        self.skeleton = (skeleton or copy.deepcopy(modules[0])).to("meta")

    def __call__(
        self, inputs: Float[Tensor, "member example *shape"], given: Given | None = None
    ) -> Float[Tensor, "member example class"]:
        """Outputs of every member for its own inputs. ``given`` are more tensors of the skeleton, by name."""
        return self.function(self.params, self.buffers | dict(given or {}), inputs)

    def function(self, params: Given, buffers: Given, inputs: Tensor) -> Tensor:
        """The same with any tensors in place of the stack's own."""

        def one(params: Mapping[str, Tensor], buffers: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
            found: Tensor = functional_call(self.skeleton, (dict(params), dict(buffers)), (inputs,))
            return found

        outputs: Tensor = vmap(one)(params, buffers, inputs)
        return outputs

    def hand_out_gradients(self) -> None:
        """Give every module's parameters their part of the stack's gradients, as views."""
        for name, tensor in self.params.items():
            parts = [None] * len(self.own) if tensor.grad is None else tensor.grad.unbind(0)
            for own, part in zip(self.own, parts, strict=True):
                own[name].grad = part

    def forget_gradients(self) -> None:
        """Drop all gradients."""
        for tensor in self.params.values():
            tensor.grad = None

    def try_out(self, inputs: Float[Tensor, "member example *shape"], given: Given | None = None) -> None:
        """Compute once, forward and backward, on copies of the buffers; compare the first member with itself alone.

        Raises ``CannotStack`` unless that works and agrees. Memory that runs out is raised as it is.
        """
        copies = {name: tensor.clone() for name, tensor in self.buffers.items()} | dict(given or {})
        try:
            outputs = self.function(self.params, copies, inputs)
            outputs.square().mean().backward()
        except Exception as error:
            # Only this file asks for a stack, so that whatever went wrong is the stack's doing; but for memory.
            if is_out_of_memory(error):
                raise
            raise CannotStack(in_a_line(error)) from error
        finally:
            self.forget_gradients()
        first = {n: t[0].clone() for n, t in {**self.params, **self.buffers, **dict(given or {})}.items()}
        with torch.no_grad():
            expected = functional_call(self.skeleton, first, (inputs[0],))
        found = outputs[0].detach()
        # Far above what sums in another order make of float32 or bf16, far below what a wrong network would do.
        if found.shape != expected.shape or not _alike(found.float(), expected.float(), 0.05):
            raise CannotStack("the first network gives other outputs in a stack than alone")


def _alike(found: Tensor, expected: Tensor, tolerance: float) -> bool:
    scale = expected.abs().max()
    return bool(((found - expected).abs().max() <= tolerance * scale) | ~scale.isfinite())


def _names(modules: Sequence[nn.Module]) -> list[str]:
    return [name for name, _ in modules[0].named_parameters()]


def _stacked(name: str, tensors: Sequence[Mapping[str, Tensor]]) -> Tensor:
    return torch.stack([own[name].detach().contiguous() for own in tensors])
