"""`netspace bench train`: how fast a population is trained, our ways and the usual one side by side."""

import math
import platform
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from netspace import values
from netspace.cli.options import AsJson
from netspace.cli.tables import percent, print_json, print_table, table
from netspace.errors import InputError
from netspace.machine import usable_cores
from netspace.studies.study import Study
from netspace.studies.throughput import WAYS, Throughput, measure
from netspace.training.device import CPU


def train(
    study_file: Annotated[Path, typer.Argument(help="The study's TOML file.", metavar="STUDY.toml")],
    networks: Annotated[int, typer.Option(help="Networks, of all its spaces together.")] = 20,
    epochs: Annotated[int | None, typer.Option(help="Epochs, instead of the study's.")] = None,
    rounds: Annotated[int, typer.Option(help="How often each way takes its turn.")] = 5,
    ways: Annotated[str, typer.Option(help=f"Of: {', '.join(WAYS)}.")] = "usual,float32 torch,bfloat16 native",
    data_dir: Annotated[Path | None, typer.Option(help="Folder of a named data set's files.")] = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch a missing data set.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure how fast a population is trained, from start to the last stored result.

    The usual way is one process with all cores as threads, float32 and a DataLoader; ours is one worker per core, in
    several precisions and kernels.
    """
    asked = [word.strip() for word in ways.split(",")]
    for way in asked:
        if way not in WAYS:
            raise InputError(f"--ways (={way!r}) must be of {', '.join(map(repr, WAYS))}")
    for option, count in (("--networks", networks), ("--rounds", rounds)):
        if count < 1:
            raise InputError(f"{option} (={count}) must be a whole number of at least 1")
    study = Study.open(study_file)
    spec = study.spec
    if spec.device != CPU:
        raise InputError(f"device (={spec.device!r}) must be 'cpu': the usual way is; benchmarks/gpu.py measures GPUs")
    count = spec.recipe.epochs if epochs is None else epochs
    warmup = min(spec.recipe.warmup_epochs, count)
    each = math.ceil(networks / len(spec.spaces))
    study.spec = replace(
        spec,
        networks=each,
        recipe=replace(spec.recipe, epochs=count, warmup_epochs=warmup, precision="float32"),
        kernels="torch",
        checks=None,
        rungs=(),
        comparison=spec.comparison.once,
        workers="auto",
    )
    cores = usable_cores()
    found = measure(
        study,
        asked,
        rounds=rounds,
        cores=cores,
        told=lambda line: print(line, file=sys.stderr),
        data_dir=data_dir,
        allow_download=download,
    )
    machine = f"{platform.machine()}, {cores} cores"
    title = f"{each * len(spec.spaces)} networks of {spec.name!r}; {machine}, medians of {rounds} rounds"
    if as_json:
        figures = [values.to_dict(one) for one in found]
        print_json({"study": spec.name, "machine": machine, "rounds": rounds, "figures": figures})
    else:
        print_figures(title, found)


def print_figures(title: str, found: Sequence[Throughput]) -> None:
    """Print a line per way."""
    lines = table("way", right=("seconds", "images/s", "of usual", "share of peak", "mean error"))
    for one in found:
        lines.add_row(
            one.way,
            f"{one.seconds:,.1f}",
            f"{one.images_per_second:,.0f}",
            "-" if one.ratio is None else f"{one.ratio:.2f}",
            percent(one.share_of_peak),
            percent(one.mean_error),
        )
    print_table(lines, title)
