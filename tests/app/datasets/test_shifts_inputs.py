"""Corruptions of whole splits: any size, dtype and number of channels; chance by name; stronger is further away."""

import hashlib
import itertools

import numpy as np
import pytest
import torch
from pretend import dataset_of, real_data, scenes, speckles

from modescape.app.datasets import load as loading
from modescape.app.datasets.dataset import Dataset
from modescape.app.datasets.extra import extra, families
from modescape.app.datasets.shifts import corrupting
from modescape.app.datasets.shifts.catalogue import IMAGES, SIGNALS

NOT_MONOTONE = {
    "saturate": "severities 1 and 2 take colour away and 3 to 5 add it",
    "glass_blur": "severity 4 blurs less than 3 but moves pixels twice, 5 blurs what has been moved further",
    "frost": "the image's weight falls from severity 3 on, which offsets the brightness that ice adds",
    "spatter": "severities 1 to 3 are water, which adds light, 4 and 5 are mud",
    "elastic_transform": "the affine map, which moves most, becomes weaker as the displacements grow",
}
"""Families whose published parameters do not make the mean squared change grow, and why."""


def changed(dataset: Dataset, family: str, severity: int, root: int = 1) -> torch.Tensor:
    return extra(dataset, f"shift/{family}/{severity}", None, root).load().inputs


def distances(dataset: Dataset, family: str) -> list[float]:
    clean = dataset.splits["test"].inputs.double()
    return [float((changed(dataset, family, severity) - clean).square().mean()) for severity in range(1, 6)]


def grows(far: list[float]) -> bool:
    """Within what chance does: motion blur at severities 3 and 4 is all but the same."""
    return all(further > 0.97 * near for near, further in itertools.pairwise(far))


@pytest.fixture(scope="module")
def colour() -> Dataset:
    return dataset_of(scenes(60, 32, 32, 3))


@pytest.mark.parametrize("family", IMAGES)
def test_stronger_is_further_away(colour: Dataset, family: str) -> None:
    far = distances(colour, family)
    assert min(far) > 0
    if family not in NOT_MONOTONE:
        assert grows(far)
    assert max(far) < 6000


@pytest.mark.recipe
@pytest.mark.timeout(0)
@pytest.mark.parametrize("family", IMAGES)
def test_stronger_is_further_away_on_cifar10(family: str) -> None:
    far = distances(loading.load("cifar10", data_dir=real_data()), family)
    assert grows(far) == (family not in NOT_MONOTONE)


@pytest.mark.parametrize("family", SIGNALS)
def test_stronger_signals_are_further_away(family: str) -> None:
    far = distances(loading.load("mnist1d"), family)
    assert far == sorted(far) and 0 < far[0] < 0.5 < 10 * far[-1] < 30


@pytest.mark.parametrize("shape", [(1, 6, 6), (3, 6, 9), (1, 8, 8), (1, 28, 28), (3, 33, 48), (3, 96, 64), (1, 64, 64)])
def test_any_size(shape: tuple[int, int, int]) -> None:
    channels, height, width = shape
    dataset = dataset_of(scenes(4, height, width, channels))
    assert set(IMAGES) - set(families(dataset)) == (set() if channels == 3 else {"saturate"})
    for family in families(dataset):
        for severity in (1, 5):
            inputs = changed(dataset, family, severity)
            assert inputs.shape == (4, *shape) and inputs.dtype == torch.uint8 and inputs.is_contiguous()
            if height >= 28 and (family, severity) != ("zoom_blur", 1):
                assert not torch.equal(inputs, dataset.splits["test"].inputs), (family, severity)


# Pixels of a doubled image are pairs already, which little pixelation leaves together.
@pytest.mark.parametrize("family", sorted(set(IMAGES) - {"pixelate"}))
def test_larger_images_look_the_same(family: str) -> None:
    """A corruption of an image of twice the size, halved, is about as far away as that of the image itself."""
    small = dataset_of(scenes(40, 32, 32, 3))
    large = dataset_of(torch.nn.functional.interpolate(small.splits["test"].inputs.float(), scale_factor=2.0).byte())
    for severity in (2, 5):
        halved = torch.nn.functional.avg_pool2d(changed(large, family, severity).float(), 2)
        far = float((halved - small.splits["test"].inputs).square().mean())
        expected = distances(small, family)[severity - 1]
        independent = family.endswith("_noise") or family in ("jpeg_compression", "glass_blur")
        assert (0.05 if independent else 0.35) < far / expected < 2.5


def test_floating_images() -> None:
    whole = scenes(5, 32, 32, 3)
    dataset = dataset_of(whole.float() / 255)
    for family in families(dataset):
        inputs = changed(dataset, family, 3)
        assert inputs.dtype == torch.float32 and inputs.min() >= 0 and inputs.max() <= 1
        same = changed(dataset_of(whole), family, 3)
        assert ((inputs * 255 - same).abs() < 1.01).float().mean() > 0.95, family


def test_digits_keep_their_seventeen_levels() -> None:
    digits = loading.load("digits")
    assert corrupting.range_of(digits).high == 16
    for family in families(digits):
        inputs = changed(digits, family, 5)
        assert inputs.dtype == torch.uint8 and inputs.max() <= 16
        difference = inputs.double() - digits.splits["test"].inputs
        assert 0.3 < difference.square().mean() < 60, family
    blurred = changed(digits, "gaussian_blur", 3).double()
    assert abs(float((blurred - digits.splits["test"].inputs).mean())) < 0.1


def test_grey_through_colour_is_grey_of_the_same_formula() -> None:
    grey = scenes(5, 32, 32, 1)
    coloured = dataset_of(grey.expand(-1, 3, -1, -1).contiguous())
    for family in ("snow", "brightness", "spatter", "contrast", "fog", "gaussian_blur", "defocus_blur"):
        once, thrice = changed(dataset_of(grey), family, 2), changed(coloured, family, 2).float()
        weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
        assert ((thrice * weights).sum(dim=1, keepdim=True) - once).abs().max() <= 2, family


def test_what_no_family_fits() -> None:
    tall = scenes(3, 32, 32, 3)
    for inputs in (scenes(3, 5, 32, 3), tall.float(), tall.short(), tall[:, :2], tall.float() / 127 - 1, tall[:, 0]):
        assert families(dataset_of(inputs)) == ()
    assert families(dataset_of(torch.randn(3, 2, 50))) == tuple(SIGNALS)


@pytest.mark.parametrize("data", ["colour", "mnist1d"])
def test_chance_descends_from_the_root_seed_and_the_name(data: str, colour: Dataset) -> None:
    dataset = colour if data == "colour" else loading.load("mnist1d")
    for family in ("gaussian_noise", "impulse_noise"):
        assert torch.equal(changed(dataset, family, 2), changed(dataset, family, 2))
        assert not torch.equal(changed(dataset, family, 2), changed(dataset, family, 2, root=2))
    clean = dataset.splits["test"].inputs.double()
    noises = [(changed(dataset, "gaussian_noise", severity) - clean).flatten() for severity in (3, 4)]
    assert abs(float(torch.corrcoef(torch.stack(noises))[0, 1])) < 0.1


def test_later_examples_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corrupting, "BLOCK", 4)
    images = scenes(9, 32, 32, 3)
    for family in IMAGES:
        assert torch.equal(
            changed(dataset_of(images, train=images), family, 4)[:8],
            changed(dataset_of(images[:8], train=images), family, 4),
        ), family


def test_inputs_are_left_alone(colour: Dataset) -> None:
    before = colour.splits["test"].inputs.clone()
    for family in IMAGES:
        changed(colour, family, 3)
    assert torch.equal(colour.splits["test"].inputs, before)


def test_bits_of_the_families_without_chance() -> None:
    """Taken from the formulas that give CIFAR-10-C bit for bit, see test_shifts_official."""
    dataset = dataset_of(speckles(20))
    found = {}
    for family in ("contrast", "brightness", "saturate", "gaussian_blur", "defocus_blur", "zoom_blur", "pixelate"):
        bits = hashlib.sha256()
        for severity in range(1, 6):
            bits.update(np.ascontiguousarray(changed(dataset, family, severity).numpy()).data)
        found[family] = bits.hexdigest()[:16]
    assert found == BITS


BITS = {
    "contrast": "b7ebc0cddfd5ced5",
    "brightness": "e34d0ebfc6ecb9f4",
    "saturate": "5825210ed06709c1",
    "gaussian_blur": "0eaa30540766d304",
    "defocus_blur": "c992ea329d3ec0f9",
    "zoom_blur": "8d4c4444662021bf",
    "pixelate": "a7993685604df938",
}
