"""Bring images of others to the form of a dataset's inputs: size, channels, dtype and range."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from modescape.app.datasets.dataset import Dataset
from modescape.app.datasets.shifts.colour import luminance
from modescape.app.datasets.shifts.corrupting import range_of


def fit(images: np.ndarray, dataset: Dataset) -> Tensor:
    """Images uint8 [example, height, width, 1 or 3] as inputs of the dataset, [example, channel, height, width].

    Grey becomes three equal channels, colour its luminance. Smaller images of more than half the size are set into the
    middle of black; others are resized, up by bilinear interpolation, down by areas. 255 becomes the largest value.
    """
    example = dataset.splits["train"].inputs
    channels, height, width = example.shape[1:]
    images = _sized(images, height, width)
    if channels == 3 and images.shape[-1] == 1:
        images = np.repeat(images, 3, axis=-1)
    elif channels == 1 and images.shape[-1] == 3:
        images = np.rint(luminance(images.astype(np.float64)))
    high = range_of(dataset).high
    levels = images if high == 255 else images.astype(np.float64) * (high / 255)
    if not example.is_floating_point():
        levels = np.rint(levels)
    return torch.from_numpy(levels.transpose(0, 3, 1, 2).copy()).to(example.dtype)


def _sized(images: np.ndarray, height: int, width: int) -> np.ndarray:
    have_height, have_width = images.shape[1:3]
    if (have_height, have_width) == (height, width):
        return images
    if height / 2 < have_height <= height and width / 2 < have_width <= width:
        top, left = (height - have_height) // 2, (width - have_width) // 2
        framed = np.zeros((len(images), height, width, images.shape[-1]), np.uint8)
        framed[:, top : top + have_height, left : left + have_width] = images
        return framed
    how = Image.Resampling.BOX if have_height >= height and have_width >= width else Image.Resampling.BILINEAR
    planes = images[..., 0] if images.shape[-1] == 1 else images
    resized = np.stack([np.asarray(Image.fromarray(plane).resize((width, height), how)) for plane in planes])
    return resized.reshape(len(images), height, width, images.shape[-1])
