"""Load a dataset by name: find it, hold out validation examples, shorten the training set, check the result."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from modescape.app.datasets.cifar import load_cifar
from modescape.app.datasets.dataset import Dataset, check
from modescape.app.datasets.digits import VALIDATION as DIGITS_VALIDATION
from modescape.app.datasets.digits import load_digits
from modescape.app.datasets.imagenet import load_folder, load_imagenet
from modescape.app.datasets.layouts import unknown_name
from modescape.app.datasets.locate import data_folder
from modescape.app.datasets.mnist1d import load_mnist1d
from modescape.app.datasets.own_file import load_file
from modescape.app.datasets.photograph_files import Photographs
from modescape.core.decoded import Decoded
from modescape.core.splits import Split
from modescape.errors import SettingsError

DATASETS: dict[str, Callable[[Path | None], Dataset]] = {
    "digits": lambda data_dir: load_digits(),
    "mnist1d": lambda data_dir: load_mnist1d(),
    "cifar10": lambda data_dir: load_cifar("cifar10", data_dir),
    "cifar100": lambda data_dir: load_cifar("cifar100", data_dir),
    "imagenet": lambda data_dir: load_imagenet(data_folder(data_dir)),
}
"""Each loader takes the data directory and gives all examples in two splits, 'train' and 'test'."""

HELD_OUT = {"digits": DIGITS_VALIDATION, "mnist1d": 500, "cifar10": 500, "cifar100": 500, "imagenet": 10_000}
"""How many of the last training examples become 'validation' unless the caller says otherwise; 500 as in the paper
(Fort, Hu and Lakshminarayanan 2019), of ImageNet ten for each class."""


def load(
    name: str,
    *,
    data_dir: Path | None = None,
    train: int | None = None,
    validation: int | None = None,
    size: int | None = None,
) -> Dataset:
    """Load a dataset by name, from a file of one's own (see ``own_file.load_file``), or from a folder of images that is
    laid out as ImageNet is (see ``imagenet.load_folder``), and check it.

    ``validation`` is the number of last training examples held out (None: the dataset's own number, 0: none);
    ``train`` then keeps the first so many of the others (None: all). ``data_dir`` is where files are looked for, see
    ``locate.data_folder``. ``size`` is that of images decoded from files, in pixels a side.

    Raises ``SettingsError`` for a name or a number that cannot be and ``DataError`` for missing or unusable data.
    """
    if name.endswith(".npz"):
        whole, held_out = load_file(Path(name)), 0
    elif name in DATASETS:
        whole, held_out = DATASETS[name](data_dir), HELD_OUT[name]
    elif "/" in name or Path(name).is_dir():
        whole, held_out = (
            load_folder(Path(name).name, Path(name), f"{Path(name).name}, a folder of images", "unknown"),
            0,
        )
    else:
        raise unknown_name(name)
    whole = whole if size is None else _sized(whole, size)
    dataset = replace(whole, splits=_split_up(whole, train, held_out if validation is None else validation))
    check(dataset)
    return dataset


def _sized(whole: Dataset, size: int) -> Dataset:
    splits = {}
    for name, split in whole.splits.items():
        if not isinstance(split.inputs, Photographs):
            raise SettingsError(f"size = {size} is for images that are decoded from files; {whole.name} has none")
        splits[name] = Split(split.inputs.sized(size), split.targets)
    return replace(whole, splits=splits)


def _split_up(whole: Dataset, train: int | None, validation: int) -> dict[str, Split]:
    examples, test = whole.splits["train"], whole.splits["test"]
    if not 0 <= validation < len(examples):
        raise SettingsError(
            f"validation = {validation} is impossible for {whole.name}: choose from 0 to {len(examples) - 1}, "
            f"there are {len(examples)} examples outside the test set"
        )
    left = len(examples) - validation
    if train is not None and not 1 <= train <= left:
        raise SettingsError(
            f"train = {train} is impossible for {whole.name}: choose from 1 to {left}, "
            f"the examples left after {validation} for validation"
        )
    splits = {"train": _rows(examples, 0, left if train is None else train), "test": test}
    if validation:
        splits["validation"] = _rows(examples, left, len(examples))
    return splits


def _rows(split: Split, start: int, stop: int) -> Split:
    if isinstance(split.inputs, Decoded):
        return Split(split.inputs.part(torch.arange(start, stop)), split.targets[start:stop].clone())
    inputs, targets = split.inputs[start:stop], split.targets[start:stop]
    # A short slice of a view would keep the whole training set in memory.
    if 2 * (stop - start) < len(split):
        return Split(inputs.clone(), targets.clone())
    return Split(inputs, targets)
