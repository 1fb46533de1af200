"""Handwritten digits of 8 x 8 pixels, bundled with scikit-learn, in one fixed and stratified split."""

import numpy as np
import torch

from modescape.app.datasets.dataset import Dataset
from modescape.core.splits import Split

SEED = 20191205
TRAIN_PER_CLASS = 10
VALIDATION = 197


def load_digits() -> Dataset:
    """The 1,797 digits: uint8 [example, 1, 8, 8] with values 0 .. 16; 297 in 'train', 1,500 in 'test'.

    The first 100 of 'train' are ten of each class; the 197 after them are in proportion to the classes and are meant
    to be held out. With more than 100 training images the task is nearly solved and an ensemble has nothing to gain.
    """
    from sklearn import datasets

    bunch = datasets.load_digits()
    images = torch.from_numpy(bunch.images.astype(np.uint8)).unsqueeze(1)
    labels = bunch.target.astype(np.int64)
    train, validation, test = stratified_rows(labels)
    rows = {"train": np.concatenate([train, validation]), "test": test}
    targets = torch.from_numpy(labels)
    return Dataset(
        name="digits",
        splits={name: Split(images[chosen], targets[chosen]) for name, chosen in rows.items()},
        classes=tuple("0123456789"),
        source="Optical Recognition of Handwritten Digits (Alpaydin and Kaynak 1998), test part, as in scikit-learn",
        licence="CC BY 4.0",
    )


def stratified_rows(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows for training (100), validation (197) and testing (the rest, 1,500), in a fixed order.

    Every class gives ten rows to training, where the classes take turns, and its share of what remains to validation,
    rounded to the nearest whole numbers that add up to 197; these two sets follow in random order.
    """
    # A bit stream stays the same in every numpy release; the permutations a Generator makes of it may not.
    choice, order = np.random.PCG64(SEED).random_raw((2, len(labels)))
    by_class = [rows[np.argsort(choice[rows])] for rows in (np.flatnonzero(labels == one) for one in np.unique(labels))]
    left = np.array([len(rows) - TRAIN_PER_CLASS for rows in by_class])
    shares = VALIDATION * left / left.sum()
    held_out = np.floor(shares).astype(int)
    held_out[np.argsort(held_out - shares, kind="stable")[: VALIDATION - held_out.sum()]] += 1
    ends = TRAIN_PER_CLASS + held_out
    train = np.stack([rows[:TRAIN_PER_CLASS] for rows in by_class]).T.ravel()
    validation = np.concatenate([rows[TRAIN_PER_CLASS:end] for rows, end in zip(by_class, ends, strict=True)])
    test = np.concatenate([rows[end:] for rows, end in zip(by_class, ends, strict=True)])
    return train, validation[np.argsort(order[validation])], test[np.argsort(order[test])]
