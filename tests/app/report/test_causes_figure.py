"""The figure of what makes networks differ."""

import pytest

from modescape.app.report.figures import causes
from modescape.app.report.figures.omitted import Omitted
from modescape.tables import STUDIES, from_rows

SCHEMAS = STUDIES["causes"]


def tables(**pairs):
    """Tables of causes, each with the disagreement of its pairs."""
    rows, answers = [], []
    for cause, values in pairs.items():
        others = {"normalised_disagreement": 1.0, "similarity": 0.0, "member_a": 0, "member_b": 1}
        rows += [{"cause": cause, "disagreement": value, **others} for value in values]
        mean = sum(values) / len(values)
        spread = {"low": mean - 0.01, "high": mean + 0.01, "least": min(values), "most": max(values)}
        answer = {"quantity": f"disagreement_{cause}", "value": mean, **spread, "count": len(values), "sentence": ""}
        answers.append(answer)
    return {"causes": from_rows(SCHEMAS["causes"], rows), "answers": from_rows(SCHEMAS["answers"], answers)}


def test_every_cause_has_its_mean_its_interval_and_its_pairs():
    found = causes.numbers(tables(init=[0.2, 0.3], everything=[0.3, 0.35], order=[0.1, 0.2]))
    assert [cause.name for cause in found] == ["everything", "init", "order"]
    assert found[1] == causes.Cause("init", 0.25, 0.24, 0.26, (0.2, 0.3))
    assert "everything 32.5%, initialisation alone 25.0%, order of the data alone 15.0%" in causes.caption(found)


def test_a_row_is_drawn_for_each_at_its_place():
    found = causes.numbers(tables(everything=[0.3, 0.35], order=[0.1, 0.2]))
    (axes,) = causes.draw(found).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["everything", "order of the data alone"]
    dots = [tuple(point) for cloud in axes.collections for point in cloud.get_offsets().tolist()]
    assert {(0.3, 0.0), (0.35, 0.0), (0.1, 1.0), (0.2, 1.0)} < set(dots)
    bars = [tuple(line.get_xdata()) for line in axes.lines]
    assert bars == [pytest.approx((0.315, 0.335)), pytest.approx((0.14, 0.16))]
    assert axes.get_xlim()[0] == 0


def test_without_any_cause_it_is_omitted():
    with pytest.raises(Omitted, match="compares no causes"):
        causes.numbers(tables())
