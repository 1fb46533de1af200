"""Summaries of members against the members themselves, one by one."""

import math

import numpy as np
import pytest
import torch
from references import slow

from modescape.core.methods.summary import NotFinite, Summarise, pooled, summarise, summary_of
from modescape.core.predictions import Predictions, ensemble_probabilities
from modescape.core.reductions import Block, Chunk

EXAMPLES, CLASSES = 7, 4


def logits_of(members, seed=0, spread=3.0):
    return spread * torch.randn(members, EXAMPLES, CLASSES, generator=torch.Generator().manual_seed(seed))


def summarised(logits, blocks=(), chunk=3):
    """The summary as the evaluation makes it: block by block, chunk by chunk."""
    reduction, parts = Summarise(), []
    for members in logits.split(list(blocks) or [len(logits)]):
        partial = reduction.start(Block((0,) * len(members), EXAMPLES, members.shape[-1], members.device))
        for first in range(0, EXAMPLES, chunk):
            rows = members[:, first : first + chunk]
            reduction.add(partial, Chunk(first, rows, torch.zeros(rows.shape[1], dtype=torch.int64)))
        parts.append(partial)
    return reduction.merge(parts)


def by_loops(logits):
    """Every sum, member by member and example by example."""
    _, examples, classes = logits.shape
    total, logs = np.zeros((examples, classes)), np.zeros((examples, classes))
    votes, entropy, energy = np.zeros((examples, classes)), np.zeros(examples), np.zeros(examples)
    for member in logits.double().tolist():
        for example, row in enumerate(member):
            p = slow.softmax(row)
            for k in range(classes):
                total[example, k] += p[k]
                logs[example, k] += math.log(p[k])
                entropy[example] -= p[k] * math.log(p[k])
            votes[example, row.index(max(row))] += 1
            energy[example] -= max(row) + math.log(sum(math.exp(x - max(row)) for x in row))
    return total, logs, votes, entropy, energy


@pytest.mark.parametrize("blocks", [(), (2, 3), (1, 1, 3)])
def test_sums_are_those_of_the_members_one_by_one(blocks):
    logits = logits_of(5)
    found, (total, logs, votes, entropy, energy) = summarised(logits, blocks), by_loops(logits)
    assert found.count == 5
    np.testing.assert_allclose(found.log_total.exp().numpy(), total, rtol=1e-12)
    np.testing.assert_allclose(found.log_probabilities.numpy(), logs, rtol=1e-12)
    np.testing.assert_array_equal(found.votes.numpy(), votes)
    np.testing.assert_allclose(found.entropy.numpy(), entropy, rtol=1e-12)
    np.testing.assert_allclose(found.energy.numpy(), energy, rtol=1e-12)


@pytest.mark.parametrize("sizes", [(1,), (3,), (1, 1, 1), (1, 4, 2)])
def test_the_ensemble_is_the_nested_mean_of_probabilities(sizes):
    parts = [logits_of(size, seed) for seed, size in enumerate(sizes)]
    origin = tuple(place for place, size in enumerate(sizes) for _ in range(size))
    targets = torch.zeros(EXAMPLES, dtype=torch.int64)
    whole = Predictions(torch.cat(parts), targets, origin, "test")
    found = pooled([summarised(part) for part in parts])
    torch.testing.assert_close(found.log_probabilities.exp(), ensemble_probabilities(whole), rtol=1e-12, atol=0)
    np.testing.assert_allclose(found.log_probabilities.exp(), slow.nested_mean(whole.logits.double(), origin))
    means = [by_loops(part)[3] / len(part) for part in parts]
    np.testing.assert_allclose(found.member_entropy.numpy(), sum(means) / len(means), rtol=1e-12)
    energies = [by_loops(part)[4] / len(part) for part in parts]
    np.testing.assert_allclose(found.energy.numpy(), sum(energies) / len(energies), rtol=1e-12)
    assert found.members.count == sum(sizes)
    np.testing.assert_array_equal(found.members.votes, by_loops(whole.logits)[2])


def test_probabilities_that_underflow_keep_their_logarithm():
    logits = torch.tensor([[[0.0, -2000.0]], [[0.0, -3000.0]]]).expand(2, EXAMPLES, 2).contiguous()
    found = pooled([summarised(logits)])
    torch.testing.assert_close(found.log_probabilities[0], torch.tensor([0.0, -2000 - math.log(2)]).double())


def test_no_logarithm_of_a_probability_is_above_zero():
    logits = torch.full((3, EXAMPLES, CLASSES), -40.0)
    logits[..., 1] = 40
    assert (pooled([summarised(logits[:1]), summarised(logits[1:])]).log_probabilities <= 0).all()


def test_chosen_examples_and_float32():
    whole, rows = summarised(logits_of(3)), torch.tensor([4, 1])
    part = whole.take(rows)
    torch.testing.assert_close(part.log_total, whole.log_total[[4, 1]])
    torch.testing.assert_close(part.energy, whole.energy[[4, 1]])
    again = summary_of(3, whole.tensors())
    torch.testing.assert_close(again.log_total, whole.log_total, rtol=1e-6, atol=1e-6)
    assert torch.equal(again.votes, whole.votes)


def test_confident_predictions_stay_apart_in_float32():
    sure = torch.tensor([[[16.0, 0.0]], [[17.0, 0.0]]]).expand(2, EXAMPLES, 2)
    for part in sure:
        members = summarise(part[None].repeat(10, 1, 1).contiguous())
        again = summary_of(10, members.tensors())
        spare = [-torch.expm1(pooled([one]).log_probabilities.amax(dim=1)) for one in (members, again)]
        torch.testing.assert_close(spare[0], spare[1], rtol=1e-5, atol=0)


def test_logits_that_are_not_finite_are_told_with_their_place():
    logits = logits_of(3)
    logits[1, 5, 2] = torch.nan
    with pytest.raises(NotFinite, match="first on example 5") as caught:
        summarised(logits)
    assert caught.value.example == 5


def test_an_ensemble_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one origin"):
        pooled([])
