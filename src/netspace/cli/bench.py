"""Commands that measure netspace on this machine: how fast, and in how much memory."""

import itertools
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from netspace import values
from netspace.backends import get_backend
from netspace.backends.inference import InferenceFigures, InferenceSetting
from netspace.cli.bench_sample import sample
from netspace.cli.bench_step import step
from netspace.cli.bench_train import train
from netspace.cli.options import AsJson, Resolution
from netspace.cli.sources import SOURCES, find_spec
from netspace.cli.tables import print_json, print_table, table
from netspace.errors import InputError
from netspace.networks.complexity import complexity
from netspace.networks.spec import NetworkSpec
from netspace.networks.zoo import NETWORKS

app = typer.Typer(no_args_is_help=True, help="Measure on this machine: how fast, and in how much memory.")


app.command(epilog="Example: netspace bench train examples/fashion_mnist.toml --epochs 1")(train)
app.command(epilog="Example: netspace bench step regnetx32 --resolution 28 --in-channels 1 --shapes")(step)
app.command(epilog="Example: netspace bench sample anynetx_a --flops 360M..400M -n 500")(sample)


@app.command(epilog="Example: netspace bench infer regnetx_400mf --batch-sizes 1,32 --threads 2 --channels-last")
def infer(
    name: Annotated[
        str,
        typer.Argument(
            help=f"{SOURCES} Of a checkpoint the sizes alone: fresh weights take the same time.",
            metavar="NETWORK",
        ),
    ],
    batch_sizes: Annotated[str, typer.Option(help="Images per batch, such as 1,8,32.")] = "1,8,32",
    threads: Annotated[str | None, typer.Option(help="Threads, such as 1,2.", show_default="all cores")] = None,
    precisions: Annotated[str, typer.Option(help="float32, bfloat16, or both.")] = "float32",
    fused: Annotated[
        bool | None, typer.Option("--fused/--no-fused", help="Norms folded into convolutions.", show_default="both")
    ] = None,
    channels_last: Annotated[
        bool | None,
        typer.Option("--channels-last/--no-channels-last", help="Layout of weights and images.", show_default="both"),
    ] = None,
    resolution: Resolution = 224,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    rounds: Annotated[int, typer.Option(help="How often each setting takes its turn.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Measure latency, images per second and peak memory of a network that answers.

    All settings take turns in one process, so that other work on the machine hits them alike. Peak memory on the CPU
    is that of a fresh process per setting while batches run: its largest resident memory less what the library
    holds by itself. On CUDA it is what PyTorch allocated.
    """
    spec, source = _found(name)
    flops = complexity(spec, resolution).flops
    settings = [
        InferenceSetting(
            batch_size=batch_size,
            threads=count,
            precision=precision,
            channels_last=layout,
            fused=folded,
            resolution=resolution,
            device=device,
        )
        for batch_size, count, precision, layout, folded in itertools.product(
            _whole_numbers("--batch-sizes", batch_sizes),
            _whole_numbers("--threads", str(os.cpu_count() or 1) if threads is None else threads),
            _words(precisions),
            (False, True) if channels_last is None else (channels_last,),
            (False, True) if fused is None else (fused,),
        )
    ]
    if rounds < 1:
        raise InputError(f"--rounds (={rounds}) must be a whole number of at least 1")
    get_backend("torch")  # a missing framework is one sentence
    from netspace.backends.torch_inference import measure, versions

    machine = f"{platform.machine()}, {os.cpu_count()} cores, {versions(device)}"
    print(f"measuring {name} in {len(settings)} settings, {rounds} turns each", file=sys.stderr)
    figures = measure(source, settings, rounds=rounds)
    if as_json:
        rows = [values.to_dict(s) | values.to_dict(f) for s, f in zip(settings, figures, strict=True)]
        print_json({"network": name, "digest": spec.digest, "flops": flops, "machine": machine, "figures": rows})
    else:
        print_figures(f"{name} at {resolution}x{resolution}: {flops:,} flops; {machine}", settings, figures)


def print_figures(title: str, settings: Sequence[InferenceSetting], figures: Sequence[InferenceFigures]) -> None:
    """Print a line per setting."""
    right = ("threads", "precision", "layout", "norms", "median ms", "p95 ms", "images/s", "peak MiB")
    lines = table("batch", right=right)
    for setting, one in zip(settings, figures, strict=True):
        lines.add_row(
            str(setting.batch_size),
            str(setting.threads),
            setting.precision,
            "channels-last" if setting.channels_last else "contiguous",
            "folded" if setting.fused else "kept",
            f"{one.median_ms:,.2f}",
            f"{one.p95_ms:,.2f}",
            f"{one.images_per_second:,.0f}" if one.images_per_second >= 10 else f"{one.images_per_second:.2f}",
            "-" if one.peak_mib is None else f"{one.peak_mib:,.0f}",
        )
    print_table(lines, title)


def _found(name: str) -> tuple[NetworkSpec, NetworkSpec | Path]:
    """Return a network's spec, and where its weights come from: the spec itself, or a folder."""
    path = Path(name)
    spec = find_spec(name)
    return spec, path if name not in NETWORKS and path.is_dir() else spec


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",")]


def _whole_numbers(option: str, text: str) -> list[int]:
    try:
        return [int(word) for word in _words(text)]
    except ValueError:
        raise InputError(f"{option} (={text!r}) must be whole numbers with commas between, such as 1,2") from None
