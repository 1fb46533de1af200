"""Predictions that others made, as members of which nothing else is known."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from modescape.app.datasets.dataset import Dataset
from modescape.app.datasets.labels_file import Labels, read_labels
from modescape.app.datasets.predictions_file import Predicted, read_predictions
from modescape.app.jobs.recipe import Recipe
from modescape.app.jobs.splits import Digests, References
from modescape.core.engine.engine import Engine
from modescape.core.engine.notes import say
from modescape.core.engine.way import Room
from modescape.core.splits import Split, scaling_of
from modescape.errors import DataError, SettingsError
from modescape.studies.abstract import Context, Sizes

LEAST = float(np.finfo(np.float32).tiny)
"""A probability of zero counts as this: its logarithm, -87 nats, is still a number."""


def context_of(recipe: Recipe, data_dir: Path | None, cores: int) -> tuple[Dataset, Context, Sizes]:
    """What studies need of a recipe with ``network.predictions``: labels, logits, no network.

    Raises ``DataError`` for files that do not fit the labels or each other, ``SettingsError`` if there are not as many
    members in them as ``training.members`` says.
    """
    labels = read_labels(recipe.data.name, data_dir)
    members = read_members(recipe.network.predictions, recipe.network.kind)
    if len(members) != recipe.training.members:
        raise SettingsError(
            f"network.predictions hold {len(members)} members and training.members is {recipe.training.members}; set "
            f"training.members = {len(members)}"
        )
    classes = _class_count(members, labels)
    for member in members:
        _check_fit(member, labels)
    _tell(members, labels, classes)
    logits = [_logits(member, classes) for member in members]
    targets = labels.targets
    names = labels.classes or next((m.columns for m in members if m.columns), ()) or tuple(map(str, range(classes)))
    split = Split(torch.empty(len(targets), 1, 0), targets)
    dataset = Dataset(labels.name, {"test": split}, names, labels.source, labels.licence)
    references = References(dataset, data_dir)
    context = Context(
        setup=recipe.setup,
        splits=dataset.splits,
        scaling=scaling_of("raw", split.inputs),
        classes=classes,
        build=nn.Identity,
        engine=Engine(room=Room(cores)),
        references=references,
        predictions=logits,
    )
    sizes = Sizes(
        {"test": len(targets)},
        recipe.training.batch,
        references=Digests(references),
        imported=tuple(_digest(member.kind, one) for member, one in zip(members, logits, strict=True)),
        classes_alone=members[0].kind == "classes",
    )
    return dataset, context, sizes


def read_members(files: Sequence[str], kind: str | None) -> list[Predicted]:
    """The members of all files, in order. Raises ``DataError`` if some are classes alone and some are not."""
    members = [member for path in files for member in read_predictions(Path(path), kind)]
    by_kind = {member.kind == "classes": member for member in members}
    if len(by_kind) > 1:
        raise DataError(
            f"{by_kind[True].where} has classes alone, {by_kind[False].where} has {by_kind[False].kind}; give the same "
            "of all, or say --kind classes, so that only the classes of all are compared"
        )
    named = [member for member in members if member.columns]
    other = next((member for member in named if member.columns != named[0].columns), None)
    if other is not None:
        raise DataError(
            f"the columns of {other.where} ({_few(other.columns)}) are not those of {named[0].where} "
            f"({_few(named[0].columns)}); put the classes into one order, under the same names"
        )
    return members


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _class_count(members: Sequence[Predicted], labels: Labels) -> int:
    most = int(labels.targets.max()) + 1
    if members[0].kind == "classes":
        found = max(most, len(labels.classes), 1 + max(int(member.values.max()) for member in members))
        if labels.classes and found > len(labels.classes):
            raise DataError(f"the files have {found} classes, {labels.name} names {len(labels.classes)}; correct them")
        return max(found, 2)
    counts: dict[int, Predicted] = {}
    for member in members:
        counts.setdefault(member.values.shape[1], member)
    if len(counts) > 1:
        (one, first), (other, second) = list(counts.items())[:2]
        raise DataError(
            f"{first.where} has {one} classes, {second.where} has {other}; all need the same classes in one order"
        )
    count = int(next(iter(counts)))
    if labels.classes and len(labels.classes) != count:
        raise DataError(
            f"{members[0].where} has {count} classes, {labels.name} has {len(labels.classes)}; both are of one dataset"
        )
    if most > count:
        wrong = labels.targets >= count
        raise DataError(
            f"{labels.name}: {int(wrong.sum())} labels are not from 0 to {count - 1}, the first in row "
            f"{int(wrong.nonzero()[0])} ({int(labels.targets[wrong][0])}); the predictions have {count} classes"
        )
    return count


def _check_fit(member: Predicted, labels: Labels) -> None:
    rows, wanted = len(member.values), len(labels.targets)
    if rows != wanted:
        raise DataError(
            f"{member.where} has {rows:,} examples, {labels.name} has {wanted:,} labels; give the same examples in the "
            "same order"
        )


def _tell(members: Sequence[Predicted], labels: Labels, classes: int) -> None:
    """Say what was taken for what, and who is no better than chance: often rows in another order."""
    kinds = dict.fromkeys(member.kind for member in members)
    told = {kind: sum(member.kind == kind for member in members) for kind in kinds}
    counts = ", ".join(f"{count} of {kind}" for kind, count in told.items())
    zero = sum(int((member.values == 0).any(axis=1).sum()) for member in members if member.kind == "probabilities")
    say(f"predictions taken: {counts}, each {len(labels.targets):,} examples of {classes} classes")
    if zero:
        say(f"{zero:,} rows have probabilities of zero, which count as {LEAST:.1e}")
    limit = 1 / classes + 3 * (1 / classes / len(labels.targets)) ** 0.5
    for member in members:
        own = member.values if member.kind == "classes" else member.values.argmax(axis=1)
        right = float(np.mean(own == labels.targets.numpy()))
        if right <= limit:
            say(f"{member.where} is right on {right:.1%}, about chance: are its rows in the order of the labels?")


def _logits(member: Predicted, classes: int) -> Tensor:
    """Logits [example, class]: as they are, logarithms of probabilities, or of a class that is certain."""
    values = member.values
    if member.kind == "logits":
        exact = values if values.dtype in (np.float32, np.float64) else values.astype(np.float32)
        return torch.from_numpy(np.ascontiguousarray(exact))
    if member.kind == "classes":
        values = np.eye(classes)[values.astype(np.int64)]
    return torch.from_numpy(np.log(np.maximum(values.astype(np.float64), LEAST)))


def _digest(kind: str, logits: Tensor) -> str:
    values = logits.numpy()
    head = f"{kind} {values.dtype.str} {values.shape}\n".encode()
    return hashlib.sha256(head + values.tobytes()).hexdigest()
