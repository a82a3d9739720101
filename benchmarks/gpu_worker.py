"""A process of `gpu.py`: trains what it is asked for, one line of JSON in and one out, until its input ends.

What it imported, its CUDA context and its images stay, so that a line costs what a network costs in a long run. The
plain loop and timm's step have processes of their own: settings such as TF32 hold for a whole process.
"""

import contextlib
import functools
import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from netspace.backends import torch_training
from netspace.backends.torch_usual import train_usually
from netspace.networks.spec import NetworkSpec
from netspace.networks.zoo import network
from netspace.training.data import DataChoice, Dataset
from netspace.training.packs import open_packed
from netspace.training.recipe import TrainingRecipe
from netspace.training.splits import Split
from netspace.training.trial import EpochRecord, Trial

LARGE, LARGE_TIMM = "regnetx_200mf", "regnetx_002"
"""The network of 200 MF at 224 pixels, by our name and by timm's."""

KINDS = {
    "norm": r"batch_?norm|bn_",
    "convolution, matrix product": r"conv|gemm|xmma|cutlass|cudnn|wgrad|dgrad|winograd|addmm|\blinear|nchwTo|nhwcTo",
    "optimiser": r"sgd|multi_tensor",
    "copy": r"memcpy|memset|copy|index|gather|cat",
    "elementwise, sum": r"elementwise|vectorized|relu|reduce|add|mul|mean|softmax|nll|where",
}
"""What kernels are called, and operators of the processor; the first that fits counts."""


def main(pack: str, device: str) -> None:
    """Answer one request after the other."""
    with contextlib.redirect_stdout(sys.stderr):  # a library's words are no answer
        if device != "cpu":
            torch.zeros(1, device=device)
        data = open_packed(Path(pack), ("training", "validation"))
    for line in sys.stdin:
        asked = json.loads(line)
        kind = asked.pop("kind")
        with contextlib.redirect_stdout(sys.stderr):
            found = ANSWERS[kind](data, device, **asked)
        print(json.dumps(found), flush=True)


def trial_of(data: Dataset, device: str, spec: NetworkSpec, way: dict[str, Any], recipe: TrainingRecipe) -> Trial:
    return Trial(
        network=spec,
        recipe=replace(recipe, precision=way["precision"]),
        data=data.fingerprint,
        kernels=way["kernels"],
        device=device,
    )


def ours(data: Dataset, device: str, *, network: dict[str, Any], recipe: dict[str, Any], way: dict[str, Any]) -> float:
    """Return the error of a network trained our way."""
    trial = trial_of(data, device, NetworkSpec.from_dict(network), way, TrainingRecipe(**recipe))
    result = torch_training.train(trial, data, capture=way["captured"])
    return 1.0 if result.error is None else result.error


def plain(data: Dataset, device: str, *, network: dict[str, Any], recipe: dict[str, Any], loaders: int) -> float:
    """Return the error of a network trained by the plain loop."""
    return train_usually(NetworkSpec.from_dict(network), data, TrainingRecipe(**recipe), loaders, device)


def profiled(
    data: Dataset,
    device: str,
    *,
    network: dict[str, Any],
    recipe: dict[str, Any],
    way: dict[str, Any],
    steps: int,
) -> dict[str, Any]:
    """Return what a step's time goes into, of the steps of an epoch after the first: see `gpu.py`."""
    used = replace(TrainingRecipe(**recipe), epochs=2, warmup_epochs=0.0, class_weights="equal", metric="error")
    few = first(data, steps * used.batch_size)
    steps = used.steps_per_epoch(len(few.training))  # of short data there are fewer
    trial = trial_of(data, device, NetworkSpec.from_dict(network), way, used)
    activity, where = ProfilerActivity.CPU, DeviceType.CPU
    if device != "cpu":
        activity, where = ProfilerActivity.CUDA, DeviceType.CUDA
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # else it writes to the terminal when it begins and ends
    watched = profile(activities=[activity])

    def on_epoch(record: EpochRecord) -> None:
        if record.epoch == 1:
            watched.start()

    result = torch_training.train(trial, few, capture=way["captured"], on_epoch=on_epoch)
    if result.error is None:
        raise RuntimeError(f"{trial.network.digest} has no result: {result.reason}")
    watched.stop()
    spent: Counter[str] = Counter()
    count = 0
    for event in watched.events() or ():
        if event.device_type == where and event.cpu_parent is None:
            spent[kind_of(event.name)] += event.time_range.elapsed_us() / 1e3 / steps
            count += 1
    wall = 1e3 * result.curve[-1].seconds / steps
    return {"step_ms": wall, "busy_ms": sum(spent.values()), "launches": count / steps, "kinds": dict(spent)}


def kind_of(name: str) -> str:
    return next((kind for kind, pattern in KINDS.items() if re.search(pattern, name, re.IGNORECASE)), "others")


def first(data: Dataset, images: int) -> Dataset:
    """Return the data with so many images for training, and one for judging."""

    def taken(split: Split, count: int) -> Split:
        return Split(images=split.images[:count], labels=split.labels[:count])

    return replace(data, training=taken(data.training, images), validation=taken(data.validation, 1))


def large_ours(
    _: Dataset, device: str, *, way: dict[str, Any], resolution: int, batch_size: int, steps: int
) -> dict[str, float]:
    """Return the images per second of our step on the large network, with all that makes a batch of bytes."""
    data = random_images(resolution, steps * batch_size)
    recipe = TrainingRecipe(epochs=2, batch_size=batch_size, flip=True)
    trial = trial_of(data, device, network(LARGE), way, recipe)
    result = torch_training.train(trial, data, capture=way["captured"])
    return {"images_per_second": steps * batch_size / result.curve[-1].seconds}


@functools.cache
def random_images(resolution: int, images: int) -> Dataset:
    """Return a data set of 1,000 classes and so many training images."""
    draw = np.random.default_rng(0)

    def split(count: int) -> Split:
        images = draw.integers(0, 256, (count, resolution, resolution, 3), np.uint8)
        return Split(images=images, labels=draw.integers(0, 1000, count))

    return Dataset(
        choice=DataChoice(name="digits"),
        class_names=tuple(map(str, range(1000))),
        training=split(images),
        validation=split(1),
        test=None,
        mean=(0.5,) * 3,
        std=(0.25,) * 3,
        fingerprint="random images",
    )


def large_timm(
    _: Dataset, device: str, *, way: dict[str, Any], resolution: int, batch_size: int, steps: int
) -> dict[str, float]:
    """Return the images per second of timm's training step on its network, on one batch that is there.

    As its training script does: TF32 and cuDNN's own choice by timing, autocast, SGD with Nesterov's momentum.
    """
    import timm

    torch.backends.cuda.matmul.fp32_precision = "tf32"
    torch.backends.cudnn.conv.fp32_precision = "tf32"
    torch.backends.cudnn.benchmark = True
    layout = torch.contiguous_format if way["kernels"] == "contiguous" else torch.channels_last
    model = timm.create_model(LARGE_TIMM, num_classes=1000).to(device, memory_format=layout).train()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-5)
    images = torch.randn(batch_size, 3, resolution, resolution, device=device).contiguous(memory_format=layout)
    labels = torch.randint(1000, (batch_size,), device=device)

    def epoch() -> Iterator[float]:
        for _ in range(steps):
            with torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=way["precision"] == "bfloat16"):
                loss = F.cross_entropy(model(images), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            yield loss

    list(epoch())[-1].item()  # the first, in which cuDNN chooses
    begun = time.perf_counter()
    list(epoch())[-1].item()
    return {"images_per_second": steps * batch_size / (time.perf_counter() - begun)}


ANSWERS = {"ours": ours, "plain": plain, "profiled": profiled, "large ours": large_ours, "large timm": large_timm}

if __name__ == "__main__":
    main(*sys.argv[1:])
