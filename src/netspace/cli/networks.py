"""Commands about single networks: what the zoo holds, what a network consists of, how it leaves for elsewhere."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from netspace import values
from netspace.backends import needed_by
from netspace.cli.options import AsJson, Resolution
from netspace.cli.sources import SOURCES, find_spec, read_network
from netspace.cli.tables import print_json, print_table, table
from netspace.errors import InputError, did_you_mean
from netspace.networks.complexity import Complexity, Part, complexity, parts
from netspace.networks.fitting import RegNetFit, fit_regnet
from netspace.networks.spec import NetworkSpec
from netspace.networks.zoo import NETWORKS, name_of, network

app = typer.Typer()

FORMATS = ("onnx", "torch", "timm", "torchvision", "pycls")


@app.command("zoo", epilog="Example: netspace zoo --json")
def list_zoo(resolution: Resolution = 224, as_json: AsJson = False) -> None:
    """List the named networks with their complexity."""
    costs = {name: complexity(network(name), resolution) for name in NETWORKS}
    if as_json:
        print_json({name: values.to_dict(cost) for name, cost in costs.items()})
    else:
        print_zoo(costs, resolution)


@app.command(epilog="Example: netspace show regnetx32 --resolution 96 --in-channels 1")
def show(
    name: Annotated[str, typer.Argument(help=SOURCES, metavar="NETWORK")],
    resolution: Resolution = 224,
    in_channels: Annotated[int | None, typer.Option(help="Channels of the images.")] = None,
    num_classes: Annotated[int | None, typer.Option(help="Classes of the head.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print a network part by part: output shape, params, flops and activations."""
    spec = find_spec(name)
    if in_channels is not None:
        spec = dataclasses.replace(spec, in_channels=in_channels)
    if num_classes is not None:
        spec = dataclasses.replace(spec, num_classes=num_classes)
    layers = parts(spec, resolution)
    if as_json:
        total = values.to_dict(complexity(spec, resolution))
        print_json({"network": spec.to_dict(), "digest": spec.digest, "parts": values.to_dict(layers)} | total)
    else:
        known = name_of(spec)
        title = name if known in (None, name) else f"{name} ({known})"
        print_parts(title, spec, layers, complexity(spec, resolution), resolution)


@app.command(epilog="Example: netspace fit resnet50")
def fit(
    name: Annotated[str, typer.Argument(help=SOURCES, metavar="NETWORK")],
    as_json: AsJson = False,
) -> None:
    """Find the RegNet parameters whose widths are nearest to a network's, and say how near."""
    spec = find_spec(name)
    found = fit_regnet(spec)
    if as_json:
        print_json(values.to_dict(found))
    else:
        print_fit(name, spec, found)


@app.command(epilog="Example: netspace export runs/best --to onnx -o model.onnx --resolution 96")
def export(
    network_path: Annotated[
        Path, typer.Argument(help="A folder that `netspace.save` wrote, or a published checkpoint.", metavar="NETWORK")
    ],
    to: Annotated[str, typer.Option(help=f"What to write: {', '.join(FORMATS)}.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    resolution: Resolution = 224,
) -> None:
    """Write a trained network for another program, after checking that it computes the same there.

    onnx: for onnxruntime and others. torch: a program of torch.export, which needs no netspace. timm, torchvision,
    pycls: safetensors with that library's key names.
    """
    if to not in FORMATS:
        raise InputError(f"--to {to!r} is not something to export to{did_you_mean(to, FORMATS)}")
    with needed_by("export", extra="torch"):
        from netspace.backends import torch_export
    network = read_network(network_path)
    if to == "onnx":
        done = torch_export.export_onnx(network, output, resolution=resolution)
    elif to == "torch":
        done = torch_export.export_program(network, output, resolution=resolution)
    else:
        done = torch_export.export_published(network, output, style=to, resolution=resolution)
    print(
        f"{to}: {output} ({done.size / 2**20:.1f} MiB){f', opset {done.opset}' if done.opset else ''}, largest "
        f"difference {done.difference:.1g} of the largest logit over batches of "
        f"{' and '.join(map(str, torch_export.CHECKED_BATCHES))}"
    )


def print_zoo(costs: Mapping[str, Complexity], resolution: int) -> None:
    """Print a line per network."""
    lines = table("network", right=("flops", "params", "activations"))
    for name, cost in costs.items():
        lines.add_row(name, f"{cost.flops:,}", f"{cost.params:,}", f"{cost.activations:,}")
    print_table(lines, f"complexity at {resolution}x{resolution}")


def print_parts(name: str, spec: NetworkSpec, layers: Sequence[Part], total: Complexity, resolution: int) -> None:
    """Print the layer summary of a network."""
    lines = table("part", right=("blocks", "output", "params", "flops", "activations"))
    for part in layers:
        shape = f"{part.width}" if part.name == "head" else f"{part.width}x{part.side}x{part.side}"
        cost = part.complexity
        lines.add_row(part.name, str(part.depth), shape, f"{cost.params:,}", f"{cost.flops:,}", f"{cost.activations:,}")
    lines.add_section()
    lines.add_row("total", "", "", f"{total.params:,}", f"{total.flops:,}", f"{total.activations:,}")
    print_table(lines, f"{name}: input {spec.in_channels}x{resolution}x{resolution}, digest {spec.digest}")


def print_fit(name: str, spec: NetworkSpec, found: RegNetFit) -> None:
    """Print the parameters of a fit, and the widths of the blocks beside those of the rule."""
    own = [stage.width for stage in spec.stages for _ in range(stage.depth)]
    lines = table("blocks", right=("width", "by the rule"))
    for (width, by_rule), run in itertools.groupby(zip(own, found.widths, strict=True)):
        lines.add_row(str(len(list(run))), str(width), str(by_rule))
    print_table(
        lines,
        f"{name}: w_0 {found.initial_width}, w_a {found.width_slope:g}, w_m {found.width_multiplier:g} fit it best, "
        f"error {found.error:.4f} (mean |ln of the ratio of widths|)",
    )
