"""A split's bytes where a network computes, and what becomes of them before it sees them, as whole batches."""

import functools
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from netspace.backends.torch_devices import PROCESSOR
from netspace.training.data import Dataset
from netspace.training.shards import Images
from netspace.training.splits import ByteArray, IndexArray

FITS = 0.25
"""The share of a device's free memory that a split may take there; the rest is the networks'."""
CHUNK = 1024
"""Images that are copied to a device at a time."""


class Normalise:
    """uint8 (batch, height, width, channels) to float32 (batch, channels, height, width) on a device, channels-last."""

    def __init__(self, data: Dataset, device: torch.device = PROCESSOR) -> None:
        std = torch.tensor(data.std, dtype=torch.float32)
        self._device = device
        self._scale = (1.0 / (255.0 * std)).to(device)
        self._shift = (-torch.tensor(data.mean, dtype=torch.float32) / std).to(device)

    def __call__(self, images: ByteArray | Tensor) -> Tensor:
        """Return (pixels / 255 - mean) / std per channel."""
        there = torch.as_tensor(images).to(self._device)
        return torch.addcmul(self._shift, there.float(), self._scale).permute(0, 3, 1, 2)


def resized(images: Tensor, side: int) -> Tensor:
    """Return images (batch, channels, height, width) brought down to a side [pixels]; as they are, where it is theirs.

    Bilinear, each pixel taking all that it covers, so that no row or column is left out.
    """
    if images.shape[-1] == side:
        return images
    return F.interpolate(images, (side, side), mode="bilinear", antialias=True)


def memory_format(kernels: str) -> torch.memory_format:
    """Return the layout in which kernels compute."""
    return torch.contiguous_format if kernels == "contiguous" else torch.channels_last


def in_layout(images: Tensor, kernels: str) -> Tensor:
    """Return images (batch, channels, height, width) in the layout in which kernels compute."""
    if kernels == "contiguous":
        # Of one channel both layouts are one, and strides alone tell an operator which is meant: a copy sets them.
        return images.clone(memory_format=torch.contiguous_format)
    return images.contiguous(memory_format=torch.channels_last)


class Pixels:
    """The bytes of a split, asked for by index: as arrays, or as tensors of the device where `there` they all lie.

    They are copied to a CUDA device where they fit, and where `copy` says so.
    """

    def __init__(self, images: Images, device: torch.device, *, copy: bool = False) -> None:
        self._images = images
        self.there = copied(_Same(images), device) if copy or device.type == "cuda" else None

    def __call__(self, chosen: IndexArray) -> ByteArray | Tensor:
        """Return the images (batch, height, width, channels) at some indices."""
        if self.there is None:
            return self._images[chosen]
        return self.there[torch.from_numpy(chosen).to(self.there.device)]


class _Same:
    """Images that are equal to themselves alone, so that what was copied is found again."""

    def __init__(self, images: Images) -> None:
        self.images = images

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.images is other.images

    def __hash__(self) -> int:
        return id(self.images)


@functools.lru_cache(maxsize=2)  # a process trains on one data set's training and validation images
def copied(given: _Same, device: torch.device, share: float = FITS) -> Tensor | None:
    """Return images on a device, once for all trainings of this process; None where they take more than their share."""
    images = given.images
    if device.type == "cuda" and math.prod(images.shape) > share * torch.cuda.mem_get_info(device)[0]:
        return None
    found = torch.empty(images.shape, dtype=torch.uint8, device=device)
    for begin in range(0, len(found), CHUNK):
        chosen = np.arange(begin, min(begin + CHUNK, len(found)))
        found[begin : begin + CHUNK].copy_(torch.from_numpy(images[chosen]))
    return found
