"""Names, sources and digests of shifts; what is refused, and how."""

from pathlib import Path

import pytest
import torch
from pretend import dataset_of, scenes

from modescape.app.datasets.dataset import Dataset
from modescape.app.datasets.extra import extra, families
from modescape.app.datasets.load import load
from modescape.app.datasets.shifts import corrupting
from modescape.errors import SettingsError


@pytest.fixture(scope="module")
def colour() -> Dataset:
    return dataset_of(scenes(6, 32, 32, 3))


def test_nineteen_families_of_colour_images(colour: Dataset) -> None:
    assert sorted(families(colour)) == sorted(
        [
            "brightness",
            "contrast",
            "defocus_blur",
            "elastic_transform",
            "fog",
            "frost",
            "gaussian_blur",
            "gaussian_noise",
            "glass_blur",
            "impulse_noise",
            "jpeg_compression",
            "motion_blur",
            "pixelate",
            "saturate",
            "shot_noise",
            "snow",
            "spatter",
            "speckle_noise",
            "zoom_blur",
        ]
    )


def test_what_a_shift_says_of_itself(colour: Dataset) -> None:
    found = extra(colour, "shift/gaussian_noise/3", None, 5)
    assert (found.name, found.examples, found.source) == ("shift/gaussian_noise/3", 6, "drawn anew")
    assert len(found.digest) == 64
    split = found.load()
    assert torch.equal(split.targets, colour.splits["test"].targets)


def test_nothing_is_made_before_it_is_asked_for(colour: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    found = extra(colour, "shift/fog/1", None, 5)
    monkeypatch.setattr(corrupting, "BLOCK", 0)
    with pytest.raises(ValueError, match="must not be zero"):
        found.load()


def test_digest_decides_about_the_values(colour: Dataset) -> None:
    other = dataset_of(scenes(6, 32, 32, 3, seed=8))
    cases = [
        ("shift/fog/1", colour, 0),
        ("shift/fog/2", colour, 0),
        ("shift/snow/1", colour, 0),
        ("shift/fog/1", colour, 1),
        ("shift/fog/1", other, 0),
    ]
    digests = [extra(dataset, name, None, root).digest for name, dataset, root in cases]
    assert len(set(digests)) == len(cases)
    again = dataset_of(scenes(6, 32, 32, 3))
    assert extra(again, "shift/fog/1", Path("/nowhere"), 0).digest == digests[0]


def test_a_new_formula_is_a_new_digest(colour: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    before = extra(colour, "shift/fog/1", None, 0).digest
    monkeypatch.setattr("modescape.app.datasets.shifted.VERSION", 2)
    assert extra(colour, "shift/fog/1", None, 0).digest != before


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("shift/gausian_noise/3", r"no family of corruptions 'gausian_noise'; did you mean 'gaussian_noise'\? Choose"),
        ("shift/Fog/3", r"'Fog'; did you mean 'fog'\?"),
        ("shift/delay/3", r"no family of corruptions 'delay'"),
        ("shift/xyzzy/3", r"no family of corruptions 'xyzzy'\. Choose one of gaussian_noise, shot_noise"),
        ("shift//3", "no family of corruptions ''"),
        ("shift/", "no family of corruptions ''"),
        ("shift/fog", "shift/fog has no severity ''; choose from 1 to 5: shift/fog/3"),
        ("shift/fog/0", "shift/fog has no severity '0'"),
        ("shift/fog/6", "shift/fog has no severity '6'"),
        ("shift/fog/-1", "shift/fog has no severity '-1'"),
        ("shift/fog/3/4", "shift/fog has no severity '3/4'"),
        ("shift/fog/1.5", "shift/fog has no severity '1.5'"),
        ("shift/fog/三", "shift/fog has no severity"),
        ("fog/3", "there is no split 'fog/3'; beyond its own splits a dataset has shift/FAMILY/SEVERITY"),
        ("test", "there is no split 'test'"),
        ("", "there is no split ''"),
        ("unknown/", "there is no split 'unknown/'"),
    ],
)
def test_names_that_do_not_exist(colour: Dataset, name: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        extra(colour, name, None, 0)


def test_colour_families_of_grey_images_do_not_exist() -> None:
    with pytest.raises(SettingsError, match="no family of corruptions 'saturate'"):
        extra(load("digits"), "shift/saturate/1", None, 0)


def test_data_without_any_family() -> None:
    with pytest.raises(SettingsError, match="no family of corruptions 'fog', nor any other for such data"):
        extra(dataset_of(torch.zeros(3, 3, 4, 4).byte()), "shift/fog/1", None, 0)
