"""``modescape runs``: list runs, show one, publish one, say where it is."""

import os
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="List runs, show one, publish one, say where it is.")
Name = Annotated[str, typer.Argument(help="A run's name or its directory.")]


def folder() -> Path:
    """Where runs lie unless --out says otherwise."""
    return Path(os.environ.get("MODESCAPE_RUNS") or "runs")


def locate(run: str) -> Path:
    """The directory of a run by name or path. Raises ``RunError``."""
    from modescape.app.runs.layout import is_run
    from modescape.errors import RunError

    for path in (Path(run), folder() / run):
        if is_run(path):
            return path
    raise RunError(f"there is no run {run!r}, neither here nor in {folder()}; `modescape runs list` names those there")


@app.command("list")
def list_() -> None:
    """One line a run: name, state, recipe, when it was last worked on."""
    from modescape.app.runs.history import summary
    from modescape.app.runs.layout import is_run

    found = sorted(path for path in folder().iterdir() if is_run(path)) if folder().is_dir() else []
    if not found:
        typer.echo(f"no runs in {folder()}; `modescape run` makes one")
    for path in found:
        state = summary(path)
        typer.echo(f"{path.name:28}{state.status:12}{state.at:22}{state.title}")


@app.command()
def show(run: Name) -> None:
    """The answers of a run."""
    from modescape.app.runs.history import summary
    from modescape.app.runs.layout import Layout
    from modescape.app.runs.tables_file import read_tables
    from modescape.tables import STUDIES

    root = locate(run)
    state = summary(root)
    typer.echo(f"{state.title}\n{root}, {state.status}, {state.at}, {state.done} tasks done")
    for study in STUDIES:
        tables = read_tables(Layout(root), study)
        for row in tables["answers"].rows() if tables else ():
            typer.echo(f"- {row['sentence']}")


@app.command()
def publish(
    run: Name,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="The folder that gets a folder of the run's name.")],
) -> None:
    """Write a run's page, figures and tables, without its weights, where others can read them."""
    from modescape.app.jobs.publish import publish as write

    typer.echo(write(locate(run), to))


@app.command()
def path(run: Name) -> None:
    """The directory of a run."""
    typer.echo(locate(run).resolve())
