"""Images in files: what is decoded, in which order, by how many threads, and what is refused by name."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image
from references import photographs_made as made

from modescape.app.datasets import decoding, photograph_files
from modescape.app.datasets.load import load
from modescape.core.training.augment import cuts_of, random_piece
from modescape.errors import DataError


@pytest.fixture
def root(tmp_path):
    return made.folder(tmp_path / "images")


def path_of(inputs, row):
    number = int(inputs.rows[row])
    return inputs.found.folder / inputs.found.names[number]


@pytest.mark.parametrize("size", [12, 32, 50])
def test_images_are_resized_and_their_middle_is_taken(root, size):
    for split in load(str(root), size=size).splits.values():
        inputs = split.inputs
        assert inputs.shape == (len(split), 3, size, size)
        values = inputs[:]
        assert values.dtype == torch.uint8
        for row in range(len(split)):
            assert np.array_equal(values[row].numpy(), made.shown(path_of(inputs, row), size)), row


def test_without_another_size_it_is_that_of_imagenet(root):
    assert load(str(root)).splits["test"].inputs.shape == (9, 3, 224, 224)


def test_pieces_are_cut_from_the_stored_image(root):
    inputs = load(str(root), size=16).splits["train"].inputs
    rows, seeds = torch.tensor([3, 0, 3, 7]), torch.tensor([5, 6, 7, 8])
    values = inputs.read(rows, cuts_of(seeds))
    for place, (row, seed) in enumerate(zip(rows.tolist(), seeds.tolist(), strict=True)):
        path = path_of(inputs, row)
        with Image.open(path) as image:
            width, height = image.size
        expected = made.shown(path, 16, random_piece(seed, height, width))
        assert np.array_equal(values[place].numpy(), expected)
    assert not torch.equal(values[0], values[2])


@pytest.mark.parametrize("threads", [1, 7])
def test_threads_change_nothing(root, threads, monkeypatch):
    inputs = load(str(root), size=16).splits["train"].inputs
    rows = torch.arange(len(inputs))
    expected, pieces = inputs.read(rows), inputs.read(rows, cuts_of(rows))
    with ThreadPoolExecutor(threads) as own:
        monkeypatch.setattr(decoding, "pool", lambda: own)
        assert torch.equal(inputs.read(rows), expected)
        assert torch.equal(inputs.read(rows, cuts_of(rows)), pieces)


def test_rows_may_be_asked_for_in_any_way(root):
    inputs = load(str(root), size=8).splits["train"].inputs
    every = inputs[:]
    assert torch.equal(inputs[2:5], every[2:5])
    assert torch.equal(inputs[[4, 1]], every[[4, 1]])
    part = inputs.part(torch.tensor([5, 3, 9]))
    assert part.shape == (3, 3, 8, 8)
    assert torch.equal(part[:], every[[5, 3, 9]])
    assert torch.equal(part.part(torch.tensor([2, 0]))[:], every[[9, 5]])
    assert torch.equal(part.held(torch.tensor([1])), every[[3]])
    assert torch.equal(pickle.loads(pickle.dumps(part))[:], every[[5, 3, 9]])  # noqa: S301  (it travels to our processes)


def test_a_small_part_is_decoded_once_and_what_is_kept_is_bounded(root, monkeypatch):
    split = load(str(root), size=8).splits["train"]
    opened = []
    plain = photograph_files._decoded
    monkeypatch.setattr(photograph_files, "_decoded", lambda path, show: opened.append(path) or plain(path, show))
    rows = torch.tensor([1, 2])
    for _ in range(3):
        part = split.part(rows)
        assert isinstance(part.inputs, torch.Tensor)
    assert len(opened) == 2
    monkeypatch.setattr(decoding, "HELD_BYTES", 3 * 3 * 8 * 8)
    split.part(torch.tensor([3, 4]))
    assert len(split.inputs._held) == 1
    split.part(rows)
    assert len(opened) == 6


def test_a_large_part_stays_in_its_files(root, monkeypatch):
    monkeypatch.setattr("modescape.core.splits.HELD_BYTES", 100)
    split = load(str(root), size=8).splits["train"]
    part = split.part(torch.tensor([4, 2]))
    assert not isinstance(part.inputs, torch.Tensor)
    assert torch.equal(part.inputs[:], split.inputs[[4, 2]])
    assert part.targets.tolist() == split.targets[[4, 2]].tolist()


def saved(root, image, **options):
    path = root / "train" / "n01" / "n01_0.JPEG"
    image.save(path, **({"format": "JPEG", "quality": 95} | options))
    return path


def values_at(root, path, size=16):
    inputs = load(str(root), size=size).splits["train"].inputs
    return inputs[[row for row in range(len(inputs)) if path_of(inputs, row) == path]][0].float()


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGBA", "LA", "P", "1"])
def test_whatever_pillow_reads_becomes_colour(root, mode):
    plain = made.picture(1, 40, 40)
    how = {"L": "JPEG", "CMYK": "JPEG"}.get(mode, "PNG")  # a PNG under a JPEG's name, as there is in ImageNet
    found = values_at(root, saved(root, plain.convert(mode), format=how))
    assert found.shape == (3, 16, 16)
    if mode in ("L", "LA", "1"):
        assert torch.equal(found[0], found[1]) and torch.equal(found[1], found[2])
    else:
        expected = values_at(root, saved(root, plain))
        # JPEG and a palette of 216 colours are off by a few levels; CMYK taken upside down would be by a hundred
        assert (found - expected).abs().mean() < 20


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-400]), "cannot be decoded .*truncated"),
        (lambda path: path.write_bytes(b""), "cannot be decoded"),
        (lambda path: path.write_text("not an image"), "cannot be decoded"),
        (lambda path: path.unlink(), "cannot be decoded .*No such file"),
        (lambda path: Image.fromarray(np.full((9, 9), 40000, np.uint16)).save(path, format="PNG"), "more than 8 bits"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(root, harm, words):
    inputs = load(str(root), size=16).splits["train"].inputs
    harm(path_of(inputs, 4))
    for rows in ([4], list(range(len(inputs)))):
        with pytest.raises(DataError, match=words) as told:
            inputs[rows]
        assert path_of(inputs, 4).name in str(told.value)
    assert torch.equal(inputs[[3]], inputs[[3]])
    (told,) = inputs.unreadable()
    assert path_of(inputs, 4).name in told


def test_an_image_that_is_too_large_is_refused_before_it_is_decoded(root, monkeypatch):
    inputs = load(str(root), size=16).splits["train"].inputs
    monkeypatch.setattr(photograph_files, "MOST_PIXELS", 40 * 30 - 1)
    with pytest.raises(DataError, match="shrink it"):
        inputs[:]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataError, match="too many pixels"):
        inputs[:]


def test_the_digest_counts_names_and_sizes_and_no_image_is_opened(root, tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "open", lambda path: pytest.fail("opened"))
    first = load(str(root), size=16).digest
    root.rename(tmp_path / "elsewhere")
    root = tmp_path / "elsewhere"
    assert load(str(root), size=16).digest == first
    seen = {first, load(str(root), size=17).digest, load(str(root), size=16, train=17).digest}
    path = root / "train" / "n01" / "n01_0.JPEG"
    path.write_bytes(path.read_bytes() + b"\0")
    seen.add(load(str(root), size=16).digest)
    path.rename(path.with_name("n01_9.JPEG"))
    seen.add(load(str(root), size=16).digest)
    path.with_name("n01_9.JPEG").rename(root / "train" / "n02" / "n01_9.JPEG")
    seen.add(load(str(root), size=16).digest)
    assert len(seen) == 6


def test_first_and_last_examples_are_of_all_classes_in_an_order_that_never_changes(tmp_path):
    root = made.folder(tmp_path / "many", train=40, val=10, sizes=((8, 8),))
    dataset = load(str(root), validation=30, train=30)
    for name in ("train", "validation", "test"):
        assert dataset.splits[name].targets.bincount(minlength=3).min() >= 4
    names = dataset.splits["train"].inputs.found.names
    again = load(str(root)).splits["train"]
    assert again.inputs.found.names == names
    assert [name.split("/")[0] for name in names] == [made.CLASSES[label] for label in again.targets]
    rows = {int(row) for name in ("train", "validation") for row in dataset.splits[name].inputs.rows}
    assert len(rows) == 60
