import math
import weakref
from itertools import count as numbers

import pytest
import torch

from modescape.core.subspaces.keep import Keep, attempts
from modescape.core.weights import Weights


class Source:
    """Draws members that say their number, and scores the n-th of them with the n-th score."""

    def __init__(self, scores):
        self.scores, self.next, self.scored, self.drawn = scores, numbers(), [], []

    def draw(self):
        member = Weights({"w": torch.full((1, 1), float(next(self.next)))}, {}, (3,))
        self.drawn.append(weakref.ref(member))
        return member

    def score(self, member):
        self.scored.append(number(member))
        return self.scores[number(member)]


def number(member):
    return int(member.params["w"])


def ask(source, count, **rule):
    return attempts(source.draw, source.score, count, Keep(**rule), "a subspace")


def test_members_are_tried_in_order_until_enough_are_kept():
    source = Source([0.2, 0.7, 0.69, 0.9, 0.1, 0.8])
    found = list(ask(source, 2, least=0.7))
    assert [number(attempt.member) for attempt in found] == [0, 1, 2, 3]
    assert [attempt.score for attempt in found] == [0.2, 0.7, 0.69, 0.9]
    assert [attempt.kept for attempt in found] == [False, True, False, True]
    assert source.scored == [0, 1, 2, 3]


@pytest.mark.parametrize(("count", "tries"), [(2, 1), (2, 5), (4, 3)])
def test_tries_are_bounded_by_those_of_all_that_are_asked_for(count, tries):
    source = Source([0.9] + [0.1] * 100)
    found = list(ask(source, count, least=0.5, tries=tries))
    assert len(found) == len(source.drawn) == count * tries
    assert [attempt.kept for attempt in found] == [True] + [False] * (count * tries - 1)


def test_tries_of_members_that_passed_at_once_are_left_for_the_others():
    scores = [0.9, 0.9, 0.1, 0.1, 0.1, 0.9]
    assert [attempt.kept for attempt in ask(Source(scores), 3, least=0.5, tries=2)] == [s > 0.5 for s in scores]


def test_nothing_is_drawn_before_it_is_asked_for():
    source = Source([0.9] * 3)
    found = ask(source, 3, least=0.5)
    assert source.drawn == []
    next(found)
    assert len(source.drawn) == 1


def test_one_member_is_held_at_a_time():
    source, scored, given = Source([0.1, 0.9] * 10), [], []

    def alive():
        return sum(member() is not None for member in source.drawn)

    def score(member):
        scored.append(alive())
        return source.score(member)

    for attempt in attempts(source.draw, score, 4, Keep(least=0.5), "a subspace"):
        given.append(alive())
        del attempt
    assert scored == given == [1] * 8


def test_without_a_threshold_every_member_is_kept_and_none_is_scored():
    source = Source([])
    found = list(ask(source, 4))
    assert [number(attempt.member) for attempt in found] == [0, 1, 2, 3]
    assert all(attempt.kept and math.isnan(attempt.score) for attempt in found)
    assert source.scored == []
    assert [a.kept for a in attempts(source.draw, None, 2, Keep(), "a subspace")] == [True, True]


def test_no_member_that_passes_is_an_error_with_the_best_score_and_the_threshold():
    found = ask(Source([0.25, 0.5, 0.125, 0.25]), 2, least=0.65, tries=2)
    tried = [next(found) for _ in range(4)]
    assert not any(attempt.kept for attempt in tried)
    message = r"a subspace: none of 4 .* keep.least = 0.65 \(the best had 0.500\)"
    with pytest.raises(ValueError, match=message):
        next(found)


def test_a_threshold_without_a_score_is_an_error_before_anything_is_drawn():
    source = Source([])
    with pytest.raises(ValueError, match=r"a subspace: keep.least = 0.5 needs a validation split"):
        next(attempts(source.draw, None, 2, Keep(least=0.5), "a subspace"))
    assert source.drawn == []


def test_a_score_that_is_no_number_does_not_pass_and_is_not_the_best():
    found = ask(Source([math.nan, 0.25, math.nan]), 1, least=0.5, tries=3)
    assert [next(found).kept for _ in range(3)] == [False] * 3
    with pytest.raises(ValueError, match=r"the best had 0.250"):
        next(found)


def test_the_least_score_passes():
    assert [attempt.kept for attempt in ask(Source([0.0]), 1, least=0.0)] == [True]
    assert [attempt.kept for attempt in ask(Source([1.0]), 1, least=1.0)] == [True]


@pytest.mark.parametrize("least", [-0.01, 1.01, math.nan, math.inf])
def test_a_threshold_that_is_no_accuracy_is_refused(least):
    with pytest.raises(ValueError, match=r"least must lie in \[0, 1\], got"):
        Keep(least=least)


@pytest.mark.parametrize("tries", [0, -1])
def test_less_than_one_try_is_refused(tries):
    with pytest.raises(ValueError, match=f"tries must be at least 1, got {tries}"):
        Keep(tries=tries)


def test_the_published_rule_is_possible():
    assert Keep() == Keep(least=None, tries=5)
    assert (Keep(least=0.65).least, Keep(least=0.7, tries=5).tries) == (0.65, 5)


def test_no_member_is_held_while_the_next_is_drawn():
    alive = []

    class Watching(Source):
        def draw(self):
            alive.append(sum(reference() is not None for reference in self.drawn))
            return super().draw()

    source = Watching([0.9] * 4)
    found = ask(source, 4, least=0.5)
    for _ in range(4):
        number(next(found).member)
    assert alive == [0, 0, 0, 0]


def test_at_least_one_member_is_asked_for():
    with pytest.raises(ValueError, match="count must be at least 1 member, got 0"):
        next(ask(Source([]), 0, least=0.5))
