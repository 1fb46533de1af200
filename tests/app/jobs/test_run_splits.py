"""A run's splits: the dataset's own, and others that are made when they are asked for."""

import pytest
import torch

from modescape.app.datasets.digits import load_digits
from modescape.app.jobs import splits as module
from modescape.app.jobs.splits import HELD, Beyond, Splits, digest_of
from modescape.errors import SettingsError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def digits():
    return load_digits()


def splits_of(dataset):
    return Splits(dataset.splits, Beyond(dataset, None, 0), CPU)


def test_only_the_own_splits_are_listed_and_others_are_made(digits):
    splits = splits_of(digits)
    assert set(splits) == set(digits.splits) and len(splits) == len(digits.splits)
    assert "validation" not in splits and "shift/contrast/2" not in splits
    shifted = splits["shift/contrast/2"]
    assert shifted.inputs.shape == digits.splits["test"].inputs.shape
    assert torch.equal(shifted.targets, digits.splits["test"].targets)
    assert not torch.equal(shifted.inputs, digits.splits["test"].inputs)
    with pytest.raises(KeyError):
        splits["validation"]


def test_few_are_held_and_the_same_is_made_once(digits, monkeypatch):
    made = []
    real = module.extra

    def counting(dataset, name, data_dir, root):
        made.append(name)
        return real(dataset, name, data_dir, root)

    monkeypatch.setattr(module, "extra", counting)
    splits = splits_of(digits)
    first = splits["shift/contrast/1"]
    assert splits["shift/contrast/1"] is first
    for severity in range(2, 2 + HELD):
        splits[f"shift/contrast/{severity}"]
    assert splits["shift/contrast/1"] is not first
    assert torch.equal(splits["shift/contrast/1"].inputs, first.inputs)
    assert made.count("shift/contrast/1") == 1  # found once; made again from what was found


def test_what_it_tells_studies_names_source_and_digest(digits):
    beyond = Beyond(digits, None, 0)
    told = beyond.describe("shift/gaussian_noise/3")
    assert told.examples == len(digits.splits["test"]) and told.source
    assert told.digest != Beyond(digits, None, 1).describe("shift/gaussian_noise/3").digest
    assert "gaussian_noise" in beyond.families
    with pytest.raises(SettingsError, match="gaussian_nois"):
        beyond.describe("shift/gaussian_nois/3")


def test_digests_are_those_of_the_numbers():
    values = torch.rand(3, 2, dtype=torch.float64)
    assert digest_of(values) == digest_of(values.clone()) != digest_of(values.flip(0))
