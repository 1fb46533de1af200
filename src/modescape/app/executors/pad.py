"""A pad in the run directory: a numbered folder for each piece that a task puts down before it is done."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import final

from torch import Tensor

from modescape.app.runs.manifest import Damaged
from modescape.app.runs.results import read_result, write_result
from modescape.studies.abstract import Pad, Result

_PIECE = "piece"


@final
class FolderPad(Pad):
    """Pieces in numbered folders, each written as a whole. The first that is missing or damaged ends them."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._next = folder, 0

    def read(self) -> Iterator[Mapping[str, Tensor]]:
        """See ``Pad``."""
        self._next = 0
        while (folder := self._folder / str(self._next)).is_dir():
            try:
                piece = read_result(folder).files[_PIECE]
            except (Damaged, KeyError):
                break
            self._next += 1
            yield piece

    def put(self, piece: Mapping[str, Tensor]) -> None:
        """See ``Pad``; what was read before stays, and what was left unread is overwritten."""
        write_result(self._folder / str(self._next), Result({_PIECE: piece}, {}), {})
        self._next += 1

    def drop(self) -> None:
        """Delete the pieces: the task is done."""
        shutil.rmtree(self._folder, ignore_errors=True)
