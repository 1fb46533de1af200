"""The whole benchmark: every comparison asked for, one table, one record."""

import json
import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

import modescape
from modescape.app.bench.assignment import Assignment, gigaflops
from modescape.app.bench.comparisons import COMPARISONS
from modescape.app.bench.match import Outcome, data_folder, play
from modescape.app.bench.peak import peak_of
from modescape.app.bench.report import record, table
from modescape.app.jobs.prepare import choose_device, cores_available
from modescape.app.jobs.provenance import processor
from modescape.app.runs.commit import write_file
from modescape.errors import SettingsError


@dataclass(frozen=True)
class Asked:
    """Which comparisons, how many rounds, on what, and where the record goes."""

    names: tuple[str, ...] = ()
    rounds: int = 5
    data_dir: Path | None = None
    device: str = "auto"
    cores: int | None = None
    precision: str = "float32"
    out: Path = Path("bench")


def bench(asked: Asked, tell: Callable[[str], None]) -> str:
    """Run the comparisons; writes ``bench.json`` and ``bench.md``, returns the table."""
    unknown = [name for name in asked.names if name not in COMPARISONS]
    if unknown:
        raise SettingsError(f"there is no comparison {unknown[0]!r}; choose from {', '.join(COMPARISONS)}")
    device, cores = choose_device(asked.device).type, asked.cores or cores_available()
    folder = data_folder(asked.data_dir)
    machine = _machine(device, cores) | {"images of": Assignment("small_cnn", data_dir=folder).data}
    peak = {"gflops": peak_of(device, cores)}
    outcomes: list[Outcome] = []
    for name in asked.names or [name for name, one in COMPARISONS.items() if device in one.devices]:
        comparison = COMPARISONS[name]
        on = {"device": device, "cores": cores, "precision": asked.precision, "data_dir": folder}
        work = replace(comparison.work, **on)  # type: ignore[arg-type]
        outcome = play(name, comparison, work, asked.rounds, tell)
        if name.startswith("train") and outcome.speeds[0].rates:
            torch.set_num_threads(1)
            peak[name] = outcome.speeds[0].median * gigaflops(work.build(), 8) / peak["gflops"]
        outcomes.append(outcome)
        write_file(asked.out / "bench.json", json.dumps(record(outcomes, machine, peak), indent=1).encode())
    page = table(outcomes, machine, peak)
    write_file(asked.out / "bench.md", page.encode())
    return page


def _machine(device: str, cores: int) -> dict[str, str]:
    gpu = {"GPU": torch.cuda.get_device_name()} if device == "cuda" else {}
    return {
        "modescape": modescape.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "cores": f"{cores} of {processor()}",
        **gpu,
    }
