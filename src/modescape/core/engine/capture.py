"""A step recorded once and replayed: the same kernels on the same memory, with new inputs copied in."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from modescape.core.engine.notes import say
from modescape.errors import in_a_line

Run = Callable[[], None]
WARM_UP = 3
"""Steps before recording, in which libraries choose their kernels and allocate what they keep."""


def cuda_graph(run: Run) -> Run:
    """Record a run as a CUDA graph."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def warm_up(run: Run) -> None:
    """Run a few times on a stream of its own, as recording demands."""
    beside = torch.cuda.Stream()
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        for _ in range(WARM_UP):
            run()
    torch.cuda.current_stream().wait_stream(beside)


class Replayed:
    """A step ``run(*inputs)`` that works on memory of its own.

    ``kept`` are the tensors that a step changes and the next one reads: they are put back after the runs that are made
    only for the recording. A step that cannot be recorded is computed as it is, which is said once.
    """

    def __init__(
        self,
        run: Callable[..., None],
        inputs: Sequence[Tensor],
        kept: Sequence[Tensor],
        record: Callable[[Run], Run] = cuda_graph,
        prepare: Callable[[Run], None] = warm_up,
    ) -> None:
        self.own = [tensor.clone() for tensor in inputs]
        before = [tensor.detach().clone() for tensor in kept]

        def whole() -> None:
            run(*self.own)

        try:
            prepare(whole)
            self.replay = record(whole)
        except RuntimeError as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            reason = in_a_line(error)
            say(f"a step of this network cannot be recorded as a CUDA graph ({reason}); it is computed step by step")
            self.replay = whole
        with torch.no_grad():
            for tensor, value in zip(kept, before, strict=True):
                tensor.copy_(value)

    def __call__(self, *inputs: Tensor) -> None:
        """One step with these inputs."""
        for own, tensor in zip(self.own, inputs, strict=True):
            own.copy_(tensor, non_blocking=True)
        self.replay()
