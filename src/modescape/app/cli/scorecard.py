"""``modescape scorecard``: the paper's claims, judged on runs."""

from pathlib import Path
from typing import Annotated

import typer


def scorecard(
    runs: Annotated[list[str], typer.Argument(help="Names or directories of runs.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write scorecard.html, .md and .json.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option("--against", metavar="FILE", help="Compare with a scorecard.json that was stored.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the card as JSON and nothing else.")] = False,
) -> None:
    """Judge the paper's claims on runs that are there: what holds, what fails, what was not tested and why.

    Examples:

        modescape scorecard cifar10-small-cnn

        modescape scorecard runs/cifar10-small-cnn runs/cifar10-medium-cnn --out card

        modescape scorecard cifar10-small-cnn --against docs/results/scorecard.json
    """
    from modescape.app.cli.runs import locate
    from modescape.app.jobs import scorecard as jobs
    from modescape.app.jobs.judged import card_of
    from modescape.app.scorecard.words import lines

    roots = [locate(run) for run in runs]
    card = card_of(roots)
    if json:
        typer.echo(jobs.as_json(card), nl=False)
        return
    typer.echo("\n".join(lines(card)))
    typer.echo(f"\n{jobs.sentence(card)}")
    if out is not None:
        typer.echo("\n".join(f"wrote {path}" for path in jobs.write_card(roots, out).files))
    if against is not None:
        typer.echo("\n" + jobs.agreement(card, against))
