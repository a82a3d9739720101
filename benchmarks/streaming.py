"""What images beyond memory cost: decoding into shards, by workers; then training from memory, and from shards.

    python benchmarks/streaming.py --images 3000 --side 160 --resolution 64 --json streaming.json

Makes JPEG files in a temporary folder (--folder says where: its disk is what is measured), decodes them by one worker
and by two, and goes through an epoch, with training and without: from memory, from shards that the page cache holds
(warm) and from shards that it does not (cold). All take turns; medians count, and the errors must be the same.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from netspace.backends import get_backend
from netspace.networks.spec import NetworkSpec, Stage, Stem
from netspace.training.data import DataChoice, Dataset, load
from netspace.training.decoding_shards import Room
from netspace.training.packs import load_packed, open_packed
from netspace.training.recipe import TrainingRecipe
from netspace.training.shards import Shards, read_ahead
from netspace.training.splits import Split
from netspace.training.trial import Trial

CLASSES = 3
SHARDS = 8
"""Shards of the whole; their size follows."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--side", type=int, default=160, help="of a JPEG file [pixels]")
    parser.add_argument("--resolution", type=int, default=64, help="of an image in training [pixels]")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of training")
    parser.add_argument("--folder", type=Path, help="in which to make and remove all files")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="netspace-streaming-", dir=asked.folder) as folder:
        measured = measure(Path(folder), asked)
    if asked.json:
        asked.json.write_text(json.dumps(measured, indent=1) + "\n")


def measure(folder: Path, asked: argparse.Namespace) -> dict[str, object]:
    make_images(folder / "set", asked.images, asked.side)
    choice = DataChoice(name=f"folder:{folder / 'set'}", resolution=asked.resolution)
    size = asked.images * 3 * asked.resolution**2
    print(
        f"{platform.machine()}, {os.cpu_count()} cores; {asked.images:,} JPEG files of {asked.side} pixels a side, "
        f"{size / 2**20:.0f} MiB at {asked.resolution} pixels; medians of {asked.repeats}"
    )

    def pack(workers: int) -> Dataset:
        shutil.rmtree(folder / "pack", ignore_errors=True)
        room = Room(folder=folder / "pack", most=0, shard_bytes=size // SHARDS, workers=workers)
        return load_packed(choice, folder / "pack", room=room)

    def opened() -> Dataset:
        return open_packed(folder / "pack")

    packing = in_turns({f"{n} worker{'s' * (n > 1)}": [lambda n=n: pack(n)] for n in (1, 2)}, asked.repeats)
    show("decoding into shards", packing, asked.images)

    in_memory = load(choice)
    assert isinstance(opened().training.images, Shards)
    assert in_memory.fingerprint == opened().fingerprint
    # Shards are opened anew each time: the pages of a file that is mapped cannot be dropped.
    ways: dict[str, tuple[Callable[[], Dataset], Callable[[], object]]] = {
        "from memory": (lambda: in_memory, lambda: None),
        "from shards, warm": (opened, lambda: touch(opened())),
        "from shards, cold": (opened, lambda: drop_pages(folder / "pack")),
    }
    errors: list[float] = []
    images = len(in_memory.training)
    taking = in_turns(
        {way: [lambda data=data: take(data().training), before] for way, (data, before) in ways.items()}, asked.repeats
    )
    show("an epoch without training", taking, images)
    training = in_turns(
        {
            way: [lambda data=data: errors.append(train(data(), asked.threads)), before]
            for way, (data, before) in ways.items()
        },
        asked.repeats,
    )
    show("an epoch of training", training, images)
    assert len(set(errors)) == 1, errors
    print(f"validation error of every run: {100 * errors[0]:.2f} %")
    seconds = {"decoding": packing, "taking": taking, "training": training}
    return {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "images": asked.images,
        "training_images": images,
        "bytes": size,
        "seconds": seconds,
    }


def make_images(folder: Path, count: int, side: int) -> None:
    """Write JPEG files, smooth and noisy as photographs are, in a folder for each class."""

    def make(number: int) -> None:
        random = np.random.default_rng(number)
        coarse = random.integers(0, 256, (8, 8, 3)).astype(np.uint8)
        coarse[..., number % CLASSES] //= 2  # a class has its colour
        smooth = np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC), np.int16)
        noisy = np.clip(smooth + random.normal(0, 8, smooth.shape), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / str(number % CLASSES) / f"{number:07}.jpg", quality=90)

    for label in range(CLASSES):
        (folder / str(label)).mkdir(parents=True)
    with ThreadPoolExecutor() as pool:
        list(pool.map(make, range(count)))


def in_turns(ways: dict[str, Sequence[Callable[[], object]]], repeats: int) -> dict[str, float]:
    """Return the median time [s] of each way: what is timed, and what is done before it."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(repeats):
        for way, (timed, *before) in ways.items():
            for step in before:
                step()
            begun = time.perf_counter()
            timed()
            seconds[way].append(time.perf_counter() - begun)
    return {way: statistics.median(spent) for way, spent in seconds.items()}


def show(what: str, seconds: dict[str, float], images: int) -> None:
    print(f"\n{what:32}{'seconds':>10}{'images/s':>12}{'of the first':>14}")
    first = next(iter(seconds.values()))
    for way, spent in seconds.items():
        print(f"{way:32}{spent:10.2f}{images / spent:12,.0f}{first / spent:14.2f}")


def take(split: Split) -> None:
    """Take all images of an epoch in batches, and do nothing with them."""
    order = np.random.default_rng(0).permutation(len(split))
    for chosen in read_ahead(split.images, np.array_split(order, len(split) // 64)):
        split.images[chosen]


def train(data: Dataset, threads: int) -> float:
    """Return the validation error after one epoch of a small network."""
    spec = NetworkSpec(
        stages=(Stage(depth=1, width=16, group_width=8), Stage(depth=1, width=32, group_width=8)),
        stem=Stem(width=16, stride=2),
        num_classes=data.num_classes,
    )
    recipe = TrainingRecipe(epochs=1, batch_size=64)
    trial = Trial(network=spec, recipe=recipe, data=data.fingerprint, threads=threads)
    error = get_backend("torch").train(trial, data).error
    assert error is not None
    return error


def touch(data: Dataset) -> None:
    """Read all images once, so that the page cache holds them."""
    for split in (data.training, data.validation):
        for first in range(0, len(split), 256):
            split.images[first : first + 256]


def drop_pages(folder: Path) -> None:
    """Have the operating system forget what it holds of the files of a folder."""
    os.sync()
    for path in folder.rglob("*.npy"):
        file = os.open(path, os.O_RDONLY)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


if __name__ == "__main__":
    main()
