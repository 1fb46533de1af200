"""``modescape recipes``: the recipes that come with modescape."""

from typing import Annotated

import typer


def recipes(
    name: Annotated[str | None, typer.Argument(help="Print this recipe's file, to start your own from.")] = None,
) -> None:
    """List the recipes, or print one.

    Examples:

        modescape recipes

        modescape recipes digits > my.toml
    """
    from modescape.app.jobs.recipe import find, shipped

    if name is not None:
        typer.echo(find(name).text, nl=False)
        return
    for recipe, title in shipped().items():
        typer.echo(f"{recipe:24}{title}")
