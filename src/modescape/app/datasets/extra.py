"""Evaluation data beyond a dataset's own splits, by name.

``shift/FAMILY/SEVERITY`` is the test split after a corruption, ``natural/NAME`` newly collected data of the same
classes, ``unknown/NAME`` inputs of none of the classes.
"""

from pathlib import Path

from modescape.app.datasets import others, shifted
from modescape.app.datasets.beyond import Extra as Extra
from modescape.app.datasets.dataset import Dataset
from modescape.app.datasets.locate import data_folder
from modescape.app.datasets.shifts.corrupting import families_of
from modescape.errors import SettingsError


def families(dataset: Dataset) -> tuple[str, ...]:
    """Names of the corruption families that fit the dataset's inputs; each has the severities 1 to 5."""
    return tuple(families_of(dataset))


def unknown_inputs(dataset: Dataset, data_dir: Path | None) -> tuple[str, ...]:
    """Full names, ``natural/NAME`` and ``unknown/NAME``, of what this dataset can have here and now.

    Data in files count if their files are in the data folder; whether they are sound ``extra`` finds out.
    """
    return others.available(dataset, _folder(data_dir))


def extra(dataset: Dataset, name: str, data_dir: Path | None, root: int) -> Extra:
    """The split of that name, checked but not yet loaded.

    ``root`` is the root seed from which random corruptions descend by the path ``shift/FAMILY/SEVERITY``. Raises
    ``SettingsError`` for a name or severity that does not exist for this dataset, and ``DataError`` for files that are
    missing, damaged, or of another form.
    """
    kind, _, rest = name.partition("/")
    if kind == "shift":
        return shifted.shift(dataset, rest, _folder(data_dir), root)
    if kind in ("natural", "unknown") and rest:
        return others.other(dataset, name, _folder(data_dir), root)
    raise SettingsError(
        f"there is no split '{name}'; beyond its own splits a dataset has shift/FAMILY/SEVERITY, natural/NAME and "
        "unknown/NAME"
    )


def _folder(data_dir: Path | None) -> Path:
    folder = data_folder(data_dir)
    # An archive may be named in place of the folder that holds it.
    return folder.parent if folder.is_file() else folder
