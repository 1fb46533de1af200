"""The figures of subspaces: their numbers, captions and looks, from tables small enough to be read by eye."""

from typing import Any

import matplotlib
import numpy as np
import pytest

from modescape.app.report.figures import kinds, plane, purity, subspace_map, subspaces_compared
from modescape.app.report.figures.catalogue import FIGURES
from modescape.app.report.figures.image import encode
from modescape.app.report.figures.kinds import look_of, names_in_order
from modescape.app.report.figures.omitted import Omitted
from modescape.tables import (
    CURVES,
    DIVERSITY_ACCURACY,
    DRAWN,
    ENSEMBLES,
    EXPONENTS,
    PLANE,
    SUBSPACE_EMBEDDING,
    SUBSPACE_EMBEDDING_QUALITY,
    SUBSPACES,
    Schema,
    Table,
    from_rows,
    title_of,
)

NAN = float("nan")
Tables = dict[str, Table]
NINE = (
    "random_direction", "weight_dropout", "activation_dropout", "diagonal_gaussian", "low_rank_gaussian",
    "random_pca", "weight_average", "swag", "laplace",
)  # fmt: skip
DIVERSITY = [pytest.param(module, id=stem) for stem, module in FIGURES["diversity_accuracy"]]
EMBEDDING = [pytest.param(module, id=stem) for stem, module in FIGURES["subspace_embedding"]]


def filled(schema: Schema, rows: list[dict[str, Any]]) -> Table:
    """A table whose other columns are zero."""
    return from_rows(schema, [{**dict.fromkeys(schema.names, 0.0), **row} for row in rows])


def point(kind: str, origin: int, accuracy: float, normalised: float) -> dict[str, Any]:
    return {"kind": kind, "origin": origin, "accuracy": accuracy, "normalised_disagreement": normalised}


def diversity(names: tuple[str, ...] = ("swag", "random_pca"), bases: int = 2, level: float = 0.9) -> Tables:
    """Bases 4, 5, ... of accuracy 0.8; two drawn members of every subspace, one checkpoint, two other solutions."""
    points, curves, exponents, ensembles = [], [], [], []
    for origin in range(4, 4 + bases):
        points.append(point("base", origin, 0.8, 0.0))
        for place, name in enumerate(names):
            points += [point(name, origin, 0.79, 0.1 * place), point(name, origin, 0.4 + 0.01 * place, 0.8)]
            exponents.append({"subspace": name, "origin": origin, "exponent": 0.5 + place, "low": 0.4, "high": 2.0})
            ensembles.append({"kind": name, "origin": origin, "jensen_shannon": 0.01 + 0.02 * place, "high": 0.1})
        points += [point("trajectory", origin, 0.78, 0.2)]
        points += [point("independent", origin, 0.82, level), point("independent", origin, 0.81, level + 0.1)]
        ensembles += [{"kind": "independent", "origin": origin, "jensen_shannon": 0.2 + 0.1 * (origin == 5)}]
        ensembles += [{"kind": "trajectory", "origin": origin, "jensen_shannon": 0.005, "high": 0.01}]
        for curve, end in (("upper", 0.9), ("lower", 0.0), ("swag", 0.5)):
            ends = ((0.1, 1.0), (0.8, end))
            curves += [{"curve": curve, "origin": origin, "accuracy": a, "normalised_disagreement": n} for a, n in ends]
    rows = {PLANE: points, CURVES: curves, EXPONENTS: exponents, ENSEMBLES: ensembles}
    return {schema.name: filled(schema, found) for schema, found in rows.items()}


def embedded(names: tuple[str, ...] = ("swag", "random_pca"), methods: tuple[str, ...] = ("tsne", "pca")) -> Tables:
    """Members 3 and 7, two checkpoints and two drawn members each, the rows in reverse order."""
    asked = [("tsne", 5, 28.0), ("tsne", 2, 28.0), ("tsne", 2, 5.0), ("pca", 0, NAN), ("mds", 0, NAN)]
    pictures = [(name, *kind) for name in names for kind in asked if kind[0] in methods]
    points = [
        {"subspace": name, "method": method, "seed": seed, "perplexity": perplexity}
        | {"member": m, "drawn": flag, "number": n, "x": 10 * seed + n + 0.5 * flag, "y": float(-m)}
        for name, method, seed, perplexity in pictures
        for m in (7, 3)
        for flag in (True, False)
        for n in (1, 0)
    ]
    quality = [
        {"subspace": name, "method": method, "seed": seed, "perplexity": perplexity}
        | {"purity": 0.0, "purity_drawn": {"tsne": 1.0 - 0.02 * seed, "mds": 0.7, "pca": 0.5}[method]}
        for name, method, seed, perplexity in pictures
    ]
    drawn = [
        {"subspace": name, "member": m, "purity_predictions": before}
        for name in names
        for m, before in ((3, 1.0), (7, 0.75))
    ]
    rows = {SUBSPACE_EMBEDDING: points, SUBSPACE_EMBEDDING_QUALITY: quality, DRAWN: drawn}
    return {schema.name: filled(schema, found) for schema, found in rows.items()}


def test_the_plane_has_the_points_of_every_kind_around_every_base() -> None:
    first, second = plane.numbers(diversity())
    assert (first.origin, second.origin) == (4, 5)
    assert first.base == (0.8, 0.0)
    assert first.names == ["swag", "random_pca"]
    assert first.points["random_pca"] == pytest.approx(np.array([[0.79, 0.1], [0.41, 0.8]]))
    assert first.points["trajectory"].tolist() == [[0.78, 0.2]]
    assert first.points["independent"].tolist() == [[0.82, 0.9], [0.81, 1.0]]
    assert set(first.points) == {"swag", "random_pca", "trajectory", "independent"}
    assert first.curves["upper"].tolist() == [[0.1, 1.0], [0.8, 0.9]]
    assert first.curves["lower"].tolist() == [[0.1, 1.0], [0.8, 0.0]]


def test_the_frame_holds_the_base_and_all_solutions() -> None:
    (only,) = plane.numbers(diversity(bases=1))
    low, high = only.close
    assert low < 0.8 - 0.02
    assert 0.82 + 0.02 < high < 0.9
    far = only._replace(base=(0.6, 0.0))
    assert far.close[0] < 0.6
    assert far.close[1] > 0.82


def test_the_plane_shows_three_bases_at_most() -> None:
    assert [found.origin for found in plane.numbers(diversity(bases=5))] == [4, 5, 6]


def test_the_caption_of_the_plane_counts_and_averages() -> None:
    text = plane.caption(plane.numbers(diversity()))
    assert "4 pairs, at 0.95 on average" in text
    assert "small marks are 8 members drawn" in text
    assert "1 pair," not in text
    nothing = plane.caption(plane.numbers(diversity(level=NAN)))
    assert "without an error of their own" in nothing
    assert "nan" not in nothing


def test_compared_has_every_estimate_and_leads_with_the_largest() -> None:
    found = subspaces_compared.numbers(diversity())
    assert found.names == ("swag", "random_pca")
    assert [(e.kind, e.value, e.low, e.high) for e in found.exponents] == [
        ("swag", 0.5, 0.4, 2.0), ("random_pca", 1.5, 0.4, 2.0)
    ] * 2  # fmt: skip
    assert [e.value for e in found.divergences if e.kind == "independent"] == pytest.approx([0.2, 0.3])
    text = subspaces_compared.caption(found)
    assert "in nats: independent solutions 0.250, random PCA 0.030, SWAG 0.010, late checkpoints 0.005." in text


def test_an_exponent_without_a_value_is_left_out() -> None:
    tables = diversity()
    columns = {**tables["exponents"].columns, "exponent": np.array([NAN, 1.5, NAN, NAN])}
    found = subspaces_compared.numbers({**tables, "exponents": Table(EXPONENTS, columns)})
    assert [(e.kind, e.value) for e in found.exponents] == [("random_pca", 1.5)]
    assert found.names == ("swag", "random_pca")
    empty = subspaces_compared.numbers({**tables, "exponents": Table(EXPONENTS, {**columns, "exponent": [NAN] * 4})})
    assert empty.exponents == ()
    assert encode(subspaces_compared.draw(empty), "png").startswith(b"\x89PNG")


def test_the_map_takes_the_first_seed_at_the_usual_perplexity() -> None:
    first, second = subspace_map.numbers(embedded())
    assert (first.subspace, second.subspace) == ("swag", "random_pca")
    assert first.perplexity == 28.0
    assert [group.member for group in first.groups] == [3, 7]
    # seed 2 of perplexity 28; checkpoints in their order, drawn members half a step to the right
    assert first.groups[0].walk.tolist() == [[20, -3], [21, -3]]
    assert sorted(first.groups[0].drawn.tolist()) == [[20.5, -3], [21.5, -3]]
    assert first.groups[1].walk[:, 1].tolist() == [-7, -7]
    assert first.purity == pytest.approx((0.9, 0.96, 0.96))


def test_the_caption_of_the_map_says_how_pure_each_is() -> None:
    text = subspace_map.caption(subspace_map.numbers(embedded()))
    assert "embeds 2 trajectories" in text
    assert "perplexity 28, first seed" in text
    assert text.endswith("over all seeds and perplexities: 94% for SWAG; 94% for random PCA.")


def test_purity_has_a_row_for_each_subspace() -> None:
    first, second = purity.numbers(embedded(methods=("tsne", "pca", "mds")))
    assert (first.subspace, second.subspace) == ("swag", "random_pca")
    assert first.before == (1.0, 0.75)
    assert first.after["tsne"] == pytest.approx((0.9, 0.96, 0.96))
    assert (first.after["pca"], first.after["mds"]) == ((0.5,), (0.7,))
    text = purity.caption((first, second))
    assert "(75% to 100% over trajectories)" in text
    assert text.endswith("the lowest is 50%, with PCA for random PCA.")


def test_purity_without_maps_has_bars_alone() -> None:
    tables = {**embedded(), "embedding_quality": from_rows(SUBSPACE_EMBEDDING_QUALITY, [])}
    found = purity.numbers(tables)
    assert all(values == () for row in found for values in row.after.values())
    assert "lowest" not in purity.caption(found)
    assert encode(purity.draw(found), "png").startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("module", "tables", "words"),
    [
        (plane, {**diversity(), "plane": from_rows(PLANE, [])}, "no base solution"),
        (subspaces_compared, {**diversity(), "ensembles": from_rows(ENSEMBLES, [])}, "no ensembles"),
        (subspace_map, embedded(methods=("pca",)), "no t-SNE"),
        (subspace_map, {**embedded(), "embedding": from_rows(SUBSPACE_EMBEDDING, [])}, "no t-SNE"),
        (purity, {**embedded(), "drawn": from_rows(DRAWN, [])}, "no embedding"),
    ],
)
def test_without_its_numbers_a_figure_is_omitted_with_a_sentence(module: Any, tables: Tables, words: str) -> None:
    with pytest.raises(Omitted, match=rf"^Omitted: this run .*{words}.*\.$"):
        module.numbers(tables)


def test_a_subspace_without_a_map_leaves_the_other_maps() -> None:
    tables = embedded()
    mine = (tables["embedding"]["subspace"] != "swag") | (tables["embedding"]["method"] != "tsne")
    left = Table(SUBSPACE_EMBEDDING, {name: values[mine] for name, values in tables["embedding"].columns.items()})
    assert [panel.subspace for panel in subspace_map.numbers({**tables, "embedding": left})] == ["random_pca"]


def same_bytes(module: Any, tables: Tables) -> None:
    found = module.numbers(tables)
    assert module.caption(found).endswith(".")
    once = [encode(module.draw(found), form) for form in ("png", "svg")]
    assert once[0].startswith(b"\x89PNG")
    assert b"<svg" in once[1]
    with matplotlib.rc_context({"font.size": 30, "svg.hashsalt": "another", "axes.titlelocation": "left"}):
        assert [encode(module.draw(found), form) for form in ("png", "svg")] == once


@pytest.mark.parametrize("module", DIVERSITY)
def test_figures_of_the_plane_draw_the_same_bytes_whatever_the_users_settings(module: Any) -> None:
    same_bytes(module, diversity())


@pytest.mark.parametrize("module", EMBEDDING)
def test_figures_of_the_embedding_draw_the_same_bytes_whatever_the_users_settings(module: Any) -> None:
    same_bytes(module, embedded(methods=("tsne", "pca", "mds")))


@pytest.mark.parametrize("module", [*DIVERSITY, *EMBEDDING])
@pytest.mark.parametrize("names", [NINE, NINE[:1]], ids=["nine", "one"])
def test_nine_subspaces_and_one_can_be_drawn(module: Any, names: tuple[str, ...]) -> None:
    tables = {**diversity(names, bases=1), **embedded(names)}
    assert encode(module.draw(module.numbers(tables)), "png").startswith(b"\x89PNG")


def test_a_plane_without_errors_can_be_drawn() -> None:
    assert encode(plane.draw(plane.numbers(diversity(level=NAN))), "png").startswith(b"\x89PNG")


def test_no_solution_is_cut_off_however_often_it_disagrees() -> None:
    found = plane.numbers(diversity(level=1.9))
    highest = max(row.points[kinds.INDEPENDENT][:, 1].max() for row in found)
    assert highest > 1.5
    assert all(axes.get_ylim()[1] > highest for axes in plane.draw(found).axes)


def texts(figure: Any) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_the_legend_of_the_plane_names_every_kind() -> None:
    figure = plane.draw(plane.numbers(diversity(NINE)))
    wanted = ["base solution", "independent solutions", *map(title_of, NINE), "late checkpoints", "limit curves"]
    assert texts(figure) == wanted
    assert [axes.get_title() for axes in figure.axes[::2]] == ["base: solution 4", "base: solution 5"]
    assert plane.draw(plane.numbers(diversity(bases=1))).axes[0].get_title() == "the whole plane"


@pytest.mark.parametrize("part", ["colour", "marker", "title"])
def test_nine_subspaces_look_different(part: str) -> None:
    looks = [getattr(look_of(name, NINE), part) for name in NINE]
    assert len(set(looks)) == 9


def test_no_subspace_looks_like_what_stands_beside_it() -> None:
    beside = {look_of(name, NINE) for name in (kinds.BASE, kinds.TRAJECTORY, kinds.INDEPENDENT)}
    assert len({look.colour for look in beside}) == 3
    for name in NINE:
        assert look_of(name, NINE).colour not in {look.colour for look in beside}
        assert look_of(name, NINE).marker != "*"


def test_a_subspace_looks_the_same_in_every_figure_of_a_run() -> None:
    names = plane.numbers(diversity(NINE))[0].names
    assert names == list(subspaces_compared.numbers(diversity(NINE)).names) == list(NINE)


def test_kinds_keep_the_order_in_which_they_come() -> None:
    found = np.array(["base", "swag", "independent", "laplace", "swag", "trajectory"])
    assert names_in_order(found) == ["swag", "laplace"]


def test_tables_made_by_hand_are_those_of_the_studies() -> None:
    made: list[tuple[Callable[..., Tables], dict[str, Schema]]] = [
        (diversity, DIVERSITY_ACCURACY),
        (embedded, SUBSPACES),
    ]
    for make, schemas in made:
        assert all(table.schema is schemas[name] for name, table in make().items())
