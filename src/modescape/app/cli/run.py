"""``modescape run``: train, measure, write the report."""

from modescape.app.cli import options


def run(
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
    """Do the main job: train the recipe's networks, measure them, write the report.

    Interrupted or killed, the same command goes on where it stopped; a finished run is not done again.

    Examples:

        modescape run

        modescape run cifar10-small-cnn --data-dir ~/data

        modescape run digits --set training.members=20 --seed 1

        modescape run digits --factory mymodels:make_net --dry-run
    """
    from modescape.app.cli.job import Asked, go
    from modescape.app.jobs.engine import Wanted
    from modescape.app.jobs.prepare import Options

    machine = Options(data_dir, device, cores, Wanted(way, group, precision))
    asked = Asked(recipe, tuple(set_ or ()), out, machine, seed, factory, trust)
    go(asked, only=None, dry_run=dry_run, json=json)
