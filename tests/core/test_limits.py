import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from references import slow
from scipy.optimize import minimize_scalar

from modescape.core.diversity.limits import family, family_accuracy, fit_exponent, lower_limit, upper_limit


def wide(*values):
    return torch.tensor(values, dtype=torch.float64)


BASES = st.floats(0.3, 0.99)
CLASSES = st.integers(3, 20)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(BASES, CLASSES)
def test_both_limits_pass_through_chance_and_the_lower_one_starts_at_the_base(base, classes):
    base = max(base, 1.5 / classes)
    chance = wide(1 / classes)
    for limit in (upper_limit, lower_limit):
        assert float(limit(chance, base, classes) / (1 - chance)) == pytest.approx(1, abs=1e-12)
    assert float(lower_limit(wide(base), base, classes)) == pytest.approx(0, abs=1e-12)
    grid = torch.linspace(1 / classes, base, 30, dtype=torch.float64)
    assert (lower_limit(grid, base, classes) <= upper_limit(grid, base, classes) + 1e-12).all()


@pytest.mark.parametrize(
    ("base", "level"), [(0.64, 1.60), (0.70, 1.67), (0.71, 1.68), (0.76, 1.73), (0.89, 1.88), (0.90, 1.89)]
)
def test_the_upper_limit_at_the_base_is_what_the_formula_gives_by_hand(base, level):
    found = upper_limit(wide(base), base, 10) / (1 - base)
    assert float(found) == pytest.approx(2 * base + (1 - base) * 8 / 9, abs=1e-12)
    assert float(found) == pytest.approx(level, abs=0.005)


def test_the_lower_limit_is_random_flipping():
    count, chance = 400_000, np.random.default_rng(0)
    for flipped in (0.1, 0.5, 0.9):
        accuracy, apart = slow.flipped_labels(0.7, flipped, flipped, 10, count, chance)
        # a fraction of 400,000 has a standard error of at most 0.0008; the curve's slope is below 1.2
        assert float(lower_limit(wide(accuracy), 0.7, 10)) == pytest.approx(apart, abs=0.005)


def test_the_upper_limit_is_independence():
    count, chance = 400_000, np.random.default_rng(1)
    first, second = (np.where(chance.random(count) < a, 0, 1 + chance.integers(0, 9, count)) for a in (0.7, 0.55))
    apart = float((first != second).mean())
    assert float(upper_limit(wide(float((second == 0).mean())), 0.7, 10)) == pytest.approx(apart, abs=0.004)


@pytest.mark.parametrize(("flipped", "exponent"), [(0.05, 0.25), (0.3, 0.5), (0.6, 2.0)])
def test_the_family_is_flipping_right_and_wrong_labels_at_different_rates(flipped, exponent):
    chance = np.random.default_rng(2)
    counted = slow.flipped_labels(0.7, flipped, flipped**exponent, 10, 400_000, chance)
    found = family(wide(flipped), wide(exponent), wide(0.7), 10)
    # four standard errors of a fraction of 400,000
    assert [float(value) for value in found] == pytest.approx(counted, abs=0.0032)


def test_exponent_one_is_the_lower_limit():
    accuracy, apart = family(torch.linspace(0, 1, 50, dtype=torch.float64), wide(1.0), wide(0.8), 10)
    assert torch.allclose(lower_limit(accuracy, 0.8, 10), apart, atol=1e-12)


def test_a_base_that_guesses_has_no_lower_limit():
    assert lower_limit(wide(0.1), 0.1, 10).isnan().all()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.floats(0.01, 10), BASES, CLASSES)
def test_the_point_of_a_curve_is_found_from_its_disagreement(exponent, base, classes):
    flipped = torch.cat([wide(0.0), torch.logspace(-9, 0, 60, dtype=torch.float64)])
    accuracy, apart = family(flipped, wide(exponent), wide(base), classes)
    found = family_accuracy(apart, wide(exponent), wide(base), classes)
    assert torch.allclose(found, accuracy, atol=1e-9)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.floats(0.03, 5), st.floats(0.4, 0.95), st.integers(0, 10**6))
def test_the_fit_returns_the_exponent_that_made_the_cloud(exponent, base, seed):
    flipped = torch.rand(30, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    accuracy, apart = family(flipped, wide(exponent), wide(base), 10)
    # thirty sections of a bracket of width 0.9 leave 1e-6 of the logarithm
    assert float(fit_exponent(accuracy, apart, torch.tensor(base), 10)) == pytest.approx(exponent, rel=1e-4)


def test_the_fit_is_the_least_squares_of_an_independent_optimiser():
    chance = torch.Generator().manual_seed(3)
    accuracy, apart = family(torch.rand(40, generator=chance).double(), wide(0.3), wide(0.7), 10)
    accuracy = accuracy + 0.03 * torch.randn(40, generator=chance)

    def loss(log_exponent):
        grid = np.logspace(-12, 0, 20001)
        curve = family(torch.from_numpy(grid), wide(np.exp(log_exponent)), wide(0.7), 10)
        return float(((np.interp(apart, curve[1], curve[0]) - accuracy.numpy()) ** 2).sum())

    expected = np.exp(minimize_scalar(loss, bounds=(-4, 2), method="bounded", options={"xatol": 1e-6}).x)
    assert float(fit_exponent(accuracy, apart, torch.tensor(0.7), 10)) == pytest.approx(expected, rel=1e-3)


def test_many_clouds_are_fitted_as_each_alone():
    chance = torch.Generator().manual_seed(4)
    apart = torch.rand(5, 12, generator=chance).double()
    accuracy = (0.8 - 0.7 * apart + 0.05 * torch.randn(5, 12, generator=chance)).double()
    base = wide(0.7, 0.75, 0.8, 0.85, 0.9)
    together = fit_exponent(accuracy, apart, base, 10)
    alone = [float(fit_exponent(a, d, b, 10)) for a, d, b in zip(accuracy, apart, base, strict=True)]
    assert together.tolist() == pytest.approx(alone, rel=1e-9)


@pytest.mark.parametrize(
    ("base", "accuracy", "normalised", "exponent"),
    [
        (0.70, (0.50, 0.60, 0.65), (0.89, 0.77, 0.66), 0.26),
        (0.76, (0.50, 0.60, 0.65, 0.70), (0.93, 0.88, 0.81, 0.69), 0.25),
        (0.89, (0.50, 0.60, 0.70, 0.80, 0.85), (0.98, 0.97, 0.93, 0.84, 0.67), 0.22),
    ],
)
def test_the_clouds_of_the_papers_figure_6_have_its_exponents(base, accuracy, normalised, exponent):
    """Medians read off the figure; the paper remembers 0.22 for a ResNet20v1."""
    found = wide(*accuracy)
    apart = wide(*normalised) * (1 - found)
    assert float(fit_exponent(found, apart, torch.tensor(base), 10)) == pytest.approx(exponent, abs=0.01)


def test_a_cloud_that_never_leaves_the_base_has_no_exponent():
    assert fit_exponent(wide(0.7, 0.7), wide(0.0, 0.0), torch.tensor(0.7), 10).isnan()
    found = fit_exponent(wide(0.7, 0.6), wide(0.0, 0.2), torch.tensor(0.7), 10)
    assert torch.isfinite(found)
