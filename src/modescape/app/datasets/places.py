"""A place that holds a dataset: the folder of its batches, or its archive."""

from dataclasses import dataclass
from pathlib import Path

from modescape.app.datasets.layouts import Layout

IMAGENET_FOLDERS = ("", "imagenet", "ILSVRC/Data/CLS-LOC")
"""Where ImageNet's train and val may lie in the data folder; the last is that of the archive for localisation."""


@dataclass(frozen=True)
class Place:
    """Where a layout is, or would be."""

    path: Path
    layout: Layout

    def lacks(self) -> tuple[str, ...]:
        """The batches missing from a folder; an archive's contents are not known before it is read."""
        if self.path.is_file():
            return ()
        return tuple(batch.name for batch in self.layout.batches if not (self.path / batch.name).is_file())

    def size(self) -> int:
        """Bytes on disk."""
        files = [self.path] if self.path.is_file() else [self.path / batch.name for batch in self.layout.batches]
        return sum(file.stat().st_size for file in files)

    def remedy(self) -> str:
        """What to do about damaged files."""
        return f"Delete it and run `modescape data fetch {self.layout.dataset}`, or name a sound copy: --data-dir DIR"


def imagenet_root(folder: Path) -> Path | None:
    """The folder that holds ImageNet's train and val; None if there is none."""
    places = (folder / place for place in IMAGENET_FOLDERS)
    return next((place for place in places if (place / "train").is_dir() and (place / "val").is_dir()), None)
