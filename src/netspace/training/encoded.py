"""The splits of a source whose images are still files: decoded, in memory or in shards, the unreadable told.

Labels are known before an image is decoded, so that decoding may be left to others and taken up again.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from netspace import values
from netspace.errors import DataError
from netspace.training.datasets import listing
from netspace.training.decoding import EncodedImage, Target, decode
from netspace.training.decoding_shards import Room, decode_in_shards
from netspace.training.splits import LabelArray, SourceImages, Split

_LISTED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """How images are decoded: to one channel (`grayscale`) or three, unreadable ones left out or refused; and where."""

    grayscale: bool = False
    skip_unreadable: bool = False
    room: Room = Room()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EncodedSplit:
    """The labels `(images,)` of a split, and what gives its images from one place up to another.

    What `part` returns can be sent to another process.
    """

    labels: LabelArray
    part: Callable[[int, int], Iterable[EncodedImage]]


def decoded(
    splits: Mapping[str, EncodedSplit],
    decoding: Decoding,
    *,
    name: str,
    resolution: int | None,
    class_names: tuple[str, ...],
    ignored: Counter[str],
    files: Sequence[Path],
    column: str = "",
) -> SourceImages:
    """Return the images of all splits as squares of `resolution` pixels a side.

    `name` begins the sentence of an error; `ignored` counts what was left aside before, for the notes. With
    `skip_unreadable` the notes name the images that cannot be read. `files` and `column` say which images they are.
    Raises: DataError where an image cannot be read, or none of a split, or there is no room.
    """
    if resolution is None:
        raise DataError(f"{name}: resolution (=None) must be given; for example resolution = 96")
    target = Target(resolution=resolution, grayscale=decoding.grayscale)
    room, total = decoding.room, sum(len(encoded.labels) for encoded in splits.values())
    if total * target.image_bytes <= room.in_memory:
        parts = {
            split: decode(encoded.part(0, len(encoded.labels)), len(encoded.labels), target)
            for split, encoded in splits.items()
        }
    elif room.folder is None:
        raise DataError(
            f"resolution (={resolution}): {total} images of that side take {total * target.image_bytes / 2**30:.0f} "
            f"GiB, more than the {room.in_memory / 2**30:.0f} GiB that are decoded in memory; name a folder for them "
            "(--packed FOLDER), or choose a smaller one"
        )
    else:
        key = values.digest({"files": listing(files), "column": column, "target": values.to_dict(target)})
        counted = {split: (len(encoded.labels), encoded.part) for split, encoded in splits.items()}
        parts = decode_in_shards(counted, target, name=name, folder=room.folder, key=key, room=room)
    unreadable = [text for split in splits for text in parts[split].unreadable.values()]
    if unreadable and not decoding.skip_unreadable:
        raise DataError(
            f"{name}: {len(unreadable)} of {total} images cannot be read: {_first(unreadable)}; "
            "remove them, or leave them out with skip_unreadable = true"
        )
    read = {}
    for split, part in parts.items():
        if not len(part.images):
            raise DataError(f"{name}: none of the images for {split} can be read")
        read[split] = Split(images=part.images, labels=np.delete(splits[split].labels, list(part.unreadable)))
    remarks = sum((part.remarks for part in parts.values()), ignored)
    notes = [f"{what}: {count}" for what, count in sorted(remarks.items())]
    if unreadable:
        notes.insert(0, f"unreadable images skipped: {len(unreadable)} of {total}, namely {', '.join(unreadable)}")
    return SourceImages(class_names=class_names, **read, notes=tuple(notes))


def _first(names: list[str]) -> str:
    rest = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {rest} more" if rest > 0 else "")
