"""A whole recipe, from its file to its tables, as a user would run it."""

import tempfile
from pathlib import Path

from modescape.app.bench.assignment import Assignment
from modescape.app.bench.contestant import Contestant
from modescape.app.jobs.engine import Wanted
from modescape.app.jobs.perform import perform
from modescape.app.jobs.prepare import Options, prepare
from modescape.app.jobs.recipe import find, read


class Recipe(Contestant):
    """Every study of the recipe; the data are there before."""

    recipe = "cifar10-resnet20"

    def __init__(self, given: Assignment) -> None:
        super().__init__(given)
        folder = Path(given.data_dir) if given.data_dir else None
        wanted = Wanted("auto", given.members, given.precision)
        source = find(self.recipe)
        self.source = {"name": source.name}
        self.prepared = prepare(read(source), Options(folder, given.device, given.cores, wanted))
        self.about = self.prepared.chosen.sentence

    def warm_up(self) -> None:
        """Nothing: a user's first run is not warm."""

    def once(self) -> float:
        """One run, in a folder that is thrown away."""
        with tempfile.TemporaryDirectory() as folder:
            studies = self.prepared.recipe.studies
            outcome = perform(self.prepared, studies, Path(folder) / "run", self.source, lambda happening: None)
        if outcome.failures:
            raise RuntimeError("; ".join(outcome.failures))
        return 1.0
