import pytest
import torch

from modescape.app.datasets.dataset import Dataset
from modescape.app.datasets.load import load


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load("digits")


def test_split_is_fixed(digits: Dataset) -> None:
    assert digits.digest == "41fc597d1482f7a265e3d1eec3661cc1dc4db85d1abf8c402092e541afb0b6f9"


def test_split_is_stratified(digits: Dataset) -> None:
    counts = {name: split.targets.bincount(minlength=10) for name, split in digits.splits.items()}
    whole = sum(counts.values())
    assert {name: int(count.sum()) for name, count in counts.items()} == {"train": 100, "validation": 197, "test": 1500}
    assert counts["train"].tolist() == [10] * 10
    for name in ("validation", "test"):
        expected = (whole - 10) * counts[name].sum() / (whole - 10).sum()
        assert (counts[name] - expected).abs().max() < 1


def test_every_image_is_used_once(digits: Dataset) -> None:
    from sklearn import datasets

    images = torch.cat([split.inputs for split in digits.splits.values()])
    assert images.dtype == torch.uint8 and images.shape == (1797, 1, 8, 8) and int(images.max()) == 16
    official = torch.from_numpy(datasets.load_digits().data).byte()
    targets = torch.cat([split.targets for split in digits.splits.values()])
    rows = torch.cat([images.flatten(1), targets.byte()[:, None]], dim=1).tolist()
    labels = torch.from_numpy(datasets.load_digits().target).byte()
    assert sorted(rows) == sorted(torch.cat([official, labels[:, None]], dim=1).tolist())


def test_first_training_images_are_balanced() -> None:
    assert sorted(load("digits", train=20).splits["train"].targets.tolist()) == sorted([*range(10)] * 2)


def test_order_is_mixed(digits: Dataset) -> None:
    for name in ("validation", "test"):
        targets = digits.splits[name].targets
        same_as_next = (targets[1:] == targets[:-1]).float().mean()
        assert 0.04 < same_as_next < 0.16
