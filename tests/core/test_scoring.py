"""All scores of an ensemble together: against loops, and under weights against the sample that they stand for."""

import math

import numpy as np
import pytest
import torch
from references import slow
from sklearn.metrics import log_loss

from modescape.core.methods.scoring import PEOPLE, POSTERIOR, Judge, weights_with_bootstrap
from modescape.core.methods.summary import pooled, summarise
from modescape.core.scores.intervals import bootstrap_weights
from modescape.core.scores.temperature import calibrated_log_loss
from modescape.core.seeds import generator

EXAMPLES, CLASSES = 40, 4
ONES = torch.ones(1, EXAMPLES, dtype=torch.float64)


def chance(seed=0):
    return torch.Generator().manual_seed(seed)


TARGETS = torch.randint(0, CLASSES, (EXAMPLES,), generator=chance(1))
REFERENCES = {
    PEOPLE: torch.randint(0, 9, (EXAMPLES, CLASSES), generator=chance(2)).double() + torch.eye(CLASSES)[TARGETS],
    POSTERIOR: torch.rand(EXAMPLES, CLASSES, generator=chance(3)).double().softmax(dim=1),
}


def logits_of(members, seed):
    found = 2 * torch.randn(members, EXAMPLES, CLASSES, generator=chance(seed))
    return found + 1.5 * torch.nn.functional.one_hot(TARGETS, CLASSES)


PARTS = [logits_of(3, 10), logits_of(2, 11)]


def ensemble(rows=None):
    parts = PARTS if rows is None else [part[:, rows] for part in PARTS]
    return pooled([summarise(part) for part in parts])


def test_plain_scores_are_those_of_loops():
    judge = Judge(TARGETS, ONES, 0, REFERENCES)
    found = {name: float(draws[0]) for name, draws in judge.score([ensemble()]).draws.items()}
    mean = slow.nested_mean(torch.cat(PARTS).double(), [0, 0, 0, 1, 1])
    targets, flat = TARGETS.numpy(), torch.cat(PARTS).double().softmax(dim=-1).numpy()
    assert found["accuracy"] == pytest.approx((mean.argmax(axis=1) == targets).mean())
    assert found["nll"] == pytest.approx(log_loss(targets, mean, labels=range(CLASSES)))
    assert found["brier"] == pytest.approx(np.square(mean - np.eye(CLASSES)[targets]).sum(axis=1).mean())
    entropies = -(flat * np.log(flat)).sum(axis=2)
    aleatoric = (entropies[:3].mean(axis=0) + entropies[3:].mean(axis=0)).mean() / 2
    assert found["aleatoric"] == pytest.approx(aleatoric)
    assert found["jensen_shannon"] == pytest.approx(-(mean * np.log(mean)).sum(axis=1).mean() - aleatoric)
    pairs = [(i, j) for i in range(5) for j in range(5) if i != j]
    kl = np.mean([(flat[i] * np.log(flat[i] / flat[j])).sum(axis=1).mean() for i, j in pairs])
    assert found["pairwise_kl"] == pytest.approx(kl)
    assert found["disagreement"] == pytest.approx(slow.pairwise_per_example(flat.argmax(axis=2)).mean())
    error = (flat.argmax(axis=2) != targets).mean()
    assert found["disagreement_error_ratio"] == pytest.approx(found["disagreement"] / error)
    assert found["improvement_rate"] == pytest.approx((error - (1 - found["accuracy"])) / error)
    votes = (REFERENCES[PEOPLE] / REFERENCES[PEOPLE].sum(dim=1, keepdim=True)).numpy()
    assert found["people_cross_entropy"] == pytest.approx(-(votes * np.log(mean)).sum(axis=1).mean())
    posterior = REFERENCES[POSTERIOR].numpy()
    assert found["posterior_agreement"] == pytest.approx((posterior.argmax(axis=1) == mean.argmax(axis=1)).mean())
    assert found["posterior_total_variation"] == pytest.approx(np.abs(posterior - mean).sum(axis=1).mean() / 2)
    halves = generator(0, "calibration", "halves")
    assert found["calibrated_nll"] == pytest.approx(
        float(calibrated_log_loss(torch.tensor(mean).log(), TARGETS, halves)[0].mean())
    )


def test_weights_stand_for_the_sample_in_which_examples_are_repeated():
    counts = bootstrap_weights(EXAMPLES, 3, chance(5))
    draws = Judge(TARGETS, weights_with_bootstrap(counts), 0, REFERENCES).score([ensemble()]).draws
    # Halves are of the sample, not of the draw, and calibration errors are centred: see the next tests.
    own_rule = {"calibrated_nll", "calibration_error", "adaptive_calibration_error"}
    for draw in range(3):
        rows = torch.repeat_interleave(torch.arange(EXAMPLES), counts[draw].long())
        references = {name: values[rows] for name, values in REFERENCES.items()}
        again = Judge(TARGETS[rows], ONES, 0, references).score([ensemble(rows)]).draws
        assert again.keys() == draws.keys()
        for name in again.keys() - own_rule:
            assert float(draws[name][1 + draw]) == pytest.approx(float(again[name][0]), abs=1e-9), name


def test_draws_of_a_calibration_error_lie_about_it():
    counts = bootstrap_weights(EXAMPLES, 400, chance(6))
    scored = Judge(TARGETS, weights_with_bootstrap(counts), 0).score([ensemble()])
    for name in ("calibration_error", "adaptive_calibration_error"):
        draws = scored.draws[name]
        assert float(draws[1:].mean()) == pytest.approx(float(draws[0]), abs=2e-3)
        assert (draws >= 0).all() and float(draws[1:].std()) > 0.01


def test_several_ensembles_are_averaged_and_each_is_told():
    judge = Judge(TARGETS, ONES, 0)
    each = [pooled([summarise(part)]) for part in PARTS]
    both, apart = judge.score(each), [judge.score([one]) for one in each]
    for name in both.draws:
        values = [float(one.draws[name][0]) for one in apart]
        assert float(both.draws[name][0]) == pytest.approx(sum(values) / 2)
        assert both.each[name].tolist() == pytest.approx(values)


def test_one_member_has_no_pairs_and_unknown_inputs_no_targets():
    judge = Judge(TARGETS, ONES, 0)
    one = judge.score([pooled([summarise(PARTS[0][:1])])]).draws
    assert {"pairwise_kl", "disagreement", "disagreement_error_ratio", "improvement_rate"}.isdisjoint(one)
    blind = Judge(None, ONES, 0).score([ensemble()]).draws
    assert blind.keys() == {"entropy", "aleatoric", "jensen_shannon", "pairwise_kl", "disagreement"}


def test_impossible_targets_are_told_with_their_split_and_rows():
    wrong = TARGETS.clone()
    wrong[7] = CLASSES
    with pytest.raises(ValueError, match=r"split newer.*targets outside 0 to 3, in 1 of 40 rows \(7\)"):
        Judge(wrong, ONES, 0, split="newer").score([ensemble()])
    with pytest.raises(ValueError, match="predictions of 40 examples, 39 targets"):
        Judge(TARGETS[:-1], ONES[:, :-1], 0).score([ensemble()])


def test_a_target_of_probability_zero_costs_infinitely_and_is_never_nan():
    logits = PARTS[0].clone()
    logits[:, 3] = -5000.0
    logits[:, 3, (int(TARGETS[3]) + 1) % CLASSES] = 5000.0
    draws = Judge(TARGETS, ONES, 0).score([pooled([summarise(logits)])]).draws
    assert math.isfinite(float(draws["nll"][0])) and float(draws["nll"][0]) > 200
    assert all(not draw.isnan().any() for draw in draws.values())
