"""What ``reproduce`` does once its options are read: choose recipes, run each, judge the claims."""

import shlex
from collections.abc import Sequence
from pathlib import Path

import typer

from modescape.app.cli.job import fill
from modescape.app.jobs.prepare import Options
from modescape.app.jobs.programme import Item, choose, named, prepared_for
from modescape.app.jobs.scorecard import sentence, write_card
from modescape.app.runs.layout import is_run
from modescape.app.runs.tables_file import has_tables
from modescape.app.scorecard.words import lines
from modescape.errors import MemberFailed, RunError


def go(recipes: Sequence[str], machine: Options, hours: float, folder: Path, dry_run: bool) -> None:
    """Run the recipes, or those that this machine can bear, and write the scorecard of all of them."""
    items = named(recipes) if recipes else choose(machine, hours, folder, typer.echo)
    failures = [] if dry_run and not recipes else _run_all(items, machine, folder, dry_run)
    if dry_run:
        return
    roots = [root for item in items if is_run(root := folder / item.source.name) and has_tables(root)]
    if not roots:
        raise RunError(f"no recipe could be run, so that there is nothing to judge; {_why(items)}")
    written = write_card(roots, folder / "scorecard")
    typer.echo("\n" + "\n".join(lines(written.card)))
    for item in items:
        if item.left_out:
            typer.echo(item.line)
    typer.echo(f"\n{sentence(written.card)}\nscorecard: {written.files[0]}")
    if failures:
        raise MemberFailed("; ".join(failures), step=0)


def _run_all(items: Sequence[Item], machine: Options, folder: Path, dry_run: bool) -> list[str]:
    failures = []
    for item in items:
        if item.left_out:
            continue
        typer.echo(f"\n{item.source.name}: {item.recipe.title}")
        parts = ["modescape", "run", item.source.name, *(["--data-dir", "DIR"] if machine.data_dir else [])]
        about = {"name": item.source.name, "command": shlex.join(parts)}
        prepared, studies = prepared_for(item, machine)
        try:
            fill(prepared, studies, folder / item.source.name, about, dry_run, json=False)
        except MemberFailed as failed:
            # One network that failed is told at the end; the other recipes can do without it.
            failures.append(f"{item.source.name}: {failed}")
    return failures


def _why(items: Sequence[Item]) -> str:
    return "; ".join(f"{item.source.name}: {item.left_out}" for item in items if item.left_out)
