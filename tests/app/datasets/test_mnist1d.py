import hashlib
import random

import numpy as np
import pytest
import torch

from modescape.app.datasets.dataset import Dataset
from modescape.app.datasets.load import load
from modescape.app.datasets.mnist1d import load_mnist1d


@pytest.fixture(scope="module")
def mnist1d() -> Dataset:
    return load("mnist1d")


def test_equals_the_published_file(mnist1d: Dataset) -> None:
    """Golden numbers taken from the arrays of the published mnist1d_data.pkl; one wrong or misplaced value shows."""
    train = torch.cat([mnist1d.splits["train"].inputs, mnist1d.splits["validation"].inputs])
    test = mnist1d.splits["test"].inputs
    assert train.shape == (4000, 1, 40) and test.shape == (1000, 1, 40) and train.dtype == torch.float32
    assert train[0, 0, :4].tolist() == pytest.approx([-0.33200568, -0.47191036, -0.7786971, -1.0097408], abs=1e-6)
    assert test[-1, 0, -4:].tolist() == pytest.approx([0.44723287, 0.65987563, 0.87773436, 1.1931518], abs=1e-6)
    waves = [float((x.flatten().double() * torch.arange(x.numel()).double().cos()).sum()) for x in (train, test)]
    assert waves == pytest.approx([209.98646, -172.43625], abs=2e-4)
    labels = torch.cat([mnist1d.splits[name].targets for name in ("train", "validation", "test")])
    assert hashlib.sha256(labels.to(torch.uint8).numpy().tobytes()).hexdigest()[:16] == "4f5f4160c519e3c4"


def test_last_training_examples_are_held_out(mnist1d: Dataset) -> None:
    whole = load_mnist1d()
    assert len(mnist1d.splits["train"]) == 3500
    assert torch.equal(mnist1d.splits["validation"].inputs, whole.splits["train"].inputs[3500:])
    assert torch.equal(mnist1d.splits["validation"].targets, whole.splits["train"].targets[3500:])


def test_global_chance_is_untouched() -> None:
    np.random.seed(3)  # noqa: NPY002
    random.seed(3)
    expected = np.random.rand(), random.random()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    random.seed(3)
    load_mnist1d()
    assert (np.random.rand(), random.random()) == expected  # noqa: NPY002
