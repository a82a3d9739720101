"""What a saved network says of image files: a probability for each class, without the data that it learned from."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from netspace.backends import get_backend
from netspace.backends.conversion import load_network
from netspace.backends.record import IMAGES_FILE, ImageFormat, load_record
from netspace.errors import CheckpointError, DataError
from netspace.training.decoding import EncodedImage, Target, decode
from netspace.training.epochs import FloatArray

AT_ONCE = 64
"""Images that are read and judged at a time."""


def probabilities(
    folder: str | Path, images: Sequence[str | Path], *, backend: str = "torch"
) -> tuple[tuple[str, ...], FloatArray]:
    """Return the names of the classes, and the probability of each for each image file (images, classes).

    Images are brought to the network's resolution as those of a folder are that is trained on: see
    `netspace.training.decoding`. Raises: CheckpointError where the folder holds no network, or does not say what images
    it takes; DataError for an image that cannot be read.
    """
    folder, paths = Path(folder), [Path(image) for image in images]
    taken = load_record(folder).images
    if taken is None:
        raise CheckpointError(
            f"{folder}: there is no {IMAGES_FILE} that says which images the network takes; `netspace train --output` "
            "writes it"
        )
    network = load_network(folder, backend)
    channels, classes = network.spec.in_channels, network.spec.num_classes
    if channels not in (1, 3) or (len(taken.mean), len(taken.class_names)) != (channels, classes):
        raise CheckpointError(
            f"{folder / IMAGES_FILE}: {len(taken.mean)} channels and {len(taken.class_names)} classes, and the "
            f"network has {channels} and {classes}"
        )
    target = Target(resolution=taken.resolution, grayscale=channels == 1)
    trainer = get_backend(backend)
    parts = [np.zeros((0, classes), np.float32)]
    for first in range(0, len(paths), AT_ONCE):
        logits = trainer.logits(network, normalised(_read(paths[first : first + AT_ONCE], target), taken))
        heights = np.exp(logits - logits.max(1, keepdims=True))
        parts.append(heights / heights.sum(1, keepdims=True))
    return taken.class_names, np.concatenate(parts)


def normalised(images: npt.NDArray[np.uint8], taken: ImageFormat) -> FloatArray:
    """Return images (batch, height, width, channels) of bytes as a network takes them."""
    return np.asarray((images / 255.0 - np.array(taken.mean)) / np.array(taken.std), np.float32)


def _opened(path: Path) -> IO[bytes]:
    return path.open("rb")


def _read(paths: Sequence[Path], target: Target) -> npt.NDArray[np.uint8]:
    files = [EncodedImage(name=str(path), open=partial(_opened, path)) for path in paths]
    found = decode(files, len(files), target)
    if found.unreadable:
        raise DataError(f"{next(iter(found.unreadable.values()))}: cannot be read; leave it out")
    return np.asarray(found.images)
