"""Networks somebody else wrote: what training accepts, and which sentence refuses the rest."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from modescape.core.models.checks import check_network, norm_parameters
from modescape.core.models.plain_cnn import small_cnn
from modescape.core.training.noise import seed_dropout
from modescape.errors import NetworkError

EXAMPLES = torch.linspace(-1, 1, 4 * 6).view(4, 6)


class Pair(nn.Linear):
    def forward(self, values):
        return super().forward(values), values


class DropsEvenInEvaluation(nn.Linear):
    def forward(self, values):
        return functional.dropout(super().forward(values), 0.5, training=True)


class OnlyTraining(nn.Linear):
    def forward(self, values):
        return super().forward(values)[:, : 3 if self.training else 5]


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (Pair(6, 5), "gives tuple for 4 examples"),
        (DropsEvenInEvaluation(6, 5), "global generator"),
        (OnlyTraining(6, 5), r"gives \(4, 3\)"),
        (nn.Sequential(nn.Linear(6, 5), nn.Unflatten(1, (5, 1))), r"gives \(4, 5, 1\)"),
        (nn.Conv2d(3, 5, 3), "cannot read examples of shape"),
        (nn.Sequential(nn.Linear(6, 5), nn.Dropout(0.5)), "use nn.Dropout modules"),
    ],
)
def test_what_cannot_be_trained_is_refused_by_name(network, words):
    with pytest.raises(NetworkError, match=f"network mine .*{words}"):
        check_network(network, EXAMPLES, 5, "mine")


def test_a_seeded_network_passes_and_is_left_in_evaluation_mode():
    network = small_cnn((3, 8, 8), 4, (4, 4), 0.5)
    images = torch.linspace(-1, 1, 2 * 3 * 64).view(2, 3, 8, 8)
    with pytest.raises(NetworkError, match="global generator"):
        check_network(network, images, 4, "small_cnn")
    for layer in seed_dropout(network):
        layer.chance = torch.Generator().manual_seed(0)
    before = torch.get_rng_state()
    check_network(network, images, 4, "small_cnn")
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(module.training for module in network.modules())


@pytest.mark.parametrize(
    ("layer", "names"),
    [
        (nn.BatchNorm1d(6), {"1.weight", "1.bias"}),
        (nn.LayerNorm(6), {"1.weight", "1.bias"}),
        (nn.GroupNorm(2, 6), {"1.weight", "1.bias"}),
        (nn.InstanceNorm1d(6, affine=True), {"1.weight", "1.bias"}),
        (nn.BatchNorm1d(6, affine=False), set()),
        (nn.Linear(6, 6), set()),
    ],
)
def test_parameters_of_normalisation_are_known_by_their_layer(layer, names):
    assert norm_parameters(nn.Sequential(nn.Linear(6, 6), layer)) == names


def test_a_bare_normalisation_layer_has_names_without_a_path():
    assert norm_parameters(nn.BatchNorm1d(3)) == {"weight", "bias"}
