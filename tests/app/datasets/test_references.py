"""People's votes and the posterior, from files of the published layouts, in small."""

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from pretend import npy

from modescape.app.datasets import references
from modescape.app.datasets.references import load_people, load_posterior, order_of_published_rows
from modescape.errors import DataError

EXAMPLES = 12


class Small:
    """Twelve images' votes and probabilities; the package believes that these are the published ones."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        chance = np.random.default_rng(5)
        self.folder = folder
        self.counts = chance.multinomial(50, np.full(10, 0.1), EXAMPLES).astype(np.int64)
        self.counts[3, 0] += 2
        self.probabilities = chance.dirichlet(np.ones(10), EXAMPLES).astype(np.float32)
        monkeypatch.setattr(references, "EXAMPLES", EXAMPLES)
        monkeypatch.setattr(references, "VOTES", 50 * EXAMPLES + 2)
        pinned = hashlib.sha256(self.counts.astype(np.uint8).tobytes()).hexdigest()
        monkeypatch.setattr(references, "PEOPLE_SHA256", pinned)
        monkeypatch.setattr(references, "POSTERIOR_SHA256", hashlib.sha256(self.probabilities.tobytes()).hexdigest())

    def put(self, name: str, raw: bytes) -> None:
        (self.folder / name).write_bytes(raw)

    def table(self, probabilities: np.ndarray | None = None) -> bytes:
        """probs.csv, in its own order."""
        values = self.probabilities if probabilities is None else probabilities
        saved = io.StringIO()
        np.savetxt(saved, values[order_of_published_rows(len(values))], delimiter=",")
        return saved.getvalue().encode()


def npz(**arrays: np.ndarray) -> bytes:
    saved = io.BytesIO()
    np.savez_compressed(saved, **arrays)
    return saved.getvalue()


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    return Small(tmp_path, monkeypatch)


def test_no_files_no_references(tmp_path: Path) -> None:
    assert load_people(tmp_path) is None and load_posterior(tmp_path) is None
    assert load_people(None) is None and load_posterior(None) is None


def test_votes(small: Small) -> None:
    expected = torch.from_numpy(small.counts)
    small.put("cifar10_labels_10h_10n.npz", npz(human_counts=small.counts.astype(np.uint8), other=np.zeros(3)))
    compact = load_people(small.folder)
    assert compact is not None and compact.dtype == torch.int64 and torch.equal(compact, expected)
    small.put("cifar10h-counts.npy", npy(small.counts))
    published = load_people(small.folder)
    assert published is not None and torch.equal(published, expected)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda counts: counts[:-1], r"is int64 \[11, 10\], expected int64 \[12, 10\]"),
        (lambda counts: counts.astype(np.float64), r"is float64"),
        (lambda counts: counts[::-1].copy(), "is damaged or another version: the SHA-256 of its values"),
        (
            lambda counts: counts + np.eye(12, 10, dtype=np.int64),
            r"has 612 votes, 50 to 53 an image; CIFAR-10H has 602",
        ),
        (lambda counts: np.where(np.arange(12)[:, None] == 0, counts * 2, counts), "100 an image"),
        (lambda counts: counts - np.eye(12, 10, dtype=np.int64) * 60, "votes"),
    ],
)
def test_votes_that_are_others(small: Small, change, says: str) -> None:
    small.put("cifar10h-counts.npy", npy(change(small.counts)))
    with pytest.raises(DataError, match=rf"cifar10h-counts\.npy {says}|cifar10h-counts\.npy has .*{says}"):
        load_people(small.folder)


def test_posterior_from_either_file(small: Small) -> None:
    expected = torch.from_numpy(small.probabilities.astype(np.float64))
    small.put("probs.csv", small.table())
    published = load_posterior(small.folder)
    assert published is not None and published.dtype == torch.float64 and torch.equal(published, expected)
    small.put("probs.csv", small.table().replace(b"\n", b"\r\n"))
    assert torch.equal(load_posterior(small.folder), expected)
    small.put("cifar10_test_hmc_probs.npz", npz(probs=small.probabilities, labels=np.zeros(12, np.uint8)))
    assert torch.equal(load_posterior(small.folder), expected)


def test_rows_must_sum_to_one(small: Small) -> None:
    near, far = small.probabilities.copy(), small.probabilities.copy()
    near[4, 0] += 5e-6
    far[4, 0] += 5e-5
    small.put("probs.csv", small.table(far))
    with pytest.raises(
        DataError, match=r"probs\.csv has 1 rows that are no .* within 1e-05, the first for test image 4"
    ):
        load_posterior(small.folder)
    small.put("probs.csv", small.table(near))
    with pytest.raises(DataError, match=r"probs\.csv is damaged or another version"):
        load_posterior(small.folder)


@pytest.mark.parametrize("value", [-0.1, np.nan, np.inf])
def test_no_probabilities(small: Small, value: float) -> None:
    wrong = small.probabilities.copy()
    wrong[7, 3] = value
    for name, raw in (("probs.csv", small.table(wrong)), ("cifar10_test_hmc_probs.npz", npz(probs=wrong))):
        small.put(name, raw)
        with pytest.raises(DataError, match=r"has 1 rows that are no probabilities .* test image 7"):
            load_posterior(small.folder)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", r"is \[0\], expected \[12, 10\]"),
        (b"0.5,0.5\n" * 12, r"is \[12, 2\], expected \[12, 10\]"),
        (b"0.5,0.5\n1\n", "is not a table of numbers"),
        (b"a,b\n", "is not a table of numbers: could not convert"),
        (b"\xff\xfe\x00", "is not a table of numbers"),
        (b"<html>Please log in</html>", "is not a table of numbers"),
    ],
)
def test_no_table(small: Small, raw: bytes, says: str) -> None:
    small.put("probs.csv", raw)
    with pytest.raises(DataError, match=rf"probs\.csv {says}"):
        load_posterior(small.folder)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (npz(labels=np.zeros(3)), "lacks probs"),
        (npz(probs=np.zeros((12, 10))), r"probs is float64 \[12, 10\], expected float32 \[12, 10\]"),
        (npz(probs=np.zeros((12, 9), np.float32)), r"probs is float32 \[12, 9\], expected"),
        (npz(probs=np.zeros((12, 10), np.float32))[:-30], "cannot be read"),
        (npz(probs=np.array([None])), "cannot be read: Object arrays cannot be loaded"),
        (npz(probs=np.zeros((10_000, 10), np.float32)), "cannot be read: probs has 400128 bytes"),
    ],
)
def test_compact_files_of_another_form(small: Small, raw: bytes, says: str) -> None:
    small.put("cifar10_test_hmc_probs.npz", raw)
    with pytest.raises(DataError, match=rf"cifar10_test_hmc_probs\.npz.*{says}"):
        load_posterior(small.folder)


def test_order_of_published_rows() -> None:
    """The first and last of the 10,000 rows, from the compact copy, which was ordered by comparing classes."""
    order = order_of_published_rows(10_000)
    assert order[:5].tolist() == [9933, 5669, 163, 6686, 4747]
    assert sorted(order.tolist()) == list(range(10_000))
