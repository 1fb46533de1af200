"""The answers of ``trajectories`` on classes written down by hand, where every number can be counted."""

import math

import pytest
import torch
from references import slow

from modescape.studies.trajectories_answers import Compared, answers

DRAWS = 400


def found(trajectories, targets, ensemble, *, steps=None, similarity=None, plain=None, count=3):
    """What ``compare`` would have found: ``trajectories[member][checkpoint]`` is a list of classes."""
    rows = [classes for checkpoints in trajectories for classes in checkpoints]
    members = torch.tensor([m for m, checkpoints in enumerate(trajectories) for _ in checkpoints])
    steps = steps or [list(range(len(checkpoints))) for checkpoints in trajectories]
    alike = torch.eye(len(rows), dtype=torch.float64) if similarity is None else similarity
    tensors = {
        "classes": torch.tensor(rows, dtype=torch.uint8),
        "targets": torch.tensor(targets, dtype=torch.uint8),
        "ensemble_classes": torch.tensor(ensemble, dtype=torch.uint8),
        "member": members,
        "step": torch.tensor([step for of in steps for step in of]),
        "disagreement": torch.from_numpy(slow.disagreement(rows)),
        "similarity": alike,
        "similarity_without_norm": alike if plain is None else plain,
    }
    return Compared(tensors, plain is not None, count, "test", 1)


def told(view, purities=(1.0,), draws=DRAWS):
    return {row["quantity"]: row for row in answers(view, list(purities), 0, draws).rows()}


# Ten examples, all of class 0. Three members of three checkpoints; 1 or 2 where a class is wrong.
TARGETS = [0] * 10
START = [1] * 10
A = [START, [1, 1, 0, 0, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]]
B = [START, [0, 0, 2, 2, 0, 0, 0, 0, 0, 0], [0, 0, 2, 2, 0, 0, 0, 0, 0, 0]]
C = [START, [0, 0, 0, 0, 1, 1, 1, 0, 0, 0], [0, 0, 0, 0, 1, 1, 1, 1, 0, 0]]
ENSEMBLE = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]
THREE = found([A, B, C], TARGETS, ENSEMBLE)
# disagreement between A, B: 3 of 10; A, C: 5; B, C: 6. Within: 1, 0, 1. Errors: 1, 2, 4. From the start: 9, 10, 6.
COUNTED = {
    "disagreement_ratio": ((14 / 30) / (2 / 30), 1, None),
    "disagreement_between": (14 / 30, 3, (0.3, 0.6)),
    "disagreement_within": (2 / 30, 3, (0.0, 0.1)),
    "normalised_disagreement": ((3 / 2 + 5 / 4 + 6 / 4 + 3 / 1 + 5 / 1 + 6 / 2) / 6, 6, (1.25, 5.0)),
    "similarity_between": (0.0, 3, (0.0, 0.0)),
    "purity_second_half": (0.75, 2, (0.5, 1.0)),
    "accuracy_member": (23 / 30, 3, (0.6, 0.9)),
    "accuracy_ensemble": (0.9, 1, None),
    "ensemble_gain": (0.9 - 23 / 30, 1, None),
    "disagreement_start_end": (25 / 30, 3, (0.6, 1.0)),
    "similarity_start_end": (0.0, 3, (0.0, 0.0)),
}


@pytest.mark.parametrize("quantity", COUNTED)
def test_every_number_is_the_one_that_counting_gives(quantity):
    row = told(THREE, purities=(0.5, 1.0))[quantity]
    value, count, ends = COUNTED[quantity]
    assert row["value"] == pytest.approx(value, abs=1e-12)
    assert row["count"] == count
    if ends is None:
        assert math.isnan(row["least"])
        assert math.isnan(row["most"])
    else:
        assert (row["least"], row["most"]) == pytest.approx(ends, abs=1e-12)


def test_there_is_nothing_else_and_the_answer_comes_first():
    rows = answers(THREE, [1.0], 0, DRAWS).rows()
    assert {row["quantity"] for row in rows} == COUNTED.keys()
    assert rows[0]["quantity"] == "disagreement_ratio"


def test_intervals_hold_the_value_and_belong_to_chance_over_examples():
    for quantity, row in told(THREE).items():
        if "similarity" in quantity or "purity" in quantity:
            assert math.isnan(row["low"])
            assert math.isnan(row["high"])
        elif quantity != "disagreement_ratio":
            assert row["low"] <= row["value"] <= row["high"], quantity
            assert row["low"] < row["high"], quantity
    assert answers(THREE, [1.0], 0, DRAWS).rows()[1] == answers(THREE, [1.0], 0, DRAWS).rows()[1]
    assert answers(THREE, [1.0], 0, DRAWS).rows()[1] != answers(THREE, [1.0], 1, DRAWS).rows()[1]


def test_the_interval_of_a_fraction_has_the_width_of_a_binomial():
    wrong = [[1] * 50 + [0] * 350, [0] * 400]
    view = found([[wrong[0], wrong[0]], [wrong[1], wrong[1]]], [0] * 400, [0] * 400)
    row = told(view, draws=4000)["disagreement_between"]
    spread = math.sqrt(0.125 * 0.875 / 400)
    # 0.025 quantiles of 4,000 normal draws have a standard error of 0.042 spreads; four of those, and half a step of
    # the fraction, which moves by 1/400
    bound = 4 * 0.042 * spread + 0.5 / 400
    assert row["low"] == pytest.approx(0.125 - 1.96 * spread, abs=bound)
    assert row["high"] == pytest.approx(0.125 + 1.96 * spread, abs=bound)


def test_the_gain_is_paired():
    """Members and ensemble that differ by the same ten examples in every draw vary less than each by itself."""
    half = [0, 1] * 50
    better = [0] * 10 + half[10:]
    view = found([[half, half], [half, half]], [0] * 100, better)
    rows = told(view, draws=1000)
    gain, accuracy = rows["ensemble_gain"], rows["accuracy_ensemble"]
    assert gain["value"] == pytest.approx(0.05)
    assert gain["high"] - gain["low"] < 0.6 * (accuracy["high"] - accuracy["low"])


@pytest.mark.parametrize(
    ("steps", "late"),
    [
        ([0, 4, 8, 12, 16], [3, 4]),  # only 16 lies above 12: the last two are taken
        ([0, 13, 14, 15, 16], [1, 2, 3, 4]),
        ([0, 12, 14, 16], [2, 3]),  # 12 itself lies outside
        ([0, 5], [0, 1]),
    ],
)
def test_the_last_quarter_is_one_of_steps_and_holds_two(steps, late):
    classes = [[0]] * len(steps)
    view = found([classes, classes], [0], [0], steps=[steps, steps])
    assert view.last_quarter(0).tolist() == late
    assert view.last_quarter(1).tolist() == [len(steps) + i for i in late]


def test_similarities_are_read_between_solutions_and_from_start_to_end():
    alike = torch.tensor(
        [[1.0, 0.7, 0.1, 0.2], [0.7, 1.0, 0.3, -0.4], [0.1, 0.3, 1.0, 0.5], [0.2, -0.4, 0.5, 1.0]], dtype=torch.float64
    )
    plain = alike.clone()
    plain[1, 3] = plain[3, 1] = 0.02
    rows = told(found([A[1:], B[1:]], TARGETS, ENSEMBLE, similarity=alike, plain=plain))
    assert rows["similarity_between"]["value"] == pytest.approx(-0.4)
    assert rows["similarity_start_end"]["value"] == pytest.approx((0.7 + 0.5) / 2)
    assert rows["similarity_between_without_norm"]["value"] == pytest.approx(0.02)
    assert "-0.400, one pair: not orthogonal" in rows["similarity_between"]["sentence"]
    # -0.4 and +0.4 have a mean of 0, and are not orthogonal for that
    assert "nearly orthogonal" in told(THREE)["similarity_between"]["sentence"]


def test_sentences_say_the_numbers():
    rows = told(THREE)
    assert "disagree on 46.7% of the test examples" in rows["disagreement_ratio"]["sentence"]
    assert "on 6.7%" in rows["disagreement_ratio"]["sentence"]
    assert "7.0 times as often" in rows["disagreement_ratio"]["sentence"]
    assert "over 3 pairs 30.0% to 60.0%" in rows["disagreement_between"]["sentence"]
    assert "of the 3 solutions is right on 90.0%" in rows["accuracy_ensemble"]["sentence"]
    assert "+13.3 points" in rows["ensemble_gain"]["sentence"]
    assert "above the error rate" in rows["normalised_disagreement"]["sentence"]


LEFT, RIGHT = [0] * 40 + [1] * 10 + [0] * 10, [0] * 40 + [0] * 10 + [1] * 10


def test_runs_that_never_change_have_a_ratio_without_bound():
    rows = told(found([[LEFT, LEFT], [RIGHT, RIGHT]], [0] * 60, [0] * 60))
    row = rows["disagreement_ratio"]
    assert row["value"] == math.inf
    assert row["sentence"].startswith("Each run stays in one function and different runs end in different ones")
    assert row["sentence"].endswith("a ratio without bound.")
    assert "nan" not in row["sentence"]
    assert "inf" not in row["sentence"].replace("interval", "")


def test_runs_that_end_alike_are_not_told_apart():
    rows = told(found([[LEFT, LEFT], [LEFT, LEFT]], [0] * 60, LEFT))
    row = rows["disagreement_ratio"]
    assert math.isnan(row["value"])
    assert row["sentence"].startswith("Different runs are not told apart from checkpoints of one run")
    assert row["sentence"].endswith("no difference at all.")
    assert rows["normalised_disagreement"]["value"] == 0
    assert "+0.0 points" in rows["ensemble_gain"]["sentence"]


def test_runs_that_differ_no_more_than_their_checkpoints_are_not_told_apart():
    rows = told(found([[RIGHT, LEFT], [LEFT, RIGHT]], [0] * 60, [0] * 60))
    row = rows["disagreement_ratio"]
    assert row["value"] == pytest.approx(1)
    assert row["sentence"].startswith("Different runs are not told apart from checkpoints of one run")


def test_without_errors_normalised_disagreement_has_no_value():
    right = [0] * 30
    rows = told(found([[LEFT[:30], right], [right, right]], [0] * 30, right))
    row = rows["normalised_disagreement"]
    assert math.isnan(row["value"])
    assert "has no value: no solution makes an error on the test examples" in row["sentence"]


def test_where_only_one_solution_errs_the_other_ratio_is_left_out():
    wrong = [1] * 5 + [0] * 25
    rows = told(found([[wrong, wrong], [[0] * 30] * 2], [0] * 30, [0] * 30))
    # disagreement 5/30 over an error of 5/30, and over an error of 0, which has no value
    assert rows["normalised_disagreement"]["value"] == pytest.approx(1)
    assert "close to the error rate" in rows["normalised_disagreement"]["sentence"]


@pytest.mark.parametrize(
    ("ensemble", "unsure"),
    [([0] * 40, False), ([1] * 3 + [0] * 7 + [1] * 10 + [0] * 20, True), ([1] * 30 + [0] * 10, False)],
    ids=["better", "the same but for chance", "worse"],
)
def test_a_gain_is_called_chance_when_its_interval_holds_zero(ensemble, unsure):
    wrong = [[1] * 10 + [0] * 30, [0] * 10 + [1] * 10 + [0] * 20]
    rows = told(found([[w, w] for w in wrong], [0] * 40, ensemble))
    row = rows["ensemble_gain"]
    assert (row["low"] <= 0 <= row["high"]) == unsure
    assert ("chance in the choice of examples could explain" in row["sentence"]) == unsure


def test_networks_that_guess_say_nothing_of_trained_ones():
    guessing = [[i % 3 for i in range(60)], [(i + 1) % 3 for i in range(60)]]
    targets = [0] * 60
    rows = told(found([[g, g] for g in guessing], targets, guessing[0]))
    assert "no better than chance" in rows["disagreement_ratio"]["sentence"]
    assert "no better than chance" not in told(THREE)["disagreement_ratio"]["sentence"]


def test_no_sentence_shows_a_number_that_is_none():
    """Few examples on which checkpoints of one run differ: in some draws none of them is there."""
    seldom = [1] + [0] * 59
    rows = told(found([[seldom, [0] * 60], [RIGHT, RIGHT]], [0] * 60, [0] * 60))
    row = rows["disagreement_ratio"]
    assert row["value"] == pytest.approx((10 / 60) / (0.5 / 60))
    assert row["low"] > 1
    for row in rows.values():
        assert "nan" not in row["sentence"], row["sentence"]
