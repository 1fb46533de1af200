import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from references import slow

from modescape.core.diversity import disagreement as module
from modescape.core.diversity.disagreement import (
    differing,
    disagreement_matrix,
    normalised_disagreement,
    pairwise_per_example,
)
from modescape.core.diversity.embedding import isometric, nearest_neighbour_purity, pca, tsne
from modescape.core.predictions import Predictions, ensemble_probabilities
from modescape.core.scores.accuracy import accuracy
from modescape.core.scores.intervals import bootstrap_means, percentile_interval
from modescape.core.scores.proper import nll


def chance(seed=0):
    return torch.Generator().manual_seed(seed)


def some_classes(members, examples, count, seed=0):
    return torch.randint(0, count, (members, examples), generator=chance(seed))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(2, 6), st.integers(1, 40), st.integers(2, 7), st.integers(0, 10**6))
def test_disagreement_counts_as_the_slow_twin_does(members, examples, count, seed):
    classes = some_classes(members, examples, count, seed)
    found = disagreement_matrix(classes, count)
    assert np.array_equal(found.numpy(), slow.disagreement(classes)) or np.allclose(
        found.numpy(), slow.disagreement(classes), atol=1e-15
    )
    assert torch.equal(found, found.T)
    assert (found.diagonal() == 0).all()
    assert ((found >= 0) & (found <= 1)).all()
    per_example = pairwise_per_example(classes, count)
    # sums of a few fractions in another order
    assert np.allclose(per_example.numpy(), slow.pairwise_per_example(classes), atol=1e-14)
    from_first = differing(classes, classes[0]).double().mean(dim=1)
    assert np.allclose(from_first.numpy(), slow.disagreement(classes)[0], atol=1e-15)
    upper = found[tuple(torch.triu_indices(members, members, 1))]
    assert float(per_example.mean()) == pytest.approx(float(upper.mean()), abs=1e-14)


def test_blocks_change_nothing(monkeypatch):
    classes = some_classes(4, 101, 5)
    whole = disagreement_matrix(classes, 5)
    monkeypatch.setattr(module, "BLOCK", 4 * 5 * 7)
    assert torch.equal(disagreement_matrix(classes, 5), whole)


def test_normalised_disagreement_divides_by_the_error_of_the_compared_member():
    matrix = torch.tensor([[0.0, 0.2], [0.2, 0.0]])
    found = normalised_disagreement(matrix, torch.tensor([0.4, 0.1]))
    assert torch.allclose(found, torch.tensor([[0.0, 2.0], [0.5, 0.0]]))
    assert normalised_disagreement(matrix, torch.tensor([0.4, 0.0])).isnan().tolist() == [[False, True], [False, True]]


def test_scores_equal_their_slow_twins():
    logits = 3 * torch.randn(3, 20, 4, generator=chance())
    targets = torch.randint(0, 4, (20,), generator=chance(1))
    expected = [slow.nll(member.double().tolist(), targets.tolist()) for member in logits]
    assert nll(logits, targets).tolist() == pytest.approx(expected, abs=1e-12)
    right = [sum(r.argmax() == t for r, t in zip(m, targets, strict=True)) / 20 for m in logits]
    assert accuracy(logits.argmax(-1), targets).tolist() == pytest.approx([float(r) for r in right])


def test_likelihood_survives_probabilities_that_underflow():
    logits = torch.tensor([[[0.0, 2000.0]]])
    assert nll(logits, torch.tensor([0])).tolist() == [2000.0]


def test_the_ensemble_averages_within_origins_first():
    logits = torch.randn(4, 6, 3, generator=chance())
    origins = (7, 7, 7, 2)
    found = ensemble_probabilities(Predictions(logits, torch.zeros(6, dtype=torch.int64), origins, "test"))
    assert np.allclose(found.numpy(), slow.nested_mean(logits.double().tolist(), origins), atol=1e-12)
    flat = logits.double().softmax(-1).mean(0)
    assert not torch.allclose(found, flat, atol=1e-3)
    order = [2, 3, 0, 1]
    again = ensemble_probabilities(
        Predictions(logits[order], torch.zeros(6, dtype=torch.int64), tuple(origins[i] for i in order), "test")
    )
    assert torch.allclose(found, again, atol=1e-15)


def test_bootstrap_has_the_moments_of_the_mean():
    values = torch.rand(3, 400, generator=chance()).double()
    draws = bootstrap_means(values, 4000, chance(1))
    error = values.std(dim=1, correction=0) / 20
    # the mean of 4,000 draws has a standard error of error / sqrt(4000); the spread one of error / sqrt(8000)
    assert ((draws.mean(0) - values.mean(1)).abs() < 4 * error / 4000**0.5).all()
    assert ((draws.std(0) - error).abs() < 4 * error / 8000**0.5).all()


def test_all_items_share_the_examples_of_a_draw():
    values = torch.rand(1, 50, generator=chance()).double()
    draws = bootstrap_means(torch.cat([values, 1 - values]), 150, chance(2))
    assert torch.allclose(draws.sum(dim=1), torch.ones(150, dtype=torch.float64), atol=1e-12)


def test_percentiles_leave_out_what_has_no_value():
    draws = torch.cat([torch.arange(101.0), torch.tensor([torch.nan])])
    assert percentile_interval(draws) == pytest.approx((2.5, 97.5))


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(2, 9), st.integers(1, 60), st.integers(0, 10**6))
def test_the_isometric_reduction_keeps_every_distance(points, dimensions, seed):
    cloud = torch.randn(points, dimensions, generator=chance(seed)).double()
    reduced = isometric(cloud)
    assert reduced.shape == (points, points)
    # eigenvalues of a Gram matrix carry errors of 1e-16 times its norm, distances the root of that
    assert torch.allclose(torch.cdist(cloud, cloud), torch.cdist(reduced, reduced), atol=1e-6)


def test_pca_equals_the_library():
    from sklearn.decomposition import PCA

    cloud = torch.randn(12, 30, generator=chance()).double()
    library = PCA(2, svd_solver="full").fit(cloud.numpy())
    found = pca(isometric(cloud))
    expected = torch.from_numpy(library.transform(cloud.numpy()))
    signs = torch.sign((found.points * expected).sum(0))
    assert torch.allclose(found.points, expected * signs, atol=1e-9)
    assert found.explained == pytest.approx(library.explained_variance_ratio_.sum(), abs=1e-12)


def test_tsne_repeats_for_a_seed_and_moves_for_another():
    reduced = isometric(torch.randn(15, 40, generator=chance()))
    first, again, other = (tsne(reduced, 4.0, seed) for seed in (0, 0, 1))
    assert torch.equal(first.points, again.points)
    assert not torch.allclose(first.points, other.points)
    assert first.divergence > 0
    with pytest.raises(ValueError, match="perplexity must lie between 0 and the 15 points"):
        tsne(reduced, 15.0, 0)


def test_purity_equals_its_slow_twin_and_its_limits():
    points = torch.randn(25, 2, generator=chance()).double()
    labels = torch.randint(0, 3, (25,), generator=chance(1))
    assert nearest_neighbour_purity(points, labels) == pytest.approx(slow.purity(points.tolist(), labels.tolist()))
    apart = torch.tensor([[0.0, 0], [0, 1], [9, 9], [9, 8]])
    assert nearest_neighbour_purity(apart, torch.tensor([0, 0, 1, 1])) == 1
    assert nearest_neighbour_purity(apart, torch.tensor([0, 1, 0, 1])) == 0
