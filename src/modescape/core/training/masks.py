"""Dropout masks as data: drawn outside a step from each member's own generator, and passed in."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from modescape.core.models.dropout import MASK, HeldDropout, with_held
from modescape.core.seeds import generator, global_generator
from modescape.core.training.member import InTraining
from modescape.core.training.noise import MaskShape, SeededDropout, seed_dropout
from modescape.core.training.plan import Plan


class Masks:
    """The masks that a step needs, in the order in which a member alone draws them.

    ``skeleton`` is a network whose dropout layers take theirs from buffers; ``names`` are these buffers' names.
    """

    def __init__(self, plan: Plan, inputs: Tensor) -> None:
        """``inputs`` are those of one member's step; only their shape and layout count."""
        with global_generator(plan.root, "scratch"):
            module = plan.build()
        layers = seed_dropout(module)
        module.to(device=inputs.device)
        if inputs.ndim == 4:
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.uses = _uses(module, layers, inputs)
        self.like = inputs
        paths = {layer: path for path, layer in module.named_modules() if isinstance(layer, SeededDropout)}
        shapes: dict[SeededDropout, list[tuple[int, ...]]] = {}
        self.names = []
        for place, wanted in self.uses:
            layer = layers[place]
            self.names.append(f"{paths[layer]}.{MASK}{len(shapes.setdefault(layer, []))}")
            shapes[layer].append(wanted.shape[1:])
        held: dict[nn.Module, HeldDropout] = {layer: HeldDropout(layer.rate, own) for layer, own in shapes.items()}
        self.skeleton = with_held(module, held).train() if held else module.train()

    def draw(self, member: InTraining) -> list[Tensor]:
        """A member's masks for its next step."""
        return [member.dropouts[place].mask(wanted, self.like) for place, wanted in self.uses]

    def draw_all(self, members: Sequence[InTraining]) -> dict[str, Tensor]:
        """All members' masks, stacked, by the skeleton's names."""
        rows = [self.draw(member) for member in members]
        return {name: torch.stack(column) for name, column in zip(self.names, zip(*rows, strict=True), strict=True)}

    def blank(self, *count: int) -> list[Tensor]:
        """Masks of ones that nobody draws, for a step of one member or of so many, to try it or to record it."""
        return [torch.ones(*count, *wanted.shape, device=self.like.device) for _, wanted in self.uses]

    def forward(self, module: nn.Module, masks: Sequence[Tensor]) -> Callable[[Tensor], Tensor]:
        """The module's forward pass with these masks."""
        own: Mapping[str, Tensor] = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        given = {**own, **dict(zip(self.names, masks, strict=True))}
        return lambda inputs: functional_call(self.skeleton, given, (inputs,))


def _uses(module: nn.Module, layers: Sequence[SeededDropout], inputs: Tensor) -> list[tuple[int, MaskShape]]:
    """Which layer each mask of a pass is for, and its shape."""
    found: list[tuple[int, MaskShape]] = []
    active = {layer: place for place, layer in enumerate(layers) if layer.rate > 0}

    def watch(layer: nn.Module, given: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, SeededDropout)
        found.append((active[layer], layer.shape_for(given[0])))

    if not active:
        return found
    handles = [layer.register_forward_pre_hook(watch) for layer in active]
    for layer in layers:
        layer.chance = generator(0, "scratch", device=inputs.device)
    module.train()
    with torch.no_grad():
        module(inputs)
    for handle in handles:
        handle.remove()
    return found
