"""Pictures of known functions, with every evaluation counted."""

import torch

from modescape.core.landscape.cross_section import Grid
from modescape.core.landscape.refinement import Refinement, refine
from modescape.core.seeds import generator


def finished(work, yielded=None):
    """What a generator returns in the end; what it yields goes to a list."""
    while True:
        try:
            one = next(work)
        except StopIteration as stop:
            return stop.value
        if yielded is not None:
            yielded.append(one)


class Counted:
    """A function of coordinates that remembers every point at which it was asked."""

    def __init__(self, function):
        self.function, self.blocks = function, []

    def __call__(self, points):
        self.blocks.append(points)
        return self.function(points)

    @property
    def points(self):
        return torch.cat(self.blocks)


def axis(count, low=-1.0, high=1.0):
    return torch.linspace(low, high, count, dtype=torch.float64)


def pictured(function, axes, seed=0, **settings):
    """The picture, and the function with its memory; holds what holds for every picture."""
    asked = Counted(function)
    yielded = []
    picture = finished(refine(axes, asked, Refinement(**settings), generator(seed, "checks")), yielded)
    grid = Grid(tuple(axes))
    points = asked.points
    rows = torch.cdist(points, grid.points(), compute_mode="donot_use_mm_for_euclid_dist").argmin(dim=1)
    assert torch.equal(grid.points()[rows], points)
    assert len(rows.unique()) == len(rows) == picture.evaluations == sum(yielded)
    assert yielded == [len(block) for block in asked.blocks]
    assert max(yielded) <= Refinement(**settings).block
    assert picture.evaluated.shape == grid.shape
    assert torch.equal(picture.evaluated.flatten().nonzero()[:, 0], rows.sort().values)
    truth = dense(function, axes)
    assert torch.equal(picture.values[picture.evaluated].nan_to_num(), truth[picture.evaluated].nan_to_num())
    return picture, asked


def dense(function, axes):
    """Every point evaluated on its own."""
    values = torch.cat([function(point[None]) for point in Grid(tuple(axes)).points()]).double()
    return values.reshape(*(len(a) for a in axes), -1)


def missed(picture, truth, transform=lambda values: values):
    """The largest error anywhere as a fraction of the range, for each quantity."""
    wide = transform(truth).reshape(-1, truth.shape[-1])
    apart = (transform(picture.values).reshape(wide.shape) - wide).abs()
    return apart.amax(dim=0) / (wide.amax(dim=0) - wide.amin(dim=0))


def cubic(points):
    x, y = points[:, 0], points[:, -1]
    return torch.stack([2 * x**3 - x * y**2 + y, 1 + x - 3 * x * y + 0.5 * y**3], dim=1)


def cone(points, at=(0.3, 0.21)):
    return (points - torch.tensor(at[: points.shape[1]])).square().sum(dim=1, keepdim=True).sqrt()


def step(points):
    return (points.sum(dim=1, keepdim=True) > 0.37).double()


def noise(points):
    """Between 0 and 1, and without any pattern that an interpolation could follow."""
    place = (points * torch.arange(1, points.shape[1] + 1)).sum(dim=1, keepdim=True)
    return ((place * 51973.1234).sin() * 43758.5453).frac().abs()
