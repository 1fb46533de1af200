"""Pictures of cross-sections: what is drawn is what the tables hold, and what is not finite is seen to be so."""

import re
from typing import Any

import matplotlib
import numpy as np
import pytest
from made_up_sections import INF, NAN, PLANE, SECTOR, changed, legend, sections, spoilt, the
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from modescape.app.report.figures import (
    section_directions,
    section_panel,
    section_planes,
    section_profiles,
    section_sector,
    section_surface,
)
from modescape.app.report.figures.catalogue import FIGURES
from modescape.app.report.figures.image import encode
from modescape.app.report.figures.omitted import Omitted
from modescape.app.report.figures.quantities import levels_of, quantity
from modescape.app.report.figures.section_grid import scales_of
from modescape.app.report.figures.sections import Section, fitted, how_sure
from modescape.tables import CROSS_SECTIONS, Table, from_rows

Tables = dict[str, Table]
EVERY = [pytest.param(module, id=stem) for stem, module in FIGURES["cross_sections"]]


@pytest.fixture(scope="module")
def whole() -> Tables:
    return sections()


@pytest.fixture(scope="module")
def broken() -> Tables:
    return sections(spoil=spoilt)


@pytest.mark.parametrize("name", [SECTOR, PLANE, "line 0 5"])
def test_a_cross_section_holds_what_the_tables_say(name: str, broken: Tables) -> None:
    section = the(broken, name)
    rows = [row for row in broken["grid"].rows() if row["section"] == name]
    assert len(rows) == section.points * len(section.values)
    for row in rows:
        place = row["row"], row["column"]
        np.testing.assert_equal(section.values[row["quantity"]][place], row["value"])
        assert [part[place] for part in (*section.coordinates, *section.places)] == [row[c] for c in "abxy"]
    marks = [row for row in broken["marks"].rows() if row["section"] == name]
    drawn = {(m.kind, m.member, tuple(p), d) for m in section.marks for p, d in zip(m.points, m.distance, strict=True)}
    assert drawn == {(row["kind"], row["member"], (row["x"], row["y"]), row["distance"]) for row in marks}
    assert section.errors["nll"] == (60, 0.01, 0.02)


def rendered(section: Section, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, Any]:
    """The panel's pixels, for every grid point its pixel [row, column, (line, place)], its levels, its axes."""
    shown, figure = quantity(name), Figure(figsize=(8, 8), dpi=200)
    axes = figure.add_axes((0.05, 0.05, 0.9, 0.9))
    axes.set_axis_off()
    levels = levels_of(shown, [section.values[name]])
    section_panel.draw_quantity(axes, section, shown, levels)
    axes.set(xlim=(-3, 3), ylim=(-3, 3), title="")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba()) / 255
    places = axes.transData.transform(np.stack(section.places, axis=-1).reshape(-1, 2))
    lines = np.column_stack([pixels.shape[0] - 1 - places[:, 1], places[:, 0]]).round().astype(int)
    return pixels, lines.reshape(*section.places[0].shape, 2), levels, axes


@pytest.mark.parametrize("name", [SECTOR, PLANE])
@pytest.mark.parametrize("of", ["nll", "accuracy", "disagreement/0", "normalised_similarity/2"])
def test_the_colour_at_every_point_is_that_of_its_value(name: str, of: str, broken: Tables) -> None:
    section, shown = the(broken, name), quantity(of)
    pixels, places, levels, _ = rendered(section, of)
    values = shown.drawn(section.values[of])
    step = levels[1] - levels[0]
    checked = 0
    for row in range(1, values.shape[0] - 1):
        for column in range(1, values.shape[1] - 1):
            around = values[row - 1 : row + 2, column - 1 : column + 2]
            near_a_level = np.abs(values[row, column] - levels).min() < 0.3 * step
            if not np.isfinite(around).all() or near_a_level:
                continue
            colour = shown.colours(section_panel.norm_of(shown, levels)(values[row, column]))
            line, place = places[row, column]
            assert np.abs(pixels[line, place] - colour).max() < 0.02, (row, column)
            checked += 1
    assert checked > 15


@pytest.mark.parametrize("name", [SECTOR, PLANE])
def test_what_is_not_finite_is_hatched_and_nothing_else_is(name: str, broken: Tables) -> None:
    section = the(broken, name)
    pixels, places, _, axes = rendered(section, "nll")
    greys = [np.array(to_rgba(section_panel.HATCH[part])) for part in ("facecolor", "edgecolor")]

    def grey(row: int, column: int) -> bool:
        line, place = places[row, column]
        # Between the two greys is where a stripe's edge is smoothed.
        low, high = np.minimum(*greys) - 0.02, np.maximum(*greys) + 0.02
        return bool(((pixels[line, place] >= low) & (pixels[line, place] <= high)).all())

    missing = ~np.isfinite(section.values["nll"])
    assert missing.sum() == 3
    assert all(grey(row, column) for row, column in np.argwhere(missing) if column)
    cells = sum(
        missing[row : row + 2, column : column + 2].any()
        for row in range(missing.shape[0] - 1)
        for column in range(missing.shape[1] - 1)
    )
    (hatched,) = (one for one in axes.collections if isinstance(one, PolyCollection) and one.get_hatch())
    assert len(hatched.get_paths()) == cells
    corners = np.concatenate([path.vertices[:4] for path in hatched.get_paths()])
    points = np.stack(section.places, axis=-1)[missing]
    assert all((np.abs(corners - point).max(axis=1) < 1e-9).any() for point in points)


def test_legend_and_caption_tell_of_what_is_not_finite(whole: Tables, broken: Tables) -> None:
    for module in (section_planes, section_sector):
        found = module.numbers(broken)
        assert "At 3 points a value is not finite: hatched." in module.caption(found)
        assert "not finite" in legend(module.draw(found))
        assert "not finite" not in legend(module.draw(module.numbers(whole)))
        assert re.search(r"\b(nan|inf)\b", module.caption(found)) is None


def test_texts_of_the_run_are_cut_to_fit() -> None:
    assert fitted("a name", 10) == "a name"
    assert fitted("one two three four five six", 9, 2) == "one two\nthree\N{HORIZONTAL ELLIPSIS}"
    assert fitted("x" * 50, 9) == "xxxxxxxx\N{HORIZONTAL ELLIPSIS}"
    assert fitted("a\0\udcff\nb", 9) == "a b"


def test_marks_lie_where_the_tables_say_and_fade_with_distance(whole: Tables) -> None:
    section = the(whole, SECTOR)
    axes = Figure().subplots()
    section_panel.draw_marks(axes, section)
    drawn: dict[str, list[Any]] = {}
    for one in axes.collections:
        drawn.setdefault(str(one.get_label()), []).extend(
            zip(np.asarray(one.get_offsets()).tolist(), one.get_facecolors()[:, 3], strict=True)
        )
    farthest = max(row["distance"] for row in whole["marks"].rows() if row["section"] == SECTOR)
    for row in (row for row in whole["marks"].rows() if row["section"] == SECTOR):
        opacity = 1 - 0.7 * row["distance"] / farthest
        where = [shade for place, shade in drawn[row["kind"]] if place == [row["x"], row["y"]]]
        assert where == [pytest.approx(opacity)]
    assert {kind: len(found) for kind, found in drawn.items()} == {
        "origin": 1, "checkpoint": 10, "initialisation": 2, "low_rank_gaussian": 10, "solution": 2
    }  # fmt: skip
    assert [text.get_text() for text in axes.texts] == ["0", "2"]


def test_what_marks_mean_is_said(whole: Tables) -> None:
    found = section_sector.numbers(whole)
    text = section_sector.caption(found)
    assert "the faintest is 10.3 away in weight space" in text
    assert "is magnified: low-rank Gaussian (\N{MULTIPLICATION SIGN} 100)." in text
    assert legend(section_sector.draw(found)) == [
        "solutions, by number", "checkpoints", "initialisations", "origin of weight space",
        "low-rank Gaussian (\N{MULTIPLICATION SIGN} 100)",
    ]  # fmt: skip
    near = changed(whole, "marks", distance=np.full(len(whole["marks"]), 1e-7))
    assert "fainter" not in section_sector.caption(section_sector.numbers(near))


def test_the_sector_shows_accuracy_and_both_agreements_normalised_and_plain(whole: Tables) -> None:
    found = section_sector.numbers(whole)
    wanted = ("accuracy", "normalised_similarity/0", "normalised_similarity/2", "nll", "similarity/0", "similarity/2")
    assert found.names[SECTOR] == wanted
    titles = [axes.get_title() for axes in section_sector.draw(found).axes if axes.get_title()]
    assert titles[:3] == ["accuracy", "normalised agreement with solution 0", "normalised agreement with solution 2"]
    text = section_sector.caption(found)
    assert "Accuracy is 74.8% and 75.0% at the grid points next to them" in text or "Accuracy is 7" in text
    assert "1,000 examples of the split test" in text


def test_agreement_is_cut_off_at_0_in_the_drawing_alone(whole: Tables) -> None:
    section = the(whole, SECTOR)
    values = section.values["normalised_similarity/0"]
    assert values.min() < -1
    drawn = quantity("normalised_similarity/0").drawn(values)
    assert drawn.min() == 0
    assert (drawn[values > 0] == values[values > 0]).all()


def test_panels_that_are_compared_share_a_scale(whole: Tables) -> None:
    found = section_planes.numbers(whole)
    assert found.names[PLANE] == ("nll", "accuracy", "disagreement/0", "disagreement/2", "disagreement/5")
    scales = scales_of(found.sections, found.names)
    assert set(scales) == {"nll", "accuracy", "disagreement"}
    all_of_it = np.concatenate([one.values[n].ravel() for one in found.sections for n in found.names[one.name][2:]])
    assert scales["disagreement"][0] <= all_of_it.min()
    assert scales["disagreement"][-1] >= all_of_it.max()
    axes = [one for one in section_planes.draw(found).axes if one.get_title().startswith("disagreement")]
    assert len(axes) == 6
    assert len({tuple(one.child_axes[0].get_ylim()) for one in axes}) == 1
    assert {one.get_aspect() for one in axes} == {1.0}


def test_the_first_plane_of_every_kind_comes_before_others() -> None:
    tables = sections(5)
    kinds = np.array(["gradient" if name == "plane 2 5 0" else kind for name, kind in zip(
        tables["sections"]["section"], tables["sections"]["kind"], strict=True)])  # fmt: skip
    found = section_directions.numbers(changed(tables, "sections", kind=kinds))
    assert [one.kind for one in found.sections] == ["gradient", "random", "hessian"]
    assert "On random 0 around solution 0 (distance; distance) there is" in section_directions.caption(found)
    assert section_planes.caption(section_planes.numbers(tables)).count("are shown") == 0


def test_what_was_evaluated_and_how_wrong_the_rest_is(whole: Tables) -> None:
    plane = the(whole, PLANE)
    text = how_sure([plane], ("nll", "accuracy", "disagreement/0", "disagreement/2"))
    assert "at 84 of 169 points, the others are interpolated; at up to 60 checked points each" in text
    assert "2.0% of its logarithm's range for negative log-likelihood, 0.011 for accuracy and 0.017 for" in text
    assert how_sure([plane._replace(evaluated=169)], ("nll",)) == "Networks were evaluated at all 169 points."
    assert how_sure([plane._replace(errors={})], ("nll",)).endswith("the others are interpolated and were not checked.")
    lost = {"nll": plane.errors["nll"]._replace(largest=NAN)}
    assert "an amount that is not finite for negative" in how_sure([plane._replace(errors=lost)], ("nll",))


@pytest.mark.parametrize(
    ("module", "kinds", "words"),
    [
        (section_sector, ("plane",), "no sector"),
        (section_planes, ("line",), "no plane through three solutions"),
        (section_directions, ("plane",), "no plane along two directions"),
        (section_profiles, ("plane",), "no line between solutions"),
        (section_surface, ("line", "ray"), "no cross-section of two axes"),
    ],
)
def test_without_its_cross_sections_a_figure_is_omitted(module: Any, kinds: tuple[str, ...], words: str) -> None:
    for tables in (sections(4, kinds=kinds), {n: from_rows(s, []) for n, s in CROSS_SECTIONS.items()}):
        with pytest.raises(Omitted, match=rf"^Omitted: this run has {words}.*\.$"):
            module.numbers(tables)


def hopeless(name: str, values: dict[str, np.ndarray]) -> None:
    for array in values.values():
        array[:] = NAN


def constant(name: str, values: dict[str, np.ndarray]) -> None:
    for array in values.values():
        array[:] = 0.0


def lonely(name: str, values: dict[str, np.ndarray]) -> None:
    for array in values.values():
        array[1:, 1:] = INF


def huge(name: str, values: dict[str, np.ndarray]) -> None:
    values["nll"] *= 1e290
    values["nll"].flat[0] = 0.0


@pytest.mark.parametrize("module", EVERY)
@pytest.mark.parametrize("spoil", [hopeless, constant, lonely, huge])
def test_whatever_the_values_a_figure_draws(module: Any, spoil: Any) -> None:
    found = module.numbers(sections(4, spoil, each=1))
    assert encode(module.draw(found), "png").startswith(b"\x89PNG")
    assert re.search(r"\bnan\b", module.caption(found)) is None


@pytest.mark.parametrize("module", EVERY)
def test_the_smallest_grid_can_be_drawn(module: Any) -> None:
    assert encode(module.draw(module.numbers(sections(2, each=1))), "png").startswith(b"\x89PNG")


@pytest.mark.parametrize("module", EVERY)
def test_names_that_mean_something_to_a_typesetter_are_drawn_as_they_are(module: Any) -> None:
    hostile = r"$\frac{<script>$ %"
    tables = whole = sections(4, each=1)
    for table, columns in {"sections": ("section", "axis_a", "axis_b"), "marks": ("section",)}.items():
        new = {name: np.array([f"{value} {hostile}" for value in whole[table][name]]) for name in columns}
        tables = changed(tables, table, **new)
    for table in ("grid", "errors"):
        new = {"section": np.array([f"{value} {hostile}" for value in whole[table]["section"]])}
        if table == "grid":
            quantities = whole[table]["quantity"].tolist()
            new["quantity"] = np.array([name.replace("accuracy", f"detection/{hostile}") for name in quantities])
        tables = changed(tables, table, **new)
    assert encode(module.draw(module.numbers(tables)), "svg")


@pytest.mark.parametrize("module", EVERY)
def test_same_numbers_same_bytes_whatever_the_users_settings(module: Any) -> None:
    found = module.numbers(sections(6, lonely, each=1))
    once = [encode(module.draw(found), form) for form in ("png", "svg")]
    with matplotlib.rc_context({"font.size": 30, "svg.hashsalt": "another", "contour.linewidth": 5}):
        assert [encode(module.draw(found), form) for form in ("png", "svg")] == once


def test_levels_span_all_values_in_round_steps() -> None:
    chance = np.random.default_rng(5)
    for size in (1e-6, 0.03, 0.9, 1.0, 70.0, 3e8):
        values = chance.uniform(-size, size, 50)
        levels = levels_of(quantity("jensen_shannon/1"), [values])
        assert levels[0] <= values.min() <= values.max() <= levels[-1] or size < 1e-5
        assert 2 <= len(levels) <= 23
    assert levels_of(quantity("accuracy"), [np.array([0.1, 0.93])])[[0, 1, -1]] == pytest.approx([0.1, 0.15, 0.95])
    assert levels_of(quantity("accuracy"), [np.array([NAN])]).tolist() == [0.0, 1.0]
    assert levels_of(quantity("nll"), [np.array([0.1, 10.0, INF])])[[0, -1]] == pytest.approx([-1, 1])


def test_a_name_that_nobody_knows_is_drawn_under_that_name() -> None:
    shown = quantity("odd_measure/x")
    assert (shown.title, shown.unit) == ("odd measure/x", "")
    assert quantity("detection/svhn").title == "detection of svhn"


def test_the_picture_of_the_surface_has_a_hole_where_nothing_is_finite(broken: Tables) -> None:
    found = section_surface.numbers(broken)
    assert (found.first.name, found.height, found.colour) == (PLANE, "nll", "disagreement/0")
    (surface,) = (one for one in section_surface.draw(found).axes[0].collections)
    cells = (found.first.values["nll"].shape[0] - 1) ** 2
    finite = np.isfinite(found.first.values["nll"])
    whole_cells = finite[:-1, :-1] & finite[1:, :-1] & finite[:-1, 1:] & finite[1:, 1:]
    assert whole_cells.sum() < cells
    assert len(surface.get_facecolor()) == whole_cells.sum()
    assert "At 3 points a value is not finite: the surface has a hole." in section_surface.caption(found)
