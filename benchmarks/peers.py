"""A training step of the same networks, ours and other libraries', timed in turns in one process.

    .venv-parity/bin/python -m benchmarks.peers examples/fashion_mnist.toml      # `make test-parity` makes it

Two tables. The first takes networks of a study's spaces, as AnyNets of pycls, the tool that the papers' authors
published, on images of the data's size (of three channels, which pycls expects). The second takes published RegNets as
pycls, timm and torchvision build them. A step is forward, cross-entropy, backward and SGD with momentum, on one thread.
The libraries' networks are timed as they come, and with the two changes that a careful user makes (channels-last, and
bfloat16 by autocast); ours as a study trains it. Times are medians over steps, summed over the networks of a table. All
take their step in turns, in an order that moves on by one in every round.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

import netspace as ns
from netspace.backends.torch_kernels import use_kernels
from netspace.backends.torch_memory import MicroBatches
from netspace.backends.torch_model import build
from netspace.backends.torch_update import new_optimiser, take_step
from netspace.networks.spec import NetworkSpec
from netspace.studies.study import Study
from netspace.training.recipe import TrainingRecipe
from tests.parity.originals import ABSENT, original

WARM_UP = 2
OURS = {"netspace, float32 torch": ("float32", "torch"), "netspace, bfloat16 native": ("bfloat16", "native")}
FORMS = {"as it comes": False, "channels-last, bfloat16": True}
PUBLISHED = {
    "regnetx_200mf": {"pycls": "regnetx_200mf", "timm": "regnetx_002"},
    "regnety_400mf": {"pycls": "regnety_400mf", "timm": "regnety_004", "torchvision": "regnet_y_400mf"},
    "regnetx_800mf": {"pycls": "regnetx_800mf", "timm": "regnetx_008", "torchvision": "regnet_x_800mf"},
}

Step = Callable[[], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The median time of a step [s] of each way that has the network."""

    network: str
    params: int
    seconds: dict[str, float]


def pycls_anynet(spec: NetworkSpec) -> nn.Module:
    """Return an AnyNet of X blocks as pycls builds it."""
    from pycls.models.anynet import AnyNet

    return AnyNet(
        stem_type="res_stem_cifar",
        stem_w=spec.stem.width,
        block_type="res_bottleneck_block",
        ds=[stage.depth for stage in spec.stages],
        ws=[stage.width for stage in spec.stages],
        ss=[stage.stride for stage in spec.stages],
        bms=[1.0 / stage.bottleneck_ratio for stage in spec.stages],
        gws=[stage.group_width for stage in spec.stages],
        se_r=None,
        nc=spec.num_classes,
    )


def their_step(network: nn.Module, images: torch.Tensor, labels: torch.Tensor, tuned: bool) -> Step:
    """Return what trains a library's network on a batch once."""
    layout = torch.channels_last if tuned else torch.contiguous_format
    network = network.to(memory_format=layout).train()  # type: ignore[call-overload]
    images = images.contiguous(memory_format=layout)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-5)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16) if tuned else nullcontext():
            logits = network(images)
        loss = F.cross_entropy(logits.float(), labels)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    return step


def our_step(
    spec: NetworkSpec, images: torch.Tensor, labels: torch.Tensor, precision: str, kernels: str, stack: ExitStack
) -> Step:
    """Return what trains our network on a batch once, as a study does."""
    recipe = TrainingRecipe(batch_size=len(images), learning_rate=0.01, precision=precision)
    network = build(spec).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    stack.enter_context(use_kernels(network, kernels))
    optimiser, micro = new_optimiser(network, recipe, kernels), MicroBatches(network)
    images = images.contiguous(memory_format=torch.channels_last)
    return lambda: take_step(network, optimiser, micro, images, labels, recipe)


def row(
    name: str, spec: NetworkSpec, theirs: dict[str, Callable[[], nn.Module]], batch: int, side: int, steps: int
) -> Row:
    """Time one network in every way, in turns."""
    images, labels = torch.randn(batch, 3, side, side), torch.randint(spec.num_classes, (batch,))
    params = ns.complexity(spec, side).params
    with ExitStack() as stack:
        ways = {way: our_step(spec, images, labels, *form, stack) for way, form in OURS.items()}
        for library, make in theirs.items():
            found = sum(parameter.numel() for parameter in make().parameters())
            if found != params:
                raise SystemExit(f"peers: {library} has {found} parameters for {name}, ours {params}")
            for form, tuned in FORMS.items():
                ways[f"{library}, {form}"] = their_step(make(), images, labels, tuned)
        names = list(ways)
        for way in names * WARM_UP:
            ways[way]()
        seconds: dict[str, list[float]] = {way: [] for way in names}
        for turn in range(steps):
            for way in names[turn % len(names) :] + names[: turn % len(names)]:
                begun = time.perf_counter()
                ways[way]()
                seconds[way].append(time.perf_counter() - begun)
    return Row(network=name, params=params, seconds={way: statistics.median(each) for way, each in seconds.items()})


def show(title: str, rows: Sequence[Row]) -> None:
    print(f"\n{title}\n{'way':38}{'networks':>9}{'ms':>9}{'netspace, bfloat16 native is faster by':>41}")
    ours = "netspace, bfloat16 native"
    for way in dict.fromkeys(way for one in rows for way in one.seconds):
        shared = [one for one in rows if way in one.seconds]
        total, best = (sum(one.seconds[each] for one in shared) for each in (way, ours))
        print(f"{way:38}{len(shared):>9}{1e3 * total:>9.0f}{total / best:>41.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--networks", type=int, default=3, help="of each space of AnyNets")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--side", type=int, default=64, help="of the images of published networks [pixels]")
    parser.add_argument("--steps", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if ABSENT:
        raise SystemExit(f"peers: {', '.join(ABSENT)} not installed; `make test-parity` makes .venv-parity, with them")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    study = Study.open(options.study)
    study.spec = replace(study.spec, networks=options.networks, checks=None)
    drawn = study.draw()
    side, batch = drawn.data.resolution, options.batch_size
    own = []
    for space, sample in drawn.samples.items():
        for i, network in enumerate(sample.networks):
            spec = replace(network, in_channels=3)
            own.append(
                row(f"{space} {i}", spec, {"pycls": lambda spec=spec: pycls_anynet(spec)}, batch, side, options.steps)
            )
    published = [
        row(
            name,
            ns.network(name),
            {
                library: lambda library=library, called=called: original(library, called)
                for library, called in named.items()
            },
            batch,
            options.side,
            options.steps,
        )
        for name, named in PUBLISHED.items()
    ]
    if options.json:
        tables = {"study": own, "published": published}
        print(json.dumps({name: [asdict(one) for one in rows] for name, rows in tables.items()}, indent=2))
        return
    print(
        f"{platform.machine()}, one thread, torch {torch.__version__}, batches of {batch}, medians of {options.steps}"
    )
    show(f"{len(own)} networks of {study.spec.name!r} at {side} pixels", own)
    show(f"published networks at {options.side} pixels", published)


if __name__ == "__main__":
    main()
