"""What contestants of a comparison are given: the same networks, data and amount of work for each."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from modescape.app.datasets.load import load
from modescape.core.models.catalogue import NETWORKS
from modescape.core.seeds import generator, global_generator
from modescape.core.shapes import Float
from modescape.core.splits import Scaling, Split, scaling_of
from modescape.core.weights import Weights, of_module, stack
from modescape.errors import DataError

CLASSES, SHAPE = 10, (3, 32, 32)


@dataclass(frozen=True)
class Assignment:
    """The work: so many members of a network trained on ``train`` images, or ``points`` evaluated on ``images``.

    Points of a plane are the first so many, row by row, of a grid of ``side`` x ``side``.
    """

    network: str
    members: int = 8
    train: int = 5_120
    images: int = 10_000
    epochs: int = 1
    batch: int = 128
    rate: float = 1e-3
    points: int = 1
    side: int = 51
    dropout: bool = True
    statistics: int = 0
    way: str = "auto"
    precision: str = "float32"
    device: str = "cpu"
    cores: int = 1
    data_dir: str | None = None

    def build(self) -> nn.Module:
        """A fresh network."""
        options = {} if self.dropout else {"dropout": 0.0}
        return NETWORKS[self.network](SHAPE, CLASSES, **options)

    def initial(self, member: int) -> nn.Module:
        """A member's network at its initialisation."""
        with global_generator(0, "bench", member):
            return self.build()

    @property
    def builder(self) -> Callable[[], nn.Module]:
        """``build`` as a function that survives the way to another process."""
        return partial(Assignment.build, self)

    def splits(self) -> tuple[Split, Split, Scaling]:
        """Training and test examples of CIFAR-10, or noise of its shape without it; the scale of the inputs."""
        found = _cifar(self.data_dir) or {"train": _noise(50_000, "train"), "test": _noise(10_000, "test")}
        train = Split(found["train"].inputs[: self.train], found["train"].targets[: self.train])
        test = Split(found["test"].inputs[: self.images], found["test"].targets[: self.images])
        return train, test, scaling_of("standard", train.inputs)

    @property
    def data(self) -> str:
        """What the images are."""
        return "CIFAR-10" if _cifar(self.data_dir) else "noise in the shape of CIFAR-10, which was not found"

    def weights(self, count: int) -> Weights:
        """Weight vectors to evaluate: initialisations, each by itself."""
        return stack([of_module(self.initial(member), member) for member in range(count)])


def _cifar(data_dir: str | None) -> Mapping[str, Split] | None:
    try:
        return load("cifar10", data_dir=Path(data_dir) if data_dir else None).splits
    except DataError:
        return None


def _noise(count: int, name: str) -> Split:
    chance = generator(0, "bench", name)
    inputs = torch.randint(0, 256, (count, *SHAPE), generator=chance, dtype=torch.uint8)
    return Split(inputs, torch.randint(0, CLASSES, (count,), generator=chance))


def accuracy_of(logits: Sequence[Tensor], targets: Tensor) -> dict[str, float]:
    """Mean accuracy of members and accuracy of their ensemble."""
    rows = torch.stack(list(logits)).double().softmax(dim=-1)
    own = (rows.argmax(dim=-1) == targets).double().mean()
    return {"accuracy": float(own), "ensemble": float((rows.mean(dim=0).argmax(dim=-1) == targets).double().mean())}


def random_predictions(given: Assignment) -> Float[Tensor, "member example class"]:
    """Logits of ``points`` checkpoints on ``images`` examples: three random functions, and steps around each."""
    chance = generator(0, "bench", "predictions")
    functions = 3 * torch.randn(3, given.images, CLASSES, generator=chance)
    steps = torch.randn(given.points, given.images, CLASSES, generator=chance)
    return functions[torch.arange(given.points) % 3] + steps


def gigaflops(module: nn.Module, batch: int) -> float:
    """Floating-point operations of a training step, forward and backward, for one image, in 10**9: counted by torch."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        module(torch.zeros(batch, *SHAPE)).sum().backward()
    total = float(counter.get_total_flops())
    if not math.isfinite(total) or total <= 0:
        raise ValueError("torch counted no operations")
    return total / batch / 1e9
