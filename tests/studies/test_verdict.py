"""Verdicts from a board whose numbers are known."""

import pytest
import torch

from modescape.studies.ensembling_answers import verdict_sentence
from modescape.studies.score_board import Board, Ensemble, estimate
from modescape.studies.verdict import verdicts

LOSSES = {
    ("independent", 1): [0.90, 0.80, 0.75, 0.72],
    ("swag", 4): [0.87, 0.77, 0.72, 0.69],
    ("weight_average", 1): [0.89, 0.79],
}
NOISE = torch.linspace(-1, 1, 101, dtype=torch.float64)


def board_of(shared=0.5, own=0.001):
    """Draws that all ensembles share, and small ones of their own: alternating in sign from one to the next."""
    draws, spread = {}, {}
    for place, ((method, samples), losses) in enumerate(LOSSES.items()):
        for size, loss in enumerate(losses, start=1):
            wobble = shared * NOISE + own * (-1) ** place * NOISE
            one = Ensemble(method, size, samples)
            draws[one] = torch.cat([torch.tensor([loss], dtype=torch.float64), loss + wobble])[None]
            spread[one] = torch.tensor([[loss, loss, 1.0]])
    return Board(["calibrated_nll"], draws, spread)


def found(relative=1.0, slack=0.1, **more):
    costs = {("independent", 1): 1.0, ("swag", 4): relative, ("weight_average", 1): 1.0}
    return {(row["cost"], row["budget"]): row for row in verdicts(board_of(**more), costs, slack)}


def named(row):
    return row["method"], row["solutions"], row["samples"]


def test_at_equal_cost_of_training_the_most_networks_that_fit_compete():
    rows = found()
    assert {budget for cost, budget in rows if cost == "training"} == {1, 2, 4}
    assert named(rows["training", 4]) == ("swag", 4, 4)
    assert (rows["training", 4]["rival"], rows["training", 4]["rival_solutions"]) == ("independent", 4)
    assert rows["training", 4]["difference"] == pytest.approx(-0.03)
    assert named(rows["training", 1]) == ("swag", 1, 4)


def test_a_method_whose_draws_cost_gets_fewer_networks():
    rows = found(relative=1.5)
    assert named(rows["training", 4]) == ("independent", 4, 1)
    # Of the others SWAG with two networks is best: three would cost 4.5, more than 4.4.
    assert (rows["training", 4]["rival"], rows["training", 4]["rival_solutions"]) == ("swag", 2)
    assert named(rows["training", 1]) == ("weight_average", 1, 1)
    assert named(found(relative=1.5, slack=0.2)["training", 4]) == ("independent", 4, 1)
    assert found(relative=1.5, slack=0.2)["training", 4]["rival_solutions"] == 3


def test_at_equal_cost_of_inference_forward_passes_count():
    rows = found()
    assert named(rows["inference", 1]) == ("weight_average", 1, 1)
    assert named(rows["inference", 2]) == ("weight_average", 2, 1)
    assert named(rows["inference", 4]) == ("independent", 4, 1)
    assert rows["inference", 4]["rival"] == "weight_average"


def test_what_ensembles_share_cancels_in_the_interval():
    row = found()["training", 4]
    assert row["high"] - row["low"] < 0.01 and row["decided"]
    wide = found(shared=0.0, own=0.2)["training", 4]
    assert not wide["decided"] and wide["low"] <= 0 <= wide["high"]


def test_sentences_say_what_was_decided():
    rows = found()
    told = verdict_sentence(rows["training", 4])
    assert told.startswith(
        "At the training cost of 4 networks, the best calibrated likelihood is that of SWAG of 4 networks"
    )
    assert "0.030 nats better than 4 independent networks" in told and "not decidedly" not in told
    open_ = verdict_sentence(found(shared=0.0, own=0.2)["training", 4])
    assert "but not decidedly" in open_ and open_.endswith("which includes zero.")
    alone = Board(["calibrated_nll"], {Ensemble("independent", 1, 1): torch.tensor([[0.5, 0.5]])}, {})
    (training, inference) = verdicts(alone, {("independent", 1): 1.0}, 0.1)
    assert "there is nothing else to choose" in verdict_sentence(training)
    assert verdict_sentence(inference).startswith("At 1 forward pass for a prediction")


def test_an_estimate_is_the_value_and_the_interval_of_its_draws():
    draws = torch.cat([torch.tensor([7.0]), torch.arange(0.0, 101.0)]).double()
    assert vars(estimate(draws)) == pytest.approx({"value": 7.0, "low": 2.5, "high": 97.5})
