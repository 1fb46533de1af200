"""``modescape reproduce``: the whole paper, scored claim by claim."""

from pathlib import Path
from typing import Annotated

import typer

from modescape.app.cli import options


def reproduce(
    recipes: Annotated[
        list[str] | None, typer.Argument(help="Recipes by name or path; by default all that the machine can bear.")
    ] = None,
    hours: Annotated[
        float, typer.Option("--hours", min=0.0, help="Longest that one recipe may take, where none is named.")
    ] = 12.0,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder of the runs and the scorecard; by default runs.")
    ] = None,
    data_dir: options.DataDir = None,
    device: options.Device = "auto",
    cores: options.Cores = None,
    way: options.Way = "auto",
    group: options.Group = 8,
    precision: options.Precision = "float32",
    dry_run: options.DryRun = False,
) -> None:
    """Repeat the paper and say, claim by claim, whether it holds.

    Without names, every recipe of the paper is examined; one that would take too long is replaced by its reduced
    version, and what is left out is said with the reason. Runs that are there go on; finished ones are not done again.

    Examples:

        modescape reproduce --data-dir ~/data

        modescape reproduce cifar10-small-cnn --data-dir ~/data

        modescape reproduce --hours 2 --dry-run
    """
    from modescape.app.cli.job import runs_folder
    from modescape.app.cli.programme import go
    from modescape.app.jobs.engine import Wanted
    from modescape.app.jobs.prepare import Options

    machine = Options(data_dir, device, cores, Wanted(way, group, precision))
    go(recipes or [], machine, hours, out or runs_folder(), dry_run)
