"""Slow, obvious twins of the corruption formulas: one image, one pixel at a time, as published.

Images are [height, width, channel] from 0 to 1.
"""

import colorsys
import math

import numpy as np
from scipy import ndimage


def contrast(image, factor):
    out = np.empty_like(image)
    for channel in range(image.shape[2]):
        mean = math.fsum(image[..., channel].ravel()) / image[..., channel].size
        for at in np.ndindex(image.shape[:2]):
            out[*at, channel] = mean + factor * (image[*at, channel] - mean)
    return out


def in_hsv(image, change):
    """By the standard library; ``change`` takes and gives hue, saturation and value."""
    out = np.empty_like(image)
    for at in np.ndindex(image.shape[:2]):
        out[at] = colorsys.hsv_to_rgb(*change(*colorsys.rgb_to_hsv(*image[at])))
    return out


def gaussian_blur(image, sigma):
    reach = int(4 * sigma + 0.5)
    weights = [math.exp(-(step**2) / (2 * sigma**2)) for step in range(-reach, reach + 1)]
    return _weighed(image, np.outer(weights, weights) / sum(weights) ** 2, _edge)


def defocus_blur(image, radius, softness):
    disk = np.array([[float(x * x + y * y <= radius**2) for x in range(-8, 9)] for y in range(-8, 9)])
    bell = np.array([math.exp(-(step**2) / (2 * softness**2)) for step in (-1, 0, 1)])
    kernel = ndimage.convolve(disk / disk.sum(), np.outer(bell, bell) / bell.sum() ** 2, mode="constant")
    return _weighed(image, kernel, _mirror)


def _weighed(image, kernel, beyond):
    height, width, _ = image.shape
    reach = len(kernel) // 2
    out = np.zeros_like(image)
    for row, column in np.ndindex(height, width):
        for down, across in np.argwhere(kernel > 1e-12) - reach:
            source = image[beyond(row + down, height), beyond(column + across, width)]
            out[row, column] += kernel[down + reach, across + reach] * source
    return out


def _edge(index, length):
    return min(max(index, 0), length - 1)


def _mirror(index, length):
    index = abs(index) % (2 * length - 2)
    return min(index, 2 * length - 2 - index)


def zoom_blur(image, below):
    image = image.astype(np.float32)
    factors = np.arange(1, below, 0.01)
    total = sum((centre_zoom(image, factor) for factor in factors), np.zeros_like(image))
    return (image + total) / (len(factors) + 1)


def centre_zoom(image, factor):
    size = image.shape[0]
    kept = int(np.ceil(size / factor))
    start = (size - kept) // 2
    large = ndimage.zoom(image[start : start + kept, start : start + kept], (factor, factor, 1), order=1)
    trim = (large.shape[0] - size) // 2
    return large[trim : trim + size, trim : trim + size]


def moved_about(levels, moves):
    """The published exchange, which is through views and so copies. ``moves`` are [row, column, (down, across)]."""
    levels = levels.copy()
    for row in range(levels.shape[0] - 1, 1, -1):
        for column in range(levels.shape[1] - 1, 1, -1):
            down, across = moves[row - 2, column - 2]
            there = row + down, column + across
            levels[row, column], levels[there] = levels[there], levels[row, column]
    return levels


def streak(image, reach, sigma, angle):
    height, width, _ = image.shape
    taps = 2 * math.ceil(reach) + 1
    weights = [math.exp(-(tap**2) / (2 * sigma**2)) for tap in range(taps)]
    out = np.zeros_like(image)
    for row, column in np.ndindex(height, width):
        for tap, weight in enumerate(weights):
            down, across = math.ceil(tap * math.sin(angle) - 0.5), math.ceil(tap * math.cos(angle) - 0.5)
            out[row, column] += weight * image[_edge(row + down, height), _edge(column + across, width)]
    return out / sum(weights)


def shrunk_and_enlarged(levels, small):
    """Means of the pixels whose middle is in a box, rounded after each step, for square images of whole levels."""
    return _by_boxes(_by_boxes(levels, small), len(levels))


def _by_boxes(levels, size):
    box = len(levels) / size
    inside = np.zeros((size, len(levels)))
    for new, old in np.ndindex(inside.shape):
        inside[new, old] = -0.5 < (old + 0.5 - (new + 0.5) * box) / max(box, 1) <= 0.5
    inside /= inside.sum(axis=1, keepdims=True)
    return np.rint(np.einsum("ai,bj,ijc->abc", inside, inside, levels))


def plasma(size, decay, draws):
    """Diamond-square with torus neighbours; ``draws`` gives [rows, columns] of numbers for each step."""
    heights = np.zeros((size, size))
    step, wobble = size, 100.0
    while step >= 2:
        half = step // 2
        corners, middles = range(0, size, step), range(half, size, step)
        for rows, columns, around in (
            (middles, middles, [(-half, -half), (-half, half), (half, -half), (half, half)]),
            (corners, middles, [(-half, 0), (half, 0), (0, -half), (0, half)]),
            (middles, corners, [(-half, 0), (half, 0), (0, -half), (0, half)]),
        ):
            drawn = draws(wobble, len(rows), len(columns))
            for (i, row), (j, column) in ((a, b) for a in enumerate(rows) for b in enumerate(columns)):
                near = [heights[(row + down) % size, (column + across) % size] for down, across in around]
                heights[row, column] = sum(near) / 4 + wobble * drawn[i, j]
        step, wobble = half, wobble / decay
    heights -= heights.min()
    return heights / heights.max()


def canny(field):
    """Edges of levels [row, column]: gradients above 50, highest across, in a piece with one above 150."""
    height, width = field.shape
    at = lambda row, column: field[_edge(row, height), _edge(column, width)]  # noqa: E731
    size, ways = {}, {}
    for row, column in np.ndindex(height, width):
        down = sum(w * (at(row + 1, column + s) - at(row - 1, column + s)) for s, w in ((-1, 1), (0, 2), (1, 1)))
        across = sum(w * (at(row + s, column + 1) - at(row + s, column - 1)) for s, w in ((-1, 1), (0, 2), (1, 1)))
        size[row, column] = abs(down) + abs(across)
        ways[row, column] = math.degrees(math.atan2(down, across)) % 180
    likely = set()
    for (row, column), value in size.items():
        angle = ways[row, column]
        turns = ((157.5, (0, 1)), (112.5, (-1, 1)), (67.5, (1, 0)), (22.5, (1, 1)), (-1, (0, 1)))
        down, across = next(way for least, way in turns if angle > least)
        before, after = size.get((row - down, column - across), 0), size.get((row + down, column + across), 0)
        straight = down == 0 or across == 0
        if value > 50 and value > before and (value >= after if straight else value > after):
            likely.add((row, column))
    found, waiting = set(), [place for place in likely if size[place] > 150]
    while waiting:
        row, column = waiting.pop()
        found.add((row, column))
        near = {(row + down, column + across) for down in (-1, 0, 1) for across in (-1, 0, 1)}
        waiting += [place for place in near & likely if place not in found]
    return np.array([[(row, column) in found for column in range(width)] for row in range(height)])


def bilinear(image, row, column, mirror):
    """The value at one real-valued place."""
    top, left = math.floor(row), math.floor(column)
    value = 0
    for down, across in ((0, 0), (0, 1), (1, 0), (1, 1)):
        weight = (1 - abs(row - top - down)) * (1 - abs(column - left - across))
        value = value + weight * image[mirror(top + down, len(image)), mirror(left + across, image.shape[1])]
    return value


def mirror_once(index, length):
    return _mirror(index, length)


def mirror_twice(index, length):
    index = index % (2 * length)
    return min(index, 2 * length - 1 - index)
