"""Detecting unknown inputs."""

import math
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from references import slow_scores as slow
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve
from torch import Tensor

from modescape.core.methods.summary import pooled, summarise, summary_of
from modescape.core.scores import detection as module
from modescape.core.scores.decomposition import entropies
from modescape.core.scores.detection import ROUNDING, aupr, auroc, detection_scores, detectors, fpr_at_recall

SCORES = (auroc, aupr, fpr_at_recall)
levels = st.lists(st.integers(0, 6), min_size=1, max_size=25)


def numbers(values):
    return torch.tensor([float(v) for v in values], dtype=torch.float64)


def ones(values):
    return torch.ones(1, len(values), dtype=torch.float64)


def plain(score, known, unknown):
    return float(score(numbers(known), numbers(unknown), ones(known), ones(unknown)))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(levels, levels)
def test_scores_equal_slow_twins_and_scikit_learn_with_ties(known, unknown):
    truth, values = [0] * len(known) + [1] * len(unknown), [*known, *unknown]
    assert plain(auroc, known, unknown) == pytest.approx(slow.auroc(known, unknown), abs=1e-14)
    assert plain(auroc, known, unknown) == pytest.approx(roc_auc_score(truth, values), abs=1e-14)
    assert plain(aupr, known, unknown) == pytest.approx(slow.aupr(known, unknown), abs=1e-14)
    assert plain(aupr, known, unknown) == pytest.approx(average_precision_score(truth, values), abs=1e-14)
    assert plain(fpr_at_recall, known, unknown) == slow.fpr_at_recall(known, unknown, Fraction(95, 100))
    false, true, _ = roc_curve(truth, values, drop_intermediate=False)
    assert plain(fpr_at_recall, known, unknown) == pytest.approx(false[true >= 0.95 - 1e-12][0], abs=1e-14)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(levels, levels, st.integers(0, 10**6))
def test_counts_as_weights_are_the_repeated_samples(known, unknown, seed):
    chance = torch.Generator().manual_seed(seed)
    weights = [torch.randint(0, 4, (3, len(side)), generator=chance).double() for side in (known, unknown)]
    for each in weights:
        each[:, 0] += 1
    for score in SCORES:
        found = score(numbers(known), numbers(unknown), *weights)
        again = [
            plain(score, slow.repeated(known, k), slow.repeated(unknown, u)) for k, u in zip(*weights, strict=True)
        ]
        assert np.allclose(found, again, atol=1e-14)


def test_all_scores_together_are_the_scores(monkeypatch):
    chance = torch.Generator().manual_seed(0)
    given_ = torch.randn(40, generator=chance), 1 + torch.randn(25, generator=chance)
    weights = torch.rand(7, 40, generator=chance), torch.rand(7, 25, generator=chance)
    together = detection_scores(*given_, *weights)
    assert list(together) == ["auroc", "aupr", "fpr95"]
    monkeypatch.setattr(module, "CHUNK", 3)
    for found, score in zip(together.values(), SCORES, strict=True):
        assert found.shape == (7,)
        assert torch.allclose(found, score(*given_, *weights), atol=1e-14)
        order, other = torch.randperm(40, generator=chance), torch.randperm(25, generator=chance)
        mixed = score(given_[0][order], given_[1][other], weights[0][:, order], weights[1][:, other])
        assert torch.allclose(found, mixed, atol=1e-12)


def test_perfect_hopeless_and_blind_detectors():
    assert [plain(score, [1, 2], [3, 4]) for score in SCORES] == [1.0, 1.0, 0.0]
    assert [plain(score, [3, 4], [1, 2]) for score in SCORES] == pytest.approx([0.0, (1 / 3 + 2 / 4) / 2, 1.0])
    assert [plain(score, [1, 1, 1], [1]) for score in SCORES] == [0.5, 0.25, 1.0]
    assert [plain(score, [-math.inf], [math.inf]) for score in SCORES] == [1.0, 1.0, 0.0]


def test_at_least_the_recall_is_found():
    known, unknown = [0.5, 3.5, 19.5], list(range(1, 21))
    # 19 of 20 unknown inputs are at least 2, and of the known ones 3.5 and 19.5
    assert plain(fpr_at_recall, known, unknown) == pytest.approx(2 / 3)
    found = [
        float(fpr_at_recall(numbers(known), numbers(unknown), ones(known), ones(unknown), recall))
        for recall in (0.05, 0.1, 0.85, 0.9, 1.0)
    ]
    assert found == pytest.approx([0.0, 1 / 3, 1 / 3, 2 / 3, 2 / 3])
    # 0.55 * 100 is a little above 55 in floating point
    hundred = numbers(range(100))
    at_55 = fpr_at_recall(numbers([44.5]), hundred, ones([0]), ones(hundred), 0.55)
    assert 0.55 * 100 > 55
    assert at_55.tolist() == [0.0]


def test_detection_refuses_what_has_no_answer():
    two = numbers([1, 2])
    with pytest.raises(ValueError, match="needs known and unknown"):
        auroc(two[:0], two, torch.ones(1, 0), torch.ones(1, 2))
    with pytest.raises(ValueError, match="must not be NaN"):
        aupr(two, two * math.nan, torch.ones(1, 2), torch.ones(1, 2))
    with pytest.raises(ValueError, match="row 0 do not sum"):
        auroc(two, two, torch.ones(1, 2), torch.zeros(1, 2))
    for recall in (0.0, 1.1):
        with pytest.raises(ValueError, match="recall lies in"):
            fpr_at_recall(two, two, torch.ones(1, 2), torch.ones(1, 2), recall)


@dataclass(frozen=True)
class Pool:
    log_probabilities: Tensor
    member_entropy: Tensor
    energy: Tensor


def test_detectors_are_what_their_names_say():
    logits = 2 * torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    p = logits.softmax(-1)
    entropy = torch.tensor([[slow.entropy(row) for row in member] for member in p.tolist()]).double()
    pool = Pool(p.mean(0).log(), entropy.mean(0), -logits.logsumexp(-1).mean(0))
    found = detectors(pool)
    total = [slow.entropy(row) for row in p.mean(0).tolist()]
    assert found["entropy"].tolist() == pytest.approx(total)
    assert found["maximum_probability"].tolist() == pytest.approx([1 - max(row) for row in p.mean(0).tolist()])
    assert found["epistemic"].tolist() == pytest.approx(
        [t - e for t, e in zip(total, entropy.mean(0).tolist(), strict=True)]
    )
    energies = [-sum(math.log(sum(map(math.exp, row))) for row in rows) / 3 for rows in logits.transpose(0, 1).tolist()]
    assert found["energy"].tolist() == pytest.approx(energies)
    assert list(found) == ["entropy", "maximum_probability", "epistemic", "energy"]
    # confidence so high that 1 less it would be 0
    sure = torch.tensor([[-1e-20, -46.0], [-2e-20, -45.3]], dtype=torch.float64)
    spare = detectors(replace(pool, log_probabilities=sure, member_entropy=torch.zeros(2), energy=torch.zeros(2)))
    assert spare["maximum_probability"].tolist() == pytest.approx([1e-20, 2e-20], rel=1e-9, abs=0)


def test_one_member_has_no_epistemic_part_to_tell_by_whether_predictions_were_kept_or_are_fresh():
    chance = torch.Generator().manual_seed(0)
    known, unknown = (summarise(3 * torch.randn(1, 400, 10, generator=chance)) for _ in range(2))
    kept = summary_of(1, known.tensors())
    mine, others = (detectors(pooled([one]))["epistemic"] for one in (kept, unknown))
    assert auroc(mine, others, ones(mine), ones(others)).tolist() == [0.5]
    # and without the allowance the rounding of what was kept would look like knowledge
    rounded = entropies(pooled([kept]).log_probabilities, pooled([kept]).member_entropy)[2]
    assert 0 < rounded.max() < ROUNDING
