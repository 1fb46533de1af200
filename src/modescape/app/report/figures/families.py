"""Which corruptions hurt: accuracy by family and severity, and what an ensemble gains over one network there."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize, TwoSlopeNorm
from matplotlib.figure import Figure

from modescape.app.report.ensembles import INDEPENDENT, Ensemble, Score, called, largest_independent, scores_in
from modescape.app.report.figures.matrix import heatmap
from modescape.app.report.figures.omitted import Omitted
from modescape.app.report.figures.style import INK, SIMILARITY_COLOURS, WIDTH, look
from modescape.app.report.words import counted
from modescape.tables import Table, title_of

TITLE = "Which corruptions hurt, and where does an ensemble help?"
_NOTHING = Score(np.nan, np.nan, np.nan)
_GAINS = LinearSegmentedColormap.from_list("gains", ["#b35806", "#f7f7f7", "#1f6fb4"])
"""From worse to better through white, told apart with every common form of colour blindness."""


class Families(NamedTuple):
    """Accuracy of an ensemble [family, severity], its gain over one network, NaN where unknown, and both when clean.

    Families in the order of what they cost, the worst first.
    """

    families: tuple[str, ...]
    severities: tuple[int, ...]
    ensemble: Ensemble
    accuracy: np.ndarray
    gain: np.ndarray
    clean: float


def numbers(tables: Mapping[str, Table]) -> Families:
    """The largest ensemble of independent networks on every shifted split, beside one network."""
    table = tables["scores"]
    splits = [parts for split in dict.fromkeys(table["split"].tolist()) if (parts := _parts(split)) is not None]
    if not splits:
        raise Omitted("Omitted: this run has no corrupted inputs.")
    found = {parts: scores_in(table, split="/".join(("shift", *map(str, parts))), score="accuracy") for parts in splits}
    largest = largest_independent(one for scores in found.values() for one in scores)
    if largest is None:
        raise Omitted("Omitted: this run has no independent networks under shift.")
    families, severities = (sorted(set(names)) for names in zip(*splits, strict=True))

    def matrix(one: Ensemble) -> np.ndarray:
        rows = [[found.get((f, s), {}).get(one, _NOTHING).value for s in severities] for f in families]
        return np.where(np.isfinite(rows), rows, np.nan)

    accuracy, single = matrix(largest), matrix(Ensemble(INDEPENDENT, 1, 1))
    gain = accuracy - single if largest.solutions > 1 else np.full_like(accuracy, np.nan)
    order = np.argsort(accuracy[:, -1], kind="stable")
    clean = scores_in(table, split="test", score="accuracy").get(largest)
    return Families(
        tuple(families[place] for place in order),
        tuple(severities),
        largest,
        accuracy[order],
        gain[order],
        clean.value if clean else float("nan"),
    )


def _parts(split: str) -> tuple[str, int] | None:
    parts = split.split("/")
    return (parts[1], int(parts[2])) if len(parts) == 3 and parts[0] == "shift" else None


def caption(numbers: Families) -> str:
    """Say which family hurts most and least, and where the ensemble gains most."""
    last, ends = numbers.severities[-1], numbers.accuracy[:, -1]
    clean = "" if np.isnan(numbers.clean) else f" (without shift {numbers.clean:.1%})"
    text = (
        f"Left, the accuracy of {called(numbers.ensemble)}{clean} under {counted(len(ends), 'corruption')}"
        f"{', the one that costs most on top' if len(ends) > 1 else ''}"
    )
    known = np.flatnonzero(np.isfinite(ends))
    if len(known):
        text += f". At severity {last}, {title_of(numbers.families[0])} leaves {ends[0]:.1%}"
    if len(known) > 1:
        text += f" and {title_of(numbers.families[known[-1]])} {ends[known[-1]]:.1%}"
    if not np.isfinite(numbers.gain).any():
        return f"{text}."
    row, column = np.unravel_index(np.nanargmax(numbers.gain), numbers.gain.shape)
    return (
        f"{text}. Right, its gain over one network in percentage points: {100 * np.nanmean(numbers.gain):+.1f} on "
        f"average, and most, {100 * numbers.gain[row, column]:+.1f}, for {title_of(numbers.families[row])} at severity "
        f"{numbers.severities[column]}."
    ).replace(" -", " \N{MINUS SIGN}")


@look()
def draw(numbers: Families) -> Figure:
    """One or two matrices side by side, with their values where there is room."""
    gains = bool(np.isfinite(numbers.gain).any())
    figure = Figure(figsize=(WIDTH, 1.5 + 0.36 * max(3, len(numbers.families))), layout="constrained")
    grid = figure.subplots(1, 1 + gains, squeeze=False, sharey=True)[0]
    percentages = 100 * numbers.accuracy
    low, high = np.nanmin(percentages), np.nanmax(percentages)
    room = max(1.0, 0.05 * (high - low))
    _matrix(grid[0], percentages, SIMILARITY_COLOURS, Normalize(low - room, high + room), "{:.0f}")
    grid[0].set_title(f"Accuracy of {called(numbers.ensemble)} (%)")
    if gains:
        reach = max(1.0, float(np.nanmax(np.abs(100 * numbers.gain))))
        _matrix(grid[1], 100 * numbers.gain, _GAINS, TwoSlopeNorm(0.0, -reach, reach), "{:+.1f}")
        grid[1].set_title("Gain over one network (points)")
    for axes in grid:
        axes.set_xticks(range(len(numbers.severities)), [str(severity) for severity in numbers.severities])
        axes.set_xlabel("severity")
    grid[0].set_yticks(range(len(numbers.families)), [title_of(family) for family in numbers.families])
    return figure


def _matrix(axes: Axes, matrix: np.ndarray, colours: Colormap, norm: Normalize, form: str) -> None:
    image = heatmap(axes, matrix, colours, (0, 1))
    image.set_norm(norm)
    axes.set_aspect("auto")
    shades = image.to_rgba(matrix)[..., :3] @ np.array([0.2126, 0.7152, 0.0722])
    for (row, column), value in np.ndenumerate(matrix):
        if np.isfinite(value):
            text = form.format(value).replace("-", "\N{MINUS SIGN}")
            ink = INK if shades[row, column] > 0.45 else "white"
            axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=9.5)
