"""Scores of an ensemble: temperature, decomposition, people and reference posteriors, checks, size curves."""

import math
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from references import slow_scores as slow

from modescape.core.scores.checks import check_logits, check_predictions, check_targets
from modescape.core.scores.decomposition import (
    disagreement_error_ratio,
    entropies,
    improvement_rate,
    mean_error,
    pairwise_disagreement,
    pairwise_kl,
)
from modescape.core.scores.proper import log_loss
from modescape.core.scores.size_curve import equivalent, forecast
from modescape.core.scores.soft_labels import (
    agreement,
    soft_cross_entropy,
    soft_jensen_shannon,
    total_variation_between,
)
from modescape.core.scores.temperature import calibrated_log_loss, fit_temperature


def chance(seed=0):
    return torch.Generator().manual_seed(seed)


def some(examples, classes, seed=0, sharpness=1.0):
    """Predictions that know something; with ``sharpness`` 1 they are roughly calibrated."""
    targets = torch.randint(0, classes, (examples,), generator=chance(seed + 1))
    logits = torch.randn(examples, classes, generator=chance(seed), dtype=torch.float64)
    logits += torch.nn.functional.one_hot(targets, classes)
    return (sharpness * logits).log_softmax(-1), targets


@pytest.mark.parametrize("sharpness", [0.05, 0.3, 1.0, 4.0, 30.0])
@pytest.mark.parametrize(("examples", "classes"), [(60, 2), (200, 10), (30, 1000)])
def test_the_temperature_has_the_least_loss(examples, classes, sharpness):
    logs, targets = some(examples, classes, sharpness=sharpness)
    rows = logs.tolist() if classes < 1000 else None
    found = fit_temperature(logs, targets)

    def loss(temperature):
        return float(log_loss((logs / temperature).log_softmax(-1), targets).mean())

    assert 0.01 < found < 100
    assert all(loss(found) <= loss(found * factor) for factor in (0.5, 0.99, 0.9999, 1.0001, 1.01, 2.0))
    if rows and sharpness in (0.3, 4.0) and examples == 60:
        # a valley is flat: golden section knows its bottom to the root of rounding
        assert found == pytest.approx(slow.fit_temperature(rows, targets.tolist()), rel=1e-6)


def test_scaling_scales_the_temperature():
    logs, targets = some(100, 5)
    base = fit_temperature(logs, targets)
    for factor in (0.2, 5.0):
        scaled = fit_temperature((factor * logs).log_softmax(-1), targets)
        assert scaled == pytest.approx(factor * base, rel=1e-8)


def test_temperatures_stay_within_bounds_where_no_finite_one_is_best():
    logs, targets = some(50, 4)
    always = logs.argmax(dim=1)
    never = logs.argmin(dim=1)
    assert fit_temperature(logs, always) == 0.01
    assert fit_temperature(logs, never) == 100
    assert fit_temperature(torch.full((3, 4), 0.25).log(), targets[:3]) == 1
    with pytest.raises(ValueError, match="at least one example"):
        fit_temperature(logs[:0], targets[:0])


def test_probabilities_of_0_leave_the_temperature_to_the_others():
    logs, targets = some(50, 3, sharpness=2.0)
    base = fit_temperature(logs, targets)
    wide = torch.cat([logs, torch.full((50, 1), -math.inf)], dim=1)
    assert fit_temperature(wide, targets) == pytest.approx(base, rel=1e-12)
    sure = torch.tensor([[0.0, -math.inf, -math.inf, -math.inf]])
    excluded = torch.cat([wide, sure]), torch.cat([targets, torch.tensor([2])])
    assert fit_temperature(*excluded) == pytest.approx(base, rel=1e-12)
    assert fit_temperature(sure, torch.tensor([2])) == 1
    loss, temperatures = calibrated_log_loss(*excluded, chance())
    assert loss[-1] == math.inf
    assert loss[:-1].isfinite().all()
    assert all(map(math.isfinite, temperatures))


@pytest.mark.parametrize("examples", [2, 3, 101])
def test_each_half_is_scored_at_the_temperature_of_the_other(examples):
    logs, targets = some(examples, 4, seed=3, sharpness=3.0)
    loss, (first, second) = calibrated_log_loss(logs, targets, chance(5))
    order = torch.randperm(examples, generator=chance(5))
    one, two = order[: examples // 2], order[examples // 2 :]
    assert first == pytest.approx(fit_temperature(logs[one], targets[one]), rel=1e-9)
    assert second == pytest.approx(fit_temperature(logs[two], targets[two]), rel=1e-9)
    expected = [
        slow.scaled_loss(row, target, second if i in one.tolist() else first)
        for i, (row, target) in enumerate(zip(logs.tolist(), targets.tolist(), strict=True))
    ]
    assert np.allclose(loss, expected, atol=1e-9)
    with pytest.raises(ValueError, match="at least two, not 1"):
        calibrated_log_loss(logs[:1], targets[:1], chance())


def test_calibration_helps_and_is_quick():
    logs, targets = some(10_000, 10, sharpness=3.0)
    start = time.perf_counter()
    for _ in range(3):
        loss, _ = calibrated_log_loss(logs, targets, chance())
    assert (time.perf_counter() - start) / 3 < 0.2
    assert float(loss.mean()) < 0.75 * float(log_loss(logs, targets).mean())


def members(count, examples, classes, seed=0):
    logs = torch.randn(count, examples, classes, generator=chance(seed), dtype=torch.float64).log_softmax(-1)
    classes_of = torch.nn.functional.one_hot(logs.argmax(-1), classes).sum(0)
    entropy = -(logs.exp() * logs).sum(-1)
    return logs, classes_of, entropy


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(2, 5), st.integers(1, 6), st.integers(2, 6), st.integers(0, 10**6))
def test_sums_over_members_say_what_pairs_say(count, examples, classes, seed):
    logs, votes, entropy = members(count, examples, classes, seed)
    p = logs.exp()
    targets = torch.randint(0, classes, (examples,), generator=chance(seed + 1))
    found = pairwise_kl(count, p.sum(0), logs.sum(0), entropy.sum(0))
    apart = pairwise_disagreement(count, votes)
    error = mean_error(count, votes, targets)
    for n in range(examples):
        rows = p[:, n].tolist()
        assert float(found[n]) == pytest.approx(slow.mean_of_pairs(rows, slow.kl, True), abs=1e-12)
        labels = [row.index(max(row)) for row in rows]
        assert float(apart[n]) == pytest.approx(slow.mean_of_pairs(labels, lambda a, b: a != b, False), abs=1e-14)
        assert float(error[n]) == pytest.approx(sum(one != int(targets[n]) for one in labels) / count, abs=1e-14)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(1, 5), st.integers(2, 6), st.integers(0, 10**6))
def test_what_is_epistemic_is_the_divergence_from_the_mean(count, classes, seed):
    logs, _, entropy = members(count, 4, classes, seed)
    pooled = logs.logsumexp(0) - math.log(count)
    total, aleatoric, epistemic = entropies(pooled, entropy.mean(0))
    assert torch.allclose(total, aleatoric + epistemic, atol=1e-12)
    assert (epistemic >= 0).all()
    for n in range(4):
        mean = pooled[n].exp().tolist()
        divergence = sum(slow.kl(row, mean) for row in logs[:, n].exp().tolist()) / count
        assert float(epistemic[n]) == pytest.approx(divergence, abs=1e-12)
        assert float(total[n]) == pytest.approx(slow.entropy(mean), abs=1e-12)


def test_extremes_of_the_decomposition():
    sure = torch.eye(2).log()
    total, aleatoric, epistemic = entropies(torch.tensor([[0.5, 0.5], [1.0, 0.0]]).log(), torch.zeros(2))
    assert total.tolist() == epistemic.tolist() == pytest.approx([math.log(2), 0.0])
    assert aleatoric.tolist() == [0.0, 0.0]
    # two members that exclude what the other is sure of, and two that agree
    p, logs = torch.tensor([[1.0, 1.0], [2.0, 0.0]]), torch.stack([sure.sum(0), 2 * sure[0]])
    assert pairwise_kl(2, p, logs, torch.zeros(2)).tolist() == [math.inf, 0.0]
    assert entropies(torch.full((1, 4), 0.25).log(), torch.tensor([math.log(4) + 1e-6]))[2].tolist() == [0.0]
    with pytest.raises(ValueError, match="not the members pooled"):
        entropies(torch.full((1, 4), 0.25).log(), torch.tensor([math.log(4) + 0.01]))
    with pytest.raises(ValueError, match="at least two members, not 1"):
        pairwise_kl(1, p, logs, torch.zeros(2))
    with pytest.raises(ValueError, match="at least two members, not 1"):
        pairwise_disagreement(1, torch.tensor([[1, 0]]))


def test_rates_are_ratios_of_means_and_have_no_value_without_errors():
    apart, own, whole = (torch.tensor(v) for v in ([0.5, 0.0, 1.0], [0.25, 0.0, 0.5], [0.0, 0.0, 1.0]))
    weights = torch.tensor([[1.0, 1.0, 1.0], [2.0, 5.0, 1.0], [0.0, 1.0, 0.0]])
    assert disagreement_error_ratio(apart, own, weights)[:2].tolist() == pytest.approx([2.0, 2.0])
    assert improvement_rate(whole, own, weights)[:2].tolist() == pytest.approx([(0.75 - 1) / 0.75, 0.0])
    assert disagreement_error_ratio(apart, own, weights)[2].isnan()
    assert improvement_rate(whole, own, weights)[2].isnan()
    assert improvement_rate(torch.ones(1), torch.zeros(1), torch.ones(1, 1)).tolist() == [-math.inf]


def test_people_against_predictions():
    logs, _ = some(6, 4)
    counts = torch.randint(0, 5, (6, 4), generator=chance(2))
    counts[:, 0] += 1
    shares = (counts.double() / counts.sum(1, keepdim=True)).tolist()
    p = logs.exp().tolist()
    crossed = [-sum(q * math.log(x) for q, x in zip(*rows, strict=True)) for rows in zip(shares, p, strict=True)]
    assert np.allclose(soft_cross_entropy(logs, counts), crossed, atol=1e-12)
    apart = [slow.jensen_shannon(*rows) for rows in zip(shares, p, strict=True)]
    assert np.allclose(soft_jensen_shannon(logs, counts), apart, atol=1e-12)
    # all people of one mind: the log loss
    assert torch.allclose(
        soft_cross_entropy(logs, 7 * torch.eye(4)[:, :4].repeat(2, 1)[:6]),
        -logs.gather(1, torch.tensor([0, 1, 2, 3, 0, 1])[:, None])[:, 0],
        atol=1e-12,
    )


def test_people_and_predictions_that_exclude_each_other():
    sure = torch.tensor([[1.0, 0.0], [1.0, 0.0]]).log()
    counts = torch.tensor([[0, 3], [2, 0]])
    assert soft_cross_entropy(sure, counts).tolist() == [math.inf, 0.0]
    assert soft_jensen_shannon(sure, counts).tolist() == pytest.approx([math.log(2), 0.0])
    for wrong in (soft_cross_entropy, soft_jensen_shannon, total_variation_between):
        with pytest.raises(ValueError, match="row 1 of the reference is empty"):
            wrong(sure, torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
        with pytest.raises(ValueError, match="row 0 of the reference has entries that are negative"):
            wrong(sure, torch.tensor([[2.0, -1.0], [1.0, 0.0]]))


def test_a_reference_posterior_against_predictions():
    logs, _ = some(5, 3)
    reference = torch.rand(5, 3, generator=chance(4)).double()
    reference /= reference.sum(1, keepdim=True)
    p = logs.exp()
    expected = [
        sum(max(0.0, a - b) for a, b in zip(x, y, strict=True))
        for x, y in zip(p.tolist(), reference.tolist(), strict=True)
    ]
    assert np.allclose(total_variation_between(logs, reference), expected, atol=1e-12)
    assert agreement(logs, reference).tolist() == [
        float(a.argmax() == b.argmax()) for a, b in zip(p, reference, strict=True)
    ]
    assert total_variation_between(torch.eye(2).log(), torch.eye(2).flip(0)).tolist() == [1.0, 1.0]
    with pytest.raises(ValueError, match="row 0 do not sum to 1"):
        total_variation_between(logs, 1.01 * reference)


def test_checks_name_the_split_the_member_and_the_rows():
    logs, targets = some(6, 3)
    check_predictions(logs, targets, "test")
    check_predictions(torch.eye(3).log(), targets[:3], "test")
    check_logits(logs, "test", 4)
    bad = targets.clone()
    bad[4] = 3
    with pytest.raises(ValueError, match=r"^split test: targets outside 0 to 2, in 1 of 6 rows \(4\)$"):
        check_predictions(logs, bad, "test", 1)
    bad[4] = -1
    with pytest.raises(ValueError, match="targets outside 0 to 2"):
        check_targets(bad, 3, "test")
    with pytest.raises(ValueError, match="split test has no examples"):
        check_predictions(logs[:0], targets[:0], "test")
    with pytest.raises(ValueError, match="predictions of 6 examples, 5 targets"):
        check_predictions(logs, targets[:5], "test")
    spoiled = logs.clone()
    spoiled[1:, 0] = math.nan
    with pytest.raises(ValueError, match=r"split test, member 7: .* NaN, in 5 of 6 rows \(1, 2, 3, \.\.\.\)"):
        check_predictions(spoiled, targets, "test", 7)
    with pytest.raises(ValueError, match=r"member swag: logits that are not finite, in 5 of 6 rows"):
        check_logits(spoiled, "test", "swag")
    with pytest.raises(ValueError, match="no examples"):
        check_logits(logs[:0], "test")
    for offset in (2e-4, -2e-4, math.inf):
        with pytest.raises(ValueError, match=r"do not sum to 1 within 0\.0001, in 6 of 6 rows"):
            check_predictions(logs + offset, targets, "test")
    check_predictions(logs + 5e-5, targets, "test")


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=7), st.integers(-1, 10))
def test_equivalents_equal_their_slow_twin(curve, value):
    found = equivalent(torch.tensor([curve, curve]).double(), torch.tensor([float(value)] * 2))
    expected = slow.equivalent([float(x) for x in curve], float(value))
    assert found.tolist() == pytest.approx([expected] * 2)


def test_equivalents_at_the_ends_of_the_curve():
    curve = torch.tensor([[0.5, 0.3, 0.35, 0.2]]).expand(7, 4)
    value = torch.tensor([0.9, 0.5, 0.4, 0.3, 0.25, 0.2, 0.19])
    assert equivalent(curve, value).tolist() == pytest.approx([1.0, 1.0, 1.5, 2.0, 3.5, 4.0, math.inf])
    endless = torch.tensor([[math.inf, 0.3]]).expand(3, 2)
    assert equivalent(endless, torch.tensor([math.inf, 0.4, 0.2])).tolist() == [1.0, 2.0, math.inf]
    with pytest.raises(ValueError, match="must not be NaN"):
        equivalent(curve[:1], torch.tensor([math.nan]))
    with pytest.raises(ValueError, match="at least one size"):
        equivalent(curve[:, :0], value)


@pytest.mark.parametrize("power", [0.05, 0.3, 0.5, 1.0, 1.7, 2.0])
def test_a_forecast_continues_a_law(power):
    sizes, at = torch.tensor([1, 2, 3, 5]), torch.tensor([1, 2, 10, 100])
    law = torch.tensor([[0.7, 0.2], [0.1, 3.0]]).double()
    values = law[:, :1] + law[:, 1:] * sizes.double() ** -power
    expected = law[:, :1] + law[:, 1:] * at.double() ** -power
    assert np.allclose(forecast(sizes, values, at), expected, rtol=1e-4)


def test_a_forecast_is_the_best_fit():
    sizes = torch.arange(1, 7).double()
    values = torch.rand(4, 6, generator=chance(1)).double() + sizes**-0.8
    found = (forecast(sizes, values, sizes) - values).square().sum(dim=1)
    for power in torch.linspace(0.05, 2, 300):
        design = torch.stack([torch.ones(6).double(), sizes**-power], dim=1)
        errors = (design @ torch.linalg.lstsq(design, values.T).solution - values.T).square().sum(dim=0)
        assert (found <= errors + 1e-9).all()


def test_two_sizes_fall_as_one_over_size_and_nothing_rises():
    sizes, values = torch.tensor([1, 2]), torch.tensor([[0.5, 0.4], [0.4, 0.5]])
    found = forecast(sizes, values, torch.tensor([1, 2, 4, 1000]))
    assert found[0].tolist() == pytest.approx([0.5, 0.4, 0.35, 0.3002], abs=1e-6)
    assert found[1].tolist() == pytest.approx([0.45] * 4)
    rising = forecast(torch.tensor([1, 2, 3]), torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([1, 9]))
    assert rising[0].tolist() == pytest.approx([2.0, 2.0])


@pytest.mark.parametrize(
    ("sizes", "values", "message"),
    [
        ([1], [0.5], "at least two"),
        ([2, 2], [0.5, 0.4], "must differ"),
        ([0, 2], [0.5, 0.4], "at least 1"),
        ([1, 2], [0.5, math.inf], "must be finite"),
    ],
)
def test_forecasts_without_a_law_are_refused(sizes, values, message):
    with pytest.raises(ValueError, match=message):
        forecast(torch.tensor(sizes), torch.tensor([values]), torch.tensor([3]))
