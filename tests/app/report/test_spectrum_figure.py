"""The figure of the study ``curvature``: its numbers, caption and looks, from tables small enough to be read by eye."""

from typing import Any

import matplotlib
import numpy as np
import pytest

from modescape.app.report.figures import spectrum
from modescape.app.report.figures.catalogue import FIGURES
from modescape.app.report.figures.image import encode
from modescape.app.report.figures.omitted import Omitted
from modescape.app.report.figures.style import COLOURS
from modescape.landscape_tables import EIGENVALUES, SPECTRUM, TRACES
from modescape.tables import Table, from_rows

POINTS = 41
Tables = dict[str, Table]


def tables_of(members: tuple[int, ...] = (4, 9), top: int = 2) -> Tables:
    """Spectra of 200 weights on a grid from -2 to 8, most of them at zero."""
    grid = np.linspace(-2, 8, POINTS)
    density = np.exp(-((grid / 0.5) ** 2) / 2) / (0.5 * np.sqrt(2 * np.pi))
    spectra: list[dict[str, Any]] = [
        {"member": m, "eigenvalue": x, "density": d * (1 + 0.1 * m), "low": 0.5 * d, "high": 3 * d}
        for m in members
        for x, d in zip(grid, density, strict=True)
    ]
    values = [{"member": m, "rank": r, "value": 8.0 - r - 0.1 * m, "error": 0.01} for m in members
              for r in range(1, top + 1)]  # fmt: skip
    values += [{"member": m, "rank": -1, "value": -0.5 - 0.1 * m, "error": 0.01} for m in members]
    rest = dict.fromkeys(TRACES.names, 0.0)
    traces = [{**rest, "member": m, "weights": 200, "examples": 50, "trace": 12.5 + m} for m in members]
    return {
        "spectrum": from_rows(SPECTRUM, spectra),
        "eigenvalues": from_rows(EIGENVALUES, values),
        "traces": from_rows(TRACES, traces),
    }


def test_the_figure_is_in_the_catalogue() -> None:
    assert FIGURES["curvature"] == [("spectrum", spectrum)]


def test_the_numbers_are_counts_of_eigenvalues() -> None:
    tables = tables_of()
    first, second = spectrum.numbers(tables)
    assert (first.member, second.member) == (4, 9)
    mine = tables["spectrum"]["member"] == 9
    assert np.allclose(second.expected, 200 * tables["spectrum"]["density"][mine])
    assert np.allclose(second.low, 200 * tables["spectrum"]["low"][mine])
    assert np.allclose(second.high, 200 * tables["spectrum"]["high"][mine])
    assert second.grid[[0, -1]].tolist() == [-2.0, 8.0]
    assert second.largest.tolist() == pytest.approx([6.1, 5.1])
    assert second.smallest == pytest.approx(-1.4)
    assert (second.weights, second.trace) == (200, 21.5)


def test_the_caption_says_where_the_spectra_end() -> None:
    told = spectrum.caption(spectrum.numbers(tables_of()))
    assert "at 2 solutions of 200 weights" in told
    assert "the largest is 6.1 to 6.6, the smallest of all -1.4" in told
    assert "the 2 largest eigenvalues and the smallest" in told
    told = spectrum.caption(spectrum.numbers(tables_of((4,), top=1)))
    assert "at 1 solution of 200 weights" in told
    assert "the 1 largest eigenvalue and the smallest" in told
    assert "the largest is 6.6, the smallest of all -0.9" in told


def test_what_is_drawn_is_where_the_numbers_are() -> None:
    found = spectrum.numbers(tables_of())
    figure = spectrum.draw(found)
    whole, ticks = figure.axes
    assert whole.get_yscale() == "log"
    curves = [line for line in whole.lines if len(line.get_xdata()) == POINTS]
    for one, line in zip(found, curves, strict=True):
        assert np.array_equal(line.get_xdata(), one.grid)
        assert np.array_equal(line.get_ydata(), one.expected)
    marks = [line for line in ticks.lines if line.get_marker() == "|"]
    assert [line.get_xdata().tolist() if len(line.get_xdata()) > 1 else list(line.get_xdata()) for line in marks] == [
        pytest.approx([6.6, 5.6]), pytest.approx([-0.9]), pytest.approx([6.1, 5.1]), pytest.approx([-1.4]),
    ]  # fmt: skip
    assert [next(iter(line.get_ydata())) for line in marks] == [0, 0, 1, 1]
    bottom, top = whole.get_ylim()
    # a hundredth of an eigenvalue in a grid step of a quarter
    assert bottom == pytest.approx(0.04)
    assert top > max(one.high.max() for one in found)
    assert [text.get_text() for text in whole.get_legend().get_texts()][:2] == [
        "member 4: trace 16.5", "member 9: trace 21.5",
    ]  # fmt: skip


@pytest.mark.parametrize("members", [(0,), (0, 1, 2), tuple(range(12))])
def test_it_can_be_drawn_for_few_and_for_many(members: tuple[int, ...]) -> None:
    found = spectrum.numbers(tables_of(members))
    assert len(found) == min(len(members), len(COLOURS))
    once = [encode(spectrum.draw(found), form) for form in ("png", "svg")]
    assert once[0].startswith(b"\x89PNG")
    with matplotlib.rc_context({"font.size": 30, "svg.hashsalt": "another", "axes.titlelocation": "left"}):
        assert [encode(spectrum.draw(found), form) for form in ("png", "svg")] == once


def test_nothing_measured_is_said() -> None:
    tables = tables_of()
    with pytest.raises(Omitted, match="no solution was measured"):
        spectrum.numbers({**tables, "traces": from_rows(TRACES, [])})
