import hashlib
import struct
from dataclasses import replace

import jaxtyping
import pytest
import torch

from modescape.app.datasets.dataset import Dataset, check
from modescape.core.splits import Split
from modescape.errors import DataError


def split(count: int, *, length: int = 5, inputs: torch.Tensor | None = None, targets: list | None = None) -> Split:
    values = torch.arange(count * length, dtype=torch.float32).reshape(count, 1, length) if inputs is None else inputs
    return Split(values, torch.tensor([row % 3 for row in range(count)] if targets is None else targets))


def dataset(**splits: Split) -> Dataset:
    return Dataset("toy", {"train": split(6), "test": split(3)} | splits, ("a", "b", "c"), "made up", "none")


def test_sound_data_pass() -> None:
    check(dataset())
    check(dataset(validation=split(1)))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_nan_inputs_name_split_and_rows(value: float) -> None:
    inputs = torch.zeros(9, 1, 5)
    inputs[[2, 3, 4, 5, 6, 8], 0, 1] = value
    with pytest.raises(DataError, match=r"toy, split test: NaN or .* in 6 of 9 rows \(2, 3, 4, 5, 6, \.\.\.\)"):
        check(dataset(test=split(9, inputs=inputs)))


@pytest.mark.parametrize("label", [-1, 3])
def test_label_out_of_range(label: int) -> None:
    with pytest.raises(DataError, match=rf"split validation: label {label} is not from 0 to 2, in 1 of 3 rows \(1\)"):
        check(dataset(validation=split(3, targets=[0, label, 2])))


@pytest.mark.parametrize("targets", [[0.0, 1.0, 2.0], [[0], [1], [2]], [True, False, True]])
def test_targets_are_whole_numbers(targets: list, monkeypatch: pytest.MonkeyPatch) -> None:
    # As for users: annotations are not checked, so that what is refused is refused by modescape's own words.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(DataError, match=r"split test: targets are \w+ \[3.*expected whole numbers, int64"):
        check(dataset(test=split(3, targets=targets)))


def test_empty_split() -> None:
    with pytest.raises(DataError, match="split validation: there are no examples"):
        check(dataset(validation=Split(torch.zeros(0, 1, 5), torch.zeros(0, dtype=torch.int64))))


def test_inputs_differ_between_splits() -> None:
    with pytest.raises(
        DataError, match=r"split test: inputs are float32 \[3, 1, 4\], those of train float32 \[6, 1, 5\]"
    ):
        check(dataset(test=split(3, length=4)))
    with pytest.raises(DataError, match="split test: inputs are uint8"):
        check(dataset(test=split(3, inputs=torch.zeros(3, 1, 5, dtype=torch.uint8))))


def test_inputs_need_a_channel_axis() -> None:
    flat = {name: split(3, inputs=torch.zeros(3, 5)) for name in ("train", "test")}
    with pytest.raises(DataError, match="add a channel axis"):
        check(dataset(**flat))


def test_split_names() -> None:
    with pytest.raises(DataError, match="has the splits extra, test, train"):
        check(dataset(extra=split(3)))
    with pytest.raises(DataError, match="it needs train and test"):
        check(replace(dataset(), splits={"train": split(3)}))


def test_digest_as_documented() -> None:
    small = Dataset("toy", {"train": split(1), "test": split(1, length=2)}, ("a",), "made up", "none")
    values = [b"test <f4 (1, 1, 2)\n", bytes(4), struct.pack("<f", 1), b"test <i8 (1,)\n", bytes(8)]
    values += [b"train <f4 (1, 1, 5)\n", struct.pack("<5f", 0, 1, 2, 3, 4), b"train <i8 (1,)\n", bytes(8)]
    assert small.digest == hashlib.sha256(b"".join(values)).hexdigest()


def test_digest_sees_every_difference() -> None:
    first = dataset()
    assert first.digest == dataset().digest
    turned = Dataset("toy", {"test": split(3), "train": split(6)}, ("a", "b", "c"), "", "")
    assert turned.digest == first.digest
    others = [
        dataset(train=split(6, targets=[0, 1, 2, 0, 1, 1])),
        dataset(train=split(6, inputs=split(6).inputs.reshape(6, 5, 1))),
        dataset(train=split(6, inputs=split(6).inputs.view(torch.int32))),
        dataset(train=split(3), test=split(6)),
        dataset(validation=split(1)),
    ]
    assert len({first.digest, *(other.digest for other in others)}) == 6


def test_digest_is_of_values_and_not_of_memory() -> None:
    every_other = split(6, length=10).inputs[:, :, ::2]
    assert not every_other.is_contiguous()
    copied = dataset(train=split(6, inputs=every_other.clone(memory_format=torch.contiguous_format)))
    assert dataset(train=split(6, inputs=every_other)).digest == copied.digest
