"""One network trained by us and by the chapter's plain loop, epoch by epoch in turns: time, and what was learned.

    python benchmarks/chapter_speed.py --share 0.1 --repeats 3
    python benchmarks/chapter_speed.py --epochs 10 --repeats 1        # the chapter's whole training

The plain loop is as in *Dive into Deep Learning*, section 8.8, written anew: float32, PyTorch's default layout and
threads, a DataLoader that makes a tensor of each image, SGD at a constant rate, and after each step the loss and the
accuracy taken out of PyTorch by `.item()`. "plain" is given images that have their size already; with `--resizing`,
"resizing" beside it brings each image to its size in the loader, in every epoch, as the chapter does. Images are loaded
by the training process itself or by one more process for each core, whichever is faster in a trial of a few steps.

Ours is `netspace train --recipe chapter` with the precision, kernels and threads that are fastest here for this one
network, measured first and printed. Network, initial weights, images, split, batch size, rate and number of steps are
the same. An epoch is training and evaluation on the validation images; the test images are not touched.
"""

import argparse
import dataclasses
import itertools
import os
import statistics
import time
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

import netspace as ns
from netspace.backends import get_backend, torch_native
from netspace.backends.torch_model import build
from netspace.machine import processor, usable_cores
from netspace.report.wording import counted
from netspace.single import trial_of
from netspace.training.data import DataChoice, Dataset, load
from netspace.training.recipe import PRECISIONS, named_recipe
from netspace.training.splits import Split
from netspace.training.trial import KERNELS, Trial

STEPS, ROUNDS, JUDGED = 3, 2, 32
"""Steps of each candidate, turns after a first one that does not count, and images that are judged in each."""

Epoch = tuple[float, float]
"""Seconds, and the validation error after it."""


class Images(TorchDataset[tuple[Tensor, int]]):
    """Images one at a time, as a tensor (channels, height, width) from 0 to 1; resized, where a side is given."""

    def __init__(self, split: Split, side: int | None) -> None:
        self.split, self.side = split, side

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = torch.tensor(self.split.images[index]).permute(2, 0, 1).float() / 255
        if self.side is not None:
            image = F.interpolate(image[None], (self.side, self.side), mode="bilinear", antialias=True)[0]
        return image, int(self.split.labels[index])


def plain_epochs(trial: Trial, data: Dataset, *, side: int | None, loaders: int, epochs: int) -> list[Epoch]:
    """Train as the chapter does."""
    network = build(trial.network, seed=trial.stream_seed("initialisation"))
    optimiser = torch.optim.SGD(network.parameters(), lr=trial.recipe.learning_rate)
    loss_of, size = nn.CrossEntropyLoss(), trial.recipe.batch_size
    training = DataLoader(Images(data.training, side), size, shuffle=True, drop_last=True, num_workers=loaders)
    validation = DataLoader(Images(data.validation, side), size, num_workers=loaders)
    told = []
    for _ in range(epochs):
        begun = time.perf_counter()
        losses, accuracies = [], []
        network.train()
        for images, labels in training:
            logits = network(images)
            loss = loss_of(logits, labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
            accuracies.append((logits.argmax(1) == labels).float().mean().item())
        network.eval()
        with torch.no_grad():
            wrong = sum((network(images).argmax(1) != labels).sum().item() for images, labels in validation)
        told.append((time.perf_counter() - begun, wrong / len(data.validation)))
    return told


def our_epochs(trial: Trial, data: Dataset) -> list[Epoch]:
    """Train as `netspace train` does."""
    result = get_backend("torch").train(trial, data)
    if result.error is None:
        raise SystemExit(f"no result: {result.reason}")
    return [(record.seconds, record.validation_error) for record in result.curve]


def share_of(options: argparse.Namespace, resolution: int | None) -> Dataset:
    """Return a share of the training images, and the same of those for validation."""
    data = load(DataChoice(name=options.data, resolution=resolution, training_share=options.share))
    kept = np.linspace(0, len(data.validation), round(options.share * len(data.validation)), endpoint=False, dtype=int)
    return dataclasses.replace(data, validation=data.validation.take(kept))


def few(data: Dataset, batch_size: int) -> Dataset:
    """Return images for a few steps, and few to judge."""

    def first(split: Split, count: int) -> Split:
        return Split(images=split.images[:count], labels=split.labels[:count])

    training = first(data.training, STEPS * batch_size)
    return dataclasses.replace(data, training=training, validation=first(data.validation, JUDGED))


def fastest(trial: Trial, data: Dataset, threads: Sequence[int]) -> Trial:
    """Return the trial in the way that is fastest here, after printing all."""
    kernels = tuple(k for k in KERNELS if k != "native" or torch_native.missing_operators() is None)
    ways = {
        f"{precision} {form}, {counted(count, 'thread')}": dataclasses.replace(
            trial,
            recipe=dataclasses.replace(trial.recipe, epochs=1, precision=precision),
            kernels=form,
            threads=count,
        )
        for count, precision, form in itertools.product(threads, PRECISIONS, kernels)
        if (precision, form) != ("float32", "blocked")  # which are PyTorch's own there
    }
    some = few(data, trial.recipe.batch_size)
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(ROUNDS + 1):
        for way, one in ways.items():
            spent = our_epochs(one, some)[0][0]
            seconds[way] += [spent] * (turn > 0)
    best = min(seconds, key=lambda way: min(seconds[way]))
    for way, turns in seconds.items():
        speed = (len(some.training) + len(some.validation)) / min(turns)
        print(f"{way:30}{speed:>10,.0f} images/s{'   taken' if way == best else ''}", flush=True)
    chosen = ways[best]
    recipe = dataclasses.replace(trial.recipe, precision=chosen.recipe.precision)
    return dataclasses.replace(chosen, recipe=recipe)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="regnetx32")
    parser.add_argument("--data", default="fashion_mnist")
    parser.add_argument("--resolution", type=int, default=96)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--share", type=float, default=1.0, help="of the images, to train and to judge")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--resizing", action="store_true", help="also let the loader resize, as the chapter does")
    options = parser.parse_args()

    default_threads, cores = torch.get_num_threads(), usable_cores()
    data = share_of(options, options.resolution)
    recipe = dataclasses.replace(
        named_recipe("chapter"), epochs=options.epochs, batch_size=options.batch_size, learning_rate=options.lr
    )
    trial = trial_of(ns.network(options.network), data, recipe=recipe)
    print(
        f"{options.network} at {data.resolution}x{data.resolution}, batch {options.batch_size}, {len(data.training):,} "
        f"training and {len(data.validation):,} validation images; {processor()}, {cores} cores, torch "
        f"{torch.__version__}, {default_threads} threads by default"
    )
    ours = fastest(trial, data, range(1, cores + 1))

    sides: dict[str, tuple[Dataset, int | None]] = {"plain": (data, None)}
    if options.resizing:
        sides["resizing"] = (share_of(options, None), data.resolution)
    torch.set_num_threads(default_threads)
    loaders = {}
    for way, (images, side) in sides.items():
        some = few(images, options.batch_size)
        spent = {n: plain_epochs(trial, some, side=side, loaders=n, epochs=2)[1][0] for n in (0, cores)}
        loaders[way] = min(spent, key=spent.__getitem__)
        print(f"{way}: loading by {loaders[way]} processes is faster", flush=True)

    found: dict[str, list[list[Epoch]]] = {way: [] for way in (*sides, "ours")}
    for repeat in range(options.repeats):
        torch.manual_seed(repeat)
        for way, (images, side) in sides.items():
            torch.set_num_threads(default_threads)
            seeded = dataclasses.replace(trial, seed=repeat)
            found[way].append(plain_epochs(seeded, images, side=side, loaders=loaders[way], epochs=options.epochs))
        found["ours"].append(our_epochs(dataclasses.replace(ours, seed=repeat), data))
        for way, runs in found.items():
            print(f"repeat {repeat + 1}: {way:10}{[round(seconds, 1) for seconds, _ in runs[-1]]} s", flush=True)

    print(f"{'way':12}{'s per epoch':>12}{'images/s':>10}{'times as fast as plain':>24}{'accuracy at the end':>21}")
    medians = {way: statistics.median(s for run in runs for s, _ in run) for way, runs in found.items()}
    for way, runs in found.items():
        accuracy = statistics.mean(1.0 - run[-1][1] for run in runs)
        speed = (len(data.training) + len(data.validation)) / medians[way]
        ratio = medians["plain"] / medians[way]
        print(f"{way:12}{medians[way]:>12.1f}{speed:>10,.0f}{ratio:>24.2f}{100 * accuracy:>19.2f} %")
    print(f"on {os.cpu_count()} cores, medians over {options.repeats} x {options.epochs} epochs, accuracies as means")


if __name__ == "__main__":
    main()
