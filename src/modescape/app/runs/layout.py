"""The one map of a run directory: the only file that knows a file name."""

from dataclasses import dataclass
from pathlib import Path

SCHEMA = 1
"""Version of the form on disk; a run of a newer version is refused."""

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Layout:
    """Paths within one run directory."""

    root: Path

    @property
    def identity(self) -> Path:
        """What the run is: recipe, seed, data, versions."""
        return self.root / "run.json"

    @property
    def journal(self) -> Path:
        """What happened, a line an event."""
        return self.root / "journal.jsonl"

    @property
    def lock(self) -> Path:
        """Held by the process that fills the run."""
        return self.root / "lock"

    @property
    def given(self) -> Path:
        """Weights and data that were handed over in memory, before there was a run."""
        return self.root / "given"

    @property
    def results(self) -> Path:
        """A directory for each task that was performed."""
        return self.root / "results"

    def result(self, task: str) -> Path:
        """The directory of one task."""
        return self.results / task

    def pad(self, key: str) -> Path:
        """What the unfinished task with this content key has put down."""
        return self.root / "unfinished" / key

    def tables(self, study: str) -> Path:
        """The directory of a study's tables."""
        return self.root / "tables" / study

    def table(self, study: str, name: str) -> Path:
        """One table."""
        return self.tables(study) / f"{name}.parquet"

    @property
    def report(self) -> Path:
        """The page."""
        return self.root / "report.html"


def tensor_file(name: str) -> str:
    """File name of a group of named tensors."""
    return f"{name}.safetensors"


def is_run(folder: Path) -> bool:
    """Whether a folder holds a run."""
    return Layout(folder).identity.is_file()
