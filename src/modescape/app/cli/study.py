"""``modescape study``: one study of a recipe."""

from typing import Annotated

import typer

from modescape.app.cli import options

# Written out: the tables, which know them, load numpy, and help must be quick.
NAMES = (
    "ensembling",
    "shift",
    "disagreement",
    "trajectories",
    "diversity_accuracy",
    "subspace_embedding",
    "cross_sections",
    "connectors",
    "alignment",
    "curvature",
    "causes",
)


def study(
    name: Annotated[str, typer.Argument(help=f"The study: {', '.join(NAMES)}.")],
    recipe: options.Recipe = "digits",
    set_: options.Set = None,
    out: options.Out = None,
    data_dir: options.DataDir = None,
    device: options.Device = "auto",
    seed: options.Seed = None,
    cores: options.Cores = None,
    way: options.Way = "auto",
    group: options.Group = 8,
    precision: options.Precision = "float32",
    factory: options.Factory = None,
    trust: options.Trust = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
) -> None:
    """Do one study of a recipe, whatever studies the recipe lists.

    It shares the run directory, and what was trained there, with `modescape run`.

    Examples:

        modescape study trajectories

        modescape study trajectories mnist1d --json

        modescape study diversity_accuracy digits --set diversity_accuracy.count=100
    """
    from modescape.app.cli.job import Asked, go
    from modescape.app.jobs.engine import Wanted
    from modescape.app.jobs.prepare import Options

    machine = Options(data_dir, device, cores, Wanted(way, group, precision))
    asked = Asked(recipe, tuple(set_ or ()), out, machine, seed, factory, trust)
    go(asked, only=name, dry_run=dry_run, json=json)
