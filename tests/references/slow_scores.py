"""Slow, obvious twins of the scores: plain loops over examples, members and orders; rows of probabilities as lists."""

import itertools
import math
from fractions import Fraction


def repeated(values, counts):
    """The sample in which each value occurs so many times."""
    return [value for value, count in zip(values, counts, strict=True) for _ in range(int(count))]


def brier(row, target):
    """Of one example."""
    return sum((p - (k == target)) ** 2 for k, p in enumerate(row))


def bin_of(confidence, bins):
    """The bin (i/B, (i+1)/B], the first one closed, for a confidence written in few digits: in exact fractions."""
    exact = Fraction(confidence).limit_denominator(10**6)
    return next(i for i in range(bins) if exact <= Fraction(i + 1, bins))


def adaptive_bins(confidences, bins):
    """By the middle of the ranks, from 1/2 on, that equal confidences share."""
    found, ordered = [], sorted(confidences)
    for confidence in confidences:
        ranks = [rank + Fraction(1, 2) for rank, other in enumerate(ordered) if other == confidence]
        found.append(int(sum(ranks) / len(ranks) * bins / len(confidences)))
    return found


def calibration_error(confidences, right, where, weights):
    """Bin by bin."""
    error = 0.0
    for one in set(where):
        inside = [i for i, other in enumerate(where) if other == one]
        share = sum(weights[i] for i in inside)
        if share:
            gap = sum(weights[i] * (confidences[i] - right[i]) for i in inside) / share
            error += abs(gap) * share / sum(weights)
    return error


def scaled_loss(row, target, temperature):
    """Log loss of one row of log-probabilities at a temperature."""
    scaled = [x / temperature for x in row]
    top = max(scaled)
    return math.log(sum(math.exp(x - top) for x in scaled)) + top - scaled[target]


def fit_temperature(rows, targets, least=0.01, most=100.0):
    """By golden-section search over the logarithm of T, where the mean loss has one valley."""

    def loss(position):
        return sum(scaled_loss(row, t, math.exp(position)) for row, t in zip(rows, targets, strict=True))

    low, high, golden = math.log(least), math.log(most), (math.sqrt(5) - 1) / 2
    for _ in range(60):
        a, b = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, b) if loss(a) < loss(b) else (a, high)
    return math.exp((low + high) / 2)


def entropy(row):
    """In nats."""
    return -sum(p * math.log(p) for p in row if p > 0)


def kl(one, other):
    """In nats."""
    return sum(p * (math.log(p) - math.log(q) if q > 0 else math.inf) for p, q in zip(one, other, strict=True) if p > 0)


def mean_of_pairs(members, function, ordered):
    """Mean of a function of two different members."""
    pairs = itertools.permutations(members, 2) if ordered else itertools.combinations(members, 2)
    found = [function(a, b) for a, b in pairs]
    return sum(found) / len(found)


def jensen_shannon(one, other):
    """Of two rows of probabilities, nats."""
    middle = [(p + q) / 2 for p, q in zip(one, other, strict=True)]
    return (kl(one, middle) + kl(other, middle)) / 2


def risk_coverage_area(confidences, errors):
    """Mean over all orders that equal confidences may have of the mean error rate of the first i."""
    orders = [
        order
        for order in itertools.permutations(range(len(errors)))
        if all(confidences[a] >= confidences[b] for a, b in itertools.pairwise(order))
    ]
    areas = [
        sum(sum(errors[j] for j in order[: i + 1]) / (i + 1) for i in range(len(order))) / len(order)
        for order in orders
    ]
    return sum(areas) / len(areas)


def auroc(known, unknown):
    """By comparing all pairs."""
    wins = [(u > k) + (u == k) / 2 for u in unknown for k in known]
    return sum(wins) / len(wins)


def _called(values, threshold):
    return sum(value >= threshold for value in values)


def aupr(known, unknown):
    """By trying every threshold."""
    area, before = 0.0, 0.0
    for threshold in sorted({*known, *unknown}, reverse=True):
        true, false = _called(unknown, threshold), _called(known, threshold)
        area += (true / len(unknown) - before) * true / (true + false)
        before = true / len(unknown)
    return area


def fpr_at_recall(known, unknown, recall):
    """By lowering the threshold until enough is found; ``recall`` is a Fraction."""
    for threshold in sorted({*known, *unknown}, reverse=True):
        if Fraction(_called(unknown, threshold), len(unknown)) >= recall:
            return _called(known, threshold) / len(known)
    raise AssertionError("the lowest threshold finds all")


def equivalent(curve, value):
    """By walking along the curve."""
    best = [min(curve[: k + 1]) for k in range(len(curve))]
    if value >= best[0]:
        return 1.0
    for k in range(1, len(best)):
        if best[k] <= value:
            return k + (best[k - 1] - value) / (best[k - 1] - best[k])
    return math.inf
