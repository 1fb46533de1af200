"""Which engine a command uses: the one that is named, or the fastest here, measured once and remembered."""

import hashlib
import json
import math
import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_args

import platformdirs
import torch

from modescape.app.runs.commit import write_file
from modescape.core.decoded import Decoded
from modescape.core.engine.catalogue import WAYS
from modescape.core.engine.engine import Engine
from modescape.core.engine.notes import say
from modescape.core.engine.probe import Trial, choose_on_cpu, choose_on_cuda, fastest, measure
from modescape.core.engine.way import Room
from modescape.core.engine.work import Mode, Precision
from modescape.core.splits import Split
from modescape.core.training.plan import Segment, initial_state
from modescape.core.training.work import Leg, Trainings
from modescape.errors import RunError, SettingsError
from modescape.studies.abstract import Context

TRIED = 8
"""Members that are tried at most: more would tell no more, and each has to be built."""

FORM = 1
"""Of what is remembered; a later form finds nothing of an earlier one."""


@dataclass(frozen=True)
class Wanted:
    """What was asked for on the command line."""

    way: str = "threads"
    group: int = 8
    precision: str = "float32"


@dataclass(frozen=True)
class Chosen:
    """An engine and what was measured before it was chosen: [way, group, units a second, reason if it cannot]."""

    engine: Engine
    measured: tuple[tuple[str, int, float, str], ...] = ()

    @property
    def sentence(self) -> str:
        """The choice in words."""
        room = self.engine.room
        used = f"{self.engine.way} ({room.cores} cores)" if room.cores > 1 else self.engine.way
        rates = ", ".join(f"{way} {rate:,.0f}" for way, _, rate, _ in self.measured if rate > 0)
        return f"{used}; measured, images a second: {rates}" if rates else used


def choose(context: Context, wanted: Wanted) -> Chosen:
    """The engine for this network on this machine. What cannot be had is said, once, with what is used instead."""
    device, cores = context.device.type, context.cores
    members = context.setup.training.members
    mode = _mode(wanted, device)
    base = Engine("serial", Room(cores, min(wanted.group, members), mode))
    if wanted.way in WAYS and WAYS[wanted.way].shares_batches:
        return Chosen(replace(base, way=wanted.way, room=replace(base.room, group=_processes(context, wanted.group))))
    if wanted.way != "auto":
        return _named(context, replace(base, way=wanted.way))
    if device == "cpu" and min(cores, members) == 1:
        return Chosen(base)
    return _remembered(context, base) or _measured(context, base)


def _mode(wanted: Wanted, device: str) -> Mode:
    if wanted.way != "auto" and wanted.way not in WAYS:
        raise SettingsError(f"there is no way {wanted.way!r}; choose auto, {', '.join(WAYS)}")
    if wanted.group < 1:
        raise SettingsError(f"group must be at least 1 member, got {wanted.group}")
    names = {name: Mode(precision=name) for name in get_args(Precision)}
    if wanted.precision not in names:
        raise SettingsError(f"there is no precision {wanted.precision!r}; choose {', '.join(names)}")
    if wanted.precision == "tf32" and device == "cpu":
        say("precision tf32 is for GPUs; float32 is used instead")
        return Mode()
    if wanted.precision == "bf16" and device == "cpu":
        say("precision bf16 is slower than float32 on most CPUs")
    # torch would take tf32 for convolutions by itself: what is called float32 here is float32.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = wanted.precision != "float32"
    return names[wanted.precision]


def _processes(context: Context, wanted: int) -> int:
    """How many processes share a batch: no more than there are devices. Raises ``SettingsError`` for a small batch."""
    devices = torch.cuda.device_count() if context.device.type == "cuda" else context.cores
    if wanted > devices:
        what = "GPUs" if context.device.type == "cuda" else "cores"
        say(f"{wanted} processes were to share each batch, and there are {devices} {what}; {devices} are used")
    found = min(wanted, devices)
    if context.plan.batch < found:
        raise SettingsError(
            f"a batch of {context.plan.batch} examples cannot be shared by {found} processes; lower --group"
        )
    return found


def _named(context: Context, engine: Engine) -> Chosen:
    device = context.device.type
    plain = replace(engine, way="threads" if device == "cpu" else "serial")
    if device not in WAYS[engine.way].devices:
        say(f"the way {engine.way} is not for {device}; {plain.way} is used instead")
        return Chosen(plain)
    if WAYS[engine.way].arithmetic == "alone":
        return Chosen(engine)
    found = measure(engine, replace(trial_of(context), seconds=0.0))
    if found.rate == 0:
        say(f"the way {engine.way} cannot be used here ({found.reason}); {plain.way} is used instead")
        return Chosen(plain)
    return Chosen(engine)


def _measured(context: Context, base: Engine) -> Chosen:
    trial = trial_of(context)
    found = (choose_on_cpu if context.device.type == "cpu" else choose_on_cuda)(base, trial)
    best = fastest(found)
    plain = replace(base, way="threads" if context.device.type == "cpu" else "serial")
    rows = tuple((m.engine.way, m.engine.room.group, m.rate, m.reason) for m in found)
    if best.rate == 0:
        say(f"trying the ways of training failed ({best.reason}); {plain.way} is used instead")
        return Chosen(plain)
    chosen = Chosen(best.engine, rows)
    _remember(context, base, chosen)
    return chosen


def trial_of(context: Context) -> Trial:
    """Members of the user's own network and settings, in a training long enough to be timed."""
    plan = context.plan
    members = range(min(plan.training.members, TRIED))
    legs = [Leg(member, initial_state(plan, member), 10**6) for member in members]
    forever = replace(plan.training, epochs=10**6, checkpoints=replace(plan.training.checkpoints, every=10**6))
    short = replace(plan, data=_first(plan.data, 3 * plan.batch))
    return Trial(
        Trainings(replace(plan, training=forever), legs),
        Trainings(short, [replace(leg, epochs=1) for leg in legs[:2]]),
        alike,
        time.perf_counter,
    )


def _first(split: Split, count: int) -> Split:
    """The first examples, decoded no earlier than they would be in the whole split."""
    inputs = split.inputs
    few = inputs.part(torch.arange(min(count, len(split)))) if isinstance(inputs, Decoded) else inputs[:count]
    return replace(split, inputs=few, targets=split.targets[:count])


def alike(expected: Sequence[Segment], found: Sequence[Segment]) -> str:
    """What is wrong with segments that should equal others but for rounding; nothing if they do."""
    for member, (one, other) in enumerate(zip(expected, found, strict=True)):
        wanted, loss = one.mean_loss, other.mean_loss
        # Three steps of float32 differ by millionths, of bf16 by percents, another network's by tens of percents.
        if not math.isclose(wanted, loss, rel_tol=0.05):
            return f"member {member} has a loss of {loss:.4f} after three steps, alone {wanted:.4f}"
    return ""


def memory_file() -> Path:
    """Where choices are remembered: ``$MODESCAPE_CACHE`` or the user's cache."""
    folder = os.environ.get("MODESCAPE_CACHE") or platformdirs.user_cache_path("modescape")
    return Path(folder) / "engine.json"


def _key(context: Context, base: Engine) -> str:
    plan = context.plan
    state = initial_state(plan, 0).weights
    device = torch.cuda.get_device_name(context.device) if context.device.type == "cuda" else platform.processor()
    record = {
        "machine": [platform.machine(), platform.node(), device, torch.__version__],
        "room": asdict(base.room),
        "network": {name: list(tensor.shape) for name, tensor in {**state.params, **state.buffers}.items()},
        "data": list(plan.data.inputs.shape[1:]),
        "training": {**asdict(plan.training), "epochs": 0, "schedule": None},
    }
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _read() -> dict[str, Any]:
    try:
        found = json.loads(memory_file().read_text())
        entries = found["entries"] if found.get("form") == FORM else {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}
    return entries if isinstance(entries, dict) else {}


def _remembered(context: Context, base: Engine) -> Chosen | None:
    entry: Any = _read().get(_key(context, base))
    try:
        rows = tuple((str(w), int(g), float(r), str(why)) for w, g, r, why in entry["measured"])
        return Chosen(replace(base, way=entry["way"], room=replace(base.room, group=int(entry["group"]))), rows)
    except (TypeError, KeyError, ValueError):
        return None


def _remember(context: Context, base: Engine, chosen: Chosen) -> None:
    entry: Mapping[str, Any] = {
        "way": chosen.engine.way,
        "group": chosen.engine.room.group,
        "measured": [list(row) for row in chosen.measured],
    }
    entries = {**_read(), _key(context, base): entry}
    try:
        write_file(memory_file(), json.dumps({"form": FORM, "entries": entries}, indent=1).encode())
    except RunError as error:
        say(f"the choice of an engine will be measured again next time: {error}")
