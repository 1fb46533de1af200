"""ImageNet, and any folder of images in its layout: train/CLASS/*.JPEG and val/CLASS/*.JPEG.

Layout: Russakovsky et al. 2015 (ImageNet Large Scale Visual Recognition Challenge, arXiv 1409.0575). The validation
images come as one flat folder; which class each shows is read from one of the files that are published with them.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from modescape.app.datasets.dataset import Dataset
from modescape.app.datasets.photograph_files import Found, Photographs, class_folders, find_images, images_in, mixed
from modescape.app.datasets.places import IMAGENET_FOLDERS, imagenet_root
from modescape.core.splits import Split
from modescape.errors import DataError

SOLUTION = "LOC_val_solution.csv"
SYNSETS = "imagenet_2012_validation_synset_labels.txt"
TRUTH = "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt"
META = "ILSVRC2012_devkit_t12/data/meta.mat"

FIRST = 5
"""Images that a message names."""

LABELS = (
    f"put {SOLUTION}, {SYNSETS} or the folder ILSVRC2012_devkit_t12 beside it, or move each image into the folder of "
    "its class"
)


def load_imagenet(folder: Path) -> Dataset:
    """The 1,281,167 training and 50,000 validation images of 2012, decoded as they are asked for.

    ``test`` is what ImageNet calls val: labels of its own test images are not public. Fewer classes or images are taken
    as they are: a subset is what a first try is made with. Raises ``DataError`` for a folder without them.
    """
    root = imagenet_root(folder)
    if root is None:
        places = ", ".join(str(folder / place) for place in IMAGENET_FOLDERS)
        raise DataError(
            f"imagenet was not found: none of {places} has the folders train and val. It cannot be fetched: get it "
            "from image-net.org (its terms have to be accepted) and name the folder that holds it: --data-dir DIR"
        )
    source = "ImageNet, ILSVRC 2012 (Russakovsky et al. 2015), https://image-net.org"
    licence = "image-net.org's terms: non-commercial research and education"
    return load_folder("imagenet", root, source, licence, labels=(root, folder))


def load_folder(name: str, root: Path, source: str, licence: str, labels: Sequence[Path] = ()) -> Dataset:
    """Images in ROOT/train/CLASS and ROOT/val/CLASS; classes are numbered in the order of their folders' names.

    Nothing is decoded, every folder is listed. The order of examples is without pattern, see ``find_images``. Where val
    is one flat folder, classes are read from a file in one of the folders ``labels``, by default ROOT. Raises
    ``DataError`` that names the folder at fault.
    """
    for part in ("train", "val"):
        if not (root / part).is_dir():
            raise DataError(f"{root} has no folder {part}; images are expected in {root / 'train'}/CLASS and val/CLASS")
    classes = class_folders(root / "train")
    if not classes:
        raise DataError(f"{root / 'train'} has no folders, one for each class; unpack the archive of every class there")
    train, val = find_images(root / "train", classes), _validation(root, classes, labels or (root,))
    empty = np.flatnonzero(np.bincount(train.classes, minlength=len(classes)) == 0)
    if len(empty):
        more = f" (and {len(empty) - 1} more)" if len(empty) > 1 else ""
        raise DataError(f"{root / 'train' / classes[empty[0]]}{more} has no images; put its images there or remove it")
    splits = {part: _split(found) for part, found in (("train", train), ("test", val))}
    return Dataset(name, splits, classes, source, licence)


def check_images(folder: Path) -> tuple[str, ...]:
    """Decode every image and give their names. Raises ``DataError`` that names the first few that cannot be decoded."""
    names, wrong = list[str](), list[str]()
    for split in load_imagenet(folder).splits.values():
        assert isinstance(split.inputs, Photographs)
        names += split.inputs.found.names
        wrong += split.inputs.unreadable()
    if wrong:
        more = f"; and {len(wrong) - FIRST} more" if len(wrong) > FIRST else ""
        raise DataError("; ".join(wrong[:FIRST]) + more)
    return tuple(names)


def _split(found: Found) -> Split:
    return Split(Photographs(found), torch.from_numpy(found.classes))


def _validation(root: Path, classes: tuple[str, ...], labels: Sequence[Path]) -> Found:
    folder = root / "val"
    own = class_folders(folder)
    flat = images_in(folder)
    if own and flat:
        raise DataError(f"{folder} has both folders and images ({flat[0][0]}, ...); move each image into its class")
    if unknown := sorted(set(own) - set(classes)):
        raise DataError(f"{folder / unknown[0]} has no counterpart in {root / 'train'}; classes must be the same")
    if own:
        numbers = {name: number for number, name in enumerate(classes)}
        found = find_images(folder, own)
        given = np.array([numbers[name] for name in own])[found.classes]
        return Found(folder, found.names, found.sizes, given)
    if not flat:
        raise DataError(f"{folder} has no images, nor folders of them; unpack the validation images there")
    return _labelled(folder, flat, classes, labels)


def _labelled(folder: Path, flat: list[tuple[str, int]], classes: tuple[str, ...], places: Sequence[Path]) -> Found:
    """Images in one flat folder, with the classes that a file beside it gives them."""
    known = {name: number for number, name in enumerate(classes)}
    labels = _labels(places, [name.rpartition(".")[0] for name, _ in flat])
    if labels is None:
        raise DataError(
            f"{folder} is one flat folder of {len(flat):,} images, whose classes nobody can tell from it: {LABELS}"
        )
    rows = []
    for name, size in flat:
        label = labels.get(name.rpartition(".")[0])
        if label not in known:
            what = "no class" if label is None else f"the class {label}, which has no folder in train"
            raise DataError(f"{folder / name} is given {what} by the labels beside it; put the official file there")
        rows.append((name, size, known[label]))
    return mixed(folder, rows)


def _labels(places: Sequence[Path], stems: list[str]) -> dict[str, str] | None:
    """Image, without its suffix -> class, from the first labels file that is there."""
    found = {file: next((place / file for place in places if (place / file).is_file()), None) for file in _NEEDED}
    if path := found[SOLUTION]:
        return _solution(path)
    if path := found[SYNSETS]:
        return _in_order(path, stems, path.read_text(encoding="utf-8").split())
    truth, meta = found[TRUTH], found[META]
    if truth and meta:
        of_number = _synsets(meta)
        numbers = truth.read_text(encoding="utf-8").split()
        return _in_order(truth, stems, [of_number.get(number, f"number {number}") for number in numbers])
    return None


_NEEDED = (SOLUTION, SYNSETS, TRUTH, META)


def _solution(path: Path) -> dict[str, str]:
    """Rows such as "ILSVRC2012_val_00048981,n03995372 85 1 499 272": an image, its class, and boxes."""
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            return {row["ImageId"]: row["PredictionString"].split()[0] for row in csv.DictReader(lines)}
    except (KeyError, IndexError, AttributeError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path} is not a table of ImageId and PredictionString; put the official file there"
        ) from error


def _in_order(path: Path, stems: list[str], labels: list[str]) -> dict[str, str]:
    if len(labels) != len(stems):
        raise DataError(f"{path} has {len(labels):,} labels for {len(stems):,} images; both must be complete")
    return dict(zip(stems, labels, strict=True))


def _synsets(meta: Path) -> dict[str, str]:
    """Number in the labels -> class, from the devkit's MATLAB file, which holds arrays alone."""
    import scipy.io

    try:
        rows = scipy.io.loadmat(meta, squeeze_me=True)["synsets"]
        return {str(int(row["ILSVRC2012_ID"])): str(row["WNID"]) for row in rows if int(row["num_children"]) == 0}
    except Exception as error:
        raise DataError(f"{meta} cannot be read ({error}); put the devkit's own file there") from error
