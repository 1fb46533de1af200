"""Deep ensembles and their loss landscapes: train, draw, predict, measure, render."""

from typing import Any

__version__ = "0.1.0"

_LAZY = {"landscape": "modescape.app.jobs.landscape"}
"""Names for users and where they live: importing modescape imports nothing heavy."""


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'modescape' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *_LAZY]
