"""Unknown inputs that need no file, and how images of others are brought to a dataset's form."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pretend import dataset_of, scenes
from small_cifar import SmallCifar

from modescape.app.datasets import layouts
from modescape.app.datasets.dataset import Dataset
from modescape.app.datasets.extra import extra, unknown_inputs
from modescape.app.datasets.fitting import fit
from modescape.app.datasets.load import load
from modescape.app.datasets.photographs import FLAT, photographs
from modescape.errors import DataError, SettingsError


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load("digits")


@pytest.fixture(scope="module")
def mnist1d() -> Dataset:
    return load("mnist1d")


@pytest.fixture(scope="module")
def colour() -> Dataset:
    return dataset_of(scenes(12, 32, 32, 3), "cifar10")


@pytest.mark.parametrize("name", ["digits", "mnist1d", "colour"])
def test_without_any_file(name: str, request: pytest.FixtureRequest) -> None:
    dataset = request.getfixturevalue(name)
    assert unknown_inputs(dataset, None) == ("unknown/photographs", "unknown/noise")
    example = dataset.splits["test"].inputs
    for known in unknown_inputs(dataset, None):
        found = extra(dataset, known, None, 3)
        split = found.load()
        assert found.name == known and found.examples == len(split) and len(found.digest) == 64
        assert len(split) >= (400 if known == "unknown/photographs" else len(example))
        assert split.inputs.shape[1:] == example.shape[1:] and split.inputs.dtype == example.dtype
        assert split.inputs.is_contiguous() and (split.targets == 0).all() and split.targets.dtype == torch.int64


def test_tiles_of_digits_fill_their_range(digits: Dataset) -> None:
    inputs = extra(digits, "unknown/photographs", None, 0).load().inputs
    assert (inputs.flatten(1).amin(1) == 0).all() and (inputs.flatten(1).amax(1) == 16).all()
    halved = photographs()[0][160:176, 320:336].reshape(8, 2, 8, 2, 3).mean(axis=(1, 3))
    grey = halved @ [0.299, 0.587, 0.114]
    stretched = (grey - grey.min()) / np.ptp(grey) * 16
    assert np.ptp(grey) > FLAT
    assert np.abs(inputs[:, 0].numpy() - stretched).max(axis=(1, 2)).min() < 1


def test_pieces_of_signals_have_the_mean_and_spread(mnist1d: Dataset) -> None:
    inputs = extra(mnist1d, "unknown/photographs", None, 0).load().inputs.double()
    train = mnist1d.splits["train"].inputs.double()
    assert torch.allclose(inputs.mean(dim=-1), train.mean(), atol=1e-5)
    assert torch.allclose(inputs.std(dim=-1, correction=0), train.std(correction=0), atol=1e-5)
    row = photographs()[0][100] @ [0.299, 0.587, 0.114]
    piece = np.rint(row)[200:240]
    expected = (piece - piece.mean()) / piece.std() * float(train.std(correction=0)) + float(train.mean())
    assert (inputs[:, 0] - torch.from_numpy(expected)).abs().amax(dim=1).min() < 1e-5


def test_tiles_in_colour_are_as_they_are(colour: Dataset) -> None:
    inputs = extra(colour, "unknown/photographs", None, 0).load().inputs
    tile = photographs()[0][32:64, 320:352].transpose(2, 0, 1)
    assert (inputs == torch.from_numpy(tile.copy())).flatten(1).all(dim=1).any()


def test_noise_is_drawn_by_name(mnist1d: Dataset, colour: Dataset) -> None:
    train = mnist1d.splits["train"].inputs.double()
    inputs = extra(mnist1d, "unknown/noise", None, 0).load().inputs
    assert abs(float(inputs.mean() - train.mean())) < 0.02
    assert abs(float(inputs.double().std() / train.std()) - 1) < 0.02
    assert torch.equal(inputs, extra(mnist1d, "unknown/noise", None, 0).load().inputs)
    assert not torch.equal(inputs, extra(mnist1d, "unknown/noise", None, 1).load().inputs)
    assert extra(mnist1d, "unknown/noise", None, 0).digest != extra(mnist1d, "unknown/noise", None, 1).digest
    channels = extra(colour, "unknown/noise", None, 0).load().inputs.float().mean(dim=(0, 2, 3))
    assert (channels - colour.splits["train"].inputs.float().mean(dim=(0, 2, 3))).abs().max() < 6


def test_a_dataset_of_which_nothing_is_known() -> None:
    dataset = dataset_of(scenes(4, 32, 32, 3), "mine")
    assert unknown_inputs(dataset, None) == ("unknown/noise",)
    with pytest.raises(SettingsError, match=r"no unknown input 'unknown/svhn'\. Choose one of unknown/noise"):
        extra(dataset, "unknown/svhn", None, 0)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "unknown/shvn",
            r"no unknown input 'unknown/shvn'; did you mean 'unknown/svhn'\? Choose one of unknown/svhn, ",
        ),
        ("unknown/cifar10", r"no unknown input 'unknown/cifar10'; did you mean 'unknown/cifar100'"),
        ("natural/cifar101", r"no natural shift 'natural/cifar101'; did you mean 'natural/cifar10_1'"),
    ],
)
def test_names_that_do_not_exist(colour: Dataset, name: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        extra(colour, name, None, 0)


def test_digits_know_digits(digits: Dataset) -> None:
    for name in ("usps", "mnist", "svhn"):
        with pytest.raises(SettingsError, match="no unknown input"):
            extra(digits, f"unknown/{name}", None, 0)
    with pytest.raises(SettingsError, match=r"no natural shift 'natural/cifar10_1', nor any other"):
        extra(digits, "natural/cifar10_1", None, 0)


@pytest.mark.parametrize(("name", "twin"), [("cifar10", "cifar100"), ("cifar100", "cifar10")])
def test_the_other_cifar(name: str, twin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = dataset_of(scenes(4, 32, 32, 3), name)
    small = SmallCifar(twin)
    monkeypatch.setitem(layouts.LAYOUTS, twin, (small.binary, small.python))
    with pytest.raises(DataError, match=f"{twin} was not found. Looked for"):
        extra(dataset, f"unknown/{twin}", tmp_path, 0)
    small.write_binary(tmp_path)
    assert f"unknown/{twin}" in unknown_inputs(dataset, tmp_path)
    found = extra(dataset, f"unknown/{twin}", tmp_path, 0)
    split = found.load()
    expected = small.records[-1][:, len(small.keys) :].reshape(-1, 3, 32, 32)
    assert torch.equal(split.inputs, torch.from_numpy(expected.copy())) and found.examples == len(expected)
    assert (split.targets == 0).all()


def test_fitting_sets_into_the_middle_or_resizes() -> None:
    grey = np.random.default_rng(2).integers(0, 256, (3, 28, 28, 1), dtype=np.uint8)
    wide = fit(grey, dataset_of(scenes(2, 32, 32, 3)))
    assert wide.shape == (3, 3, 32, 32) and wide.dtype == torch.uint8
    for channel in range(3):
        assert np.array_equal(wide[:, channel, 2:30, 2:30].numpy(), grey[..., 0])
    assert int(wide[:, :, :2].sum() + wide[:, :, 30:].sum() + wide[..., :2].sum() + wide[..., 30:].sum()) == 0
    ramp = np.arange(16, dtype=np.uint8).repeat(16).reshape(1, 16, 16, 1) * 16
    doubled = fit(ramp, dataset_of(scenes(2, 32, 32, 1)))[0, 0].float()
    assert (doubled[1:-1].diff(dim=0) == 8).all() and (doubled[[0, -1]].mean(dim=1) == torch.tensor([0.0, 240.0])).all()
    colour = np.random.default_rng(3).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    small = fit(colour, dataset_of(torch.arange(17).repeat(64)[: 16 * 64].reshape(16, 1, 8, 8).byte()))
    means = colour.reshape(2, 8, 4, 8, 4, 3).mean(axis=(2, 4)) @ [0.299, 0.587, 0.114] * 16 / 255
    assert small.shape == (2, 1, 8, 8) and np.abs(small[:, 0].numpy() - means).max() < 0.6
    floating = fit(colour, dataset_of(scenes(2, 32, 32, 3).float() / 255))
    assert torch.allclose(floating, torch.from_numpy(colour.transpose(0, 3, 1, 2) / 255).float())
