"""The figure of aligned lines: its numbers, caption and look, from tables small enough to be read by eye."""

from typing import Any

import matplotlib
import numpy as np
import pytest

from modescape.app.report.figures import aligned_lines
from modescape.app.report.figures.catalogue import FIGURES
from modescape.app.report.figures.image import encode
from modescape.app.report.figures.omitted import Omitted
from modescape.tables import ALIGNMENT, Table, from_rows

Tables = dict[str, Table]
TOP = {"none": 2.0, "weights": 1.0, "activations": 0.5}


def aligned(
    methods: tuple[str, ...] = ("none", "weights", "activations"),
    pairs: tuple[tuple[int, int], ...] = ((0, 1), (0, 2)),
    splits: tuple[str, ...] = ("test", "train"),
) -> Tables:
    """Lines of three points whose loss rises in the middle: by 2, 1 and 0.5, a tenth more for every further pair."""
    lines, rows = [], []
    for method in methods:
        for number, (a, b) in enumerate(pairs):
            named = {"member_a": a, "member_b": b, "method": method}
            rise = TOP[method] + 0.1 * number
            rows.append({**named, "barrier": rise})
            for split in splits:
                low = 0.25 if split == "train" else 1.0
                lines += [
                    {
                        **named,
                        "split": split,
                        "position": t,
                        "nll": low + rise * (t == 0.5),
                        "accuracy": 0.9 - 0.2 * (t == 0.5),
                    }
                    for t in (1.0, 0.5, 0.0)
                ]
    tables = {"alignments": rows, "aligned_lines": lines}
    return {name: filled(name, found) for name, found in tables.items()}


def filled(name: str, rows: list[dict[str, Any]]) -> Table:
    schema = ALIGNMENT[name]
    return from_rows(schema, [{**dict.fromkeys(schema.names, 0.0), **row} for row in rows])


def test_every_method_has_its_profiles_pair_by_pair_in_the_order_of_positions() -> None:
    found = aligned_lines.numbers(aligned())
    assert found.positions.tolist() == [0.0, 0.5, 1.0]
    assert (found.split, found.pairs) == ("test", 2)
    assert list(found.scores) == ["none", "weights", "activations"]
    assert found.scores["none"]["test"]["nll"] == pytest.approx(np.array([[1, 3, 1], [1, 3.1, 1]]))
    assert found.scores["weights"]["train"]["nll"] == pytest.approx(np.array([[0.25, 1.25, 0.25], [0.25, 1.35, 0.25]]))
    assert found.scores["weights"]["test"]["accuracy"] == pytest.approx(np.array([[0.9, 0.7, 0.9]] * 2))
    assert found.barriers["activations"] == pytest.approx((0.55, 0.5, 0.6))


def test_the_caption_says_the_barriers() -> None:
    text = aligned_lines.caption(aligned_lines.numbers(aligned()))
    assert "on test examples: means over 2 pairs" in text
    assert "2.050 nats as they are (2.000 to 2.100), 1.050 nats matched by weights (1.000 to 1.100)" in text
    assert "dashed: means on train examples" in text
    single = aligned_lines.caption(aligned_lines.numbers(aligned(pairs=((0, 1),))))
    assert "means over 1 pair," in single
    assert "2.000 nats as they are, 1.000 nats matched by weights, 0.500 nats" in single


def test_a_study_of_the_training_examples_has_one_split() -> None:
    found = aligned_lines.numbers(aligned(splits=("train",)))
    assert found.split == "train"
    assert "dashed" not in aligned_lines.caption(found)
    figure = aligned_lines.draw(found)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "as they are", "matched by weights", "matched by activations",
    ]  # fmt: skip


@pytest.mark.parametrize("methods", [("none",), ("weights",)])
def test_without_something_to_compare_there_is_no_figure(methods: tuple[str, ...]) -> None:
    with pytest.raises(Omitted, match="no pair of solutions"):
        aligned_lines.numbers(aligned(methods=methods))


def test_lines_are_means_and_bands_reach_from_the_least_to_the_most() -> None:
    figure = aligned_lines.draw(aligned_lines.numbers(aligned()))
    loss, accuracy = figure.axes
    drawn = {tuple(np.round(line.get_ydata(), 6)) for line in loss.lines}
    assert drawn == {
        (1.0, 3.05, 1.0), (0.25, 2.3, 0.25), (1.0, 2.05, 1.0), (0.25, 1.3, 0.25), (1.0, 1.55, 1.0), (0.25, 0.8, 0.25),
    }  # fmt: skip
    tops = sorted(float(band.get_paths()[0].vertices[:, 1].max()) for band in loss.collections)
    assert tops == pytest.approx([1.6, 2.1, 3.1])
    assert len(accuracy.lines) == 6
    assert accuracy.get_ylim()[0] == 0


def test_the_figure_is_drawn_and_leaves_the_look_of_others() -> None:
    assert FIGURES["alignment"] == [("aligned_lines", aligned_lines)]
    before = dict(matplotlib.rcParams)
    for tables in (aligned(), aligned(pairs=((0, 1),)), aligned(methods=("none", "weights"))):
        image = encode(aligned_lines.draw(aligned_lines.numbers(tables)), "png")
        assert image
    assert dict(matplotlib.rcParams) == before
