"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Recipe = Annotated[
    str, typer.Argument(help="A recipe's name (`modescape recipes` lists them) or a path to a TOML file.")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Override a field, e.g. training.epochs=3. May be repeated."),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="The run directory; by default runs/NAME (or $MODESCAPE_RUNS/NAME)."),
]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="DIR", help="Where data are; by default $MODESCAPE_DATA or the user's cache."),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:0.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Root seed; the recipe's by default.")]
Cores = Annotated[
    int | None, typer.Option("--cores", min=1, help="Cores to use; all by default. Changes no number, only the time.")
]
Way = Annotated[
    str,
    typer.Option(
        "--way", help="How networks run at once: auto (the fastest here), or serial, threads, ..., data_parallel."
    ),
]
Group = Annotated[
    int, typer.Option("--group", min=1, help="Networks in one stack or in flight on a GPU; processes of data_parallel.")
]
Precision = Annotated[str, typer.Option("--precision", help="float32; for GPUs also tf32 or bf16 (mixed).")]
Factory = Annotated[
    str | None,
    typer.Option(
        "--factory", metavar="MODULE:FUNCTION", help="Your own network: a function that returns a torch.nn.Module."
    ),
]
Trust = Annotated[bool, typer.Option("--trust", help="Let the recipe file name code to run (network.factory).")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, how long it takes, how much memory.")]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON and nothing else.")]
