"""Corruptions of images that are decoded one by one, and noise in their form: each made when it is asked for."""

import hashlib
from collections.abc import Callable

import torch
from torch import Tensor

from modescape.app.datasets.decoding import OneByOne
from modescape.core.decoded import Cut, Decoded

Maker = Callable[[int], Tensor]
"""From an image's number to its values [channel, height, width], uint8, on any thread."""


class Made(OneByOne):
    """As many images as others are, each made from its number alone; memory holds those that are asked for."""

    def __init__(self, like: Decoded, make: Maker, told: str) -> None:
        """``told`` is what decides about the values, beside the images that they are made from."""
        super().__init__(like.shape[1:], torch.arange(len(like)))
        self.make, self.told = make, f"{told} {like.digest}"

    @property
    def digest(self) -> str:
        """See ``Decoded``."""
        rows = hashlib.sha256(self.rows.numpy().tobytes()).hexdigest()
        return hashlib.sha256(f"made {self.told} {rows}".encode()).hexdigest()

    def one(self, number: int, cut: Cut | None) -> Tensor:
        """See ``OneByOne``."""
        if cut is not None:
            raise ValueError("pieces are cut from images in files; these are made")
        return self.make(number)
