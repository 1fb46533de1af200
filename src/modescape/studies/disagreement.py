"""Do networks differ as functions, pair by pair? Their own scores, disagreement, divergences, the plane, a map.

The networks are taken as they are: batch norm keeps the statistics of training.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, final

from modescape.core.settings import require, settings
from modescape.studies.abstract import Results, Sizes, Study, Task
from modescape.studies.disagreement_measures import compare_functions
from modescape.studies.disagreement_tables import tables_of
from modescape.studies.members import first_failure, prediction_tasks, training_tasks
from modescape.studies.setup import Setup
from modescape.tables import Table

COMPARE_TASK = "measure/disagreement"


@final
@settings
class Disagreement(Study):
    """Settings: the split that is predicted, and the bootstrap draws of the examples for intervals.

    One network has scores alone. The map needs three.
    """

    needs_weights: ClassVar[bool] = False

    split: str = "test"
    draws: int = 500

    def __post_init__(self) -> None:
        require(self.draws >= 100, f"draws must be at least 100 for an interval, got {self.draws}")

    def tasks(self, setup: Setup, sizes: Sizes) -> Sequence[Task]:
        """Train, predict, compare."""
        require(self.split in sizes.examples, f"there is no split {self.split!r}; choose {', '.join(sizes.examples)}")
        predicting = prediction_tasks(setup, sizes, self.split)
        arguments = {
            "members": list(range(setup.training.members)),
            "split": self.split,
            "draws": self.draws,
            "references": dict(sizes.references) if self.split == "test" else {},
            "classes_alone": sizes.classes_alone,
        }
        inputs = {task.name: task.name for task in predicting}
        compare = Task(COMPARE_TASK, compare_functions, arguments, inputs, tolerant=True)
        return [*training_tasks(setup, sizes), *predicting, compare]

    def tables(self, setup: Setup, results: Results) -> Mapping[str, Table]:
        """Answers, members, scores, pairs, the plane with its curves, the map."""
        compared = results.read(COMPARE_TASK)
        if compared is None:
            raise first_failure(setup, results, COMPARE_TASK)
        return tables_of(setup, results, compared)
