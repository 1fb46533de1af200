"""Many weight vectors on one split: in blocks, chunk by chunk, with the logits reduced as they come.

A block of members passes one chunk of examples after the other: the chunk is scaled once, and layers whose weights all
of them share compute once. Memory holds a block of weights for each core, one chunk, and what reductions keep.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from modescape.core.ahead import ahead
from modescape.core.decoded import Decoded
from modescape.core.engine.events import Advanced, Failed
from modescape.core.engine.memory import is_out_of_memory
from modescape.core.engine.notes import say
from modescape.core.engine.side_by_side import one_after_another, side_by_side
from modescape.core.engine.work import CannotStack
from modescape.core.models.batch_norm import has_batch_norm, refresh_statistics, tracking
from modescape.core.models.lean import Lean, lean
from modescape.core.models.sharing import Stages, staged, varying
from modescape.core.reductions import Block, Chunk, Reduction
from modescape.core.settings import require
from modescape.core.shapes import Float
from modescape.core.splits import Scaling, Split
from modescape.core.weights import Weights, load_into
from modescape.errors import in_a_line

CHUNK, CHUNK_NUMBERS, ELSEWHERE = 1000, 100 * 3 * 32 * 32, 16
"""Examples that pass a network at once, and numbers in their inputs, at most; so many times the numbers off the CPU.

Activations stay within a core's cache: 100 small colour images were fastest, 250 a fifth slower.
"""

STATISTICS_CHUNK = 250
"""Training examples in a batch from which batch-norm statistics are computed; its variance is that of so many."""

BLOCK, BLOCK_BYTES = 32, 2**26
"""Members of a block, and bytes of their weights, at most: enough that what a block does once costs next to nothing."""


@dataclass(frozen=True)
class Evaluation:
    """What is asked of every member: reductions of its logits on a split.

    Where weights were moved, ``statistics`` are training examples from which batch-norm statistics are computed anew
    for each member. ``stacked`` members pass a chunk in one call, which is faster where operators are too small to fill
    the device, and rounds otherwise.
    """

    split: Split
    scaling: Scaling
    reductions: Sequence[Reduction[Any, Any]]
    statistics: Split | None = None
    stacked: bool = False

    def __post_init__(self) -> None:
        require(len(self.reductions) > 0, "an evaluation needs at least one reduction of the logits")
        require(len(self.split) > 0, "there are no examples to evaluate on")


@dataclass(frozen=True)
class Blocks:
    """Members in ``count`` blocks; ``make(i)`` gives block i, the same whenever it is called and on any thread."""

    count: int
    make: Callable[[int], Weights]

    def __post_init__(self) -> None:
        require(self.count > 0, "there are no members to evaluate")


class Scratch:
    """A thread's own networks, whose weights are overwritten: the one given, and the lean one that predicts for it."""

    def __init__(self, module: nn.Module, split: Split, scaling: Scaling) -> None:
        few = replace(split, inputs=split.inputs[:3], targets=split.targets[:3])
        self.plain = placed(module, split)
        self.lean: Lean = lean(self.plain, next(scaled_chunks(few, scaling)))
        if self.lean.reason:
            say(f"this network predicts as it is, which is slower: it cannot be made lean ({self.lean.reason})")
        self._cut: tuple[frozenset[str], Stages] | None = None

    def stages(self, moving: frozenset[str]) -> Stages:
        """The lean network, cut where the first of the moving tensors is read."""
        if self._cut is None or self._cut[0] != moving:
            self._cut = moving, staged(self.lean.module, moving)
        return self._cut[1]


def placed(module: nn.Module, split: Split) -> nn.Module:
    """The module in evaluation mode, where a split is worked on and in the memory format that is fastest for it."""
    module.to(device=split.device)
    if split.inputs.ndim == 4:
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return module.eval()


def chunk_size(split: Split) -> int:
    """How many of these examples pass a network at once."""
    numbers = CHUNK_NUMBERS * (1 if split.device.type == "cpu" else ELSEWHERE)
    return max(1, min(CHUNK, numbers // max(1, split.example_numbers)))


def scaled_chunks(split: Split, scaling: Scaling, size: int | None = None) -> Iterator[Float[Tensor, "example *shape"]]:
    """The inputs of a split as the network sees them, at most ``size`` examples at a time.

    Inputs that are decoded are so while the chunks before are used.
    """
    layout = torch.channels_last if split.inputs.ndim == 4 else torch.contiguous_format
    step = size or chunk_size(split)
    taken = (split.take(slice(start, start + step)) for start in range(0, len(split), step))
    for inputs in ahead(taken) if isinstance(split.inputs, Decoded) else taken:
        yield scaling(inputs).contiguous(memory_format=layout)


def blocks_of(weights: Weights, most: int = BLOCK) -> Blocks:
    """A stack in blocks of ``most`` members at most, whose weights are views of it."""
    require(len(weights) > 0, "there are no members to evaluate")
    tensors = [*weights.params.values(), *weights.buffers.values()]
    each = sum(tensor[0].numel() * tensor.element_size() for tensor in tensors)
    size = max(1, min(most, BLOCK_BYTES // max(1, each)))

    def make(place: int) -> Weights:
        rows = slice(place * size, (place + 1) * size)
        params = {name: tensor[rows] for name, tensor in weights.params.items()}
        return Weights(params, {name: tensor[rows] for name, tensor in weights.buffers.items()}, weights.origin[rows])

    return Blocks(-(-len(weights) // size), make)


def evaluate_block(scratch: Scratch, weights: Weights, evaluation: Evaluation) -> Generator[int, None, list[Any]]:
    """The partial of each reduction for one block of members; yields the members done.

    Members pass side by side, the first is done little earlier than the last: what is told is their share of the work.
    """
    require(len(weights) > 0, "there are no members to evaluate")
    split, anew = evaluation.split, _statistics_passes(scratch, weights, evaluation)
    progress = _Progress(len(weights), len(weights) * len(split) + anew * len(evaluation.statistics or ()))
    if anew > 0:
        weights = yield from _refreshed(scratch, weights, evaluation, progress)
    passes, partials, first = _Passes(scratch, weights), list[Any](), 0
    for inputs in scaled_chunks(split, evaluation.scaling):
        given, rows = passes.once(inputs), []
        for member in range(0 if evaluation.stacked else len(weights)):
            rows.append(passes.each(member, given))
            if done := progress.after(len(inputs)):
                yield done
        if evaluation.stacked:
            rows = list(passes.together(given))
            if done := progress.after(len(inputs) * len(weights)):
                yield done
        chunk = Chunk(first, torch.stack(rows).float(), split.targets[first : first + len(inputs)].to(split.device))
        if not partials:
            block = Block(weights.origin, len(split), chunk.logits.shape[-1], chunk.logits.device)
            partials = [reduction.start(block) for reduction in evaluation.reductions]
        for reduction, partial in zip(evaluation.reductions, partials, strict=True):
            reduction.add(partial, chunk)
        first += len(inputs)
    return partials


def evaluate(scratches: Sequence[Scratch], blocks: Blocks, evaluation: Evaluation) -> Generator[int, None, list[Any]]:
    """The result of each reduction over all members; yields the members done. A core for each scratch.

    Blocks are made when a core is free for them and merged in their order: the number of cores changes no number.
    """
    require(len(scratches) > 0, "an evaluation needs at least one scratch network")
    turns, finished = deque(range(blocks.count)), dict[int, list[Any]]()

    def lane(own: Scratch) -> Generator[int, None, None]:
        while turns:
            try:
                turn = turns.popleft()
            except IndexError:  # another thread was faster
                return
            finished[turn] = yield from evaluate_block(own, blocks.make(turn), evaluation)

    lanes = [lane(own) for own in scratches[: blocks.count]]
    events = side_by_side(lanes, len(lanes)) if len(lanes) > 1 else one_after_another(lanes)
    whole: list[Any] = []
    merged = 0
    try:
        for event in events:
            if isinstance(event, Failed):
                raise event.error
            while merged in finished:
                whole = _joined(evaluation.reductions, whole, finished.pop(merged))
                merged += 1
            if isinstance(event, Advanced):
                yield event.amount
    finally:
        events.close()  # type: ignore[attr-defined]
    return [reduction.result(part) for reduction, part in zip(evaluation.reductions, whole, strict=True)]


def _joined(reductions: Sequence[Reduction[Any, Any]], earlier: list[Any], later: list[Any]) -> list[Any]:
    if not earlier:
        return later
    return [reduction.join(a, b) for reduction, a, b in zip(reductions, earlier, later, strict=True)]


class _Progress:
    """Work done, told in members."""

    def __init__(self, members: int, work: int) -> None:
        self.members, self.work, self.done = members, work, 0

    def after(self, work: int) -> int:
        """Members done since the last time, after so much more work."""
        before = self.members * self.done // self.work
        self.done += work
        return self.members * self.done // self.work - before


def _statistics_passes(scratch: Scratch, weights: Weights, evaluation: Evaluation) -> int:
    """How many members' batch-norm statistics are to be computed, the first ones' standing for all others."""
    if evaluation.statistics is None or not has_batch_norm(scratch.plain):
        return 0
    # Statistics follow from what is read before them: where a head moves alone, they are the same for all.
    return len(weights) if varying(weights) & scratch.lean.upstream else 1


def _refreshed(
    scratch: Scratch, weights: Weights, evaluation: Evaluation, progress: _Progress
) -> Generator[int, None, Weights]:
    """The weights with batch-norm statistics of their own; yields the members done."""
    plain = scratch.plain
    assert evaluation.statistics is not None, "whoever asks for a pass has examples for it"
    statistics = replace(evaluation.statistics, stream_to=evaluation.split.device)
    own = {id(tensor) for layer in tracking(plain) for tensor in layer.buffers(recurse=False)}
    rows: dict[str, list[Tensor]] = {name: [] for name, tensor in plain.named_buffers() if id(tensor) in own}
    for member in range(_statistics_passes(scratch, weights, evaluation)):
        load_into(plain, weights, member)
        refresh_statistics(plain, scaled_chunks(statistics, evaluation.scaling, STATISTICS_CHUNK))
        for name in rows:
            rows[name].append(plain.get_buffer(name).clone())
        if done := progress.after(len(statistics)):
            yield done
    # Where the other weights lie: a lean network folds the statistics into them.
    home = next(iter(weights.params.values())).device
    fresh = {name: torch.stack(found).to(home) for name, found in rows.items()}
    fresh = {name: tensor.expand(len(weights), *tensor.shape[1:]) for name, tensor in fresh.items()}
    return Weights(weights.params, {**weights.buffers, **fresh}, weights.origin)


class _Passes:
    """The lean network with the weights of a block, for one chunk at a time: ``once``, then ``each`` member."""

    def __init__(self, scratch: Scratch, weights: Weights) -> None:
        ready = scratch.lean.weights(weights)
        rows = {**ready.params, **ready.buffers}
        module = scratch.lean.module
        own = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        moving = varying(ready) if len(weights) > 1 else frozenset(rows)
        self.stages = scratch.stages(moving)
        # Rows are copied into the network, not put in its place: there they all lie at the same address, and no kernel
        # rounds one member otherwise than the next because of where it lies. It costs no more.
        self.moving = [(own[name], rows[name]) for name in sorted(moving)]
        self.rows = {name: rows[name] for name in moving}
        with torch.no_grad():
            for name in rows.keys() - moving:
                own[name].copy_(rows[name][0])

    # Inference mode belongs to a thread, and another thread may carry on after a yield: it is never held across one.
    @torch.inference_mode()
    def once(self, inputs: Float[Tensor, "example *shape"]) -> tuple[Any, ...]:
        """What all members start from."""
        values: tuple[Any, ...] = (inputs,) if self.stages.once is None else self.stages.once(inputs)
        return values

    @torch.inference_mode()
    def each(self, member: int, values: tuple[Any, ...]) -> Float[Tensor, "example class"]:
        """One member's logits."""
        for own, rows in self.moving:
            own.copy_(rows[member])
        given = [value.clone() for value in values] if self.stages.alters else values
        logits: Tensor = self.stages.each(*given)
        return logits

    @torch.inference_mode()
    def together(self, values: tuple[Any, ...]) -> Float[Tensor, "member example class"]:
        """All members' logits by one call. Raises ``CannotStack`` if the network cannot compute so."""
        own = {name for name, _ in [*self.stages.each.named_parameters(), *self.stages.each.named_buffers()]}
        stack = {name: rows for name, rows in self.rows.items() if name in own}

        def one(tensors: dict[str, Tensor]) -> Tensor:
            logits: Tensor = functional_call(self.stages.each, tensors, values)
            return logits

        try:
            found: Tensor = vmap(one)(stack)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            raise CannotStack(in_a_line(error)) from error
        return found
