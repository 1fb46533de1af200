"""The numbers and sentences of ``diversity_accuracy`` on planes written down by hand, where all can be counted."""

import math

import numpy as np
import pytest
import torch

from modescape.studies.diversity_accuracy_measures import (
    Cloud,
    Plane,
    Resample,
    best_of_equal_accuracy,
    plane_of,
    statistics,
)
from modescape.studies.diversity_accuracy_words import with_sentences

NAN = math.nan
EXAMPLES = 20


def plane(base, *members):
    """One draw; a member is (accuracy, disagreement)."""
    accuracy, disagreement = zip(*members, strict=True)
    rows = [torch.tensor([values], dtype=torch.float64) for values in (accuracy, disagreement)]
    return Plane(torch.tensor([base], dtype=torch.float64), *rows)


def best(base, other, tolerance, *samples):
    found = plane(base, *samples)
    accuracy = torch.tensor([other], dtype=torch.float64)
    return float(best_of_equal_accuracy(found, torch.arange(len(samples)), accuracy, tolerance))


# accuracy and disagreement; normalised disagreement is 0.5, 1 and 1.2
CLOSE, FAR, WILD = (0.8, 0.1), (0.7, 0.3), (0.5, 0.6)


@pytest.mark.parametrize(
    ("other", "tolerance", "expected"),
    [
        (0.75, 0.0, 0.5),  # only the close one is as accurate
        (0.75, 0.1, 1.0),  # 0.7 is at most 0.1 less
        (0.75, 0.3, 1.2),
        (0.7, 0.0, 1.0),  # as accurate is accurate enough
        (0.3, 0.0, 1.2),
        (0.95, 0.0, 0.0),  # nobody but the base comes nearest, and it never disagrees
        (0.95, 0.15, 0.5),  # counted from the base, which has 0.9
        (0.95, 0.25, 1.0),
    ],
)
def test_the_best_sample_is_the_most_diverse_of_those_about_as_accurate(other, tolerance, expected):
    assert best(0.9, other, tolerance, CLOSE, FAR, WILD) == pytest.approx(expected)


def test_without_a_sample_as_accurate_the_most_accurate_one_counts():
    assert best(0.6, 0.95, 0.0, CLOSE, FAR, WILD) == pytest.approx(0.5)
    assert best(0.6, 0.95, 0.15, CLOSE, FAR, WILD) == pytest.approx(1.0)


def test_a_sample_without_error_counts_as_one_that_never_disagrees():
    assert best(0.9, 0.9, 0.0, (1.0, 0.1)) == 0.0
    assert best(0.9, 0.9, 0.1, (1.0, 0.1), CLOSE) == pytest.approx(0.5)


def test_each_draw_has_its_own_best_sample():
    accuracy = torch.tensor([[0.8, 0.7], [0.6, 0.9]], dtype=torch.float64)
    disagreement = torch.tensor([[0.1, 0.3], [0.4, 0.2]], dtype=torch.float64)
    found = Plane(torch.tensor([0.9, 0.9], dtype=torch.float64), accuracy, disagreement)
    values = best_of_equal_accuracy(found, torch.arange(2), torch.tensor([0.7, 0.8], dtype=torch.float64), 0.0)
    assert values.tolist() == pytest.approx([1.0, 2.0])
    only_first = best_of_equal_accuracy(found, torch.tensor([0]), torch.tensor([0.7, 0.8], dtype=torch.float64), 0.0)
    assert only_first.tolist() == pytest.approx([0.5, 0.0])


def test_a_plane_comes_from_means_of_errors_and_differences():
    found = plane_of(torch.tensor([[0.1, 0.2, 0.3, 0.05, 0.6]], dtype=torch.float64))
    assert found.base.tolist() == pytest.approx([0.9])
    assert found.accuracy[0].tolist() == pytest.approx([0.8, 0.7])
    assert found.disagreement[0].tolist() == pytest.approx([0.05, 0.6])
    assert found.normalised[0].tolist() == pytest.approx([0.25, 2.0])


def told(base, samples, others, *, tolerance=0.0, members=(3, 5, 8), own=5):
    """Statistics of one base, member ``own``; ``others`` are the solutions of the other members in order."""
    numbers = [*range(len(samples)), *(m for m in members if m != own)]
    kinds = ["swag"] * len(samples) + ["independent"] * len(others)
    points = plane(base, *samples, *others)
    cloud = Cloud(own, kinds, {"number": torch.tensor(numbers, dtype=torch.float64)}, torch.zeros(0))
    arguments = {"subspaces": ["swag"], "tolerance": tolerance}
    return {n: values[0].tolist() for n, values in statistics(points, cloud, members, arguments, 10).items()}


def test_every_other_solution_has_its_own_gap_and_the_base_has_none():
    # normalised disagreement of the others is 1.5 and 2
    found = told(0.9, [CLOSE, FAR, WILD], [(0.8, 0.3), (0.7, 0.6)])
    assert found["independent_normalised_disagreement"] == pytest.approx([1.5, NAN, 2.0], nan_ok=True)
    assert found["sample_of_equal_accuracy"] == pytest.approx([0.5, NAN, 1.0], nan_ok=True)
    assert found["gap"] == pytest.approx([1.0, NAN, 1.0], nan_ok=True)
    assert found["accuracy_independent"] == pytest.approx([0.8, NAN, 0.7], nan_ok=True)
    assert found["accuracy_base"] == pytest.approx(0.9)


def test_a_solution_is_matched_by_one_sample_that_is_as_accurate_and_as_diverse():
    # the second is less diverse than FAR but more accurate, and less accurate than CLOSE but more diverse
    found = told(0.9, [CLOSE, FAR], [(0.7, 0.3), (0.75, 0.2)])
    assert found["dominated"] == pytest.approx([1.0, NAN, 0.0], nan_ok=True)


def test_a_solution_without_error_has_no_gap():
    found = told(0.9, [CLOSE], [(1.0, 0.1), (0.8, 0.3)])
    assert found["gap"] == pytest.approx([NAN, NAN, 1.0], nan_ok=True)
    assert found["dominated"] == pytest.approx([0.0, NAN, 0.0], nan_ok=True)


# in the last case two samples are more accurate than the base by more than the tolerance, and one is less
@pytest.mark.parametrize(
    ("base", "tolerance", "expected"), [(0.8, 0.05, 0.5), (0.8, 0.15, 1.0), (0.9, 0.05, 0.0), (0.6, 0.05, 0.0)]
)
def test_near_the_base_is_within_the_tolerance_on_both_sides(base, tolerance, expected):
    found = told(base, [CLOSE, FAR, WILD], [FAR, FAR], tolerance=tolerance)
    assert found["sample_near_base"] == pytest.approx(expected)
    above = told(0.75, [CLOSE, WILD], [FAR, FAR], tolerance=0.06)
    assert above["sample_near_base"] == pytest.approx(0.5)


def test_a_cloud_on_the_lower_limit_has_exponent_one():
    # labels of a base with accuracy 0.82 flipped at random: d = (K - 1) (a* - a) / (K a* - 1)
    accuracies = (0.8, 0.6, 0.4)
    flipped = [(a, 9 * (0.82 - a) / (10 * 0.82 - 1)) for a in accuracies]
    assert told(0.82, flipped, [FAR, FAR])["exponent_swag"] == pytest.approx(1, abs=1e-4)
    assert math.isnan(told(0.82, [(0.82, 0.0)], [FAR, FAR])["exponent_swag"])


def errors(bases, members, seed=1):
    """Where base and member disagree, [base, member, example]: bases differ much, members less, examples a little."""
    chance = np.random.default_rng(seed)
    level = np.linspace(0.15, 0.75, bases)[:, None] + np.linspace(-0.1, 0.1, members)
    return (chance.random((bases, members, EXAMPLES)) < level[..., None]).astype(np.float64)


def rows_of(found, resample, own=True):
    """What ``Resample.row`` says of a mean over examples; base b is member b, and its own place is NaN."""
    values, drawn = [], []
    for base, part in enumerate(found):
        means = torch.tensor(part.mean(axis=-1))[None]
        draws = resample.examples(torch.tensor(part))
        for each in (means, draws):
            if own:
                each[:, base] = NAN
        values.append(means)
        drawn.append(draws)
    return resample.row("anything", values, drawn)


def brute_force(found, draws, paired=True):
    """Examples, bases and solutions drawn anew, pair by pair; a base is not compared with itself."""
    chance = np.random.default_rng(7)
    bases, members, examples = found.shape
    means = []
    for _ in range(draws):
        picked = chance.integers(0, examples, examples)
        own, others = chance.integers(0, bases, bases), chance.integers(0, members, members)
        seen = found[:, :, picked].mean(axis=2)
        pairs = [seen[b, m] for b in own for m in (others if paired else range(members)) if m != b]
        if pairs:
            means.append(np.mean(pairs))
    return np.array(means)


def assert_ends_agree(row, means, draws):
    # an end of the interval is the 0.025 quantile of the draws, whose standard error is 0.042 deviations for 4,000
    # normal draws; both sides are drawn, and four of those are allowed
    bound = 4 * math.sqrt(2) * 0.042 * math.sqrt(4000 / draws) * means.std()
    low, high = np.quantile(means, [0.025, 0.975])
    assert row[1] == pytest.approx(low, abs=bound)
    assert row[2] == pytest.approx(high, abs=bound)
    assert high - low > 6 * bound, "the bound would pass anything"


def test_the_interval_of_pairs_is_over_examples_bases_and_solutions():
    found, draws = errors(6, 6), 4000
    row = rows_of(found, Resample(0, draws, 6, 6))
    pairs = [found[b, m].mean() for b in range(6) for m in range(6) if b != m]
    assert row[0] == pytest.approx(np.mean(pairs), abs=1e-12)
    assert row[3:] == pytest.approx((min(pairs), max(pairs), 30), abs=1e-12)
    assert_ends_agree(row, brute_force(found, draws), draws)
    fixed = found[:, :, np.random.default_rng(0).integers(0, EXAMPLES, (draws, EXAMPLES))].mean(axis=(0, 1, 3))
    narrow = np.subtract(*np.quantile(fixed, [0.975, 0.025]))
    assert row[2] - row[1] > 1.5 * narrow, "chance in the examples alone does not make such an interval"


def test_solutions_are_drawn_as_well_as_bases():
    """Bases that are alike and solutions that are not: without drawing solutions the interval would be narrow."""
    found, draws = errors(6, 6).transpose(1, 0, 2), 4000
    row = rows_of(found, Resample(0, draws, 6, 6))
    assert_ends_agree(row, brute_force(found, draws), draws)
    assert row[2] - row[1] > 1.5 * np.subtract(*np.quantile(brute_force(found, 1000, paired=False), [0.975, 0.025]))


def test_the_interval_of_bases_is_over_examples_and_bases():
    found, draws = errors(6, 1), 4000
    resample = Resample(0, draws, 6, 6)
    values = [torch.tensor(part.mean(axis=-1)) for part in found]
    row = resample.row("anything", values, [resample.examples(torch.tensor(part))[:, 0] for part in found])
    means = [found[:, 0].mean(axis=1)[base].item() for base in range(6)]
    assert (row[0], *row[3:]) == pytest.approx((np.mean(means), min(means), max(means), 6), abs=1e-12)
    chance = np.random.default_rng(7)
    again = []
    for _ in range(draws):
        picked, own = chance.integers(0, EXAMPLES, EXAMPLES), chance.integers(0, 6, 6)
        again.append(np.mean([found[base, 0, picked].mean() for base in own]))
    assert_ends_agree(row, np.array(again), draws)


def test_one_base_and_one_pair_leave_chance_to_the_examples():
    found = errors(1, 2)
    row = rows_of(found, Resample(0, 2000, 2, 1))
    chance = np.random.default_rng(7)
    again = [found[0, 1, chance.integers(0, EXAMPLES, EXAMPLES)].mean() for _ in range(2000)]
    assert_ends_agree(row, np.array(again), 2000)
    assert row[0] == row[3] == row[4] == pytest.approx(found[0, 1].mean())
    assert row[5] == 1


def test_what_never_has_a_value_has_no_interval():
    nothing = [torch.full((1,), NAN, dtype=torch.float64)] * 2
    row = Resample(0, 100, 3, 2).row("anything", nothing, [torch.full((100,), NAN, dtype=torch.float64)] * 2)
    assert all(math.isnan(value) for value in row[:5])
    assert row[5] == 0


def test_choices_repeat_and_move_with_the_root():
    first, again, other = (Resample(root, 100, 4, 3) for root in (0, 0, 1))
    assert torch.equal(first.member_weight, again.member_weight)
    assert not torch.equal(first.member_weight, other.member_weight)
    assert first.base_weight.sum(dim=1).eq(3).all()
    assert first.member_weight.sum(dim=1).eq(4).all()
    values = torch.linspace(0, 1, 2 * EXAMPLES, dtype=torch.float64).view(2, EXAMPLES)
    assert torch.equal(first.examples(values), first.examples(values)), "base after base sees the same examples"


# two bases; of the six members of SWAG that were asked for five were kept
ENSEMBLES = [
    {"kind": "swag", "asked": 3, "tried": 3, "kept": 3},
    {"kind": "swag", "asked": 3, "tried": 15, "kept": 2},
    *({"kind": kind, "asked": 3, "tried": 2, "kept": 2} for kind in ("independent", "trajectory") for _ in range(2)),
]
FACTS = {"split": "test", "tolerance": 0.01, "classes": 10, "ensembles": ENSEMBLES}
ANSWERS = {
    "gap": (0.5, 0.3, 0.7, 0.2, 0.8, 4),
    "independent_normalised_disagreement": (0.9, 0.8, 1.0, 0.7, 1.1, 4),
    "sample_of_equal_accuracy": (0.4, 0.3, 0.5, 0.2, 0.6, 4),
    "dominated": (0.25, 0.0, 0.5, 0.0, 1.0, 4),
    "sample_near_base": (0.3, 0.2, 0.4, 0.1, 0.5, 2),
    "accuracy_base": (0.8, 0.78, 0.82, 0.79, 0.81, 2),
    "accuracy_independent": (0.79, 0.77, 0.81, 0.78, 0.8, 4),
    "exponent_swag": (0.62, 0.5, 0.8, 0.6, 0.64, 2),
    "divergence_swag": (0.012, 0.01, 0.014, 0.011, 0.013, 2),
    "divergence_independent": (0.25, 0.2, 0.3, 0.24, 0.26, 2),
    "divergence_trajectory": (0.1, 0.09, 0.11, 0.1, 0.1, 2),
}


def sentences(facts=FACTS, **changed):
    names = ("value", "low", "high", "least", "most", "count")
    numbers = {**ANSWERS, **changed}
    rows = [{"quantity": quantity, **dict(zip(names, row, strict=True))} for quantity, row in numbers.items()]
    return {row["quantity"]: row["sentence"] for row in with_sentences(rows, facts)}


@pytest.mark.parametrize(
    ("gap", "verdict", "words"),
    [
        ((0.5, 0.3, 0.7, 0.2, 0.8, 4), "Sampling around one solution does not replace other solutions", "0.50 more"),
        ((-0.5, -0.7, -0.3, -0.8, -0.2, 4), "Sampling around one solution is more diverse than other", "0.50 less"),
        ((0.1, -0.2, 0.4, -0.3, 0.5, 4), "Samples around one solution and other solutions are not told", "0.10 more"),
        ((0.0, 0.0, 0.0, 0.0, 0.0, 4), "Samples around one solution and other solutions are not told", "0.00 more"),
    ],
)
def test_the_verdict_is_that_of_the_interval(gap, verdict, words):
    sentence = sentences(gap=gap)["gap"]
    assert sentence.startswith(verdict)
    assert words in sentence
    assert f"(95% interval {gap[1]:.2f} to {gap[2]:.2f})" in sentence
    assert "a normalised disagreement of 0.90" in sentence
    assert "that is at most 1 point less accurate has 0.40" in sentence


def test_a_gap_without_a_value_says_why():
    sentence = sentences(gap=(NAN, NAN, NAN, NAN, NAN, 0))["gap"]
    assert sentence == "The gap has no value: no solution makes an error on the test examples."


def test_every_sentence_says_its_numbers():
    found = sentences()
    assert "0.90 times as many test examples" in found["independent_normalised_disagreement"]
    assert "over 4 pairs 0.70 to 1.10" in found["independent_normalised_disagreement"]
    assert "the most diverse has 0.40 (95% interval 0.30 to 0.50)" in found["sample_of_equal_accuracy"]
    assert "the most diverse sample has a normalised disagreement of 0.30" in found["sample_near_base"]
    assert "right on 80.0% of the test examples (95% interval 78.0% to 82.0%)" in found["accuracy_base"]
    assert "right on 79.0%" in found["accuracy_independent"]
    assert "The cloud of SWAG follows the curve with exponent 0.62" in found["exponent_swag"]
    assert "members drawn by SWAG has a Jensen-Shannon divergence of 0.012 nats" in found["divergence_swag"]
    assert "late checkpoints of one trajectory has" in found["divergence_trajectory"]
    assert found["divergence_swag"].endswith("; 5 of 6 were kept in 18 tries.")
    assert not any("kept" in sentence for name, sentence in found.items() if name != "divergence_swag")
    ordered = "In order: independent 0.250, trajectory 0.100, SWAG 0.012."
    assert found["divergence_independent"].endswith(ordered)
    assert not any("nan" in sentence for sentence in found.values())
    assert not any("chance" in sentence for sentence in found.values())


@pytest.mark.parametrize(
    ("share", "count", "start"),
    [
        (0.0, 1, "The one pair of a base and an independent solution has no sample"),
        (1.0, 1, "The one pair of a base and an independent solution has a sample"),
        (0.0, 4, "None of 4 pairs of a base and an independent solution has"),
        (0.25, 4, "1 of 4 pairs of a base and an independent solution has"),
        (0.5, 4, "2 of 4 pairs of a base and an independent solution have"),
    ],
)
def test_matched_solutions_are_counted(share, count, start):
    assert sentences(dominated=(share, 0.0, 1.0, 0.0, 1.0, count))["dominated"].startswith(start)


def test_one_is_not_spoken_of_as_many():
    one = {name: (*row[:5], 1) for name, row in ANSWERS.items()}
    found = sentences(**one)
    assert found["accuracy_base"].endswith("; one base.")
    assert found["independent_normalised_disagreement"].endswith("; one pair.")
    assert "points" in sentences({**FACTS, "tolerance": 0.02})["gap"]
    assert "points" not in found["sample_near_base"]


def test_networks_that_guess_say_nothing_of_trained_ones():
    guessing = sentences(accuracy_base=(0.12, 0.1, 0.14, 0.11, 0.13, 2))
    assert guessing["gap"].endswith("no better than chance: of trained networks this says nothing.")
    assert not any("no better" in sentence for name, sentence in guessing.items() if name != "gap")
    assert "no better" not in sentences(accuracy_base=(0.12, 0.101, 0.14, 0.11, 0.13, 2))["gap"]
    two = {**FACTS, "classes": 2}
    assert "no better" in sentences(two, accuracy_base=(0.5, 0.49, 0.51, 0.5, 0.5, 2))["gap"]


def test_a_cloud_without_exponent_says_so():
    assert "has no exponent" in sentences(exponent_swag=(NAN, NAN, NAN, NAN, NAN, 0))["exponent_swag"]
