"""Scores under example weights: means, calibration, selective prediction."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from references import slow_scores as slow
from sklearn.metrics import brier_score_loss
from sklearn.metrics import log_loss as sklearn_log_loss

from modescape.core.scores.calibration import calibration_error, reliability
from modescape.core.scores.intervals import bootstrap_means, bootstrap_weights, weighted_means
from modescape.core.scores.proper import brier, log_loss, nll
from modescape.core.scores.selective import risk_coverage_area


def chance(seed=0):
    return torch.Generator().manual_seed(seed)


def some(examples, classes, seed=0, scale=2.0):
    logits = scale * torch.randn(examples, classes, generator=chance(seed), dtype=torch.float64)
    return logits.log_softmax(-1), torch.randint(0, classes, (examples,), generator=chance(seed + 1))


def counts(examples, seed=0, draws=3):
    """Rows of counts, some of them 0, none without any."""
    found = torch.randint(0, 4, (draws, examples), generator=chance(seed + 2)).double()
    found[:, 0] += 1
    return found


def ones(examples):
    return torch.ones(1, examples, dtype=torch.float64)


def binary(confidences, right):
    """Two classes, of which the first is predicted with these confidences, right or wrong."""
    p = torch.tensor(confidences, dtype=torch.float64)
    return torch.stack([p, 1 - p], dim=1).log(), torch.tensor([0 if r else 1 for r in right])


def test_bootstrap_means_are_the_numbers_that_they_were():
    values = torch.rand(2, 7, generator=chance()).double()
    parts = []
    old = chance(3)
    for count in (100, 100, 50):
        index = torch.randint(0, 7, (count, 7), generator=old)
        weight = torch.zeros(count, 7, dtype=torch.float64).scatter_add_(1, index, torch.ones(count, 7).double())
        parts.append(weight @ values.T / 7)
    assert torch.equal(bootstrap_means(values, 250, chance(3)), torch.cat(parts))
    weights = bootstrap_weights(7, 250, chance(3))
    assert weights.shape == (250, 7)
    assert (weights.sum(1) == 7).all()
    assert torch.allclose(weighted_means(values, weights), torch.cat(parts), atol=1e-15)


def test_weighted_means_equal_means_of_the_repeated_sample():
    values = torch.randn(2, 9, generator=chance()).double()
    weights = counts(9)
    expected = [[np.mean(slow.repeated(row.tolist(), draw)) for row in values] for draw in weights]
    assert np.allclose(weighted_means(values, weights), expected, atol=1e-14)
    assert weighted_means(values > 0, ones(9))[0].tolist() == pytest.approx((values > 0).double().mean(1).tolist())


def test_infinite_values_count_only_where_they_have_weight():
    values = torch.tensor([[1.0, math.inf], [2.0, 4.0]])
    found = weighted_means(values, torch.tensor([[1.0, 0.0], [1.0, 1.0]]))
    assert found.tolist() == [[1.0, 2.0], [math.inf, 3.0]]


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_means_of_what_has_none_are_refused(value):
    with pytest.raises(ValueError, match="values of item 1 are NaN or -inf"):
        weighted_means(torch.tensor([[1.0, 2.0], [1.0, value]]), ones(2))


@pytest.mark.parametrize("row", [[0.0, 0.0], [math.inf, 1.0], [math.nan, 1.0], [-2.0, 1.0]])
def test_weights_without_a_sum_are_refused(row):
    with pytest.raises(ValueError, match="weights of row 1 do not sum"):
        weighted_means(torch.ones(1, 2), torch.tensor([[1.0, 1.0], row]))
    with pytest.raises(ValueError, match="at least one example"):
        bootstrap_weights(0, 3, chance())


def test_proper_scores_equal_their_twins_and_scikit_learn():
    for examples, classes in ((1, 2), (40, 5), (7, 1000)):
        logs, targets = some(examples, classes)
        p, t = logs.exp().numpy(), targets.numpy()
        expected = [slow.brier(row, target) for row, target in zip(p.tolist(), t.tolist(), strict=True)]
        assert np.allclose(brier(logs, targets), expected, atol=1e-13)
        library = brier_score_loss(t, p, labels=range(classes), scale_by_half=False)
        assert float(brier(logs, targets).mean()) == pytest.approx(library, abs=1e-12)
        library = sklearn_log_loss(t, p / p.sum(axis=1, keepdims=True), labels=range(classes))
        assert float(log_loss(logs, targets).mean()) == pytest.approx(library, abs=1e-12)
        assert float(nll(logs[None], targets)) == pytest.approx(library, abs=1e-12)


def test_probabilities_of_exactly_0_and_1_have_scores():
    logs = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.5, 0.5]]).log()
    targets = torch.tensor([0, 1, 1])
    assert log_loss(logs, targets).tolist() == pytest.approx([0.0, math.inf, math.log(2)], abs=1e-7)
    assert brier(logs, targets).tolist() == pytest.approx([0.0, 2.0, 0.5])
    assert log_loss(torch.tensor([[0.0, -2000.0]]), torch.tensor([1])).tolist() == [2000.0]


def test_a_confidence_of_1_is_in_the_last_bin():
    """The example of which torchmetrics makes 0.525: (0.95 + 1.0) / 2 = 0.975 of confidence, 0.5 of accuracy."""
    logs, targets = binary([0.95, 1.0], [True, False])
    assert float(calibration_error(logs, targets, ones(2), bins=10)) == pytest.approx(0.475, abs=1e-15)
    diagram = reliability(logs, targets, bins=10)
    assert diagram.count.tolist() == [0.0] * 9 + [2.0]
    assert diagram.confidence.tolist() == pytest.approx([0.0] * 9 + [0.975])
    assert diagram.accuracy.tolist() == [0.0] * 9 + [0.5]


@pytest.mark.parametrize("bins", [1, 7, 10, 15, 20])
def test_confidences_on_an_edge_are_in_the_bin_below(bins):
    confidences = [i / bins for i in range(1, bins + 1)]
    for rounded in (torch.float64, torch.float32):
        spare = torch.tensor(confidences, dtype=torch.float64).log().to(rounded)
        # one class holds the confidence; the others, too many to beat it, hold nothing that matters
        logs = torch.cat([spare[:, None], torch.full((bins, 1), -math.inf, dtype=rounded)], dim=1)
        diagram = reliability(logs, torch.zeros(bins, dtype=torch.int64), bins=bins)
        assert diagram.count.tolist() == [1.0] * bins
        assert [slow.bin_of(c, bins) for c in confidences] == list(range(bins))


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(1, 40), st.integers(2, 6), st.integers(1, 20), st.integers(0, 10**6))
def test_calibration_error_equals_its_slow_twin(examples, classes, bins, seed):
    logs, targets = some(examples, classes, seed)
    weights = torch.cat([ones(examples), counts(examples, seed)])
    top, predicted = logs.exp().max(dim=1)
    right = (predicted == targets).double().tolist()
    places = {
        "equal_width": [next(i for i in range(bins) if c <= (i + 1) / bins) for c in top.tolist()],
        "adaptive": slow.adaptive_bins(top.tolist(), bins),
    }
    for binning, where in places.items():
        expected = [slow.calibration_error(top.tolist(), right, where, row.tolist()) for row in weights]
        assert np.allclose(calibration_error(logs, targets, weights, bins, binning), expected, atol=1e-13)
        diagram = reliability(logs, targets, bins, binning)
        gap = (diagram.count * (diagram.confidence - diagram.accuracy).abs()).sum() / examples
        assert float(gap) == pytest.approx(expected[0], abs=1e-13)


def test_equal_width_counts_as_the_repeated_sample_does():
    logs, targets = some(12, 3)
    for row in counts(12):
        index = torch.tensor(slow.repeated(range(12), row))
        again = calibration_error(logs[index], targets[index], ones(len(index)))
        assert float(calibration_error(logs, targets, row[None])) == pytest.approx(float(again), abs=1e-14)


def test_adaptive_bins_hold_equally_many_and_keep_ties_together():
    confidences = [0.51 + 0.01 * i for i in range(30)]
    logs, targets = binary(confidences, [True] * 30)
    assert reliability(logs, targets, 15, "adaptive").count.tolist() == [2.0] * 15
    logs, targets = binary([1.0] * 8 + [0.6, 0.7], [True] * 10)
    # ranks 2.5...9.5 have their middle at 6, in the fourth of five bins
    assert reliability(logs, targets, 5, "adaptive").count.tolist() == [2.0, 0.0, 0.0, 8.0, 0.0]


def test_calibration_refuses_what_it_cannot_bin():
    logs, targets = some(3, 2)
    with pytest.raises(ValueError, match="at least one bin"):
        calibration_error(logs, targets, ones(3), bins=0)
    with pytest.raises(ValueError, match="row 0 do not sum"):
        calibration_error(logs, targets, 0 * ones(3))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(1, 3), st.booleans()), min_size=1, max_size=6))
def test_the_area_is_the_mean_over_the_orders_of_ties(examples):
    confidences, errors = [float(c) for c, _ in examples], [float(e) for _, e in examples]
    found = risk_coverage_area(torch.tensor(confidences), torch.tensor(errors), ones(len(errors)))
    assert float(found) == pytest.approx(slow.risk_coverage_area(confidences, errors), abs=1e-13)


def test_the_area_of_small_cases():
    def area(confidences, errors):
        return float(risk_coverage_area(torch.tensor(confidences), torch.tensor(errors), ones(len(errors))))

    assert area([0.9, 0.8, 0.7], [0.0, 1.0, 0.0]) == pytest.approx((0 + 1 / 2 + 1 / 3) / 3)
    assert area([0.5, 0.5], [1.0, 0.0]) == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert area([0.3], [1.0]) == area([0.1, 0.9], [1.0, 1.0]) == pytest.approx(1.0)
    assert area([0.1, 0.9], [0.0, 0.0]) == 0.0


@pytest.mark.parametrize("seed", range(5))
def test_the_area_under_counts_is_that_of_the_repeated_sample(seed):
    confidence = torch.tensor([0.9, 0.8, 0.8, 0.4]).double()
    errors = torch.tensor([0.0, 1.0, 0.0, 1.0]).double()
    for row in torch.randint(0, 3, (4, 4), generator=chance(seed)).double():
        if 0 < row.sum() <= 7:
            again = slow.risk_coverage_area(
                slow.repeated(confidence.tolist(), row), slow.repeated(errors.tolist(), row)
            )
            assert float(risk_coverage_area(confidence, errors, row[None])) == pytest.approx(again, abs=1e-13)


def test_scores_do_not_depend_on_the_order_of_examples():
    logs, targets = some(30, 3)
    logs[10:20] = logs[:10]
    weights, order = counts(30), torch.randperm(30, generator=chance(9))
    errors = (logs.argmax(1) != targets).double()
    for binning in ("equal_width", "adaptive"):
        one = calibration_error(logs, targets, weights, 7, binning)
        other = calibration_error(logs[order], targets[order], weights[:, order], 7, binning)
        assert torch.allclose(one, other, atol=1e-14)
    confidence = logs.amax(1)
    one = risk_coverage_area(confidence, errors, weights)
    assert torch.allclose(one, risk_coverage_area(confidence[order], errors[order], weights[:, order]), atol=1e-14)


def test_chunks_of_draws_change_nothing(monkeypatch):
    from modescape.core.scores import selective

    logs, targets = some(30, 3)
    errors, weights = (logs.argmax(1) != targets).double(), counts(30, draws=11)
    whole = risk_coverage_area(logs.amax(1), errors, weights)
    monkeypatch.setattr(selective, "CHUNK", 4)
    assert torch.allclose(risk_coverage_area(logs.amax(1), errors, weights), whole, atol=1e-15)
    with pytest.raises(ValueError, match="confidence must be finite"):
        risk_coverage_area(torch.full((30,), math.nan), errors, weights)
    with pytest.raises(ValueError, match="errors must be finite"):
        risk_coverage_area(logs.amax(1), errors * math.nan, weights)
