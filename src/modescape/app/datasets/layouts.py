"""What the files of each dataset are called, how they are laid out, and which checksums prove them.

Sources. Layouts: https://www.cs.toronto.edu/~kriz/cifar.html. SHA-256 of the archives: the checksum list of TensorFlow
Datasets. SHA-256 of the binary batches: torchvision for Ruby; those of CIFAR-10 were confirmed against files that have
the SHA-1 published by MXNet Gluon. MD5 of the pickled batches: torchvision.
"""

import difflib
from dataclasses import dataclass
from typing import Literal

from modescape.errors import SettingsError

BUILT_IN = {"digits": "scikit-learn", "mnist1d": "the package mnist1d"}
"""Datasets that need no file of their own, and the installed package that holds or draws them."""

BY_HAND = {"imagenet": "image-net.org, by hand"}
"""Datasets that nobody may hand on, and where to get them."""


@dataclass(frozen=True)
class Batch:
    """One official file of labelled images.

    ``digest`` is "algorithm:hex" of the whole file. ``records_digest`` (pickled layouts only) is the digest that the
    same labels and pixels have when written as a binary batch: a pickle made by a converter has other file bytes.
    """

    name: str
    split: Literal["train", "test"]
    records: int
    digest: str
    records_digest: str = ""


@dataclass(frozen=True)
class Layout:
    """One form in which a dataset is published: a folder of batches, alone or inside a tar.gz archive.

    ``label_keys`` names the label columns in the order of a binary record's leading bytes (and the keys of a pickled
    batch); the last one is the class. ``names_file`` lists the classes, one a line, and may be missing.
    """

    dataset: str
    folder: str
    archive: str
    pickled: bool
    label_keys: tuple[str, ...]
    classes: tuple[str, ...]
    batches: tuple[Batch, ...]
    names_file: str | None = None

    @property
    def record_bytes(self) -> int:
        """Bytes of one record: label bytes, then 1,024 red, 1,024 green and 1,024 blue bytes, row by row."""
        return len(self.label_keys) + 3072

    def size_limit(self, batch: Batch) -> int:
        """The most bytes that a file of this batch may have; binary batches have exactly so many."""
        # Official pickles take 3,106 bytes an image; the rest is room for longer file names in a converted one.
        return batch.records * (4096 if self.pickled else self.record_bytes) + (65536 if self.pickled else 0)


@dataclass(frozen=True)
class Download:
    """One official archive: its size in bytes, its SHA-256 in hex, and the mirrors to try in turn."""

    dataset: str
    archive: str
    size: int
    sha256: str
    urls: tuple[str, ...]


_CIFAR10_NAMES = "airplane automobile bird cat deer dog frog horse ship truck"
_CIFAR100_NAMES = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
    caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
    flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
    motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate
    poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
    squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
    wardrobe whale willow_tree wolf woman worm
"""

_CIFAR10_SHA256 = (
    "sha256:cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "sha256:a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "sha256:bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "sha256:014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "sha256:755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    "sha256:8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
)
_CIFAR10_MD5 = (
    "md5:c99cafc152244af753f735de768cd75f",
    "md5:d4bba439e000b95fd0a9bffe97cbabec",
    "md5:54ebc095f3ab1f0389bbae665268c751",
    "md5:634d18415352ddfa80567beed471001a",
    "md5:482c414d41f54cd18b22e5b47cb7c3cb",
    "md5:40351d587109b95175f43aff81a1287e",
)
_CIFAR100_SHA256 = (
    "sha256:f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29",
    "sha256:d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a",
)
_CIFAR100_MD5 = ("md5:16019d7e3df5f24257cddd939b257f8d", "md5:f0ef6b0ae62326f3e7ffdfab6717acfc")


def _cifar10_batches(suffix: str, digests: tuple[str, ...], record_digests: tuple[str, ...]) -> tuple[Batch, ...]:
    names = [f"data_batch_{number}{suffix}" for number in range(1, 6)]
    train = [Batch(n, "train", 10000, *d) for n, *d in zip(names, digests[:5], record_digests[:5], strict=True)]
    return (*train, Batch(f"test_batch{suffix}", "test", 10000, digests[5], record_digests[5]))


LAYOUTS: dict[str, tuple[Layout, ...]] = {
    "cifar10": (
        Layout(
            dataset="cifar10",
            folder="cifar-10-batches-bin",
            archive="cifar-10-binary.tar.gz",
            pickled=False,
            label_keys=("labels",),
            classes=tuple(_CIFAR10_NAMES.split()),
            batches=_cifar10_batches(".bin", _CIFAR10_SHA256, ("",) * 6),
            names_file="batches.meta.txt",
        ),
        Layout(
            dataset="cifar10",
            folder="cifar-10-batches-py",
            archive="cifar-10-python.tar.gz",
            pickled=True,
            label_keys=("labels",),
            classes=tuple(_CIFAR10_NAMES.split()),
            batches=_cifar10_batches("", _CIFAR10_MD5, _CIFAR10_SHA256),
        ),
    ),
    "cifar100": (
        Layout(
            dataset="cifar100",
            folder="cifar-100-binary",
            archive="cifar-100-binary.tar.gz",
            pickled=False,
            label_keys=("coarse_labels", "fine_labels"),
            classes=tuple(_CIFAR100_NAMES.split()),
            batches=(
                Batch("train.bin", "train", 50000, _CIFAR100_SHA256[0]),
                Batch("test.bin", "test", 10000, _CIFAR100_SHA256[1]),
            ),
            names_file="fine_label_names.txt",
        ),
        Layout(
            dataset="cifar100",
            folder="cifar-100-python",
            archive="cifar-100-python.tar.gz",
            pickled=True,
            label_keys=("coarse_labels", "fine_labels"),
            classes=tuple(_CIFAR100_NAMES.split()),
            batches=(
                Batch("train", "train", 50000, _CIFAR100_MD5[0], _CIFAR100_SHA256[0]),
                Batch("test", "test", 10000, _CIFAR100_MD5[1], _CIFAR100_SHA256[1]),
            ),
        ),
    ),
}
"""The layouts of each dataset that lives in files, the preferred one first."""

DOWNLOADS: dict[str, Download] = {
    "cifar10": Download(
        dataset="cifar10",
        archive="cifar-10-binary.tar.gz",
        size=170052171,
        sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        urls=("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
    ),
    "cifar100": Download(
        dataset="cifar100",
        archive="cifar-100-binary.tar.gz",
        size=168513733,
        sha256="58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        urls=("https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",),
    ),
}
"""What can be fetched."""


def known_names() -> tuple[str, ...]:
    """Every dataset, those that need no file first."""
    return (*BUILT_IN, *LAYOUTS, *BY_HAND)


def unknown_name(name: str) -> SettingsError:
    """The error for a dataset that does not exist, with the nearest name that does."""
    near = difflib.get_close_matches(name.lower(), known_names(), n=1, cutoff=0.5)
    guess = f"; did you mean '{near[0]}'?" if near else "."
    return SettingsError(f"there is no dataset '{name}'{guess} Choose one of {', '.join(known_names())}")
