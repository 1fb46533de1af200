"""``modescape bench``: speed, side by side with peers."""

from pathlib import Path
from typing import Annotated

import typer

from modescape.app.cli import options


def bench(
    names: Annotated[list[str] | None, typer.Argument(help="Comparisons; all by default.")] = None,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Rounds of each comparison.")] = 5,
    data_dir: options.DataDir = None,
    device: options.Device = "auto",
    cores: options.Cores = None,
    precision: options.Precision = "float32",
    out: Annotated[Path, typer.Option("--out", help="Where bench.json and bench.md go.")] = Path("bench"),
) -> None:
    """Let modescape and its peers do the same work in turns, and say by how much which is faster.

    Peers come with the extra `bench`; one that is not installed is left out, and the table says so.

    Examples:

        modescape bench train-small-cnn --data-dir ~/data

        modescape bench --rounds 3
    """
    from modescape.app.bench.bench import Asked
    from modescape.app.bench.bench import bench as run

    asked = Asked(tuple(names or ()), rounds, data_dir, device, cores, precision, out)
    typer.echo(run(asked, lambda line: typer.echo(line, err=True)))
    typer.echo(f"record: {out / 'bench.json'}")
