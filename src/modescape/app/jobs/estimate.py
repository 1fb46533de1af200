"""What a run will cost, from a few seconds of the real work on this machine."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from modescape.app.jobs.perform import disk_needed, examples_drawn, peak_memory
from modescape.app.jobs.prepare import Prepared
from modescape.core.engine.events import Advanced, Failed
from modescape.core.engine.side_by_side import side_by_side
from modescape.core.predictions import CHUNK, predict
from modescape.core.splits import Split
from modescape.core.training.plan import initial_state
from modescape.core.training.work import Leg, Trainings
from modescape.core.weights import mix
from modescape.studies.abstract import Task
from modescape.studies.members import scratch

PROBE_SECONDS = 3.0


@dataclass(frozen=True)
class Estimate:
    """Seconds, bytes of memory and bytes of disk; what was timed are training and prediction, nothing else."""

    tasks: int
    images: int
    images_per_second: float
    predictions_per_second: float
    seconds: float
    memory: int
    disk: int


def _rate(events: Iterator[Any]) -> float:
    """Units per second of the work behind these events, once it has warmed up."""
    start, amount = None, 0
    try:
        for event in events:
            if isinstance(event, Failed):
                raise event.error
            if not isinstance(event, Advanced):
                continue
            now = time.monotonic()
            if start is None:
                start = now
                continue
            amount += event.amount
            if now - start > PROBE_SECONDS:
                break
        return amount / max(time.monotonic() - (start or time.monotonic()), 1e-6)
    finally:
        events.close()  # type: ignore[attr-defined]


def estimate(prepared: Prepared, tasks: list[Task]) -> Estimate:
    """Time training and prediction on this machine for a few seconds each; nothing is written."""
    context = prepared.context
    plan, epochs = context.plan, context.setup.training.epochs
    states = [initial_state(plan, member) for member in range(context.setup.training.members)]
    legs = [Leg(member, state, epochs) for member, state in enumerate(states)]
    training = _rate(context.engine.run(Trainings(plan, legs)))
    split = context.splits["train"]
    few = Split(split.inputs[:CHUNK], split.targets[:CHUNK])
    # All different: what members have in common is computed once for them together.
    members = mix(states[0].weights, torch.linspace(1, 1.1, 200)[:, None])
    work = [predict(scratch(context), members, few, context.scaling) for _ in range(context.cores)]
    predicting = _rate(side_by_side(work, context.cores)) * len(few)
    images = sum(task.weight for task in tasks if task.unit == "images")
    checkpoints = sum(task.weight for task in tasks if task.unit == "checkpoints")
    predicted = checkpoints * prepared.sizes.examples.get("test", 0) + examples_drawn(prepared, tasks)
    # All checkpoints and all predictions are in memory together while they are compared.
    held = checkpoints * (prepared.parameters * 4 + prepared.sizes.examples.get("test", 0) * context.classes * 8)
    return Estimate(
        tasks=len(tasks),
        images=images,
        images_per_second=training,
        predictions_per_second=predicting,
        seconds=images / max(training, 1e-9) + predicted / max(predicting, 1e-9),
        memory=peak_memory() + held,
        disk=disk_needed(prepared, tasks),
    )
