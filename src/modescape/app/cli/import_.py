"""``modescape import``: the studies over weights and predictions that others made."""

from typing import Annotated

import typer

from modescape.app.cli import options

Model = Annotated[
    str | None, typer.Option("--model", metavar="MODULE:FUNCTION|NAME", help="Your network, or one of the catalogue.")
]
Weights = Annotated[
    list[str] | None, typer.Option("--weights", metavar="FILE", help="safetensors or npz. Repeat it for more.")
]
Data = Annotated[str | None, typer.Option("--data", metavar="NAME|FILE.npz", help="A dataset, or arrays of your own.")]
Predictions = Annotated[
    list[str] | None,
    typer.Option("--predictions", metavar="FILE", help="npz, safetensors, csv or parquet. Repeat it for more."),
]
Labels = Annotated[
    str | None, typer.Option("--labels", metavar="FILE|NAME", help="The labels, or the dataset that has them.")
]
Kind = Annotated[
    str | None,
    typer.Option("--kind", help="probabilities, logits or classes; taken from the numbers unless you say it."),
]
Curvature = Annotated[bool, typer.Option("--curvature", help="Eigenvalues and trace of the Hessian, too.")]


def import_(
    weights: Weights = None,
    model: Model = None,
    data: Data = None,
    predictions: Predictions = None,
    labels: Labels = None,
    kind: Kind = None,
    set_: options.Set = None,
    out: options.Out = None,
    data_dir: options.DataDir = None,
    device: options.Device = "auto",
    seed: options.Seed = None,
    cores: options.Cores = None,
    curvature: Curvature = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
) -> None:
    """Run every study that can on networks, or on predictions, that were made elsewhere: nothing is trained.

    Predictions are [example, class] for one member or [member, example, class] for several, rows in the order of the
    labels; a table has a column for each class. Studies that need more than was given are left out, and it is said why.

    Examples:

        modescape import --model mymodels:make_net --weights a.safetensors --weights b.safetensors --data cifar10

        modescape import --model cifar_resnet20 --weights w.npz --data cifar10 --set data.scaling=imagenet

        modescape import --predictions a.npz --predictions b.csv --labels labels.npz

        modescape import --predictions a.parquet --labels cifar10 --kind logits --set 'studies=["disagreement"]'
    """
    from modescape.app.cli.job import fill, runs_folder
    from modescape.app.jobs.importing import Given, about, recipe_of
    from modescape.app.jobs.prepare import Options, prepare

    overrides = [*(set_ or ()), *([] if seed is None else [f"seed={seed}"])]
    given = Given(model, tuple(weights or ()), data, tuple(predictions or ()), labels, kind)
    recipe = recipe_of(given, overrides, curvature)
    told = about(given, overrides, curvature)
    prepared = prepare(recipe, Options(data_dir, device, cores))
    fill(prepared, recipe.studies, out or runs_folder() / told["name"], told, dry_run, json)
