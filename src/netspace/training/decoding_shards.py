"""Images decoded into shards by worker processes: what exceeds the memory, once, and from where it was interrupted.

A shard is one task: a worker decodes its images, writes them aside, renames the file, and writes what it found beside
it. A shard counts as done when that record is there, so what was interrupted, or found no room, goes on there. No
worker holds more than a shard, and no image passes from process to process.
"""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from netspace import values
from netspace.errors import DataError, ExecutionError, InputError
from netspace.execution.executor import Crashed, Failed, Overran, Report, Task, Work
from netspace.execution.processes import ProcessExecutor
from netspace.files import remove_abandoned, written_aside
from netspace.machine import memory, usable_cores
from netspace.training.decoding import Decoded, EncodedImage, Target, decode
from netspace.training.shards import SHARD_BYTES, Shard, Shards, mapped, pixel_digest

Part = Callable[[int, int], Iterable[EncodedImage]]


MEMORY_SHARE = 1 / 8
"""Decoded images of more than this share of the memory go into shards. Splitting the others copies them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Where decoded images find room: in memory up to `most` [bytes], else in shards inside `folder`.

    None for `most` is `MEMORY_SHARE` of the memory; without a folder, more than that is refused. A shard has at most
    `shard_bytes`, or one image. `workers` None are as many as there are cores. `told` hears how many of how many images
    are in shards.
    """

    folder: Path | None = None
    most: int | None = None
    shard_bytes: int = SHARD_BYTES
    workers: int | None = None
    told: Callable[[int, int], None] | None = None

    @property
    def in_memory(self) -> int:
        """The size of the images that are decoded in memory [bytes], at most."""
        return int(MEMORY_SHARE * memory()) if self.most is None else self.most


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What is kept beside a shard: the shard, its unreadable images by their places in it, and what was converted."""

    shard: Shard
    unreadable: dict[int, str]
    remarks: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Job:
    """A shard to be made: its `file` inside `folder`, and its images."""

    folder: Path
    file: str
    images: Iterable[EncodedImage]
    count: int

    @property
    def path(self) -> Path:
        return self.folder / self.file

    @property
    def record(self) -> Path:
        return self.path.with_suffix(".json")

    def found(self) -> _Found | None:
        """Return what was found when the shard was made, None if it was not."""
        try:
            found = values.from_dict(_Found, json.loads(self.record.read_bytes()))
            images = len(mapped(self.path))
        except (OSError, ValueError):  # not there, or damaged: it is made again
            return None
        return found if found.shard.images == images == self.count - len(found.unreadable) else None


def decode_in_shards(
    splits: Mapping[str, tuple[int, Part]],
    target: Target,
    *,
    name: str,
    folder: Path,
    key: str,
    room: Room,
) -> dict[str, Decoded]:
    """Return the images of all splits, decoded into `folder`/decoded-`key`; what is there already is not made again.

    A split is the number of its images and what gives them from one place up to another. `name` begins the sentence of
    an error. Raises: DataError where the disk is too small; ExecutionError where a worker dies.
    """
    size = max(1, room.shard_bytes // target.image_bytes)
    jobs = {
        split: [
            _Job(
                folder=folder,
                file=f"decoded-{key}/{split}-{size}-{first // size:06}.npy",
                images=part(first, min(first + size, count)),
                count=min(size, count - first),
            )
            for first in range(0, count, size)
        ]
        for split, (count, part) in splits.items()
    }
    every = [job for found in jobs.values() for job in found]
    waiting = {job.file: job for job in every if job.found() is None}
    missing, total = sum(job.count for job in waiting.values()), sum(job.count for job in every)
    inside = folder / f"decoded-{key}"
    try:
        inside.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(inside).free
    except OSError as problem:
        raise DataError(f"{folder}: the packed data cannot be written ({problem.strerror})") from None
    if missing * target.image_bytes > free:
        raise DataError(
            f"{folder}: {missing:,} images of {name} take {missing * target.image_bytes / 2**30:.1f} GiB, decoded, and "
            f"only {free / 2**30:.1f} GiB of the disk are free; make room, or choose a smaller resolution"
        )
    tasks = [Task(key=file, payload=job) for file, job in waiting.items()]
    if tasks:
        with closing(ProcessExecutor(room.workers or usable_cores()).run(partial(_worker, target), tasks)) as events:  # type: ignore[type-var]
            for event in (event for together in events for event in together):
                if isinstance(event, Crashed | Failed | Overran):
                    raise ExecutionError(f"{name}: an image decoder failed ({event.reason}); run again: it goes on")
                if event.value is not None:
                    raise DataError(f"{name}: {event.value}")
                missing -= waiting[event.key].count
                if room.told is not None:
                    room.told(total - missing, total)
    remove_abandoned(inside)
    return {split: _together(folder, found, target) for split, found in jobs.items()}


def _together(folder: Path, jobs: list[_Job], target: Target) -> Decoded:
    """Return the shards of a split as one."""
    shards, remarks, unreadable, first = [], Counter[str](), dict[int, str](), 0
    for job in jobs:
        found = job.found()
        if found is None:
            raise DataError(f"{job.path}: the packed data is damaged (it has gone since it was written)")
        remarks.update(found.remarks)
        unreadable |= {first + place: text for place, text in found.unreadable.items()}
        first += job.count
        if found.shard.images:
            shards.append(found.shard)
    none = np.empty((0, target.resolution, target.resolution, target.channels), np.uint8)
    return Decoded(images=Shards(folder, shards) if shards else none, unreadable=unreadable, remarks=remarks)


def _worker(target: Target) -> Work:
    """Return what makes a shard, in a process of its own: None, or why it could not be made."""

    def work(job: _Job, report: Report) -> str | None:
        try:
            part = decode(job.images, job.count, target)
            images: Any = part.images
            with written_aside(job.path) as file:
                np.save(file, images, allow_pickle=False)
            shard = Shard(file=job.file, images=len(images), sha256=pixel_digest(images))
            found = _Found(shard=shard, unreadable=dict(part.unreadable), remarks=dict(part.remarks))
            with written_aside(job.record) as file:
                file.write(json.dumps(values.to_dict(found)).encode())
        except OSError as problem:
            return f"the packed data cannot be written ({problem.strerror}); make room, and run again: it goes on"
        except InputError as problem:
            return str(problem)
        return None

    return work
