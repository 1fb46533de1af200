"""Members of subspaces drawn again, one at a time, and what they predict, by plain float64 arithmetic on the toy."""

from dataclasses import replace

import numpy as np
import torch

from modescape.core.seeds import generator
from modescape.core.subspaces.abstract import Problem
from modescape.core.weights import Trajectory, Weights
from modescape.studies.members import scratch, segments, trajectory

EPSILON = 1e-5
"""What nn.BatchNorm1d adds to a variance."""


def path_of(context, results, member):
    return trajectory([results.read(part) for part in segments(context.setup, member)], member)


def held(path):
    """The toy's trajectory with a mask of ones in place of its dropout, layer 4 with rate 0.2."""
    count = len(path)
    buffers = {"4.rate": torch.full((count,), 0.2), "4.mask0": torch.ones(count, 1, 8)}
    weights = Weights(path.weights.params, {**path.weights.buffers, **buffers}, path.weights.origin)
    return Trajectory(weights, path.steps, path.seed_path)


def members(context, results, name, member, purpose, scales):
    """Draw one member for each scale (None: the subspace's own) from the generator of its name."""
    subspace, path = context.setup.subspace(name), path_of(context, results, member)
    problem = Problem(scratch(context), context.splits["train"], context.scaling, None, context.setup.seed)
    state = subspace.fit(held(path) if subspace.holds_masks else path, problem)
    for place, scale in enumerate(scales):
        kind = subspace if scale is None else replace(subspace, scale=scale, uniform=False)
        chance = generator(context.setup.seed, "member", member, "subspace", name, purpose, place)
        yield kind.draw(state, 1, chance)


def scaled(context, split):
    """The inputs of a split as the network sees them [example, 2]."""
    inputs = context.splits[split].inputs[:, :, 0].double().numpy()
    return (inputs - context.scaling.shift.double().numpy()) * context.scaling.factor.double().numpy()


def logits(context, member, split, stale=False):
    """Logits [example, class] with batch-norm statistics of the training examples, or those that the member came with.

    The training examples are few enough to be one batch, all of which statistics are computed from.
    """
    own = {name: tensor[0].double().numpy() for name, tensor in {**member.params, **member.buffers}.items()}
    before = [scaled(context, part) @ own["1.weight"].T + own["1.bias"] for part in ("train", split)]
    mean, variance = before[0].mean(axis=0), before[0].var(axis=0, ddof=1)
    if stale:
        mean, variance = own["2.running_mean"], own["2.running_var"]
    normed = (before[1] - mean) / np.sqrt(variance + EPSILON) * own["2.weight"] + own["2.bias"]
    return np.maximum(normed, 0) * own.get("4.mask0", 1.0) @ own["5.weight"].T + own["5.bias"]
