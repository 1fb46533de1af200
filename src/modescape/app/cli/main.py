"""The command ``modescape``: its commands, its exit codes, and errors in one line."""

import signal
import sys
import warnings
from types import FrameType
from typing import Annotated

import typer

from modescape import __version__
from modescape.app.cli import (
    bench,
    data,
    doctor,
    import_,
    landscape,
    recipes,
    report,
    reproduce,
    run,
    runs,
    scorecard,
    study,
)
from modescape.core.engine.notes import EngineNote, forget
from modescape.errors import ModescapeError

INTERRUPTED = 130
UNEXPECTED = 70
MEMORY = 7

app = typer.Typer(
    name="modescape",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Train many networks, see how different they are as functions and as weights, decide what to ship.",
    epilog="""Exit codes: 0 done, 2 wrong settings, 3 data, 4 a member failed (the others are done), 5 network,
    6 run directory, 7 memory, 70 a defect of modescape, 130 interrupted (the same command goes on).""",
)
app.command("run")(run.run)
app.command("study")(study.study)
app.command("landscape")(landscape.landscape)
app.command("import")(import_.import_)
app.add_typer(runs.app, name="runs")
app.command("report")(report.report)
app.command("reproduce")(reproduce.reproduce)
app.command("scorecard")(scorecard.scorecard)
app.add_typer(data.app, name="data")
app.command("recipes")(recipes.recipes)
app.command("doctor")(doctor.doctor)
app.command("bench")(bench.bench)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"modescape {__version__}")
        raise typer.Exit()


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks. May stand anywhere.")] = False,
) -> None:
    """Options of all commands."""


class Stopped(BaseException):
    """The user or the system asked the process to end; not KeyboardInterrupt, which typer would answer by itself."""


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in given
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    with warnings.catch_warnings():
        # What is used instead of what was asked for is told in one line, as errors are.
        warnings.simplefilter("always", EngineNote)
        shown = warnings.showwarning
        warnings.showwarning = lambda message, *rest, **more: (
            _note(message) if isinstance(message, EngineNote) else shown(message, *rest, **more)
        )
        forget()
        _run(given, debug)


def _note(message: EngineNote) -> None:
    typer.echo(f"modescape: note: {message}", err=True)


def _run(given: list[str], debug: bool) -> None:
    try:
        app([argument for argument in given if argument != "--debug"], prog_name="modescape")
    except Stopped:
        _end("stopped; finished work is kept, and the same command goes on from there", INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has left; Python would complain again while it shuts down.
        sys.stdout = None
        sys.exit(0)
    except ModescapeError as error:
        if debug:
            raise
        _end(f"error: {error}", error.exit_code)
    except Exception as error:
        if debug:
            raise
        if _is_memory(error):
            advice = "lower training.batch, --group or --cores; finished work is kept"
            _end(f"error: not enough memory: {' '.join(str(error).split())[:150]}; {advice}", MEMORY)
        _end(
            f"unexpected error: {type(error).__name__}: {error}; this is a defect of modescape, --debug shows where",
            UNEXPECTED,
        )


def _is_memory(error: Exception) -> bool:
    from modescape.core.engine.memory import is_out_of_memory

    return is_out_of_memory(error)


def _end(message: str, code: int) -> None:
    typer.echo(f"modescape: {message}", err=True)
    sys.exit(code)
