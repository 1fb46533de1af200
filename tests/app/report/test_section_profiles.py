"""Lines and rays: what is drawn along them is what the tables hold."""

import numpy as np
import pytest
from made_up_sections import changed, legend, sections, spoilt, the

from modescape.app.report.figures import section_profiles
from modescape.app.report.figures.sections import sections_of
from modescape.tables import Table

Tables = dict[str, Table]


@pytest.fixture(scope="module")
def whole() -> Tables:
    return sections()


@pytest.fixture(scope="module")
def broken() -> Tables:
    return sections(spoil=spoilt)


def test_profiles_have_the_mean_and_the_range_of_all_lines(broken: Tables) -> None:
    found = section_profiles.numbers(broken)
    assert set(found.panels) == {"line", "ray"}
    for kind, count in (("line", 3), ("ray", 2)):
        lines = sections_of(broken, (kind,))
        (bundle,) = found.panels[kind]["accuracy"]
        assert len(bundle.paths) == count
        stacked = np.array([one.values["accuracy"][:, 0] for one in lines])
        np.testing.assert_array_equal(bundle.mean, stacked.mean(axis=0))
    first, second = found.panels["line"]["disagreement"]
    ends = {"line 0 2": "disagreement/2", "line 2 5": "disagreement/5"}
    wanted = [the(broken, name).values[of][:, 0] for name, of in ends.items()]
    np.testing.assert_array_equal([second.paths[0][1], second.paths[2][1]], wanted)
    assert first.title == "disagreement with the first solution"
    assert len(found.panels["ray"]["disagreement"]) == 1


def test_profiles_are_drawn_as_measured_and_break_off_where_nothing_is_finite(broken: Tables) -> None:
    found = section_profiles.numbers(broken)
    figure = section_profiles.draw(found)
    axes = next(one for one in figure.axes if one.get_title() == "accuracy, lines")
    *single, mean = axes.lines
    for line, (places, values) in zip(single, found.panels["line"]["accuracy"][0].paths, strict=True):
        np.testing.assert_array_equal(line.get_xydata(), np.column_stack([places, values]))
    assert np.isnan(mean.get_ydata()).nonzero()[0].tolist() == [5]
    (band,) = axes.collections
    edges = np.concatenate([path.vertices for path in band.get_paths()])[:, 1]
    stacked = np.delete([values for _, values in found.panels["line"]["accuracy"][0].paths], 5, axis=1)
    assert (edges.min(), edges.max()) == (stacked.min(), stacked.max())
    (hatched,) = axes.patches
    places = found.panels["line"]["accuracy"][0].paths[0][0]
    assert hatched.get_x() == pytest.approx((places[4] + places[5]) / 2)
    assert hatched.get_width() == pytest.approx(places[1] - places[0])
    ends = [f"disagreement with the {place} solution" for place in ("first", "second")]
    assert legend(figure) == [*ends, "mean", "least to most", "single cross-sections", "not finite"]
    assert "At 1 point a value is not finite: those places are hatched" in section_profiles.caption(found)


def test_lines_with_other_coordinates_have_no_mean(whole: Tables) -> None:
    shifted = whole["grid"]["a"] + 0.01 * (whole["grid"]["section"] == "line 0 5")
    found = section_profiles.numbers(changed(whole, "grid", a=shifted))
    assert not found.panels["line"]["accuracy"][0].alike
    axes = section_profiles.draw(found).axes[1]
    assert len(axes.lines) == 3
    assert not axes.collections
