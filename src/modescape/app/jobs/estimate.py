"""What a run will cost, from a few seconds of the real work on this machine."""

import math
import time
from dataclasses import dataclass

import torch

from modescape.app.jobs.engine import trial_of
from modescape.app.jobs.perform import (
    disk_needed,
    examples_drawn,
    examples_of_checkpoints,
    examples_on_sections,
    peak_memory,
)
from modescape.app.jobs.prepare import Prepared
from modescape.core.engine.probe import rate_of
from modescape.core.engine.side_by_side import side_by_side
from modescape.core.evaluation import CHUNK
from modescape.core.predictions import predict
from modescape.core.training.plan import initial_state
from modescape.core.weights import mix
from modescape.studies.abstract import Task
from modescape.studies.members import part_of, scratch

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


def estimate(prepared: Prepared, tasks: list[Task]) -> Estimate:
    """Time training and prediction on this machine for a few seconds each; nothing is written."""
    context = prepared.context
    if context.setup.predicted:
        # What there is to do is far less than what it takes to say how long.
        return Estimate(len(tasks), 0, 0.0, 0.0, math.nan, peak_memory(), disk_needed(prepared, tasks))
    training = rate_of(context.engine.run(trial_of(context).long), time.monotonic, PROBE_SECONDS)
    split = context.splits["train"]
    few = part_of(split, torch.arange(min(CHUNK, len(split))))
    # All different: what members have in common is computed once for them together.
    members = mix(initial_state(context.plan, 0).weights, torch.linspace(1, 1.1, 200)[:, None])
    work = [predict(scratch(context), members, few, context.scaling) for _ in range(context.cores)]
    predicting = rate_of(side_by_side(work, context.cores), time.monotonic, PROBE_SECONDS) * len(few)
    images = sum(task.weight for task in tasks if task.unit == "images")
    checkpoints = sum(task.weight for task in tasks if task.unit == "checkpoints")
    on_checkpoints = examples_of_checkpoints(prepared, tasks)
    predicted = on_checkpoints + examples_drawn(prepared, tasks)
    predicted += examples_on_sections(prepared, tasks)
    # All checkpoints and all predictions are in memory together while they are compared.
    held = checkpoints * prepared.parameters * 4 + on_checkpoints * context.classes * 8
    return Estimate(
        tasks=len(tasks),
        images=images,
        images_per_second=training,
        predictions_per_second=predicting,
        seconds=images / max(training, 1e-9) + predicted / max(predicting, 1e-9),
        memory=peak_memory() + held,
        disk=disk_needed(prepared, tasks),
    )
