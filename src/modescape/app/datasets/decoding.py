"""Inputs that are made one by one on several threads when they are asked for; a few of them are kept."""

import hashlib
import os
import threading
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import torch
from torch import Tensor

from modescape.core.decoded import Cut, Decoded
from modescape.core.splits import HELD_BYTES


@cache
def pool() -> ThreadPoolExecutor:
    """The threads that decode for everybody in this process: as many as it may use cores. They end with it."""
    affinity = getattr(os, "sched_getaffinity", None)
    return ThreadPoolExecutor(len(affinity(0)) if affinity else os.cpu_count(), thread_name_prefix="decoding")


class OneByOne(Decoded):
    """Inputs of which each is made from its number alone; memory holds what was asked for and a bounded rest.

    ``rows`` are numbers of the whole that this is a part of. ``held`` keeps at most ``HELD_BYTES``, the latest.
    """

    def __init__(self, example_shape: Sequence[int], rows: Tensor) -> None:
        self.example_shape, self.rows = tuple(example_shape), rows
        self._forget()

    def _forget(self) -> None:
        self._held: OrderedDict[bytes, Tensor] = OrderedDict()
        self._lock = threading.Lock()

    @abstractmethod
    def one(self, number: int, cut: Cut | None) -> Tensor:
        """One input, uint8, whatever the thread; ``number`` is that in the whole."""

    def alone(self, row: int) -> Tensor:
        """One of these rows, made on the calling thread: making others from it must not wait for threads again."""
        return self.one(int(self.rows[row]), None)

    @property
    def shape(self) -> tuple[int, ...]:
        """See ``Decoded``."""
        return (len(self.rows), *self.example_shape)

    def read(self, rows: Tensor, cuts: Sequence[Cut] | None = None) -> Tensor:
        """See ``Decoded``. Raises what making one of them raises."""
        numbers = self.rows[rows].tolist()
        made = torch.empty((len(numbers), *self.example_shape), dtype=self.dtype)
        jobs = [pool().submit(self.one, n, None if cuts is None else cuts[i]) for i, n in enumerate(numbers)]
        try:
            for place, job in enumerate(jobs):
                made[place] = job.result()
        finally:
            for job in jobs:
                job.cancel()
        return made

    def part(self, rows: Tensor) -> "OneByOne":
        """See ``Decoded``."""
        found = object.__new__(type(self))
        found.__dict__.update({**self.__dict__, "rows": self.rows[rows]})
        found._forget()
        return found

    def held(self, rows: Tensor) -> Tensor:
        """See ``Decoded``."""
        key = hashlib.sha256(rows.numpy().tobytes()).digest()
        # Whoever wants the same in the meantime waits for it.
        with self._lock:
            if key not in self._held:
                self._held[key] = self.read(rows)
            self._held.move_to_end(key)
            found = self._held[key]
            while len(self._held) > 1 and sum(kept.nbytes for kept in self._held.values()) > HELD_BYTES:
                self._held.popitem(last=False)
        return found

    def __getstate__(self) -> dict[str, Any]:
        """What another process needs: neither what is kept here nor who waits for it."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_held", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()
