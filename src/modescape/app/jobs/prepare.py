"""From a recipe to everything that tasks need: data on a device, a builder of networks, the run's identity."""

import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import torch

import modescape
from modescape.app.datasets.dataset import Dataset
from modescape.app.datasets.load import load
from modescape.app.jobs import network
from modescape.app.jobs.engine import Chosen, Wanted, choose
from modescape.app.jobs.imported import read_weights
from modescape.app.jobs.predicted import context_of
from modescape.app.jobs.provenance import commit, processor
from modescape.app.jobs.recipe import Recipe
from modescape.app.jobs.splits import Beyond, Digests, References, Splits
from modescape.core.decoded import Decoded
from modescape.core.engine.engine import Engine
from modescape.core.engine.notes import say
from modescape.core.engine.way import Room
from modescape.core.splits import Scaling, ScalingKind, Split, scaling_of
from modescape.errors import SettingsError
from modescape.studies.abstract import Context, Sizes, Task, Unfit, content_keys

OPERATOR_THREADS = 1
ON_THREADS = Wanted()

DECISIVE = ("seed", "data", "network", "training")
"""The parts of a recipe that decide about the trained members."""


@dataclass(frozen=True)
class Options:
    """What the command line decides beside the recipe."""

    data_dir: Path | None = None
    device: str = "auto"
    cores: int | None = None
    engine: Wanted = ON_THREADS


@dataclass(frozen=True)
class Prepared:
    """A recipe that is ready to run."""

    recipe: Recipe
    dataset: Dataset
    context: Context
    sizes: Sizes
    parameters: int
    chosen: Chosen

    @property
    def belongs(self) -> dict[str, Any]:
        """What must stay the same for a run to be continued: whatever decides about the trained members.

        Settings of studies may change from one command to the next: each task's key knows those that it depends on.
        """
        record = self.recipe.record()
        shared = {name: record[name] for name in DECISIVE}
        # Files count by what is in them, wherever they lie.
        files = ("weights", "predictions", "kind")
        shared["network"] = {name: value for name, value in shared["network"].items() if name not in files}
        # Runs from before there was a size go on.
        shared["data"] = {name: value for name, value in shared["data"].items() if (name, value) != ("size", None)}
        belongs = {"recipe": shared, "data_sha256": self.dataset.digest, "engine": self.arithmetic}
        factory = self.recipe.network.factory
        what = "predictions_sha256" if self.context.setup.predicted else "weights_sha256"
        belongs |= {what: list(self.sizes.imported)} if self.sizes.imported else {}
        return belongs | ({"factory_sha256": network.factory_digest(factory)} if factory else {})

    def described(self, about: Mapping[str, str]) -> dict[str, Any]:
        """What a run directory says of itself; ``about`` has its name and the command that makes it."""
        examples = ", ".join(f"{count:,} {name}" for name, count in sorted(self.sizes.examples.items()))
        data = {"name": self.dataset.name, "source": self.dataset.source, "licence": self.dataset.licence}
        data |= {"examples": examples, "classes": str(self.context.classes)}
        return {**about, "title": self.recipe.title, "description": self.recipe.description, "data": data}

    @property
    def arithmetic(self) -> dict[str, Any]:
        """What decides how sums round."""
        arithmetic = self.context.engine.arithmetic
        return {"device": self.context.device.type, "arithmetic": arithmetic, "operator_threads": OPERATOR_THREADS}

    def fitting(self, studies: Sequence[str]) -> tuple[str, ...]:
        """Those studies that the network fits; the others are left out, which is said.

        Raises ``SettingsError`` if a study cannot be planned, and if none fits.
        """
        unfit: dict[str, Unfit] = {}
        for name in studies:
            try:
                self._planned(name)
            except Unfit as reason:
                unfit[name] = reason
        if len(unfit) == len(studies):
            raise SettingsError("; ".join(f"study {name}: {told}" for name, told in unfit.items()))
        for why in dict.fromkeys(str(told) for told in unfit.values()):
            names = [name for name, told in unfit.items() if str(told) == why]
            said = f"the study {names[0]} is" if len(names) == 1 else f"the studies {', '.join(names)} are"
            say(f"{said} left out: {why}")
        return tuple(name for name in studies if name not in unfit)

    def tasks(self, studies: Sequence[str]) -> list[Task]:
        """All tasks of these studies, each once. Raises ``SettingsError`` if a study cannot be planned."""
        tasks: dict[str, Task] = {}
        for name in studies:
            try:
                planned = self._planned(name)
            except Unfit as error:
                raise SettingsError(f"study {name}: {error}") from error
            tasks |= {task.name: task for task in planned}
        return list(tasks.values())

    def _planned(self, name: str) -> Sequence[Task]:
        try:
            return self.recipe.study(name).planned(self.recipe.setup, self.sizes)
        except Unfit:
            raise
        except ValueError as error:
            raise SettingsError(f"study {name}: {error}") from error

    def keys(self, tasks: Sequence[Task]) -> dict[str, str]:
        """Content keys of the tasks. Settings of studies reach them as arguments; all else counts for every task."""
        return content_keys(tasks, self.belongs)


def cores_available() -> int:
    """Cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else (os.cpu_count() or 1)


def choose_device(wanted: str) -> torch.device:
    """The device by name; ``auto`` is the first GPU if there is one. Raises ``SettingsError``."""
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise SettingsError(f"there is no device {wanted!r}; choose auto, cpu, cuda or cuda:0") from error
    if device.type not in ("cpu", "cuda"):
        raise SettingsError(f"device {wanted} is not supported; choose auto, cpu, cuda or cuda:0")
    if device.type == "cuda" and not torch.cuda.is_available():
        say(f"device {wanted} was asked for, but torch {torch.__version__} finds no CUDA here; the CPU is used instead")
        return torch.device("cpu")
    return device


def placed(split: Split, device: torch.device) -> Split:
    """A split on the device; what would fill half of a GPU's free memory stays here and is streamed, which is said."""
    if device.type != "cuda" or isinstance(split.inputs, Decoded):
        return split.on(device)
    size, free = split.inputs.numel() * split.inputs.element_size(), torch.cuda.mem_get_info(device)[0]
    if size > free // 2:
        say(
            f"{size / 2**30:.1f} GiB of examples stay in host memory and are streamed: "
            f"the GPU has {free / 2**30:.1f} GiB free"
        )
        return Split(split.inputs, split.targets, stream_to=device)
    return split.on(device)


def _check_augmentation(recipe: Recipe, train: Split) -> None:
    kind, name = recipe.training.augmentation, recipe.data.name
    if kind != "none" and train.inputs.ndim != 4:
        raise SettingsError(f"training.augmentation = {kind} needs images; {name} has none")
    if kind == "resized_crop_flip" and not isinstance(train.inputs, Decoded):
        raise SettingsError(
            f"training.augmentation = {kind} cuts pieces out of images that are decoded from files, and {name} is in "
            "memory; choose crop_flip or shift_flip"
        )


def _scaling(kind: ScalingKind, train: Split) -> Scaling:
    try:
        return scaling_of(kind, train.inputs)
    except ValueError as error:
        raise SettingsError(str(error)) from error


def prepare(recipe: Recipe, options: Options) -> Prepared:
    """Load the data, choose the device, check the network. Nothing is written."""
    if recipe.network.predictions:
        found = context_of(recipe, options.data_dir, options.cores or cores_available())
        return Prepared(recipe, *found, parameters=0, chosen=Chosen(found[1].engine))
    return _with_network(recipe, options)


def _with_network(recipe: Recipe, options: Options) -> Prepared:
    device = choose_device(options.device)
    # One operator thread everywhere: sums then round the same way whatever the number of cores.
    torch.set_num_threads(OPERATOR_THREADS)
    choice = recipe.data
    held = {"train": choice.train, "validation": choice.validation, "size": choice.size}
    dataset = load(choice.name, data_dir=options.data_dir, **held)
    classes = len(dataset.classes)
    train = dataset.splits["train"]
    scaling = _scaling(choice.scaling, train)
    build = network.builder(recipe.network, tuple(train.inputs.shape[1:]), classes)
    facts = network.check(build, recipe.network, train, scaling, classes)
    _check_augmentation(recipe, train)
    cores = 1 if device.type == "cuda" else (options.cores or cores_available())
    beyond = Beyond(dataset, options.data_dir, recipe.seed)
    own = {name: placed(split, device) for name, split in dataset.splits.items()}
    splits, references = Splits(own, beyond, device), References(dataset, options.data_dir)
    context = Context(
        setup=recipe.setup,
        splits=splits,
        scaling=scaling.to(device),
        classes=classes,
        build=build,
        engine=Engine(room=Room(cores)),
        clock=time.monotonic if device.type == "cuda" else time.thread_time,
        references=references,
    )
    imported = [read_weights(Path(path), build) for path in recipe.network.weights]
    context = replace(context, imported=[weights for weights, _ in imported])
    chosen = choose(context, options.engine)
    context = replace(context, engine=chosen.engine)
    sizes = Sizes(
        {name: len(split) for name, split in own.items()},
        recipe.training.batch,
        dropout=facts.dropout,
        batch_norm=facts.batch_norm,
        noisy=facts.noisy,
        unmatched=partial(network.unmatched, build, scaling(train.inputs[:4].cpu())),
        families=beyond.families,
        others=beyond.others,
        extra=beyond.describe,
        references=Digests(references),
        imported=tuple(digest for _, digest in imported),
    )
    return Prepared(recipe, dataset, context, sizes, facts.parameters, chosen)


def versions() -> dict[str, str]:
    """Versions of what decides about numbers."""
    import numpy
    import sklearn

    return {
        "modescape": modescape.__version__,
        **({"commit": found} if (found := commit()) else {}),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "scikit-learn": sklearn.__version__,
    }


def machine(context: Context) -> Mapping[str, str]:
    """What the work ran on."""
    gpu = torch.cuda.get_device_name(context.device) if context.device.type == "cuda" else "none used"
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores used": str(context.cores),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "GPU": gpu,
        "engine": f"{context.engine.way}, {OPERATOR_THREADS} operator thread",
    }
