"""What predictions on CIFAR-10's test split can be held against: people's votes, and a reference posterior.

Sources. Votes: CIFAR-10H (Peterson et al. 2019, CC BY-NC-SA 4.0), https://github.com/jcpeterson/cifar-10h. Posterior:
the predictive of a ResNet-20-FRN by Hamiltonian Monte Carlo (Izmailov et al. 2021), as in
https://github.com/izmailovpavel/neurips_bdl_starter_kit (no licence stated; citation asked).
"""

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from modescape.app.datasets.arrays import arrays_of_npz, rows_of_npy, whole
from modescape.app.datasets.locate import data_folder
from modescape.core.shapes import Float, Int
from modescape.errors import DataError

EXAMPLES, CLASSES = 10000, 10
VOTES, FEWEST, MOST = 511_000, 47, 63
TOLERANCE = 1e-5
"""By how much the probabilities of an example may miss 1: they are published as float32."""

TEXT_LIMIT = 4 << 20

PEOPLE_FILES = ("cifar10h-counts.npy", "cifar10_labels_10h_10n.npz")
POSTERIOR_FILES = ("cifar10_test_hmc_probs.npz", "probs.csv")
"""The published file and a compact copy of its values: either will do, the first one found is read."""

PEOPLE_SHA256 = "6291dd382f84434ac7233c1d3c1bba7010b614ca8391b848fff4b036b9794f8a"
"""Of the counts as uint8 [10000, 10]. As int64 in an npy file they have MD5 f1284b6fba48a67d3db69bbafb5685ad."""

POSTERIOR_SHA256 = "f3a6eb5aec1967ec9c91f0f6c10c8cac8052c9b69fb9473c80db8a92e1ce5042"
"""Of the probabilities as float32 [10000, 10], little-endian, in the official order of the test images."""


OFFICIAL_SHA256 = "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5"
"""Of the labels of CIFAR-10's test images as uint8 [10000], in the official order."""


def are_official(targets: Int[Tensor, " example"]) -> bool:
    """Whether these are the labels of CIFAR-10's test images, whatever file they are from."""
    if len(targets) != EXAMPLES or int(targets.max()) >= CLASSES:
        return False
    return hashlib.sha256(targets.cpu().numpy().astype(np.uint8).tobytes()).hexdigest() == OFFICIAL_SHA256


def load_people(data_dir: Path | None) -> Int[Tensor, "10000 10"] | None:
    """CIFAR-10H: how many of about 51 people chose each class for each test image, int64; None without the files.

    Raises ``DataError`` for a damaged file, and for votes that are not those published.
    """
    path = _first(PEOPLE_FILES, data_dir)
    if path is None:
        return None
    if path.suffix == ".npy":
        counts = rows_of_npy(whole(path), ("<i8",), (EXAMPLES, CLASSES))
    else:
        counts = arrays_of_npz(path, {"human_counts": ("|u1", (EXAMPLES, CLASSES))})["human_counts"]
    counts = counts.astype(np.int64)
    votes = counts.sum(axis=1)
    if counts.min() < 0 or votes.sum() != VOTES or votes.min() < FEWEST or votes.max() > MOST:
        raise DataError(
            f"{path} has {votes.sum()} votes, {votes.min()} to {votes.max()} an image; CIFAR-10H has {VOTES}, {FEWEST} "
            f"to {MOST}. Put the published file there"
        )
    _prove(path, counts.astype(np.uint8), PEOPLE_SHA256)
    return torch.from_numpy(counts)


def load_posterior(data_dir: Path | None) -> Float[Tensor, "10000 10"] | None:
    """The posterior predictive, float64, in the official order of the test images; None without the files.

    Every example's probabilities sum to 1 within 1e-5. Raises ``DataError`` for a damaged file, and for probabilities
    that are not those published.
    """
    path = _first(POSTERIOR_FILES, data_dir)
    if path is None:
        return None
    if path.suffix == ".csv":
        published = _numbers(path)
        probabilities = np.empty_like(published)
        probabilities[order_of_published_rows(EXAMPLES)] = published
    else:
        probabilities = arrays_of_npz(path, {"probs": ("<f4", (EXAMPLES, CLASSES))})["probs"].astype(np.float64)
    wrong = ~(np.isfinite(probabilities).all(axis=1) & (probabilities >= 0).all(axis=1))
    wrong |= ~(np.abs(probabilities.sum(axis=1) - 1) <= TOLERANCE)
    if wrong.any():
        raise DataError(
            f"{path} has {wrong.sum()} rows that are no probabilities summing to 1 within {TOLERANCE}, the first for "
            f"test image {np.argmax(wrong)}. Put the published file there"
        )
    _prove(path, probabilities.astype("<f4"), POSTERIOR_SHA256)
    return torch.from_numpy(probabilities)


def order_of_published_rows(examples: int) -> np.ndarray:
    """The official index of the test image in each row of probs.csv, int64 [example].

    The rows are in the order of TensorFlow Datasets, which sorts by the MD5 of the text "test" and the index. Read in
    the official order they would look like a network that has learnt nothing.
    """

    def key(index: int) -> str:
        return hashlib.md5(f"test{index}".encode(), usedforsecurity=False).hexdigest()

    return np.array(sorted(range(examples), key=key), np.int64)


def _first(names: tuple[str, ...], data_dir: Path | None) -> Path | None:
    folder = data_folder(data_dir)
    folder = folder.parent if folder.is_file() else folder
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _numbers(path: Path) -> np.ndarray:
    try:
        with path.open(encoding="ascii") as stream:
            lines = stream.read(TEXT_LIMIT + 1).split("\n")
        rows = [line.split(",") for line in lines if line.strip()]
        numbers = np.array([[float(cell) for cell in row] for row in rows], np.float64)
    except (OSError, ValueError) as problem:
        raise DataError(f"{path} is not a table of numbers: {problem}. Put the published file there") from problem
    if numbers.shape != (EXAMPLES, CLASSES):
        raise DataError(
            f"{path} is {list(numbers.shape)}, expected [{EXAMPLES}, {CLASSES}]. Put the published file there"
        )
    return numbers


def _prove(path: Path, values: np.ndarray, expected: str) -> None:
    got = hashlib.sha256(np.ascontiguousarray(values).data).hexdigest()
    if got != expected:
        raise DataError(
            f"{path} is damaged or another version: the SHA-256 of its values is {got}, expected {expected}. "
            "Put the published file there, or remove it"
        )
