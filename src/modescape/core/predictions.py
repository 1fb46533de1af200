"""Stacks of predictions: weights times inputs gives logits, in bounded chunks; and the mean of probabilities."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from modescape.core.models.batch_norm import has_batch_norm, refresh_statistics
from modescape.core.settings import require
from modescape.core.shapes import Float, Int
from modescape.core.splits import Scaling, Split
from modescape.core.weights import Weights, load_into

CHUNK = 250
"""Examples that pass a network at once: activations stay within a core's cache, memory stays bounded."""


@dataclass(frozen=True)
class Predictions:
    """Logits of a stack of weights on a named split, with the targets and each member's origin."""

    logits: Float[Tensor, "member example class"]
    targets: Int[Tensor, " example"]
    origin: tuple[int, ...]
    split: str

    def __post_init__(self) -> None:
        members, examples, _ = self.logits.shape
        require(members == len(self.origin), f"{members} members, {len(self.origin)} origins")
        require(examples == len(self.targets), f"{examples} predictions, {len(self.targets)} targets")

    def __len__(self) -> int:
        return len(self.origin)

    @property
    def classes(self) -> Int[Tensor, "member example"]:
        """Predicted classes."""
        return self.logits.argmax(dim=-1)

    @property
    def probabilities(self) -> Float[Tensor, "member example class"]:
        """Predicted probabilities."""
        return self.logits.softmax(dim=-1)


def predict(
    module: nn.Module, weights: Weights, split: Split, scaling: Scaling, statistics: Split | None = None
) -> Generator[int, None, Float[Tensor, "member example class"]]:
    """Logits of every member in evaluation mode; yields the members done, one at a time.

    The module is a scratch copy whose weights are overwritten. At most ``CHUNK`` examples are in flight. Where weights
    were moved, ``statistics`` are training examples from which batch-norm statistics are computed anew for each member.
    """
    ready = placed(module, split)
    rows: list[Tensor] = []
    for member in range(len(weights)):
        load_into(ready, weights, member)
        if statistics is not None and has_batch_norm(ready):
            refresh_statistics(ready, scaled_chunks(statistics, scaling))
        # inference mode belongs to a thread, and another thread may carry on after the yield: never hold it across one
        with torch.inference_mode():
            whole = torch.cat([ready(chunk).float() for chunk in scaled_chunks(split, scaling)])
        rows.append(whole.clone())
        yield 1
    return torch.stack(rows)


def placed(module: nn.Module, split: Split) -> nn.Module:
    """The module in evaluation mode, where a split is and in the memory format that is fastest for it."""
    module.to(device=split.inputs.device)
    if split.inputs.ndim == 4:
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return module.eval()


def scaled_chunks(split: Split, scaling: Scaling) -> Iterator[Float[Tensor, "example *shape"]]:
    """The inputs of a split as the network sees them, at most ``CHUNK`` examples at a time."""
    layout = torch.channels_last if split.inputs.ndim == 4 else torch.contiguous_format
    for chunk in split.inputs.split(CHUNK):
        yield scaling(chunk).contiguous(memory_format=layout)


def ensemble_probabilities(predictions: Predictions) -> Float[Tensor, "example class"]:
    """The ensemble's prediction: mean of probabilities within each origin first, then across origins (float64)."""
    probabilities = predictions.logits.double().softmax(dim=-1)
    origins = torch.tensor(predictions.origin, device=probabilities.device)
    within = [probabilities[origins == origin].mean(dim=0) for origin in origins.unique()]
    return torch.stack(within).mean(dim=0)


def predict_all(
    build: Callable[[], nn.Module], weights: Weights, split: Split, scaling: Scaling, statistics: Split | None = None
) -> Float[Tensor, "member example class"]:
    """Logits of every member, on the calling thread; see ``predict``."""
    work = predict(build(), weights, split, scaling, statistics)
    while True:
        try:
            next(work)
        except StopIteration as stop:
            logits: Tensor = stop.value
            return logits
