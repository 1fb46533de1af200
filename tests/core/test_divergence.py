import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from references import slow

from modescape.core.diversity import divergence as module
from modescape.core.diversity.divergence import (
    divergence_matrix,
    entropy,
    jensen_shannon,
    kullback_leibler,
    total_variation,
)


def some_logits(*shape, seed=0, scale=2.0):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(1, 5), st.integers(1, 6), st.integers(2, 6), st.integers(0, 10**6))
def test_divergences_equal_their_slow_twins(members, examples, classes, seed):
    logits = some_logits(members, examples, classes, seed=seed)
    reference = some_logits(examples, classes, seed=seed + 1)
    rows, against = logits.double().tolist(), reference.double().tolist()

    def each(twin):
        return [[twin(row, other) for row, other in zip(member, against, strict=True)] for member in rows]

    forwards = kullback_leibler(logits, reference)
    assert forwards.shape == (members, examples)
    assert np.allclose(forwards, each(slow.kullback_leibler), atol=1e-12)
    backwards = kullback_leibler(reference, logits)
    assert np.allclose(backwards, each(lambda row, other: slow.kullback_leibler(other, row)), atol=1e-12)
    assert np.allclose(total_variation(logits, reference), each(slow.total_variation), atol=1e-12)
    expected = [slow.jensen_shannon([member[n] for member in rows]) for n in range(examples)]
    assert np.allclose(jensen_shannon(logits), expected, atol=1e-12)
    assert np.allclose(entropy(logits)[0], [slow.entropy(slow.softmax(row)) for row in rows[0]], atol=1e-12)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(1, 5), st.integers(1, 9), st.integers(2, 6), st.integers(0, 10**6))
def test_the_matrix_of_divergences_equals_its_slow_twin(members, examples, classes, seed):
    logits = some_logits(members, examples, classes, seed=seed)
    rows = logits.double().tolist()
    expected = [[sum(map(slow.kullback_leibler, one, other)) / examples for other in rows] for one in rows]
    found = divergence_matrix(logits)
    # a difference of two sums of a few nats each
    assert np.allclose(found, expected, atol=1e-12)
    assert (found.diagonal() == 0).all()
    assert (found >= 0).all()


def test_blocks_of_examples_change_nothing_but_the_order_of_sums(monkeypatch):
    logits = some_logits(4, 50, 3)
    whole = divergence_matrix(logits)
    monkeypatch.setattr(module, "BLOCK", 4 * 3 * 7)
    assert torch.allclose(divergence_matrix(logits), whole, atol=1e-13, rtol=0)


def test_the_matrix_is_infinite_where_one_excludes_what_the_other_expects():
    never, always = [0.0, -math.inf], [0.0, 0.0]
    found = divergence_matrix(torch.tensor([[always, always], [always, never], [never, never]]))
    assert found[0].tolist() == [0.0, math.inf, math.inf]
    assert found[1].tolist() == pytest.approx([0.5 * math.log(2), 0.0, math.inf])
    assert found[2].tolist() == pytest.approx([math.log(2), 0.5 * math.log(2), 0.0])


def test_the_two_directions_of_kl_differ():
    a, b = some_logits(3, 4), some_logits(3, 4, seed=1)
    assert not torch.allclose(kullback_leibler(a, b), kullback_leibler(b, a), atol=1e-3)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(2, 6), st.integers(0, 10**6))
def test_divergences_stay_within_their_bounds(members, seed):
    logits = some_logits(members, 5, 4, seed=seed, scale=30.0)
    found = jensen_shannon(logits)
    assert ((found >= 0) & (found <= math.log(members) + 1e-12)).all()
    assert (kullback_leibler(logits, logits[:1]) >= 0).all()
    apart = total_variation(logits[0], logits[1])
    assert ((apart >= 0) & (apart <= 1)).all()
    # Pinsker's inequality binds two of them
    assert (2 * apart.square() <= kullback_leibler(logits[0], logits[1]) + 1e-9).all()
    assert torch.allclose(found, jensen_shannon(logits.flip(0)), atol=1e-12)


def test_equal_members_do_not_diverge_and_certain_opposites_diverge_fully():
    same = some_logits(1, 7, 3).expand(4, 7, 3)
    assert jensen_shannon(same).max() < 1e-12
    assert kullback_leibler(same, same).max() == 0
    certain = 1000 * torch.eye(3)[:, None]
    assert jensen_shannon(certain).tolist() == pytest.approx([math.log(3)])
    assert total_variation(certain[0], certain[1]).tolist() == [1.0]
    # probabilities underflow, their logarithms do not
    assert kullback_leibler(certain[0], certain[1]).tolist() == [1000.0]
    assert entropy(certain[0]).tolist() == [0.0]


def test_no_members_have_no_divergence():
    with pytest.raises(ValueError, match="at least one member"):
        jensen_shannon(torch.zeros(0, 3, 2))
