"""Shifts of a dataset's test split: from the official archive, rebuilt to its last bit, or drawn anew."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from modescape.app.datasets import official
from modescape.app.datasets.beyond import Extra, digest_of, no_such
from modescape.app.datasets.dataset import Dataset
from modescape.app.datasets.decoding import OneByOne
from modescape.app.datasets.rebuilt import PROBE, REBUILT
from modescape.app.datasets.shifts.chance import Chance
from modescape.app.datasets.shifts.corrupting import VERSION, corrupt, families_of, range_of
from modescape.app.datasets.shifts.one_by_one import Made
from modescape.core.decoded import Decoded
from modescape.core.splits import Split
from modescape.errors import DataError, SettingsError

EQUAL = "rebuilt, equal to CIFAR-10-C bit for bit"
ANEW = "drawn anew"
ONE_BY_ONE = "drawn anew, at the strengths of CIFAR-10-C"


@dataclass(frozen=True)
class _Wanted:
    dataset: Dataset
    family: str
    severity: int

    @property
    def name(self) -> str:
        return f"shift/{self.family}/{self.severity}"

    def made(self, root: int, examples: int | None = None) -> Tensor:
        """The first so many test inputs after the corruption."""
        chance = Chance(root, "shift", self.family, self.severity)
        return self._corrupt(self.dataset.splits["test"].tensor[:examples], chance)

    def made_one_by_one(self, root: int, test: OneByOne) -> Made:
        """Test inputs that are decoded when they are asked for, each corrupted then, with chance of its own."""

        def one(number: int) -> Tensor:
            chance = Chance(root, "shift", self.family, self.severity, "image", number)
            return self._corrupt(test.alone(number)[None], chance)[0]

        return Made(test, one, f"{VERSION} {self.name} {root}")

    def _corrupt(self, inputs: Tensor, chance: Chance) -> Tensor:
        family = families_of(self.dataset)[self.family]
        return corrupt(inputs, family, family.severities[self.severity - 1], range_of(self.dataset), chance)

    def extra(self, source: str, digest: str, inputs: Callable[[], Tensor | Decoded]) -> Extra:
        targets = self.dataset.splits["test"].targets
        return Extra(self.name, len(targets), source, digest, lambda: Split(inputs(), targets))


def shift(dataset: Dataset, rest: str, folder: Path, root: int) -> Extra:
    """The split ``shift/REST``, REST being FAMILY/SEVERITY.

    The official archive comes first if it is in the folder. Raises ``SettingsError`` for an unknown family or severity
    and ``DataError`` for a damaged archive.
    """
    wanted = _parse(dataset, rest)
    family, severity = wanted.family, wanted.severity
    archived = official.find(dataset, family, folder)
    if archived is not None:
        digest = digest_of("official", archived.digest, severity)
        return wanted.extra(official.SOURCE, digest, lambda: archived.inputs(severity))
    pinned = REBUILT.get(family, ())
    if dataset.name == "cifar10" and pinned and _fingerprint(wanted.made(root, PROBE)) == pinned[severity - 1][0]:
        expected = pinned[severity - 1][1]
        return wanted.extra(EQUAL, digest_of("rebuilt", expected), lambda: _proven(wanted, root, expected))
    parameters = families_of(dataset)[family].severities[severity - 1]
    recipe = digest_of("drawn", VERSION, wanted.name, parameters, range_of(dataset), root, dataset.digest)
    test = dataset.splits["test"].inputs
    if isinstance(test, OneByOne):
        return wanted.extra(ONE_BY_ONE, recipe, lambda: wanted.made_one_by_one(root, test))
    return wanted.extra(ANEW, recipe, lambda: wanted.made(root))


def _parse(dataset: Dataset, rest: str) -> _Wanted:
    family, _, severity = rest.partition("/")
    known = families_of(dataset)
    if family not in known:
        raise no_such("family of corruptions", family, known)
    if severity not in ("1", "2", "3", "4", "5"):
        raise SettingsError(f"shift/{family} has no severity '{severity}'; choose from 1 to 5: shift/{family}/3")
    return _Wanted(dataset, family, int(severity))


def _proven(wanted: _Wanted, root: int, expected: str) -> Tensor:
    inputs = wanted.made(root)
    if _fingerprint(inputs) != expected:
        raise DataError(
            f"{wanted.name} of {wanted.dataset.name} differs here from CIFAR-10-C, though its first {PROBE} images do "
            f"not; put the official {wanted.family}.npy into CIFAR-10-C in the data folder, or leave the family out"
        )
    return inputs


def _fingerprint(inputs: Tensor) -> str:
    """Half of the SHA-256, in hex, of images [example, 3, 32, 32] in the order of CIFAR-10-C, channels last."""
    return hashlib.sha256(inputs.permute(0, 2, 3, 1).contiguous().numpy().data).hexdigest()[:32]
