"""The numbers of every figure against sums done by hand, and every drawing on the runs that are easiest to break."""

import re
from collections.abc import Callable, Mapping

import matplotlib
import numpy as np
import pytest

from modescape.app.report.figures import along_trajectory, between_solutions, embedding_map, learning, one_function
from modescape.app.report.figures.catalogue import FIGURES
from modescape.app.report.figures.done import last_quarter
from modescape.app.report.figures.image import encode
from modescape.app.report.figures.matrix import between, scale_top
from modescape.app.report.figures.omitted import Omitted
from modescape.tables import CHECKPOINTS, EMBEDDING, EMBEDDING_QUALITY, MEMBERS, PAIRS, STUDIES, Table, from_rows

NAN = float("nan")
Tables = dict[str, Table]
EVERY = [pytest.param(module, id=stem) for stem, module in FIGURES["trajectories"]]


def by_hand(status: tuple[str, ...] = ("done", "done")) -> Tables:
    """Members 3 and 7 with three checkpoints each; pair values are written out so that sums can be done by eye."""
    members = (3, 7, 9)[: len(status)]
    points = [(m, c) for m in members for c in range(3)]
    pairs = [
        {
            "member_a": b[0],
            "checkpoint_a": b[1],
            "member_b": a[0],
            "checkpoint_b": a[1],
            "disagreement": 0.1 * (b[1] - a[1]) if a[0] == b[0] else 0.5 + 0.01 * (a[1] + b[1]),
            "similarity": 1 - 0.1 * (b[1] - a[1]) if a[0] == b[0] else -0.02,
            "similarity_without_norm": 0.0,
        }
        for i, a in enumerate(points)
        for b in points[i + 1 :]
    ]
    checkpoints = [
        {
            "member": m,
            "checkpoint": c,
            "step": (0, 90, 100)[c],
            "epoch": (0.0, 9.0, 10.0)[c],
            "training_loss": NAN if c == 0 else 1.0 / c,
            "accuracy": 0.2 + 0.2 * c + 0.01 * m,
            "nll": 2.0 - 0.5 * c,
            "norm": 1.0,
        }
        for m, c in points
    ]
    embedding = [
        {"method": method, "seed": seed, "perplexity": p, "member": m, "checkpoint": c, "x": seed + c, "y": -m}
        for method, p, seeds in (("pca", NAN, (0,)), ("tsne", 30.0, (4, 5)), ("tsne", 5.0, (4, 5)))
        for seed in seeds
        for m, c in reversed(points)
    ]
    quality = [
        {
            "method": method,
            "seed": seed,
            "perplexity": p,
            "divergence": NAN,
            "explained": 0.4 if method == "pca" else NAN,
            "purity": 0.5,
            "purity_second_half": purity,
        }
        for method, p, seed, purity in (
            ("tsne", 30.0, 5, 0.7),
            ("tsne", 30.0, 4, 0.9),
            ("tsne", 5.0, 4, NAN),
            ("pca", NAN, 0, 0.8),
        )
    ]
    return {
        "members": from_rows(
            MEMBERS,
            [{"member": m, "status": s, "step": 100, "reason": ""} for m, s in zip(members, status, strict=True)],
        ),
        "checkpoints": from_rows(CHECKPOINTS, checkpoints),
        "pairs": from_rows(PAIRS, pairs),
        "embedding": from_rows(EMBEDDING, embedding),
        "embedding_quality": from_rows(EMBEDDING_QUALITY, quality),
    }


def test_one_function_gathers_the_three_groups() -> None:
    found = one_function.numbers(by_hand())
    assert found.within == pytest.approx([0.1, 0.1])
    assert found.between == pytest.approx([0.54])
    assert found.errors == pytest.approx([1 - 0.63, 1 - 0.67])
    assert found.ratio == pytest.approx(5.4)
    text = one_function.caption(found)
    assert "10.0% of the examples on average (2 pairs)" in text
    assert "54.0% (1 pair), 5.4 times as often" in text
    assert "wrong on 35.0% (2 members)" in text


def test_one_function_agrees_with_a_slow_twin(tables: Tables) -> None:
    late = {c for c in range(21) if c > 15}
    within, apart = [], []
    for row in tables["pairs"].rows():
        ends = {row["checkpoint_a"], row["checkpoint_b"]}
        if row["member_a"] == row["member_b"] and ends <= late:
            within.append(row["disagreement"])
        if row["member_a"] != row["member_b"] and ends == {20}:
            apart.append(row["disagreement"])
    found = one_function.numbers(tables)
    assert (len(within), len(apart)) == (5 * 10, 10)
    assert sorted(found.within) == pytest.approx(sorted(within))
    assert sorted(found.between) == pytest.approx(sorted(apart))


def test_no_disagreement_within_a_trajectory_gives_no_ratio() -> None:
    found = one_function.OneFunction(np.zeros(2), np.array([0.5]), np.array([0.3, 0.4]))
    assert np.isnan(found.ratio)
    assert "times as often" not in one_function.caption(found)
    assert encode(one_function.draw(found), "png")


def test_along_trajectory_holds_the_matrices_of_the_first_members() -> None:
    found = along_trajectory.numbers(by_hand())
    first = found.paths[0]
    assert [path.member for path in found.paths] == [3, 7]
    assert first.epochs == pytest.approx([0, 9, 10])
    assert first.disagreement == pytest.approx(np.array([[0, 0.1, 0.2], [0.1, 0, 0.1], [0.2, 0.1, 0]]))
    assert first.similarity == pytest.approx(np.array([[1, 0.9, 0.8], [0.9, 1, 0.9], [0.8, 0.9, 1]]))
    assert first.settled == pytest.approx(0.1)
    text = along_trajectory.caption(found)
    assert "similarity is 0.80 and disagreement 20.0%" in text
    assert "Within the last quarter, disagreement is 10.0%" in text


def test_along_trajectory_shows_five_of_many(tables_of: Callable[..., Tables]) -> None:
    found = along_trajectory.numbers(tables_of(7, 6))
    assert len(found.paths) == 5
    assert "members 1, 2, 3, 4, of 7 that are done" in along_trajectory.caption(found)


def test_between_solutions_compares_last_checkpoints() -> None:
    found = between_solutions.numbers(by_hand())
    assert found.members == (3, 7)
    assert found.disagreement == pytest.approx(np.array([[0, 0.54], [0.54, 0]]))
    assert found.similarity == pytest.approx(np.array([[1, -0.02], [-0.02, 1]]))
    assert "similarity is \N{MINUS SIGN}0.020" in between_solutions.caption(found)


def test_between_solutions_says_mean_and_range() -> None:
    found = between_solutions.numbers(by_hand(("done", "done", "done")))
    assert "54.0% on average, from 54.0% to 54.0%" in between_solutions.caption(found)
    assert "3 pairs" in between_solutions.caption(found)


def test_learning_follows_every_member() -> None:
    found = learning.numbers(by_hand())
    assert [curve.member for curve in found] == [3, 7]
    assert found[0].accuracy == pytest.approx([0.23, 0.43, 0.63])
    assert found[1].nll == pytest.approx([2.0, 1.5, 1.0])
    assert "accuracy is 65.0% on average over 2 members, from 63.0% to 67.0%" in learning.caption(found)


def test_a_fresh_network_that_is_sure_and_wrong_does_not_flatten_the_rest() -> None:
    epochs = np.arange(4.0)
    calm = learning.Curve(0, epochs, epochs / 4, np.array([2.3, 2.0, 1.5, 1.2]), epochs + 1)
    wild = calm._replace(nll=np.array([120.0, 2.0, 1.5, 1.2]))
    assert learning.draw((calm,)).axes[1].get_yscale() == "linear"
    assert learning.draw((wild,)).axes[1].get_yscale() == "log"


def test_embedding_map_takes_the_first_seed_of_every_perplexity_and_pca() -> None:
    panels = embedding_map.numbers(by_hand())
    assert [(p.name, p.seed) for p in panels] == [("t-SNE, perplexity 5", 4), ("t-SNE, perplexity 30", 4), ("PCA", 0)]
    assert [p.purity for p in panels] == [(), (0.9, 0.7), (0.8,)]
    assert panels[2].explained == pytest.approx(0.4)
    assert [walk.member for walk in panels[1].walks] == [3, 7]
    assert panels[1].walks[0].points == pytest.approx(np.array([[4, -3], [5, -3], [6, -3]]))
    text = embedding_map.caption(panels)
    assert "90% for t-SNE, perplexity 30; 80% for PCA" in text
    assert "nan" not in text


def test_failed_members_are_left_out_everywhere() -> None:
    tables = by_hand(("done", "failed", "done"))
    assert len(one_function.numbers(tables).errors) == 2
    assert [path.member for path in along_trajectory.numbers(tables).paths] == [3, 9]
    assert between_solutions.numbers(tables).members == (3, 9)
    assert [curve.member for curve in learning.numbers(tables)] == [3, 9]
    assert {walk.member for panel in embedding_map.numbers(tables) for walk in panel.walks} == {3, 9}


@pytest.mark.parametrize("module", [one_function, between_solutions])
def test_one_member_cannot_be_compared(module: object, tables_of: Callable[..., Tables]) -> None:
    with pytest.raises(Omitted, match="at least 2 members that are done, and this run has 1"):
        module.numbers(tables_of(2, 6, (0,)))  # type: ignore[attr-defined]


@pytest.mark.parametrize("module", EVERY)
def test_without_a_member_that_is_done_nothing_is_drawn(module: object, tables_of: Callable[..., Tables]) -> None:
    with pytest.raises(Omitted, match="none"):
        module.numbers(tables_of(2, 6, (0, 1)))  # type: ignore[attr-defined]


def test_without_an_embedding_there_is_no_map() -> None:
    with pytest.raises(Omitted, match="no embedding"):
        embedding_map.numbers({**by_hand(), "embedding": from_rows(EMBEDDING, [])})


@pytest.mark.parametrize("module", EVERY)
@pytest.mark.parametrize("size", [(2, 2), (13, 3)], ids=["smallest", "more than are written out"])
def test_every_figure_draws(module: object, size: tuple[int, int], tables_of: Callable[..., Tables]) -> None:
    found = module.numbers(tables_of(*size))  # type: ignore[attr-defined]
    assert encode(module.draw(found), "png").startswith(b"\x89PNG")  # type: ignore[attr-defined]


@pytest.mark.parametrize("module", EVERY)
def test_same_numbers_same_bytes_whatever_the_users_settings(module: object, tables: Tables) -> None:
    found = module.numbers(tables)  # type: ignore[attr-defined]
    once = [encode(module.draw(found), form) for form in ("png", "svg")]  # type: ignore[attr-defined]
    with matplotlib.rc_context(
        {"font.size": 30, "svg.hashsalt": "another", "axes.titlelocation": "left", "xtick.direction": "in"}
    ):
        before = dict(matplotlib.rcParams)
        again = [encode(module.draw(found), form) for form in ("png", "svg")]  # type: ignore[attr-defined]
        assert dict(matplotlib.rcParams) == before
    assert once == again
    assert re.search(rb"<dc:date>|/(home|tmp|root|work)/", once[1]) is None


def test_matrix_agrees_with_a_slow_twin_and_knows_what_is_missing(tables: Tables) -> None:
    points = [(4, 20), (0, 3), (2, 0), (0, 20), (99, 1)]
    filled = between(tables["pairs"], points, "disagreement", 0.0)
    known: Mapping[frozenset[tuple[int, int]], float] = {
        frozenset([(r["member_a"], r["checkpoint_a"]), (r["member_b"], r["checkpoint_b"])]): r["disagreement"]
        for r in tables["pairs"].rows()
    }
    wanted = [[0.0 if a == b else known.get(frozenset([a, b]), NAN) for b in points] for a in points]
    np.testing.assert_array_equal(filled, wanted)
    assert np.isnan(filled[0, 4])


def test_a_thousand_solutions_can_be_drawn() -> None:
    first, second = np.triu_indices(1000, k=1)
    zero, value = np.zeros(len(first)), np.linspace(0.2, 0.3, len(first))
    columns = (first, zero, second, zero, value, 1 - value, 1 - value)
    pairs = Table(PAIRS, dict(zip(PAIRS.names, columns, strict=True)))
    filled = between(pairs, [(m, 0) for m in range(1000)], "disagreement", 0.0)
    assert not np.isnan(filled).any()
    figure = between_solutions.draw(between_solutions.BetweenSolutions(tuple(range(1000)), 1 - filled, filled))
    assert not figure.axes[0].texts
    assert len(encode(figure, "png")) > 10_000


@pytest.mark.parametrize(
    ("steps", "late"),
    [
        ([0, 25, 50, 75, 100], [False, False, False, True, True]),
        ([0, 75, 76, 90, 100], [False, False, True, True, True]),
        ([0, 70, 80, 90, 100], [False, False, True, True, True]),
        ([0, 1], [True, True]),
        ([0], [True]),
    ],
)
def test_last_quarter_is_of_the_steps_and_holds_a_pair(steps: list[int], late: list[bool]) -> None:
    assert last_quarter(np.array(steps)).tolist() == late


def test_scales_end_on_a_round_number() -> None:
    assert scale_top([np.array([[0, 0.31]])], 0.1) == pytest.approx(0.4)
    assert scale_top([np.array([[0, 0.3]])], 0.1) == pytest.approx(0.3)
    assert scale_top([np.zeros((1, 1))], 0.05) == pytest.approx(0.05)


def test_catalogue_names_real_studies_and_no_file_twice() -> None:
    assert set(FIGURES) <= set(STUDIES)
    stems = [stem for figures in FIGURES.values() for stem, _ in figures]
    assert len(stems) == len(set(stems))
