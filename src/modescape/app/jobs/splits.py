"""The splits of a run: the dataset's own on the device, and others that are made when they are asked for."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from modescape.app.datasets.dataset import Dataset
from modescape.app.datasets.extra import Extra as ExtraData
from modescape.app.datasets.extra import extra, families, unknown_inputs
from modescape.app.datasets.references import are_official, load_people, load_posterior
from modescape.core.methods.scoring import PEOPLE, POSTERIOR
from modescape.core.splits import Split
from modescape.studies.abstract import Extra

HELD = 3
"""Splits beyond the dataset's own that are kept in memory at most: each is used by one task alone."""


@dataclass(frozen=True)
class Beyond:
    """What can be had beside the dataset's own splits, each checked once."""

    dataset: Dataset
    data_dir: Path | None
    root: int

    @cached_property
    def families(self) -> tuple[str, ...]:
        """Corruption families that fit such data."""
        return families(self.dataset)

    @cached_property
    def others(self) -> tuple[str, ...]:
        """Names of natural shifts and unknown inputs that are here."""
        return unknown_inputs(self.dataset, self.data_dir)

    @cached_property
    def _found(self) -> dict[str, ExtraData]:
        return {}

    def find(self, name: str) -> ExtraData:
        """A split that can be had. Raises ``DataError`` or ``SettingsError``."""
        if name not in self._found:
            self._found[name] = extra(self.dataset, name, self.data_dir, self.root)
        return self._found[name]

    def describe(self, name: str) -> Extra:
        """The same, as studies know it."""
        found = self.find(name)
        return Extra(found.examples, found.source, found.digest)


class Splits(Mapping[str, Split]):
    """Splits by name. Iterating gives the dataset's own; any other that can be had is made when it is asked for."""

    def __init__(self, own: Mapping[str, Split], beyond: Beyond, device: torch.device) -> None:
        self._own, self._beyond, self._device = dict(own), beyond, device
        self._made: OrderedDict[str, Split] = OrderedDict()
        self._lock = threading.Lock()

    def __getitem__(self, name: str) -> Split:
        if name in self._own:
            return self._own[name]
        if "/" not in name:
            raise KeyError(name)
        with self._lock:
            if name in self._made:
                return self._made[name]
        split = self._beyond.find(name).load().on(self._device)
        with self._lock:
            self._made[name] = split
            while len(self._made) > HELD:
                self._made.popitem(last=False)
        return split

    def __contains__(self, name: object) -> bool:
        return name in self._own

    def __iter__(self) -> Iterator[str]:
        return iter(self._own)

    def __len__(self) -> int:
        return len(self._own)


class References(Mapping[str, torch.Tensor]):
    """Distributions over classes that the test split's predictions can be compared with, those that are here.

    They are read when a study asks for them: a damaged file stops nobody else.
    """

    def __init__(self, dataset: Dataset, data_dir: Path | None) -> None:
        self._dataset, self._data_dir = dataset, data_dir

    @cached_property
    def _found(self) -> dict[str, torch.Tensor]:
        if self._dataset.name != "cifar10" and not are_official(self._dataset.splits["test"].targets):
            return {}
        found = {PEOPLE: load_people(self._data_dir), POSTERIOR: load_posterior(self._data_dir)}
        return {name: values for name, values in found.items() if values is not None}

    def __getitem__(self, name: str) -> torch.Tensor:
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


class Digests(Mapping[str, str]):
    """Digests of references, by name."""

    def __init__(self, references: References) -> None:
        self._references = references

    def __getitem__(self, name: str) -> str:
        return digest_of(self._references[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._references)

    def __len__(self) -> int:
        return len(self._references)


def digest_of(values: torch.Tensor) -> str:
    """SHA-256 of the numbers."""
    return hashlib.sha256(values.contiguous().numpy().tobytes()).hexdigest()
