"""What do ensembles keep under shift, and do they know what they do not know? (the paper's figures 9 and 10, SVHN)"""

from collections.abc import Mapping, Sequence
from typing import final

from modescape.core.settings import require, settings
from modescape.studies.abstract import Extra, Results, Sizes, Study, Task, Unfit
from modescape.studies.members import first_failure
from modescape.studies.methods import Chosen, arguments_of, chosen_methods, method_tasks, sources
from modescape.studies.predicting import predict_name, predicting_task
from modescape.studies.setup import Setup
from modescape.studies.shift_measures import (
    CLEAN,
    LISTED_TASK,
    list_splits,
    measure_clean,
    measure_split,
    split_task,
)
from modescape.studies.shift_tables import tables_of
from modescape.tables import Table

SEVERITIES = (1, 2, 3, 4, 5)


@final
@settings
class Shift(Study):
    """Settings of the shifts; which methods there are is the recipe's section ``methods``.

    The test split is put through the corruptions of ``families`` (None: all that fit such data) at ``severities``;
    ``others`` are splits of other data, "natural/NAME" with the same classes or "unknown/NAME" (None: all that can be
    had here). Of every split ``examples`` are used, all by default. Ensembles have as many ``solutions``, as far as
    there are so many (and one network always), in ``subsets`` at most, and of each the first ``samples`` members (fewer
    where the method is not scored at so many); intervals come from ``draws`` bootstrap samples of the examples.
    """

    families: tuple[str, ...] | None = None
    severities: tuple[int, ...] = SEVERITIES
    others: tuple[str, ...] | None = None
    examples: int | None = None
    solutions: tuple[int, ...] = (1, 2, 5)
    samples: int = 5
    subsets: int = 10
    draws: int = 500

    def __post_init__(self) -> None:
        require(
            len(self.severities) > 0 and set(self.severities) <= set(SEVERITIES),
            f"severities must be among 1, 2, 3, 4, 5, got {list(self.severities)}",
        )
        # A temperature is fitted on one half of them and scored on the other.
        require(self.examples is None or self.examples >= 2, f"examples must be at least 2, got {self.examples}")
        require(
            len(self.solutions) > 0 and all(size >= 1 for size in self.solutions),
            f"solutions must be numbers of networks, at least 1, got {list(self.solutions)}",
        )
        require(self.samples >= 1, f"samples must be at least 1 member, got {self.samples}")
        require(self.subsets >= 1, f"subsets must be at least 1, got {self.subsets}")
        require(self.draws >= 100, f"draws must be at least 100 for an interval, got {self.draws}")

    def tasks(self, setup: Setup, sizes: Sizes) -> Sequence[Task]:
        """Train, draw, predict the test split, then corrupt, predict and measure one split after the other."""
        methods = chosen_methods(setup, sizes)
        names = self.splits(sizes)
        extras = {name: _extra(sizes, name) for name in names}
        predicting = [predicting_task(setup, sizes, m, CLEAN) for m in methods]
        asked = {
            "methods": [arguments_of(m) for m in methods],
            "solutions": sorted({1} | {size for size in self.solutions if size <= setup.training.members}),
            "samples": self.samples,
            "subsets": self.subsets,
            "draws": self.draws,
        }
        clean = {predict_name(m.name, CLEAN): predict_name(m.name, CLEAN) for m in methods}
        known = sizes.examples[CLEAN]
        first = {**asked, "split": CLEAN, "examples": min(self.examples or known, known)}
        measuring = [Task(split_task(CLEAN), measure_clean, first, clean, tolerant=True)]
        weight = sum(m.networks * m.count(self.samples) for m in methods)
        for name, extra in extras.items():
            examples = min(self.examples or extra.examples, extra.examples)
            arguments = {**asked, "split": name, "examples": examples, "digest": extra.digest}
            arguments |= {"known": first["examples"]} if name.startswith("unknown/") else {}
            needed = _needed(setup, methods) | (clean if name.startswith("unknown/") else {})
            measuring.append(Task(split_task(name), measure_split, arguments, needed, weight, "members", tolerant=True))
        told = {"splits": {CLEAN: [first["examples"], "the dataset's own"]}}
        told["splits"] |= {
            name: [min(self.examples or extra.examples, extra.examples), extra.source] for name, extra in extras.items()
        }
        inputs = {task.name: task.name for task in measuring}
        listing = Task(LISTED_TASK, list_splits, {**told, "methods": asked["methods"]}, inputs, tolerant=True)
        return [*method_tasks(setup, sizes, methods), *predicting, *measuring, listing]

    def splits(self, sizes: Sizes) -> list[str]:
        """Names of the splits beyond the dataset's own. Raises ``ValueError`` if there is none."""
        families = sizes.families if self.families is None else self.families
        names = [f"shift/{family}/{severity}" for family in families for severity in sorted(set(self.severities))]
        names += sizes.others if self.others is None else self.others
        if not names:
            raise Unfit("there is no shift and no other data for this dataset; name families or others")
        return names

    def tables(self, setup: Setup, results: Results) -> Mapping[str, Table]:
        """Answers, scores by split and by severity, detection."""
        if results.read(LISTED_TASK) is None:
            raise first_failure(setup, results, LISTED_TASK)
        return tables_of(setup, results)


def _extra(sizes: Sizes, name: str) -> Extra:
    if sizes.extra is None:
        raise ValueError(f"there is no split {name!r} beside those of the dataset")
    return sizes.extra(name)


def _needed(setup: Setup, methods: Sequence[Chosen]) -> dict[str, str]:
    return {name: source for m in methods for name, source in sources(setup, m).items()}
