"""Evaluation data that are not made from the dataset: unknown inputs, and newly collected data of the same classes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from modescape.app.datasets import natural, photographs
from modescape.app.datasets.beyond import Extra, digest_of, no_such
from modescape.app.datasets.cifar import load_cifar
from modescape.app.datasets.dataset import Dataset
from modescape.app.datasets.fitting import fit
from modescape.app.datasets.layouts import LAYOUTS
from modescape.app.datasets.locate import find_place, not_found
from modescape.app.datasets.other_files import FILES
from modescape.app.datasets.shifts.corrupting import range_of
from modescape.core.decoded import Decoded
from modescape.core.splits import Split

VERSION = 1
"""Changes whenever unknown inputs are brought to the dataset's form in another way."""

TWINS = {"cifar10": "cifar100", "cifar100": "cifar10"}
"""Datasets that share no class."""


def available(dataset: Dataset, folder: Path) -> tuple[str, ...]:
    """Full names of what needs no file or has its files in the folder, natural data first."""
    names = [
        name for name, data in natural.NATURAL.items() if data.dataset == dataset.name and data.lacks(folder) == ()
    ]
    for name, images in FILES.items():
        if images.listed and dataset.name in images.knows_none and (folder / images.file).is_file():
            names.append(f"unknown/{name}")
    twin = TWINS.get(dataset.name)
    if twin is not None and find_place(twin, folder) is not None:
        names.append(f"unknown/{twin}")
    return (*names, *(f"unknown/{name}" for name in _made(dataset)))


def other(dataset: Dataset, name: str, folder: Path, root: int) -> Extra:
    """The split ``natural/NAME`` or ``unknown/NAME``.

    Raises ``SettingsError`` for a name that this dataset does not have, ``DataError`` for missing or damaged files.
    """
    kind, _, rest = name.partition("/")
    if kind == "natural":
        own = {known: data for known, data in natural.NATURAL.items() if data.dataset == dataset.name}
        if name not in own:
            raise no_such("natural shift", name, own)
        return own[name].extra(name, folder)
    makers = _makers(dataset, folder, root)
    if rest not in makers:
        raise no_such("unknown input", name, (f"unknown/{known}" for known in makers))
    made = makers[rest]()
    targets = torch.zeros(made.examples, dtype=torch.int64)
    return Extra(name, made.examples, made.source, made.digest, lambda: Split(made.inputs(), targets))


@dataclass(frozen=True)
class _Found:
    examples: int
    source: str
    digest: str
    inputs: Callable[[], Tensor | Decoded]


def _makers(dataset: Dataset, folder: Path, root: int) -> dict[str, Callable[[], _Found]]:
    """What the dataset may have, whether or not its files are there; calling one finds out."""
    makers: dict[str, Callable[[], _Found]] = {}
    for name, images in FILES.items():
        if dataset.name in images.knows_none:
            makers[name] = partial(_from_file, dataset, name, folder)
    if dataset.name in TWINS:
        makers[TWINS[dataset.name]] = partial(_twin, dataset, folder)
    if "photographs" in _made(dataset):
        makers["photographs"] = partial(_photographs, dataset)
    makers["noise"] = partial(_noise, dataset, root)
    return makers


def _made(dataset: Dataset) -> tuple[str, ...]:
    # The photographs show a palace and a flower, which CIFAR-100 may know, and of other datasets nothing is known.
    return ("photographs", "noise") if dataset.name in ("cifar10", "digits", "mnist1d") else ("noise",)


def _from_file(dataset: Dataset, name: str, folder: Path) -> _Found:
    images = FILES[name]
    images.part(folder)
    digest = digest_of("file", name, VERSION, images.digest, _form(dataset))
    return _Found(images.examples, images.source, digest, lambda: fit(images.load(folder), dataset))


def _twin(dataset: Dataset, folder: Path) -> _Found:
    twin = TWINS[dataset.name]
    if find_place(twin, folder) is None:
        raise not_found(twin, folder)
    batch = next(batch for batch in LAYOUTS[twin][0].batches if batch.split == "test")
    source = f"test images of {twin.upper().replace('CIFAR', 'CIFAR-')} (Krizhevsky 2009)"
    digest = digest_of("twin", batch.digest)
    return _Found(batch.records, source, digest, lambda: load_cifar(twin, folder).splits["test"].tensor)


def _photographs(dataset: Dataset) -> _Found:
    inputs = photographs.pieces(dataset)
    digest = digest_of("photographs", VERSION, photographs.photographs_digest(), _form(dataset), dataset.digest)
    return _Found(len(inputs), photographs.SOURCE, digest, lambda: photographs.pieces(dataset))


def _noise(dataset: Dataset, root: int) -> _Found:
    digest = digest_of("noise", VERSION, root, dataset.digest)
    return _Found(
        len(dataset.splits["test"]), photographs.NOISE_SOURCE, digest, lambda: photographs.noise(dataset, root)
    )


def _form(dataset: Dataset) -> tuple[object, ...]:
    inputs = dataset.splits["train"].inputs
    return (str(inputs.dtype), tuple(inputs.shape[1:]), range_of(dataset) if inputs.ndim == 4 else None)
