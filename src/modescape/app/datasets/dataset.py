"""A dataset: named splits of examples, its classes, where it comes from, and the fingerprint of its values."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from modescape.core.decoded import Decoded
from modescape.core.splits import Split
from modescape.errors import DataError

SPLIT_NAMES = ("train", "validation", "test")
ROWS_SHOWN = 5


@dataclass(frozen=True, eq=False)
class Dataset:
    """Splits 'train', 'test' and, unless no example is held out, 'validation'.

    Inputs are [example, channel, ...]: images uint8 [example, channel, height, width], signals float32
    [example, 1, length]. Targets are int64 [example], each the position of its class in ``classes``. ``source`` says
    where the data come from and whom to cite, ``licence`` under which terms.
    """

    name: str
    splits: Mapping[str, Split]
    classes: tuple[str, ...]
    source: str
    licence: str

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hex, of names, dtypes, shapes and bytes of all splits in alphabetical order.

        Of inputs that are decoded from files, their own digest stands for the bytes.
        """
        fingerprint = hashlib.sha256()
        for name in sorted(self.splits):
            split = self.splits[name]
            for part in (split.inputs, split.targets):
                if isinstance(part, Decoded):
                    fingerprint.update(f"{name} decoded {tuple(part.shape)} {part.digest}\n".encode())
                    continue
                values = part.detach().cpu().contiguous().numpy()
                fingerprint.update(f"{name} {values.dtype.str} {values.shape}\n".encode())
                fingerprint.update(values.data)
        return fingerprint.hexdigest()


def check(dataset: Dataset) -> None:
    """Refuse data that no study can use.

    Raises ``DataError``, naming the split and the first rows at fault, for: a missing or unknown split, an empty split,
    inputs whose shape or dtype differs between splits, NaN or infinite inputs, targets that are not int64, targets
    outside 0 .. classes - 1.
    """
    missing = {"train", "test"} - set(dataset.splits)
    unknown = set(dataset.splits) - set(SPLIT_NAMES)
    if missing or unknown:
        raise DataError(
            f"{dataset.name} has the splits {', '.join(sorted(dataset.splits)) or '(none)'}; "
            "it needs train and test, may have validation, and nothing else"
        )
    example = dataset.splits["train"].inputs
    for name, split in dataset.splits.items():
        where = f"{dataset.name}, split {name}"
        if len(split) == 0:
            raise DataError(f"{where}: there are no examples; give it at least one or leave validation out")
        if split.inputs.shape[1:] != example.shape[1:] or split.inputs.dtype != example.dtype:
            raise DataError(
                f"{where}: inputs are {_form(split.inputs)}, those of train {_form(example)}; make them alike"
            )
        _check_inputs(where, split.inputs)
        _check_targets(where, split.targets, len(dataset.classes))


def _check_inputs(where: str, inputs: Tensor | Decoded) -> None:
    if inputs.ndim < 3:
        raise DataError(f"{where}: inputs are {_form(inputs)}, expected [example, channel, ...]; add a channel axis")
    if isinstance(inputs, Tensor) and inputs.is_floating_point():
        bad = ~torch.isfinite(inputs).flatten(1).all(dim=1)
        if bad.any():
            raise DataError(f"{where}: NaN or infinite inputs in {_rows(bad)}; remove or repair them")


def _check_targets(where: str, targets: Tensor, classes: int) -> None:
    if targets.dtype != torch.int64 or targets.ndim != 1:
        raise DataError(f"{where}: targets are {_form(targets)}, expected whole numbers, int64 [example]")
    bad = (targets < 0) | (targets >= classes)
    if bad.any():
        label = int(targets[bad][0])
        raise DataError(f"{where}: label {label} is not from 0 to {classes - 1}, in {_rows(bad)}; correct the labels")


def _rows(bad: Tensor) -> str:
    rows = bad.nonzero().flatten().tolist()
    shown = ", ".join(str(row) for row in rows[:ROWS_SHOWN])
    return f"{len(rows)} of {len(bad)} rows ({shown}{', ...' if len(rows) > ROWS_SHOWN else ''})"


def _form(values: Tensor | Decoded) -> str:
    return f"{str(values.dtype).removeprefix('torch.')} {list(values.shape)}"
