"""Examples, their scale, predictions with their targets, and settings: what fits together and what is refused."""

import math
from dataclasses import FrozenInstanceError

import pytest
import torch
from jaxtyping import config

from modescape.core.evaluation import CHUNK
from modescape.core.predictions import Predictions, ensemble_probabilities, predict
from modescape.core.settings import settings
from modescape.core.splits import Scaling, Split, scaling_of
from modescape.core.weights import of_module, stack


@pytest.fixture
def unchecked_shapes(monkeypatch):
    """As for users: annotations are not checked, so that what is refused is refused by modescape's own words."""
    monkeypatch.setattr(config, "jaxtyping_disable", True)


def test_as_many_targets_as_inputs(unchecked_shapes):
    assert len(Split(torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64))) == 3
    with pytest.raises(ValueError, match="3 inputs do not match 4 targets"):
        Split(torch.zeros(3, 2), torch.zeros(4, dtype=torch.int64))


def test_a_scaling_shifts_and_stretches_each_channel():
    scaling = Scaling(torch.tensor([1.0, 10.0]), torch.tensor([2.0, 0.5]))
    inputs = torch.tensor([[[1, 2, 3], [10, 12, 14]]], dtype=torch.uint8)
    assert scaling(inputs).tolist() == [[[0, 2, 4], [0, 1, 2]]]
    assert scaling(torch.tensor([[3.0, 20.0]])).tolist() == [[4, 5]]


def test_unit_scaling_is_for_stored_integers_alone():
    assert scaling_of("unit", torch.zeros(2, 3, dtype=torch.uint8)).factor.tolist() == pytest.approx([1 / 255] * 3)
    assert scaling_of("unit", torch.zeros(2, 3)).factor.tolist() == [1] * 3


def test_standard_scaling_belongs_to_the_training_inputs():
    training = torch.tensor([[0.0, 5.0], [4.0, 5.0]])
    scaling = scaling_of("standard", training)
    # mean 2 and deviation 2; a channel that never varies is only shifted
    assert scaling(torch.tensor([[6.0, 8.0]])).tolist() == [[2, 3]]


def test_imagenet_scaling_is_that_of_published_networks():
    pixels = torch.randint(0, 256, (5, 3, 4, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    wanted = (pixels / 255 - mean[:, None, None]) / deviation[:, None, None]
    for stored in (pixels, pixels / 255):
        torch.testing.assert_close(scaling_of("imagenet", stored)(stored), wanted, rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match=r"three channels.*there are 1"):
        scaling_of("imagenet", pixels[:, :1])


def some(logits, origin=(0, 1)):
    return Predictions(logits, torch.zeros(logits.shape[1], dtype=torch.int64), origin, "test")


def test_predictions_that_do_not_fit_their_labels_are_refused(unchecked_shapes):
    with pytest.raises(ValueError, match="2 members, 3 origins"):
        some(torch.zeros(2, 4, 3), (0, 1, 2))
    with pytest.raises(ValueError, match="4 predictions, 5 targets"):
        Predictions(torch.zeros(2, 4, 3), torch.zeros(5, dtype=torch.int64), (0, 1), "test")


def test_predictions_know_classes_and_probabilities():
    found = some(torch.tensor([[[0.0, 2.0]], [[3.0, 1.0]]]))
    assert len(found) == 2
    assert found.classes.tolist() == [[1], [0]]
    wrong = 1 / (1 + math.exp(2))
    # float32
    assert torch.allclose(found.probabilities, torch.tensor([[[wrong, 1 - wrong]], [[1 - wrong, wrong]]]), atol=1e-6)


def test_the_ensemble_of_unequal_origins_in_closed_form():
    """Three sure members of one origin and one of another: a half each, not three quarters."""
    sure, other = [40.0, 0.0], [0.0, 40.0]
    found = ensemble_probabilities(some(torch.tensor([[sure], [other], [sure], [sure]]), (5, 2, 5, 5)))
    # exp(-40) is 4e-18, below the last place of a half
    assert torch.allclose(found, torch.tensor([[0.5, 0.5]], dtype=torch.float64), atol=1e-15, rtol=0)


def test_predicting_reports_each_member_and_never_trains():
    network = torch.nn.Sequential(torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 2))
    chance = torch.Generator().manual_seed(0)
    split = Split(torch.randn(2 * CHUNK + 1, 3, generator=chance), torch.zeros(2 * CHUNK + 1, dtype=torch.int64))
    weights = stack([of_module(network, 0), of_module(torch.nn.Sequential(torch.nn.BatchNorm1d(3), network[1]), 1)])
    scratch = torch.nn.Sequential(torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 2)).train()
    work = predict(scratch, weights, split, Scaling(torch.zeros(3), torch.ones(3)))
    amounts = []
    with pytest.raises(StopIteration) as stop:
        while True:
            amounts.append(next(work))
            assert not torch.is_inference_mode_enabled()
    assert amounts == [1, 1]
    assert stop.value.value.shape == (2, 2 * CHUNK + 1, 2)
    assert not stop.value.value.is_inference()
    assert int(scratch[0].num_batches_tracked) == 0


def test_settings_are_frozen_and_named():
    @settings
    class Cup:
        size: int = 1

    assert Cup(size=2) == Cup(size=2) != Cup()
    with pytest.raises(FrozenInstanceError):
        Cup().size = 3
    with pytest.raises(TypeError):
        Cup(2)
    with pytest.raises(TypeError):
        Cup(colour="red")
