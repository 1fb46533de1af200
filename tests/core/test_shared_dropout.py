"""Networks that use one dropout layer in several places, as many do: they train, with seeded and fresh masks."""

import pytest
import torch
from torch import nn

from modescape.core.training.noise import MaskShape, SeededDropout, seed_dropout


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.dropout = nn.Linear(4, 4), nn.Linear(4, 4), nn.Dropout(0.5)

    def forward(self, values):
        return self.dropout(self.second(self.dropout(self.first(values))))


def test_a_layer_called_twice_in_a_step_keeps_both_masks_for_the_gradient():
    network = Twice()
    (layer,) = seed_dropout(network)
    layer.chance = torch.Generator().manual_seed(0)
    values = torch.ones(6, 4)
    network(values).sum().backward()
    chance = torch.Generator().manual_seed(0)
    layer.chance = chance
    first, second = (layer.mask(MaskShape((6, 4), False), values).clone() for _ in range(2))
    assert not torch.equal(first, second)
    # d sum / d bias of the second layer is the sum of its mask; of the first, what passes back through both masks
    assert torch.allclose(network.second.bias.grad, second.sum(0))
    back = (second @ network.second.weight.detach()) * first
    assert torch.allclose(network.first.bias.grad, back.sum(0), atol=1e-5)


def test_a_gradient_is_computed_once_since_it_takes_the_masks_memory():
    layer = SeededDropout(0.5, 0)
    layer.chance = torch.Generator().manual_seed(0)
    values = torch.ones(4, 6, requires_grad=True)
    out = layer(values).sum()
    out.backward(retain_graph=True)
    first = values.grad.clone()
    assert set(first.unique().tolist()) == {0.0, 2.0}
    with pytest.raises(RuntimeError, match="can be computed once: its mask is gone"):
        out.backward()
    assert torch.equal(values.grad, first)


def test_a_layer_that_stands_in_two_places_is_replaced_in_both():
    shared = nn.Dropout(0.5)
    network = nn.Sequential(shared, nn.Linear(4, 4), shared)
    seed_dropout(network)
    assert [type(layer) for layer in network] == [SeededDropout, nn.Linear, SeededDropout]
