"""The recipe of ``modescape import``: studies of networks, or of predictions, that somebody else made."""

import hashlib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modescape.app.jobs.predicted import read_members
from modescape.app.jobs.prepare import DECISIVE
from modescape.app.jobs.recipe import Recipe, apply, validate
from modescape.errors import SettingsError
from modescape.studies.catalogue import STUDIES

DEAR = "curvature"
"""The study that is done when it is asked for alone."""

WHERE = "modescape import"


@dataclass(frozen=True)
class Given:
    """What was given: a network with its weights and data, or predictions with their labels.

    ``kind`` says what the predictions are; None takes it from them.
    """

    model: str | None = None
    weights: tuple[str, ...] = ()
    data: str | None = None
    predictions: tuple[str, ...] = ()
    labels: str | None = None
    kind: str | None = None

    def __post_init__(self) -> None:
        if bool(self.weights) == bool(self.predictions):
            raise SettingsError(
                "give either --weights (with --model and --data) or --predictions (with --labels), one or more of them"
            )
        wanted = (("model", "data"), ("labels", "kind")) if self.weights else (("labels",), ("model", "data"))
        missing = [name for name in wanted[0] if getattr(self, name) is None]
        idle = [name for name in wanted[1] if getattr(self, name) is not None]
        what = "--weights" if self.weights else "--predictions"
        if missing:
            raise SettingsError(f"{what} needs --{missing[0]} beside it")
        if idle:
            raise SettingsError(f"--{idle[0]} has no place beside {what}; leave it out")

    @property
    def words(self) -> list[str]:
        """As options of the command."""
        pairs = [("model", self.model), *(("weights", one) for one in self.weights), ("data", self.data)]
        pairs += [*(("predictions", one) for one in self.predictions), ("labels", self.labels), ("kind", self.kind)]
        return [word for name, value in pairs if value is not None for word in (f"--{name}", value)]


def recipe_of(given: Given, overrides: Sequence[str] = (), curvature: bool = False) -> Recipe:
    """Every study that may do, and defaults for what was not trained here; ``overrides`` change everything.

    Inputs of a file of data are taken as they are, those of a dataset standardised. Raises ``SettingsError``, and
    ``DataError`` for files of predictions that cannot be read.
    """
    record: dict[str, Any] = {"studies": [name for name in STUDIES if name != DEAR or curvature]}
    if given.weights:
        assert given.model is not None and given.data is not None, "weights are given with them"
        record |= {
            "title": f"Networks trained elsewhere: {given.model}",
            "description": f"Weights of {len(given.weights)} networks, on {Path(given.data).name}.",
            "data": {"name": given.data, "scaling": "raw" if given.data.endswith(".npz") else "standard"},
            "network": {"factory" if ":" in given.model else "name": given.model, "weights": list(given.weights)},
            "training": {"members": len(given.weights)},
        }
    else:
        assert given.labels is not None, "predictions are given with them"
        members = len(read_members(given.predictions, given.kind))
        network = {"predictions": list(given.predictions)} | ({"kind": given.kind} if given.kind else {})
        record |= {
            "title": "Predictions made elsewhere",
            "description": f"What {members} members predicted, against the labels of {Path(given.labels).name}.",
            "data": {"name": given.labels},
            "network": network,
            "training": {"members": members},
        }
    for override in overrides:
        apply(record, override)
    return validate(record, WHERE)


def about(given: Given, overrides: Sequence[str] = (), curvature: bool = False) -> dict[str, str]:
    """A name of its own for what was given, and the command that makes the same run again."""
    sets = [word for one in overrides for word in ("--set", one)]
    command = shlex.join(["modescape", "import", *given.words, *sets, *(["--curvature"] if curvature else [])])
    chosen = [one for one in overrides if one.partition("=")[0].strip().split(".")[0] in DECISIVE]
    decisive = "\n".join([*given.words, *chosen])
    return {"name": f"import-{hashlib.sha256(decisive.encode()).hexdigest()[:6]}", "command": command}
