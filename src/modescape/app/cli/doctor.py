"""``modescape doctor``: what this machine has and what will be used."""

import typer

from modescape.app.cli import options


def doctor(data_dir: options.DataDir = None, json: options.Json = False) -> None:
    """Say what this machine has (cores, GPU, torch, memory, disk, data) and what will be used."""
    from modescape.app.jobs.machine import examine

    found = examine(data_dir)
    if json:
        import json as writer

        typer.echo(writer.dumps(found, indent=1))
        return
    for name, value in found.items():
        typer.echo(f"{name:14}{value}")
