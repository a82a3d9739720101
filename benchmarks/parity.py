"""How alike the backends are, pair by pair, and what a training step costs in each, in turns.

    python benchmarks/parity.py                      # every backend that is installed here
    python benchmarks/parity.py --save here.npz      # keeps the logits too, and then, in another environment,
    python benchmarks/parity.py --beside here.npz    # compares with them

Networks have random weights and disturbed running statistics. A difference is that of the logits in evaluation mode, as
a share of the largest logit: the largest over all networks. A step is that of the second epoch, without compilation;
what the first epoch took longer stands beside it. Each turn is a process of its own, since a framework that has run
slows the others down.
"""

import argparse
import dataclasses
import itertools
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np

import netspace as ns
from netspace.backends import BACKENDS, get_backend
from netspace.errors import MissingFrameworkError
from netspace.networks.spec import NetworkSpec, Stage, Stem
from netspace.networks.tensors import initial_tensors
from netspace.training.backend import Backend
from netspace.training.data import DataChoice, Dataset, load
from netspace.training.recipe import TrainingRecipe
from netspace.training.splits import Split
from netspace.training.trial import Trial

RESOLUTION, BATCH, STEPS = 28, 64, 10


def networks() -> dict[str, NetworkSpec]:
    """Return networks of every block, small enough for a laptop."""

    def small(**options: object) -> NetworkSpec:
        grouped = {"group_width": 8} if options.get("block", "x") in ("x", "z") else {}
        stages = tuple(Stage(depth=2, width=width, **grouped) for width in (32, 64, 128))
        return NetworkSpec(stages=stages, stem=Stem(width=16, stride=1), num_classes=10, in_channels=1, **options)

    return {
        "x": small(),
        "x, squeezed": small(se_ratio=0.25),
        "z": small(block="z", activation="silu"),
        "basic": small(block="basic"),
        "vanilla": small(block="basic", residual=False),
        "mlp": dataclasses.replace(small(block="mlp"), stem=Stem(width=16, kernel_size=4, stride=4, patchify=True)),
        "regnetx32": ns.network("regnetx32"),
    }


def disturbed(spec: NetworkSpec) -> dict[str, np.ndarray]:
    """Return all tensors of a network, none of whose numbers is what a fresh one has."""
    generator = np.random.default_rng(0)
    tensors = {}
    for name, fresh in initial_tensors(spec, 0).items():
        if name.endswith(("norm.weight", "running_var")):
            tensors[name] = generator.uniform(0.5, 1.5, fresh.shape).astype(np.float32)
        else:
            tensors[name] = fresh + 0.1 * generator.standard_normal(fresh.shape).astype(np.float32)
    return tensors


def all_logits(backend: Backend) -> dict[str, np.ndarray]:
    """Return the logits of every network for the same images."""
    found = {}
    for name, spec in networks().items():
        images = np.random.default_rng(1).standard_normal((8, RESOLUTION, RESOLUTION, spec.in_channels))
        network = backend.with_arrays(spec, disturbed(spec))
        found[name] = backend.logits(network, images.astype(np.float32))
    return found


def noise() -> Dataset:
    """Return images of noise, as many as ten steps need, and few to judge."""
    generator = np.random.default_rng(2)

    def split(count: int) -> Split:
        images = generator.integers(0, 256, (count, RESOLUTION, RESOLUTION, 1), dtype=np.uint8)
        return Split(images=images, labels=generator.integers(0, 10, count))

    digits = load(DataChoice(name="digits"))
    return dataclasses.replace(digits, training=split(BATCH * STEPS), validation=split(16), test=None)


def time_step(name: str) -> None:
    """Print what a step takes [s], and what the first epoch took longer than the second [s]."""
    backend, data = get_backend(name), noise()
    backend.take_threads(1)
    recipe = TrainingRecipe(epochs=2, batch_size=BATCH)
    trial = Trial(network=networks()["x"], recipe=recipe, data=data.fingerprint, backend=name)
    first, second = backend.train(trial, data).curve
    print(second.seconds / STEPS, first.seconds - second.seconds)


def timed(name: str) -> tuple[float, float]:
    """Return what `time_step` prints in a process of its own."""
    command = [sys.executable, __file__, "--time", name]
    step, compiling = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-2:]
    return float(step), float(compiling)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--save", type=Path, help="file for the logits (.npz)")
    parser.add_argument("--beside", type=Path, help="logits of another environment (.npz)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--time", choices=BACKENDS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.time:
        time_step(options.time)
        return

    backends = {}
    for name in BACKENDS:
        try:
            backends[name] = get_backend(name)
        except MissingFrameworkError as missing:
            print(f"left out: {missing}")
        else:
            backends[name].take_threads(1)
    versions = ", ".join(f"{what} {v}" for backend in backends.values() for what, v in backend.versions().items())
    print(f"{platform.machine()}, {os.cpu_count()} cores; {versions}\n")

    logits = {name: all_logits(backend) for name, backend in backends.items()}
    if options.save:
        np.savez(options.save, **{f"{b}/{n}": found for b, of in logits.items() for n, found in of.items()})
    if options.beside:
        for key, found in np.load(options.beside).items():
            backend, name = key.split("/")
            if backend not in backends:
                logits.setdefault(backend, {})[name] = found
    print(f"{'pair':44}{'largest difference':>20}  of network")
    for one, other in itertools.combinations(logits, 2):
        differences = {
            name: np.abs(found - logits[other][name]).max() / np.abs(found).max() for name, found in logits[one].items()
        }
        worst = max(differences, key=differences.__getitem__)
        print(f"{one + ', ' + other:44}{differences[worst]:>20.1e}  {worst}")

    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in backends}
    for _ in range(options.repeats):
        for name in backends:
            taken[name].append(timed(name))
    cost = ns.complexity(networks()["x"], RESOLUTION)
    print(
        f"\nA step of {BATCH} images through {cost.flops:,} flops, one thread (medians of {options.repeats} turns)\n"
        f"{'backend':20}{'ms per step':>12}{'of torch':>10}{'first epoch longer by [s]':>28}"
    )
    medians = {name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in taken.items()}
    for name, (step, compiling) in medians.items():
        print(f"{name:20}{1000 * step:>12.1f}{step / medians['torch'][0]:>10.2f}{compiling:>28.1f}")


if __name__ == "__main__":
    main()
