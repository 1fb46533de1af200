"""Slow, obvious twins of the measures and scores, one example at a time."""

import math

import numpy as np


def disagreement(classes):
    """All pairs, by counting."""
    rows = [list(map(int, row)) for row in classes]
    return np.array([[sum(x != y for x, y in zip(a, b, strict=True)) / len(a) for b in rows] for a in rows])


def pairwise_per_example(classes):
    """For each example the fraction of pairs that differ, by listing the pairs."""
    columns = np.asarray(classes).T
    found = []
    for votes in columns:
        pairs = [(a, b) for i, a in enumerate(votes) for b in votes[i + 1 :]]
        found.append(sum(a != b for a, b in pairs) / len(pairs))
    return np.array(found)


def cosine(vectors):
    """Cosines of all pairs."""
    rows = [np.asarray(v, dtype=np.float64) for v in vectors]
    return np.array([[float(a @ b) / math.sqrt(float(a @ a) * float(b @ b)) for b in rows] for a in rows])


def softmax(logits):
    """Probabilities of one row."""
    top = max(logits)
    powers = [math.exp(x - top) for x in logits]
    return [p / sum(powers) for p in powers]


def nll(logits, targets):
    """Mean negative log-likelihood of one member."""
    return -sum(math.log(softmax(row)[t]) for row, t in zip(logits, targets, strict=True)) / len(targets)


def nested_mean(logits, origins):
    """Mean of probabilities within each origin, then across origins."""
    members = [np.array([softmax(row) for row in member]) for member in logits]
    within = []
    for origin in sorted(set(origins)):
        group = [p for p, o in zip(members, origins, strict=True) if o == origin]
        within.append(sum(group) / len(group))
    return sum(within) / len(within)


def purity(points, labels):
    """Fraction of points whose nearest other point has the same label."""
    same = 0
    for i, a in enumerate(points):
        others = [(sum((x - y) ** 2 for x, y in zip(a, b, strict=True)), j) for j, b in enumerate(points) if j != i]
        same += labels[min(others)[1]] == labels[i]
    return same / len(points)


def shifted(image, down, right, mirrored, pad):
    """One image [channel, height, width], shifted and mirrored, pixel by pixel; ``pad`` is "zero" or "edge"."""
    channels, height, width = image.shape
    out = np.zeros_like(image)
    for c in range(channels):
        for i in range(height):
            for j in range(width):
                row, column = i + down, (width - 1 - j if mirrored else j) + right
                inside = 0 <= row < height and 0 <= column < width
                if pad == "edge" or inside:
                    out[c, i, j] = image[c, min(max(row, 0), height - 1), min(max(column, 0), width - 1)]
    return out
