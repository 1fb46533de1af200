"""A study asks one question: the tasks that it needs, and the tables that answer it."""

import hashlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from modescape.core.engine.engine import Engine
from modescape.core.engine.events import Event
from modescape.core.splits import Scaling, Split
from modescape.core.training.plan import Plan
from modescape.core.weights import Weights
from modescape.studies.setup import Setup
from modescape.studies.variants import ORDINARY, Variant
from modescape.tables import Table


class Unfit(ValueError):
    """The members are not of the kind that a study is about, or there are too few; other studies may do."""


def require_members(setup: Setup) -> None:
    """Raise ``Unfit`` unless there are two members to compare."""
    if setup.training.members < 2:
        raise Unfit("networks are compared, and there is one: training.members must be at least 2")


@dataclass(frozen=True)
class Result:
    """What a task gives: named tensors in named files, and facts that JSON can hold.

    Files named in ``passing`` are needed by the next task alone and may be dropped once that is done. ``seconds`` are
    those that a core worked for it; None where the executor is to tell.
    """

    files: Mapping[str, Mapping[str, Tensor]]
    facts: Mapping[str, Any]
    passing: frozenset[str] = frozenset()
    seconds: float | None = None


@dataclass(frozen=True)
class Context:
    """What the shell lends to tasks: the setup, data on a device, a builder of networks, an engine, a clock.

    The ``clock`` tells the seconds that the thread which asks has worked.
    ``splits`` may make a split when it is asked for, see ``Sizes.extra``. ``references`` are distributions over classes
    that predictions on the test split are compared with, by name. ``imported`` are members trained elsewhere,
    ``predictions`` logits [example, class] on the test split of members of which nothing else is known.
    """

    setup: Setup
    splits: Mapping[str, Split]
    scaling: Scaling
    classes: int
    build: Callable[[], nn.Module]
    engine: Engine
    clock: Callable[[], float] = lambda: math.nan
    references: Mapping[str, Tensor] = field(default_factory=dict)
    imported: Sequence[Weights] = ()
    predictions: Sequence[Tensor] = ()
    _plans: dict[Variant, Plan] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def cores(self) -> int:
        """How many cores to use."""
        return self.engine.room.cores

    @property
    def plan(self) -> Plan:
        """The training plan that all members share."""
        return self.plan_of(ORDINARY)

    def plan_of(self, variant: Variant) -> Plan:
        """The plan of a variant's members; one object, so that it is sent to other processes once."""
        if variant not in self._plans:
            ordinary = Plan(self.setup.training, self.setup.seed, self.splits["train"], self.scaling, self.build)
            self._plans[variant] = variant.plan(ordinary)
        return self._plans[variant]

    @property
    def steps(self) -> int:
        """Optimiser steps of a whole training."""
        training = self.setup.training
        if not self.setup.trains:
            return 0
        return Sizes({"train": len(self.splits["train"])}, training.batch).steps_per_epoch * training.epochs

    @property
    def device(self) -> torch.device:
        """Where the data are, and so the work."""
        return next(iter(self.splits.values())).device


class Pad(ABC):
    """Where a long task puts down what it has found, so that a task that is stopped need not find it again.

    A pad belongs to one task and its content key. What is read must be what the task would compute anew.
    """

    @abstractmethod
    def read(self) -> Iterator[Mapping[str, Tensor]]:
        """The pieces that were put down, in order."""

    @abstractmethod
    def put(self, piece: Mapping[str, Tensor]) -> None:
        """Put down one more."""


class Forgetful(Pad):
    """A pad that keeps nothing."""

    def read(self) -> Iterator[Mapping[str, Tensor]]:
        """See ``Pad``."""
        return iter(())

    def put(self, piece: Mapping[str, Tensor]) -> None:
        """See ``Pad``."""


@dataclass(frozen=True)
class Job:
    """One task at the moment of performing: its arguments, and readers of the inputs that were produced.

    Inputs are read when called, so that a task need not hold more of them than it uses. Those that failed are absent.
    """

    arguments: Mapping[str, Any]
    inputs: Mapping[str, Callable[[], Result]]
    pad: Pad = field(default_factory=Forgetful)


Function = Callable[[Context, Sequence[Job]], Iterator[Event[Result]]]
"""Performs several tasks of a kind at once; each ends in one ``Finished`` or ``Failed`` event with its position."""


@dataclass(frozen=True)
class Task:
    """One pure computation: a function, its arguments, its inputs by the names of the tasks that produce them.

    ``weight`` is its size in ``unit``, for progress. A ``tolerant`` task is performed with the inputs that are left
    when others failed; any other is blocked by them. ``carries`` names the input whose ``passing`` files it needs.
    """

    name: str
    function: Function
    arguments: Mapping[str, Any]
    inputs: Mapping[str, str] = field(default_factory=dict)
    weight: int = 1
    unit: str = "tasks"
    tolerant: bool = False
    carries: str | None = None

    @property
    def phase(self) -> str:
        """The first part of the name: tasks of a phase are one line of progress."""
        return self.name.split("/")[0]


def content_keys(tasks: Sequence[Task], scope: Mapping[str, Any]) -> dict[str, str]:
    """For every task the SHA-256 of all that its result depends on: scope, function, arguments, inputs' keys."""
    keys: dict[str, str] = {}
    names = {task.name for task in tasks}
    for task in tasks:
        parts = task.name.split("/")
        inside = [parent for depth in range(1, len(parts)) if (parent := "/".join(parts[:depth])) in names]
        if inside:
            # A result is a folder that is replaced as a whole, and what lies in it would go with it.
            raise ValueError(f"the result of task {task.name} would lie inside that of {inside[0]}")
        missing = [name for name in task.inputs.values() if name not in keys]
        if missing:
            raise ValueError(f"task {task.name} needs {missing[0]}, which does not come before it")
        record = {
            "scope": scope,
            "function": f"{task.function.__module__}:{task.function.__qualname__}",
            "arguments": task.arguments,
            "inputs": {name: keys[source] for name, source in task.inputs.items()},
        }
        keys[task.name] = hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
    return keys


class Results(ABC):
    """Read access to what the tasks of a run gave."""

    @abstractmethod
    def read(self, task: str) -> Result | None:
        """The result of a task; None if it failed or was blocked."""

    @abstractmethod
    def failure(self, task: str) -> Mapping[str, Any] | None:
        """Why a task failed: ``reason`` and ``step``; None if it did not."""

    @abstractmethod
    def seconds(self, task: str) -> float:
        """Core-seconds that the task took: measured, and so the one thing that repeating it changes. NaN if unknown."""


class Study(ABC):
    """One question. A study holds its own settings and nothing else.

    ``needs_weights`` says that what members predict is not enough to answer it.
    """

    needs_weights: ClassVar[bool] = True

    def planned(self, setup: Setup, sizes: "Sizes") -> Sequence[Task]:
        """The tasks. Raises ``Unfit`` if the members are not of the kind that the study is about."""
        if self.needs_weights and setup.predicted:
            raise Unfit("weights are needed, and network.predictions gives predictions alone")
        return self.tasks(setup, sizes)

    @abstractmethod
    def tasks(self, setup: Setup, sizes: "Sizes") -> Sequence[Task]:
        """The tasks in an order in which each comes after its inputs."""

    @abstractmethod
    def tables(self, setup: Setup, results: Results) -> Mapping[str, Table]:
        """The answer, by table name. Raises ``MemberFailed`` if too few members are left to answer."""


@dataclass(frozen=True)
class Extra:
    """A split beyond the dataset's own: its number of examples, its origin, and what decides about its values."""

    examples: int
    source: str
    digest: str


@dataclass(frozen=True)
class Sizes:
    """How much data there is, and what kind of network: what a plan of tasks needs to know without either.

    ``families`` are the corruptions that the data can be put through (splits ``shift/FAMILY/SEVERITY``), ``others`` the
    names of all other splits that can be had: ``natural/NAME`` has the same classes, ``unknown/NAME`` none of them.
    ``extra`` tells about one of these, or raises why it cannot be had. ``references`` are digests by name, ``imported``
    those of members trained elsewhere, by their weights or predictions; ``classes_alone`` says that predicted classes
    are all that is known of them. ``noisy`` says why the network is no function of its weights and inputs alone,
    if it is not; ``unmatched`` why its hidden units cannot change places, if they cannot.
    """

    examples: Mapping[str, int]
    batch: int
    dropout: bool = False
    batch_norm: bool = False
    families: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    extra: Callable[[str], Extra] | None = None
    references: Mapping[str, str] = field(default_factory=dict)
    imported: tuple[str, ...] = ()
    classes_alone: bool = False
    noisy: str = ""
    unmatched: Callable[[], str] = lambda: ""

    def require_function(self) -> None:
        """Raise ``Unfit`` where there is no landscape, before anything is trained."""
        if self.noisy:
            raise Unfit(self.noisy)

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps in an epoch."""
        return max(1, self.examples["train"] // min(self.batch, self.examples["train"]))
