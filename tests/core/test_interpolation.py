import itertools

import numpy as np
import pytest
import torch

from modescape.core.landscape.interpolation import interpolate, nearest


def spline_by_hand(known, values, place):
    """The polyharmonic spline at one place through all known points, from its definition: solve, then evaluate."""
    count, axes = known.shape
    powers = [p for p in itertools.product(range(4), repeat=axes) if sum(p) <= 3]
    offset = known - place
    monomials = np.array([[np.prod([o**p for o, p in zip(row, ps, strict=True)]) for ps in powers] for row in offset])
    kernel = np.array([[np.sqrt(sum((a - b) ** 2)) ** 3 for b in known] for a in known])
    system = np.block([[kernel, monomials], [monomials.T, np.zeros((len(powers), len(powers)))]])
    shares = np.linalg.solve(system, np.concatenate([values, np.zeros(len(powers))]))
    bumps = sum(shares[i] * np.sqrt(sum((known[i] - place) ** 2)) ** 3 for i in range(count))
    return bumps + shares[count + powers.index((0,) * axes)]


@pytest.mark.parametrize("axes", [1, 2])
def test_interpolation_equals_the_spline_solved_by_hand(axes):
    chance = torch.Generator().manual_seed(axes)
    known, places = torch.rand(40, axes, generator=chance).double(), torch.rand(6, axes, generator=chance).double()
    values = torch.rand(40, 2, generator=chance).double()
    always = torch.arange(40) < 14
    places[5] = known[3]  # a known point, which is left out
    found = interpolate(known, values, always, places)
    for row, place in enumerate(places.numpy()):
        apart = np.sqrt(((known.numpy() - place) ** 2).sum(axis=1))
        order = [i for i in np.argsort(apart) if apart[i] > 0]
        stencil = sorted({i for i in order if i < 14} | set([i for i in order if i >= 14][: 17 if row == 5 else 16]))
        for quantity in range(2):
            by_hand = spline_by_hand(known.numpy()[stencil], values.numpy()[stencil, quantity], place)
            # the ridge that keeps equations solvable, and their condition
            assert np.isclose(float(found[row, quantity]), by_hand, rtol=1e-6, atol=1e-6)


def test_nearest_points_are_found_however_many_places_there_are():
    chance = torch.Generator().manual_seed(0)
    places, known = torch.rand(1100, 2, generator=chance), torch.rand(30, 2, generator=chance)
    apart, which = nearest(places, known, 3)
    for row in (0, 511, 512, 1099):
        plain = (known - places[row]).square().sum(dim=1).sqrt()
        assert which[row].tolist() == plain.argsort()[:3].tolist()
        assert torch.allclose(apart[row], plain.sort().values[:3])
