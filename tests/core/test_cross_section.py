import itertools

import numpy as np
import pytest
import torch
from torch import nn

from modescape.core.landscape.cross_section import CrossSection, Grid, line, plane_along, plane_through
from modescape.core.weights import Weights, flatten, load_into, of_module, stack


def make(seed, origin=0, dtype=torch.float32, spread=0):
    """A stack of one; with a spread, weights of the most different magnitudes."""
    chance = torch.Generator().manual_seed(seed)

    def some(*shape):
        numbers = torch.randn(1, *shape, generator=chance, dtype=torch.float64)
        exponents = torch.randint(-spread, spread + 1, (1, *shape), generator=chance)
        return (numbers * 2.0**exponents).to(dtype)

    return Weights(
        {"a": some(3, 2), "b": some(5), "c": some(40, 30)},
        {"mean": some(4), "count": torch.tensor([7 + seed])},
        (origin,),
    )


def member(weights, index):
    """All parameters of one member as a numpy vector of float64."""
    return np.concatenate([t[index].double().numpy().ravel() for t in weights.params.values()])


def test_members_equal_the_sum_written_out():
    centre, a, b = make(0, origin=3), make(1), make(2)
    coordinates = torch.tensor([[0.3, -1.7], [0.0, 0.0], [2.5, 1e-3]])
    members = plane_along(centre, a, b).at(coordinates)
    assert members.origin == (3, 3, 3)
    for row, (x, y) in enumerate(coordinates.tolist()):
        for name, tensor in members.params.items():
            found = tensor[row].numpy()
            for index in np.ndindex(found.shape):
                parts = [float(weights.params[name][0].numpy()[index]) for weights in (centre, a, b)]
                # float64 rounds in another order, which the rounding to float32 shows at most once in the last place
                wanted = np.float32(parts[0] + x * parts[1] + y * parts[2])
                assert abs(found[index] - wanted) <= np.spacing(abs(wanted))


@pytest.mark.parametrize("spread", [0, 8])
def test_a_plane_through_three_solutions_returns_them_bit_for_bit(spread):
    solutions = [make(seed, origin=seed, spread=spread) for seed in range(3)]
    corners = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    members = plane_through(*solutions).at(corners)
    for index, solution in enumerate(solutions):
        for name, tensor in solution.params.items():
            assert torch.equal(members.params[name][index], tensor[0])
    assert members.origin == (0, 0, 0)


def test_solutions_of_the_widest_magnitudes_and_float64_return_within_rounding_of_the_larger_weight():
    corners = torch.eye(2, dtype=torch.float64)
    for dtype, spread in ((torch.float32, 60), (torch.float64, 8)):
        first, second, third = (make(seed, dtype=dtype, spread=spread) for seed in range(3))
        members = plane_through(first, second, third).at(corners)
        for index, solution in enumerate((second, third)):
            for name, tensor in solution.params.items():
                larger = torch.maximum(tensor.abs(), first.params[name].abs()).double()
                missed = (members.params[name][index].double() - tensor.double()).abs()
                assert (missed <= torch.finfo(torch.float64).eps * larger).all()


def test_a_line_goes_from_its_start_to_its_end():
    start, end = make(0, origin=4), make(1)
    members = line(start, end).at(torch.tensor([[0.0], [1.0], [0.5]]))
    assert torch.equal(flatten(members)[:2], flatten(stack([start, end])))
    assert torch.allclose(flatten(members)[2], (flatten(start)[0] + flatten(end)[0]) / 2)
    assert members.origin == (4, 4, 4)


def test_what_is_the_same_everywhere_is_expanded_and_the_rest_is_not():
    centre, direction = make(0), make(1)
    frozen = {**direction.params, "b": torch.zeros(1, 5)}
    members = CrossSection(centre, Weights(frozen, {}, (0,))).at(torch.tensor([[0.5], [1.0], [2.0]]))
    same = [(members.params["b"], centre.params["b"]), *((members.buffers[n], t) for n, t in centre.buffers.items())]
    for tensor, source in same:
        assert tensor.stride(0) == 0
        assert tensor.data_ptr() == source.data_ptr()
        assert torch.equal(tensor, source.repeat(3, *[1] * (source.ndim - 1)))
    assert members.buffers["count"].dtype == torch.int64
    assert members.params["a"].stride(0) == 6
    # one direction that moves a tensor is enough
    both = plane_along(centre, Weights(frozen, {}, (0,)), direction).at(torch.tensor([[1.0, 1.0], [1.0, 0.0]]))
    assert both.params["b"].stride(0) == 5
    assert torch.equal(both.params["b"][1], centre.params["b"][0])


def test_members_can_be_loaded_into_a_network():
    build = lambda: nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))  # noqa: E731
    torch.manual_seed(0)
    first, second, network = build(), build(), build()
    members = line(of_module(first, 0), of_module(second, 1)).at(torch.tensor([[0.0], [1.0]]))
    load_into(network, members, 1)
    assert torch.equal(network[0].weight, second[0].weight)
    load_into(network, members[0], 0)
    assert torch.equal(network[0].weight, first[0].weight)


def test_projection_equals_least_squares_over_whole_vectors():
    plane, others = plane_along(make(0), make(1), make(2)), stack([make(seed) for seed in range(3, 7)])
    coordinates, distance = plane.project(others)
    basis = np.stack([member(plane.basis, 0), member(plane.basis, 1)], axis=1)
    for index in range(4):
        apart = member(others, index) - member(plane.centre, 0)
        wanted, squares, _, _ = np.linalg.lstsq(basis, apart, rcond=None)
        assert np.allclose(coordinates[index].numpy(), wanted, rtol=1e-10, atol=0)
        assert np.isclose(float(distance[index]), np.sqrt(squares[0]), rtol=1e-10)


def test_projection_undoes_at_even_where_directions_are_far_from_orthogonal():
    centre, a = make(0, dtype=torch.float64), make(1, dtype=torch.float64)
    askew = Weights({n: t + 0.1 * make(2).params[n].double() for n, t in a.params.items()}, {}, (0,))
    plane = plane_along(centre, a, askew)
    coordinates = torch.tensor([[0.25, -1.5], [3.0, 0.0], [1e3, -1e3]], dtype=torch.float64)
    found, distance = plane.project(plane.at(coordinates))
    assert torch.allclose(found, coordinates, rtol=1e-9, atol=1e-9)
    assert (distance < 1e-9).all()
    # a little off the plane: rounding of steps as long as 3e4, of which Pythagoras would make some 1e-4
    off, members = make(3, dtype=torch.float64), plane.at(coordinates)
    moved = Weights({n: t + 1e-6 * off.params[n] for n, t in members.params.items()}, {}, members.origin)
    basis = np.stack([member(plane.basis, 0), member(plane.basis, 1)], axis=1)
    squares = np.linalg.lstsq(basis, member(off, 0), rcond=None)[1]
    assert np.allclose(plane.project(moved)[1].numpy(), 1e-6 * np.sqrt(squares), rtol=1e-3, atol=0)


def test_the_distance_is_that_of_the_part_that_no_direction_spans():
    zeros = {"a": torch.zeros(1, 3, 2), "b": torch.zeros(1, 5)}
    unit = lambda name, place, length: Weights(  # noqa: E731
        {n: t if n != name else t.flatten(1).index_fill(1, torch.tensor(place), length).reshape(t.shape)
         for n, t in zeros.items()}, {}, (0,)
    )  # fmt: skip
    plane = plane_along(Weights(zeros, {}, (0,)), unit("a", 0, 2.0), unit("b", 1, 4.0))
    coordinates, distance = plane.project(stack([unit("b", 1, 8.0), unit("b", 2, 3.0), unit("a", 0, -2.0)]))
    assert coordinates.tolist() == [[0.0, 2.0], [0.0, 0.0], [-1.0, 0.0]]
    assert distance.tolist() == [0.0, 3.0, 0.0]


def test_impossible_cross_sections_are_refused():
    centre, a, b = make(0), make(1), make(2)
    other = Weights({"z": torch.zeros(1, 2)}, {}, (0,))
    reshaped = Weights({**a.params, "b": torch.zeros(1, 6)}, {}, (0,))
    double = Weights({n: 2 * t for n, t in a.params.items()}, {}, (0,))
    still = Weights({n: 0 * t for n, t in a.params.items()}, {}, (0,))
    broken = Weights({n: t * torch.nan for n, t in a.params.items()}, {}, (0,))
    none = Weights({n: t[:0] for n, t in a.params.items()}, {}, ())
    plane = plane_along(centre, a, b)
    for message, attempt in (
        ("centre is a stack of one, got 2", lambda: CrossSection(stack([centre, a]), a)),
        ("at least one direction", lambda: CrossSection(centre, none)),
        (r"do not have the same tensors: \['a', 'b', 'c', 'z'\]", lambda: line(centre, other)),
        ("b has .5,. and .6,.", lambda: plane_through(centre, a, reshaped)),
        ("depend on each other", lambda: plane_along(centre, a, double)),
        ("finite lengths above 0", lambda: plane_along(centre, a, still)),
        ("finite lengths above 0", lambda: line(centre, centre)),
        ("finite lengths above 0", lambda: line(centre, broken)),
        ("stacks of one, got 1 and 2", lambda: line(centre, stack([a, b]))),
        ("a direction is a stack of one, got 2", lambda: plane_along(centre, a, stack([a, b]))),
        ("3 coordinates a point for 2 directions", lambda: plane.at(torch.zeros(4, 3))),
        ("do not have the same tensors", lambda: plane.project(other)),
    ):
        with pytest.raises(ValueError, match=message):
            attempt()


def test_a_grid_lists_its_points_with_the_last_axis_fastest():
    rows, columns = torch.tensor([-1.0, 0.5, 2.0]), torch.tensor([0, 3])
    grid = Grid((rows, columns))
    assert grid.shape == (3, 2)
    assert grid.points().tolist() == [list(point) for point in itertools.product(rows.tolist(), columns.tolist())]
    assert Grid((rows,)).shape == (3,)
    assert Grid((rows,)).points().tolist() == [[-1.0], [0.5], [2.0]]


@pytest.mark.parametrize(
    ("message", "axes"),
    [
        ("at least one axis", ()),
        ("axis 0 has shape", (torch.zeros(2, 2),)),
        ("axis 1 has shape", (torch.zeros(1), torch.zeros(0))),
        ("axis 1 do not increase", (torch.arange(3), torch.tensor([0.0, 1.0, 1.0]))),
        ("axis 0 do not increase", (torch.tensor([1.0, 0.0]),)),
        ("axis 0 do not increase", (torch.tensor([0.0, torch.nan, 1.0]),)),
        ("axis 0 do not increase", (torch.tensor([0.0, torch.inf]),)),
    ],
)
def test_impossible_grids_are_refused(message, axes):
    with pytest.raises(ValueError, match=message):
        Grid(axes)
