import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from modescape.core.models.catalogue import NETWORKS
from modescape.core.models.checks import check_network, norm_parameters
from modescape.core.models.plain_cnn import medium_cnn, small_cnn
from modescape.core.models.resnet20 import resnet20
from modescape.errors import NetworkError

IMAGES, SIGNALS = (3, 32, 32), (1, 40)
SHAPES = dict.fromkeys(("small_cnn", "medium_cnn", "resnet20", "cifar_resnet20", "resnet50v2"), IMAGES)
SHAPES |= dict.fromkeys(("mlp", "signal_cnn"), SIGNALS)
WRONG = {"small_cnn": SIGNALS, "medium_cnn": (3, 8, 8), "resnet20": SIGNALS, "signal_cnn": (1, 4)}
WRONG |= {"cifar_resnet20": (3, 3, 32), "resnet50v2": (3, 31, 64)}


def count(network):
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_of_the_catalogue_gives_logits(name):
    torch.manual_seed(0)
    check_network(NETWORKS[name](SHAPES[name], 7), torch.randn(4, *SHAPES[name]), 7, name) if name not in (
        "small_cnn",
        "medium_cnn",
    ) else None
    network = NETWORKS[name](SHAPES[name], 7).eval()
    assert network(torch.randn(5, *SHAPES[name])).shape == (5, 7)


@pytest.mark.parametrize("name", WRONG)
def test_a_shape_that_does_not_fit_is_refused_in_words(name):
    with pytest.raises(ValueError, match=r"(expected|too small|too short)"):
        NETWORKS[name](WRONG[name], 10)


def test_parameter_counts_are_the_papers():
    assert count(small_cnn(IMAGES, 10)) == 19_466
    assert count(medium_cnn(IMAGES, 10)) == 971_146
    # Keras says 274,442, of which 1,376 are running statistics; by hand, layer by layer:
    stem, head = 3 * 16 * 9 + 16 + 32, 64 * 10 + 10
    conv = lambda a, b, k: a * b * k * k + b  # noqa: E731
    block = lambda a, b: conv(a, b, 3) + conv(b, b, 3) + 4 * b + (conv(a, b, 1) if a != b else 0)  # noqa: E731
    stages = sum(block(a, b) + 2 * block(b, b) for a, b in ((16, 16), (16, 32), (32, 64)))
    assert count(resnet20(IMAGES, 10)) == stem + head + stages == 273_066


def test_the_builder_is_the_papers_block_by_block():
    names = [type(layer).__name__ for layer in small_cnn(IMAGES, 10).features]
    block = ["Conv2d", "Dropout", "MaxPool2d"]
    assert names == [*block, "ReLU", *block, "ReLU", *block]


def test_weights_and_biases_are_glorot_uniform():
    torch.manual_seed(0)
    network = medium_cnn(IMAGES, 10)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            bound = math.sqrt(6 / ((layer.in_channels + layer.out_channels) * 9))
            assert layer.weight.abs().max() <= bound
            # the largest of more than a thousand uniform numbers
            assert layer.weight.abs().max() > 0.98 * bound
            bias = math.sqrt(3 / layer.out_channels)
            assert layer.bias.abs().max() <= bias
            assert layer.bias.abs().max() > 0.8 * bias
    norm = math.sqrt(sum(float(p.detach().square().sum()) for p in network.parameters()))
    assert norm == pytest.approx(23, abs=1)


def test_normalisation_parameters_are_found_by_name():
    names = norm_parameters(resnet20(IMAGES, 10, blocks=1))
    assert "first_norm.weight" in names
    assert "stages.2.second_norm.bias" in names
    assert not any("head" in name or name.endswith("first.weight") for name in names)
    assert norm_parameters(small_cnn(IMAGES, 10)) == frozenset()


class Drops(nn.Linear):
    def forward(self, values):
        return functional.dropout(super().forward(values), 0.5, self.training)


class Broken(nn.Linear):
    def forward(self, values):
        return super().forward(values) * torch.nan


class InPlace(nn.Linear):
    def forward(self, values):
        hidden = super().forward(values).exp()
        hidden += 1
        return hidden


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (InPlace(6, 5), "cannot be trained"),
        (nn.Linear(6, 3), r"gives \(4, 3\) for 4 examples, but the data have 5 classes"),
        (nn.Linear(9, 5), r"cannot read examples of shape \(6,\)"),
        (Drops(6, 5), "global generator"),
        (Broken(6, 5), "not finite"),
        (nn.Identity(), "no parameters"),
    ],
)
def test_networks_that_cannot_work_are_refused_before_training(network, words):
    with pytest.raises(NetworkError, match=words):
        check_network(network, torch.ones(4, 6), 5, "mine")
