"""Every measure of the checklist against a number that was reckoned by hand."""

import math

import paper_tables as made
import pytest

from modescape.app.scorecard.measures import MEASURES, Measured, NotMeasured, cell_in


def measure(how, tables, *cells):
    return MEASURES[how](lambda cell: cell_in(tables, cell), cells, tables)


def answer(quantity, study="trajectories"):
    return {"table": f"{study}.answers", "quantity": quantity}


TWO = {
    "trajectories": {
        "answers": made.answers(
            "trajectories",
            first=(0.5, 0.4, 0.6, 0.3, 0.7),
            second=(0.2, 0.1, 0.25, 0.05, 0.3),
            below=(-0.3, -0.4, -0.2, -0.5, -0.1),
            none=math.nan,
        )
    }
}


def test_a_value_is_the_row_with_its_interval_and_its_range():
    assert measure("value", TWO, answer("first")) == Measured(0.5, 0.4, 0.6, 0.3, 0.7)
    assert measure("magnitude", TWO, answer("below")).value == 0.3


def test_differences_and_ratios_have_the_interval_of_the_worst_case():
    found = measure("difference", TWO, answer("first"), answer("second"))
    assert (found.value, found.low, found.high) == pytest.approx((0.3, 0.15, 0.5))
    assert found.detail == "0.500 and 0.200"
    found = measure("ratio", TWO, answer("first"), answer("second"))
    assert (found.value, found.low, found.high) == pytest.approx((2.5, 1.6, 6.0))
    # With a sign that is not known the worst case has no such form.
    assert math.isnan(measure("ratio", TWO, answer("below"), answer("second")).low)


def test_steps_down_a_range_and_the_smallest():
    assert measure("falls", TWO, answer("first"), answer("second"), answer("below")).value == pytest.approx(0.3)
    assert measure("falls", TWO, answer("second"), answer("first")).value == pytest.approx(-0.3)
    assert measure("range", TWO, answer("first")).value == pytest.approx(0.4)
    assert measure("smallest", TWO, answer("first"), answer("second")).value == 0.05


def test_what_is_not_there_is_told():
    for how, cell, told in (
        ("value", answer("third"), "no rows with quantity third"),
        ("value", answer("none"), "no value here"),
        ("value", {"table": "ensembling.answers", "quantity": "gain_2"}, "the study ensembling was not run"),
        ("range", answer("none"), "no value here"),
    ):
        with pytest.raises(NotMeasured, match=told):
            measure(how, TWO, cell)
    shift = {"shift": {"scores": made.empty("shift", "scores")}}
    with pytest.raises(NotMeasured, match="the split unknown/svhn was not there"):
        measure("value", shift, {"table": "shift.scores", "split": "unknown/svhn", "score": "nll"})


def test_steps_from_one_severity_to_the_next_are_taken_in_their_order():
    tables = {"shift": {"severities": made.severities([0.1, 0.2, 0.19, 0.4])}}
    cell = {"table": "shift.severities", "method": "independent", "solutions": 5}
    found = measure("rises", tables, cell)
    assert found.value == pytest.approx(-0.01)
    assert found.detail == "0.100, 0.200, 0.190, 0.400"
    with pytest.raises(NotMeasured, match="fewer than two severities"):
        measure("rises", {"shift": {"severities": made.severities([0.1])}}, cell)


def test_pairs_of_solutions_are_those_of_last_checkpoints():
    tables = {"trajectories": {"pairs": made.pairs(), "checkpoints": made.checkpoints()}}
    # 0.02 for neighbours 0-1 and 1-2, 0.04 for 0-2; every other pair has 9.
    found = measure("similarity_without_norm", tables)
    assert (found.value, found.least, found.most) == pytest.approx((0.08 / 3, 0.02, 0.04))
    with pytest.raises(NotMeasured, match="one solution alone"):
        measure("similarity_without_norm", {"trajectories": {"pairs": made.pairs(members=1)}})


def test_the_first_epoch_is_the_end_of_it_and_not_the_initialisation():
    tables = {"trajectories": {"pairs": made.pairs(), "checkpoints": made.checkpoints()}}
    # similarity 0.5 + 0.1 a + 0.01 * 1; disagreement 0.2 a + 0.01 (1 + 2), for members 0, 1, 2
    assert measure("first_to_last_similarity", tables).value == pytest.approx(0.61)
    found = measure("first_to_last_disagreement", tables)
    assert (found.value, found.least, found.most) == pytest.approx((0.23, 0.03, 0.43))
    tables["trajectories"]["checkpoints"] = made.checkpoints(last=0)
    with pytest.raises(NotMeasured, match="end of the first epoch"):
        measure("first_to_last_similarity", tables)


def test_limit_curves_are_held_to_their_fixed_points():
    points = [("base", 0, 0.8, 0.0)]
    right = {"diversity_accuracy": {"curves": made.curves(0.8, 10), "plane": made.plane(points)}}
    assert measure("limit_curves", right).value < 1e-15
    for curves in (made.curves(0.8, 10, wrong=1e-6), made.curves(0.8 + 1e-6, 10)):
        wrong = {"diversity_accuracy": {"curves": curves, "plane": made.plane(points)}}
        assert measure("limit_curves", wrong).value == pytest.approx(1e-6)


def test_only_the_papers_subspaces_count_near_the_base():
    points = [
        ("base", 0, 0.80, 0.0),
        ("random_direction", 0, 0.79, 0.3),
        ("weight_dropout", 0, 0.81, 0.2),
        ("random_direction", 0, 0.789, 0.6),
        ("activation_dropout", 0, 0.80, 0.9),
        ("base", 1, 0.70, 0.0),
        ("low_rank_gaussian", 1, 0.70, 0.5),
    ]
    found = measure("near_base", {"diversity_accuracy": {"plane": made.plane(points)}})
    assert (found.value, found.least, found.most) == pytest.approx((0.4, 0.3, 0.5))


def scores(*rows):
    """Accuracies: method, solutions, samples, value."""
    others = {
        "split": "test",
        "score": "accuracy",
        "subsets": 1,
        **dict.fromkeys(("low", "high", "least", "most"), 0.0),
    }
    columns = ("method", "solutions", "samples", "value")
    return made.from_rows(
        made.STUDIES["ensembling"]["scores"], [{**dict(zip(columns, r, strict=True)), **others} for r in rows]
    )


def test_the_gains_of_the_papers_methods_are_compared_with_all_their_members():
    rows = [
        ("independent", 1, 1, 0.70),
        ("independent", 5, 1, 0.75),
        ("random_direction", 1, 2, 0.79),
        ("random_direction", 1, 10, 0.72),
        ("diagonal_gaussian", 1, 10, 0.71),
        ("activation_dropout", 1, 10, 0.90),
        ("random_direction", 5, 10, 0.74),
        ("weight_average", 5, 1, 0.755),
    ]
    # 0.5 points around five (the average), 2 around one (random directions, ten of them).
    assert measure("papers_gains", {"ensembling": {"scores": scores(*rows)}}).value == pytest.approx(0.25)
    for left, told in (
        (rows[:1] + rows[2:], "no 5 independent networks"),
        (rows[:2] + rows[5:6], "none of the paper's methods"),
        ([rows[0], rows[1], ("swag", 1, 1, 0.6), ("random_pca", 1, 1, 0.6), ("random_pca", 5, 1, 0.6)], "gain nothing"),
    ):
        with pytest.raises(NotMeasured, match=told):
            measure("papers_gains", {"ensembling": {"scores": scores(*left)}})


def test_the_best_bent_path_is_chosen_for_every_pair():
    table = made.connectors(
        ("straight", 0, 1, 0.8, 0.3, 0.9, 0.4),
        ("bent", 0, 1, 0.8, 0.7, 0.6, 0.4),
        ("bezier", 0, 1, 0.8, 0.79, 0.5, 0.4),
        ("straight", 1, 2, 0.8, 0.1, 0.9, 0.4),
        ("bent", 1, 2, 0.8, 0.77, 0.2, 0.4),
    )
    tables = {"connectors": {"connectors": table}}
    assert measure("connector_drop_straight", tables).value == pytest.approx((0.5 + 0.7) / 2)
    found = measure("connector_drop_best", tables)
    assert (found.value, found.detail) == (pytest.approx((0.01 + 0.03) / 2), "bezier, bent")
    assert measure("connector_middle", tables).value == pytest.approx((1.25 + 0.5) / 2)
    with pytest.raises(NotMeasured, match="no bent path"):
        measure("connector_drop_best", {"connectors": {"connectors": made.connectors(("straight", 0, 1, 1, 1, 1, 1))}})
