import pytest
import torch
from references import slow
from torch import nn

from modescape.core.weights import (
    Trajectory,
    Weights,
    cosine,
    flatten,
    inner_products,
    load_into,
    mix,
    of_module,
    stack,
)


def make(members, seed=0):
    chance = torch.Generator().manual_seed(seed)
    return Weights(
        {"a": torch.randn(members, 3, 2, generator=chance), "b": torch.randn(members, 5, generator=chance)},
        {"mean": torch.randn(members, 4, generator=chance), "count": torch.arange(members)},
        tuple(range(members)),
    )


def test_indexing_gives_a_stack_whatever_the_index():
    weights = make(4)
    assert len(weights[-1]) == 1
    assert weights[-1].origin == (3,)
    assert torch.equal(weights[1:3].params["a"], weights.params["a"][1:3])
    assert weights[[3, 0]].origin == (3, 0)
    assert torch.equal(weights[[3, 0]].buffers["count"], torch.tensor([3, 0]))


def test_stack_undoes_indexing():
    weights = make(5)
    again = stack([weights[i] for i in range(5)])
    assert again.origin == weights.origin
    assert all(torch.equal(again.params[n], weights.params[n]) for n in weights.params)


def test_stacking_another_architecture_is_refused():
    other = Weights({"z": torch.zeros(1, 2)}, {}, (0,))
    with pytest.raises(ValueError, match="different architectures"):
        stack([make(1), other])


def test_a_tensor_without_the_member_axis_is_refused_by_name():
    with pytest.raises(ValueError, match="b has shape"):
        Weights({"a": torch.zeros(2, 3), "b": torch.zeros(3, 2)}, {}, (0, 1))


def test_similarity_equals_the_plain_formula_over_all_weights():
    weights = make(4)
    vectors = flatten(weights).double().numpy()
    found = cosine(inner_products(weights))
    # float64 products summed in another order: a few units in the last place
    assert torch.allclose(found, torch.from_numpy(slow.cosine(vectors)), atol=1e-14, rtol=0)
    without = cosine(inner_products(weights, without=frozenset({"b"})))
    expected = slow.cosine(weights.params["a"].flatten(1).double().numpy())
    assert torch.allclose(without, torch.from_numpy(expected), atol=1e-14, rtol=0)
    assert not torch.allclose(without, found)


def test_similarity_is_measured_from_the_origin_and_ignores_length():
    weights = make(2)
    longer = Weights({n: t * torch.tensor([1.0, 7.0]).view(2, *[1] * (t.ndim - 1)) for n, t in weights.params.items()},
                     {}, (0, 1))  # fmt: skip
    assert torch.allclose(cosine(inner_products(weights)), cosine(inner_products(longer)), atol=1e-7)
    shifted = Weights({n: t + 3 for n, t in weights.params.items()}, {}, (0, 1))
    assert (cosine(inner_products(weights)) - cosine(inner_products(shifted)))[0, 1].abs() > 0.1


def test_a_member_without_length_has_no_direction():
    weights = Weights({"a": torch.tensor([[0.0, 0.0], [1.0, 2.0]])}, {}, (0, 1))
    found = cosine(inner_products(weights))
    assert found.isnan().tolist() == [[True, True], [True, False]]


def test_mixing_is_linear_and_takes_whole_numbers_from_the_leader():
    weights = make(3)
    half = mix(weights, torch.tensor([[0.25, 0.75, 0.0], [0.0, 0.0, 1.0]]))
    expected = 0.25 * weights.params["a"][0] + 0.75 * weights.params["a"][1]
    assert torch.allclose(half.params["a"][0], expected, atol=1e-6)
    assert torch.equal(half.params["b"][1], weights.params["b"][2])
    assert half.buffers["count"].tolist() == [1, 2]
    assert half.origin == (1, 2)


def test_a_module_goes_into_weights_and_back():
    first, second = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    first(torch.randn(8, 3, generator=torch.Generator().manual_seed(1)))
    weights = of_module(first, origin=4)
    load_into(second, weights, 0)
    assert torch.equal(second.running_mean, first.running_mean)
    first.weight.data.fill_(9)
    assert not torch.equal(weights.params["weight"][0], first.weight)
    with pytest.raises(ValueError, match=r"weight has shape \(4,\)"):
        load_into(nn.BatchNorm1d(4), weights, 0)
    with pytest.raises(ValueError, match="same tensors"):
        load_into(nn.Linear(3, 3), weights, 0)


def test_a_trajectory_ends_in_its_solution_and_only_goes_forward():
    weights = make(3)
    assert torch.equal(Trajectory(weights, (0, 5, 9), "member/0").solution.params["a"], weights.params["a"][2:])
    with pytest.raises(ValueError, match="do not increase"):
        Trajectory(weights, (0, 9, 5), "member/0")


def test_a_trajectory_has_at_least_one_checkpoint():
    with pytest.raises(ValueError, match="the trajectory member/0 has no checkpoint"):
        Trajectory(Weights({"a": torch.zeros(0, 2)}, {}, ()), (), "member/0")
