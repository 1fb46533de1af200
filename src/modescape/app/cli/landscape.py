"""``modescape landscape``: the landscape around your own trained networks."""

from typing import Annotated

import typer

from modescape.app.cli import options


def landscape(
    model: Annotated[
        str, typer.Option("--model", metavar="MODULE:FUNCTION", help="A function that returns your network.")
    ],
    weights: Annotated[
        list[str], typer.Option("--weights", metavar="FILE", help="safetensors or npz. Repeat it for more networks.")
    ],
    data: Annotated[str, typer.Option("--data", metavar="NAME|FILE.npz", help="A dataset, or arrays of your own.")],
    set_: options.Set = None,
    out: options.Out = None,
    data_dir: options.DataDir = None,
    device: options.Device = "auto",
    seed: options.Seed = None,
    cores: options.Cores = None,
    curvature: Annotated[bool, typer.Option("--curvature", help="Eigenvalues and trace of the Hessian, too.")] = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
) -> None:
    """Show the landscape around networks that you trained: nothing is trained here.

    One network gives planes along random directions, normalised filter by filter, and along the steepest ones; two give
    what lies between them and the radial sector; three the plane through them. An npz file holds train_inputs,
    train_targets, test_inputs and test_targets, or inputs and targets alone; its inputs are taken as they are.

    Examples:

        modescape landscape --model mymodels:make_net --weights w.safetensors --data mydata.npz

        modescape landscape --model mymodels:make_net --weights a.safetensors --weights b.safetensors --data cifar10

        modescape landscape --model mymodels:make_net --weights w.safetensors --data digits --set cross_sections.grid=61
    """
    from modescape.app.cli.job import fill, runs_folder
    from modescape.app.jobs.landscape import about, recipe_of
    from modescape.app.jobs.prepare import Options, prepare

    overrides = [*(set_ or ()), *([] if seed is None else [f"seed={seed}"])]
    recipe = recipe_of(model, weights, data, overrides, curvature)
    prepared = prepare(recipe, Options(data_dir, device, cores))
    root = out or runs_folder() / "landscape"
    fill(prepared, recipe.studies, root, about(recipe, overrides, curvature), dry_run, json)
