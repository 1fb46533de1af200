"""``modescape report``: write a run's report again."""

from pathlib import Path
from typing import Annotated

import typer


def report(run: Annotated[str, typer.Argument(help="A run's name or its directory.")]) -> None:
    """Write a run's report again from its tables; says where the page is.

    Example:

        modescape report digits
    """
    from modescape.app.cli.runs import locate
    from modescape.app.jobs.report import render

    page: Path = render(locate(run))
    typer.echo(page)
