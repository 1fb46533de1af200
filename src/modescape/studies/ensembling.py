"""Which ensemble is worth its cost? Scores and size curves of every method, and a verdict (the paper's figure 8)."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, final

from modescape.core.settings import require, settings
from modescape.studies.abstract import Results, Sizes, Study, Task, Unfit
from modescape.studies.ensembling_measures import (
    BOARD_TASK,
    FORECAST_TASK,
    list_measured,
    measure_forecast,
    measure_method,
    measure_name,
)
from modescape.studies.ensembling_tables import tables_of
from modescape.studies.members import first_failure
from modescape.studies.methods import INDEPENDENT, arguments_of, chosen_methods, method_tasks
from modescape.studies.predicting import predicting_task
from modescape.studies.setup import Setup
from modescape.tables import Table


@final
@settings
class Ensembling(Study):
    """Settings of the comparison; which methods there are is the recipe's section ``methods``.

    Scores are those on ``split``, means over all subsets of as many solutions, or over ``subsets`` of them where there
    are more. Intervals come from ``draws`` bootstrap samples of the examples, the same for every ensemble. The forecast
    is made from the first ``forecast_from`` networks. Costs are equal that differ by a share of at most ``slack``.
    """

    needs_weights: ClassVar[bool] = False

    split: str = "test"
    subsets: int = 20
    draws: int = 500
    forecast_from: int = 4
    slack: float = 0.1

    def __post_init__(self) -> None:
        require(self.subsets >= 1, f"subsets must be at least 1, got {self.subsets}")
        require(self.draws >= 100, f"draws must be at least 100 for an interval, got {self.draws}")
        # All subsets of so many are scored, and the jackknife's curves need three sizes as well.
        require(4 <= self.forecast_from <= 10, f"forecast_from must be 4 to 10 networks, got {self.forecast_from}")
        require(0 <= self.slack < 1, f"slack must lie in [0, 1), got {self.slack}")

    def tasks(self, setup: Setup, sizes: Sizes) -> Sequence[Task]:
        """Train, draw, predict, measure each method."""
        if sizes.classes_alone:
            raise Unfit("its scores are those of probabilities, and the files have classes alone")
        require(self.split in sizes.examples, f"there is no split {self.split!r}; choose {', '.join(sizes.examples)}")
        methods = chosen_methods(setup, sizes)
        if setup.training.members == 1 and len(methods) == 1:
            raise Unfit("it compares ensembles, and there is one network and no method that draws members around it")
        predicting = {m.name: predicting_task(setup, sizes, m, self.split) for m in methods}
        references = dict(sizes.references) if self.split == "test" else {}
        asked = {"split": self.split, "subsets": self.subsets, "draws": self.draws, "references": references}
        measuring = [
            Task(
                measure_name(m.name),
                measure_method,
                {**asked, "method": arguments_of(m)},
                {"predictions": predicting[m.name].name},
                weight=m.networks * len(m.counts()),
                unit="ensembles",
            )
            for m in methods
        ]
        if setup.training.members > self.forecast_from:
            arguments = {**asked, "fitted": self.forecast_from}
            inputs = {"predictions": predicting[INDEPENDENT].name}
            measuring.append(Task(FORECAST_TASK, measure_forecast, arguments, inputs, self.forecast_from, "ensembles"))
        arguments = {"methods": [arguments_of(m) for m in methods]}
        inputs = {task.name: task.name for task in measuring}
        measuring.append(Task(BOARD_TASK, list_measured, arguments, inputs, tolerant=True))
        return [*method_tasks(setup, sizes, methods), *predicting.values(), *measuring]

    def tables(self, setup: Setup, results: Results) -> Mapping[str, Table]:
        """The verdict, then scores, equivalents, forecast and costs."""
        if results.read(BOARD_TASK) is None:
            raise first_failure(setup, results, BOARD_TASK)
        return tables_of(setup, results, self.slack, self.split)
