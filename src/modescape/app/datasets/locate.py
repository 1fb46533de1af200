"""Say where the files of a dataset are looked for, which are there, and whether they are sound; never needs torch."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from modescape.app.datasets.layouts import BUILT_IN, BY_HAND, DOWNLOADS, LAYOUTS, Layout, known_names, unknown_name
from modescape.app.datasets.places import Place, imagenet_root
from modescape.errors import DataError

VARIABLE = "MODESCAPE_DATA"


@dataclass(frozen=True)
class Status:
    """What is known of one dataset without opening its files.

    ``where`` is the folder or archive found, None for a built-in dataset or if nothing was found; ``size`` is its
    bytes on disk. ``how`` says how to get it, or what holds it.
    """

    name: str
    found: bool
    where: Path | None
    size: int
    how: str


@dataclass(frozen=True)
class Checked:
    """The files of a dataset whose checksums were compared and are right; none for a built-in dataset."""

    name: str
    where: Path | None
    files: tuple[str, ...]


def data_folder(data_dir: Path | None = None) -> Path:
    """Where data are looked for and fetched to: the folder given, else $MODESCAPE_DATA, else the user's cache."""
    if data_dir is not None:
        return data_dir.expanduser()
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).expanduser()
    return platformdirs.user_cache_path("modescape") / "data"


def find(name: str, data_dir: Path | None = None) -> Path | None:
    """The folder of batches or the archive that holds the dataset; None if it is built in or not there.

    Raises ``SettingsError`` for a name that does not exist.
    """
    place = find_place(name, data_dir)
    return place.path if place else None


def find_place(name: str, data_dir: Path | None = None) -> Place | None:
    """Like ``find``, together with the layout in which the files are."""
    if name not in known_names():
        raise unknown_name(name)
    folder = data_folder(data_dir)
    try:
        return next((place for place in _candidates(name, folder) if not place.lacks()), None)
    except PermissionError as problem:
        raise DataError(f"{folder} cannot be searched: {problem}. Name a readable folder: --data-dir DIR") from problem


def not_found(name: str, data_dir: Path | None = None) -> DataError:
    """The error for a dataset that is in none of its places, saying what is missing in each and how to get it."""
    looked = []
    for place in _candidates(name, data_folder(data_dir)):
        lacks = place.lacks() if place.path.is_dir() else ()
        looked.append(f"{place.path} (lacks {', '.join(lacks)})" if lacks else str(place.path))
    return DataError(
        f"{name} was not found. Looked for: {'; '.join(looked)}. Fetch it with `modescape data fetch {name}`, "
        "or name the folder that holds it: --data-dir DIR"
    )


def status(data_dir: Path | None = None) -> list[Status]:
    """One line for every dataset: is it there, where, how large, how to get it."""
    lines = [Status(name, True, None, 0, f"built in ({holder})") for name, holder in BUILT_IN.items()]
    for name in LAYOUTS:
        place = find_place(name, data_dir)
        size = f"{DOWNLOADS[name].size / 1e6:.0f} MB"
        how = f"`modescape data fetch {name}` ({size}), or --data-dir DIR"
        lines.append(Status(name, place is not None, place.path if place else None, place.size() if place else 0, how))
    root = imagenet_root(data_folder(data_dir))
    # Its size is not summed up: there are 1.3 million files.
    lines.append(Status("imagenet", root is not None, root, 0, f"{BY_HAND['imagenet']}, then --data-dir DIR"))
    return lines


def check_files(name: str, data_dir: Path | None = None) -> Checked:
    """Read every file of a dataset and compare its checksum with the official one; about a second for CIFAR.

    ImageNet's images have no published checksums: each is decoded, which takes hours on few cores.

    Raises ``SettingsError`` for a name that does not exist and ``DataError`` if the files are missing or damaged.
    """
    # Here and not above: listing datasets needs neither numpy nor the readers.
    from modescape.app.datasets.records import read_class_names, read_records

    if name in BY_HAND:
        from modescape.app.datasets.imagenet import check_images

        folder = data_folder(data_dir)
        return Checked(name, imagenet_root(folder), check_images(folder))
    place = find_place(name, data_dir)
    if name in BUILT_IN:
        return Checked(name, None, ())
    if place is None:
        raise not_found(name, data_dir)
    read_class_names(place)
    return Checked(name, place.path, tuple(read.batch.name for read in read_records(place)))


def _candidates(name: str, folder: Path) -> Iterator[Place]:
    """Where a dataset may be: beside others in the folder, or the folder (or file) itself."""
    for layout in LAYOUTS.get(name, ()):
        yield Place(folder / layout.folder, layout)
        yield from _itself(folder, layout)
        yield Place(folder / layout.archive, layout)


def _itself(folder: Path, layout: Layout) -> Iterator[Place]:
    """The named folder is itself the folder of batches, or the named file the archive."""
    holds_batches = (folder / layout.batches[0].name).is_file()
    if holds_batches or (folder.is_file() and folder.name == layout.archive):
        yield Place(folder, layout)
