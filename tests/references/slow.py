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


def kullback_leibler(logits, reference):
    """KL(p || q) of two rows of logits, summing over classes."""
    p, q = softmax(logits), softmax(reference)
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def entropy(probabilities):
    """In nats."""
    return -sum(p * math.log(p) for p in probabilities if p > 0)


def jensen_shannon(rows):
    """Mean divergence of the members, rows of logits of one example, from their mean: the definition with KL."""
    members = [softmax(row) for row in rows]
    mean = [sum(column) / len(members) for column in zip(*members, strict=True)]
    return sum(sum(p * math.log(p / m) for p, m in zip(q, mean, strict=True)) for q in members) / len(members)


def total_variation(logits, reference):
    """Largest difference of the probability of any set of classes: the classes that the first holds likelier."""
    return sum(max(0.0, a - b) for a, b in zip(softmax(logits), softmax(reference), strict=True))


def flipped_labels(base, right, wrong, classes, count, chance):
    """A base with this accuracy whose labels were flipped at random; accuracy and disagreement, by counting.

    Right labels flip with probability ``right``, wrong ones with ``wrong``, to any other class. Targets are class 0.
    """
    labels = np.where(chance.random(count) < base, 0, 1 + chance.integers(0, classes - 1, count))
    flips = chance.random(count) < np.where(labels == 0, right, wrong)
    changed = np.where(flips, (labels + 1 + chance.integers(0, classes - 1, count)) % classes, labels)
    return float((changed == 0).mean()), float((changed != labels).mean())
