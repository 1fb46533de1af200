"""``modescape data``: list, fetch and check datasets."""

from typing import Annotated

import typer

from modescape.app.cli import options

app = typer.Typer(no_args_is_help=True, help="List, fetch and check datasets.")
Name = Annotated[str, typer.Argument(help="digits, mnist1d, cifar10, cifar100 or imagenet.")]


@app.command("list")
def list_(data_dir: options.DataDir = None) -> None:
    """Which datasets are there, where, and how to get the others."""
    from modescape.app.datasets.locate import data_folder, status

    for line in status(data_dir):
        place = f"{line.where} ({line.size / 1e6:.0f} MB)" if line.where else line.how
        typer.echo(f"{line.name:10}{'found' if line.found else 'missing':10}{place}")
    typer.echo(f"looked in {data_folder(data_dir)}")


@app.command()
def fetch(name: Name, data_dir: options.DataDir = None) -> None:
    """Download a dataset, checked by its SHA-256; a download that broke is taken up again.

    Example:

        modescape data fetch cifar10
    """
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    from modescape.app.datasets.download import fetch
    from modescape.app.datasets.locate import data_folder

    columns = (TextColumn(name), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as shown:
        bar = shown.add_task(name, total=None)
        path = fetch(name, data_folder(data_dir), lambda done, total: shown.update(bar, completed=done, total=total))
    typer.echo(path)


@app.command()
def check(name: Name, data_dir: options.DataDir = None) -> None:
    """Compare a dataset's files with their published checksums."""
    from modescape.app.datasets.locate import check_files

    checked = check_files(name, data_dir)
    typer.echo(f"{name}: {len(checked.files)} files right in {checked.where}" if checked.where else f"{name}: built in")
