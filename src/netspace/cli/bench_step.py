"""`netspace bench step`: where the time of one network's training step goes, in several ways side by side."""

import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from netspace import values
from netspace.backends import get_backend
from netspace.cli.options import AsJson, Resolution
from netspace.cli.sources import SOURCES, find_spec
from netspace.cli.tables import percent, print_json, print_table, table
from netspace.errors import InputError
from netspace.networks.complexity import complexity
from netspace.studies.throughput import USUAL, WAYS
from netspace.training.recipe import TrainingRecipe
from netspace.training.trial import Trial

if TYPE_CHECKING:  # a framework is loaded when all words are right
    from netspace.backends.torch_step import StepFigures

OURS = tuple(way for way in WAYS if way != USUAL)
SMALL = 0.01
"""The share of a step below which, in every way, an operator is among the others."""


def step(
    name: Annotated[str, typer.Argument(help=f"{SOURCES} Its weights begin anew.", metavar="NETWORK")],
    batch_size: Annotated[int, typer.Option(help="Images per step.")] = 64,
    resolution: Resolution = 224,
    in_channels: Annotated[
        int | None, typer.Option(help="Channels of the images.", show_default="the network's")
    ] = None,
    ways: Annotated[str, typer.Option(help=f"Of: {', '.join(OURS)}.")] = "float32 torch,bfloat16 native",
    steps: Annotated[int, typer.Option(help="Steps that are timed, and steps that are profiled, in each way.")] = 10,
    threads: Annotated[int, typer.Option(help="Threads.")] = 1,
    shapes: Annotated[bool, typer.Option("--shapes", help="Tell convolutions apart by input and weight.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure where the time of a training step goes: forward, loss, backward and optimiser, on random images.

    Whole steps are timed in turns, without the profiler; operators by it, each with all that it calls.
    """
    asked = list(dict.fromkeys(word.strip() for word in ways.split(",")))
    for way in asked:
        if way not in OURS:
            raise InputError(f"--ways (={way!r}) must be of {', '.join(map(repr, OURS))}")
    if steps < 1:
        raise InputError(f"--steps (={steps}) must be a whole number of at least 1")
    spec = find_spec(name)
    spec = spec if in_channels is None else replace(spec, in_channels=in_channels)
    trials = [
        Trial(
            network=spec,
            recipe=TrainingRecipe(batch_size=batch_size, precision=precision),
            data="random images",
            threads=threads,
            kernels=kernels,
        )
        for precision, kernels in map(str.split, asked)
    ]
    flops = int(complexity(spec, resolution).flops)
    get_backend("torch")  # a missing framework is one sentence
    from netspace.backends.torch_inference import versions
    from netspace.backends.torch_peak import peak
    from netspace.backends.torch_step import measure

    print(f"measuring {name} in {len(asked)} ways, {steps} steps each, twice", file=sys.stderr)
    found = dict(zip(asked, measure(trials, resolution, steps=steps, shapes=shapes), strict=True))
    # A multiply-add is two operations; a step goes forward once and computes two gradients of the same size.
    operations = 6.0 * flops * batch_size
    peaks = {
        precision: peak(precision, threads, repeats=steps)
        for precision in dict.fromkeys(way.split()[0] for way in asked)
    }
    shares = {way: operations / (1e-3 * figures.median_ms) / peaks[way.split()[0]] for way, figures in found.items()}
    machine = f"{platform.machine()}, {threads} thread{'s' * (threads > 1)}, {versions('cpu')}"
    title = f"{name} at {resolution}x{resolution}: {flops:,} flops, batch {batch_size}; {machine}"
    if as_json:
        rows = [{"way": way, "share_of_peak": shares[way], **values.to_dict(figures)} for way, figures in found.items()]
        about = {"network": name, "digest": spec.digest, "flops": flops, "batch_size": batch_size}
        print_json(about | {"resolution": resolution, "steps": steps, "machine": machine, "figures": rows})
    else:
        print_steps(title, found, shares)
        print()
        print_operators("operators, with all that they call, while the profiler watches", found)


def print_steps(title: str, found: Mapping[str, "StepFigures"], shares: Mapping[str, float]) -> None:
    """Print a line per way."""
    lines = table("way", right=("median ms", "images/s", "share of peak"))
    for way, one in found.items():
        lines.add_row(way, f"{one.median_ms:,.2f}", f"{one.images_per_second:,.0f}", percent(shares[way]))
    print_table(lines, title)


def print_operators(title: str, found: Mapping[str, "StepFigures"]) -> None:
    """Print a line per operator: what it takes in each way [ms], and its share of all operators there."""
    columns = [one.operators for one in found.values()]
    wholes = [sum(column.values()) for column in columns]
    most = {
        name: max(column.get(name, 0.0) / whole for column, whole in zip(columns, wholes, strict=True))
        for name in dict.fromkeys(name for column in columns for name in column)
    }
    large = sorted((name for name in most if most[name] >= SMALL), key=lambda name: -most[name])
    small = [name for name in most if most[name] < SMALL]
    lines = table("operator", right=[head for way in found for head in (f"{way} ms", "share")])

    def add(name: str, times: Sequence[float | None]) -> None:
        cells = []
        for spent, whole in zip(times, wholes, strict=True):
            cells += ["-", "-"] if spent is None else [f"{spent:,.2f}", percent(spent / whole)]
        lines.add_row(name, *cells)

    for name in large:
        add(name, [column.get(name) for column in columns])
    if small:
        add(f"others ({len(small)})", [sum(column.get(name, 0.0) for name in small) for column in columns])
    add("all", wholes)
    print_table(lines, title)
