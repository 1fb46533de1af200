"""The tables of the study ``shift`` from its numbers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from modescape.ensemble_tables import DETECTION, SCORES, SEVERITIES, SHIFTS
from modescape.studies.abstract import Result, Results
from modescape.studies.members import members_table
from modescape.studies.score_board import Board, Ensemble
from modescape.studies.setup import Setup
from modescape.studies.shift_answers import answers
from modescape.studies.shift_measures import CLEAN, LISTED_TASK, split_task
from modescape.tables import ANSWERS, Table, from_rows

Boards = Mapping[str, Board]
"""The board of each split, or of each severity."""


def tables_of(setup: Setup, results: Results) -> Mapping[str, Table]:
    """Every table of the study, of the splits that were measured."""
    listed = results.read(LISTED_TASK)
    assert listed is not None, "the study tells why where nothing was measured"
    splits: Mapping[str, Sequence[Any]] = listed.facts["splits"]
    found = {name: read for name in splits if (read := results.read(split_task(name))) is not None}
    boards = {name: _board(result, "", "scores") for name, result in found.items()}
    detection = {name: _board(result, "_detection", "detection") for name, result in found.items() if _is_unknown(name)}
    by_severity = severities(boards)
    order = list(boards[CLEAN].draws)
    return {
        "answers": from_rows(ANSWERS, answers(boards, by_severity, detection, listed.facts["classes"])),
        "members": members_table(setup, results, listed.facts["steps"]),
        "shifts": from_rows(
            SHIFTS, [{"split": name, "examples": told[0], "source": told[1]} for name, told in splits.items()]
        ),
        "severities": from_rows(SEVERITIES, [row for one in order for row in _severity_rows(by_severity, one)]),
        "scores": from_rows(SCORES, [row for name, board in boards.items() for row in board.rows(name)]),
        "detection": from_rows(DETECTION, [row for name in detection for row in _detected(name, detection[name])]),
    }


def _is_unknown(split: str) -> bool:
    return split.startswith("unknown/")


def _board(result: Result, suffix: str, names: str) -> Board:
    draws: dict[Ensemble, Tensor] = {}
    spread: dict[Ensemble, Tensor] = {}
    every = list(dict.fromkeys(name for told in result.facts["methods"].values() for name in told[names]))
    for method, told in result.facts["methods"].items():
        index = torch.tensor([told[names].index(name) if name in told[names] else -1 for name in every])
        for count in told["counts"]:
            packed = result.files[f"{method}_samples_{count}{suffix}"]
            for place, size in enumerate(told["sizes"]):
                for into, key in ((draws, "draws"), (spread, "spread")):
                    rows = packed[key][place][index.clamp(min=0)].clone()
                    rows[index < 0] = torch.nan
                    into[Ensemble(method, size, count)] = rows
    return Board(every, draws, spread)


def severities(boards: Boards) -> dict[int, Board]:
    """Means over families for each severity; 0 is the test split. ``least`` and ``most`` are those over families."""
    by_severity: dict[int, list[Board]] = {0: [boards[CLEAN]]}
    for name, board in boards.items():
        if name.startswith("shift/"):
            by_severity.setdefault(int(name.rpartition("/")[2]), []).append(board)
    return {severity: _averaged(parts) for severity, parts in sorted(by_severity.items())}


def _averaged(parts: Sequence[Board]) -> Board:
    first = parts[0]
    common = [one for one in first.draws if all(one in part for part in parts)]
    draws, spread = {}, {}
    for one in common:
        stacked = torch.stack([part.draws[one] for part in parts])
        draws[one] = stacked.mean(dim=0)
        values, count = stacked[..., 0], torch.full((stacked.shape[1],), float(len(parts)), dtype=torch.float64)
        spread[one] = torch.stack([values.amin(dim=0), values.amax(dim=0), count], dim=1)
    return Board(first.scores, draws, spread)


def _severity_rows(boards: Mapping[int, Board], ensemble: Ensemble) -> Iterator[dict[str, Any]]:
    for severity, board in boards.items():
        if ensemble in board:
            for row in Board(board.scores, {ensemble: board.draws[ensemble]}, board.spread).rows(""):
                del row["split"], row["subsets"]
                yield {"severity": severity, **row}


def _detected(split: str, board: Board) -> Iterator[dict[str, Any]]:
    for row in board.rows(split):
        detector, _, score = row["score"].partition("/")
        yield {**row, "detector": detector, "score": score}
