"""What ``run`` and ``study`` do once their options are read: prepare, show progress, say the answer."""

import hashlib
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from modescape.app.cli.progress import progress
from modescape.app.jobs import recipe as recipes
from modescape.app.jobs.estimate import estimate
from modescape.app.jobs.perform import Outcome, perform
from modescape.app.jobs.prepare import DECISIVE, Options, Prepared, prepare
from modescape.app.jobs.report import answers_record, render
from modescape.app.report.words import duration
from modescape.app.runs.run import free_bytes
from modescape.errors import MemberFailed, SettingsError
from modescape.studies.catalogue import STUDIES


@dataclass(frozen=True)
class Asked:
    """The options as they were given."""

    recipe: str
    overrides: tuple[str, ...]
    out: Path | None
    machine: Options
    seed: int | None
    factory: str | None
    trust: bool

    @property
    def all_overrides(self) -> tuple[str, ...]:
        """Overrides, those with options of their own included."""
        seed = () if self.seed is None else (f"seed={self.seed}",)
        return (*self.overrides, *seed)

    @property
    def command(self) -> str:
        """The command that does this again."""
        parts = ["modescape", "run", self.recipe]
        parts += [word for override in self.all_overrides for word in ("--set", override)]
        parts += ["--factory", self.factory] if self.factory else []
        parts += ["--data-dir", "DIR"] if self.machine.data_dir else []
        return shlex.join(parts + (["--trust"] if self.trust else []))


def go(asked: Asked, only: str | None, dry_run: bool, json: bool) -> None:
    """Run the recipe, or the one study of it that is asked for."""
    if only is not None and only not in STUDIES:
        raise SettingsError(f"there is no study {only!r}; choose {', '.join(STUDIES)}")
    source = recipes.find(asked.recipe)
    recipe = recipes.read(source, asked.all_overrides, asked.factory, asked.trust)
    root = asked.out or default_root(source.name, asked)
    studies = recipe.studies if only is None else (only,)
    fill(prepare(recipe, asked.machine), studies, root, {"name": source.name, "command": asked.command}, dry_run, json)


def fill(
    prepared: Prepared, studies: Sequence[str], root: Path, about: Mapping[str, str], dry_run: bool, json: bool
) -> None:
    """Fill a run directory with what is prepared, or say what that would take; ``about`` has a name and a command."""
    studies = prepared.fitting(studies)
    if dry_run:
        _plan(prepared, studies, root)
        return
    with progress(prepared.tasks(studies), quiet=json) as listen:
        outcome = perform(prepared, studies, root, prepared.described(about), listen)
    page = render(root)
    _answer(outcome, page, json)


def runs_folder() -> Path:
    """Where runs lie unless told otherwise: $MODESCAPE_RUNS, or the folder ``runs``."""
    return Path(os.environ.get("MODESCAPE_RUNS") or "runs")


def default_root(name: str, asked: Asked) -> Path:
    """``runs/NAME``; with a short digest of what decides about the trained members, so that variants lie side by side.

    Overrides of a study's settings stay in the same run: what was trained there serves them all.
    """
    folder = runs_folder()
    decisive = sorted(o for o in asked.all_overrides if o.partition("=")[0].strip().split(".")[0] in DECISIVE)
    variant = "\n".join([*decisive, asked.factory or ""]).strip()
    return folder / (f"{name}-{hashlib.sha256(variant.encode()).hexdigest()[:6]}" if variant else name)


def _plan(prepared: Prepared, studies: Sequence[str], root: Path) -> None:
    tasks = prepared.tasks(studies)
    found = estimate(prepared, tasks)
    phases = dict.fromkeys(task.phase for task in tasks)
    counts = ", ".join(f"{sum(t.phase == phase for t in tasks)} x {phase}" for phase in phases)
    training, given = prepared.context.setup.training, not prepared.context.setup.trains
    trained = (
        f"{training.epochs} epochs, {found.images:,} images at {found.images_per_second:,.0f}/s"
        if not given
        else "trained elsewhere"
    )
    lines = (
        f"would fill   {root} ({free_bytes(root) / 2**30:.1f} GiB free)",
        f"tasks        {found.tasks}: {counts}",
        f"training     {training.members} members of {prepared.parameters:,} parameters, {trained}",
        f"predicting   at {found.predictions_per_second:,.0f} images/s",
        f"engine       {prepared.chosen.sentence}",
        f"time         about {duration(found.seconds)} on {prepared.context.cores} cores ({prepared.context.device})",
        f"memory       about {found.memory / 2**20:,.0f} MiB",
        f"disk         about {found.disk / 2**20:,.0f} MiB",
        "nothing was written",
    )
    typer.echo("\n".join(lines))


def _answer(outcome: Outcome, page: Path, json: bool) -> None:
    if json:
        typer.echo(answers_record(outcome.root, outcome.tables))
    else:
        for study, tables in outcome.tables.items():
            typer.echo(f"\n{study}")
            for row in tables["answers"].rows():
                typer.echo(f"- {row['sentence']}")
        typer.echo(f"\nreport: {page}")
    if outcome.failures:
        reasons = "; ".join(outcome.failures)
        raise MemberFailed(f"{reasons}. The other members are done, and the report says so", step=0)
