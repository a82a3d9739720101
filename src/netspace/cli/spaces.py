"""Commands about design spaces: the catalogue, and samples inside a budget."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from netspace import values
from netspace.backends import get_backend
from netspace.backends.inference import InferenceSetting
from netspace.cli.options import AsJson
from netspace.cli.tables import print_json, print_table, table
from netspace.errors import InputError, SpaceError
from netspace.networks.complexity import MEASURES, check_resolution
from netspace.networks.spec import NetworkSpec
from netspace.spaces.budget import Budget, parse_band, show_number
from netspace.spaces.catalog import MADE_FOR, SPACES, space
from netspace.spaces.counting import Estimate
from netspace.spaces.latency import LatencyBand
from netspace.spaces.own_blocks import check_own_blocks
from netspace.spaces.sample import Sample
from netspace.spaces.sample import sample as draw_sample
from netspace.spaces.space_file import read_declaration
from netspace.spaces.table import sample_table
from netspace.spaces.ties import ties
from netspace.spaces.union import Space

app = typer.Typer()


@app.command("spaces", epilog="Example: netspace spaces")
def list_spaces(
    networks: Annotated[bool, typer.Option("--networks", help="Count the distinct networks too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the design spaces with their free parameters and sizes, exact where they can be counted."""
    spaces = [space(name) for name in SPACES]
    if as_json:
        print_json([_row(one, networks=networks) for one in spaces])
    else:
        print_spaces(spaces, networks=networks)


def _row(one: Space, *, networks: bool) -> dict[str, Any]:
    row: dict[str, Any] = values.to_dict(one) | {"free": one.free_parameters(), "size": values.to_dict(one.size())}
    return row | ({"distinct": values.to_dict(one.distinct())} if networks else {})


@app.command(epilog="Example: netspace sample anynetx_a -n 500 --flops 360M..400M --page sample.html")
def sample(
    name: Annotated[
        str, typer.Argument(help="A name of `netspace spaces`, or a declaration in a .toml file.", metavar="SPACE")
    ],
    n: Annotated[int, typer.Option("-n", help="How many networks.")] = 10,
    flops: Annotated[str | None, typer.Option(help="Band of multiply-adds, such as 360M..400M.")] = None,
    params: Annotated[str | None, typer.Option(help="Band of learnable numbers.")] = None,
    activations: Annotated[str | None, typer.Option(help="Band of activations.")] = None,
    resolution: Annotated[
        int | None, typer.Option(help="Side of the images in pixels.", show_default="the space's, or 224")
    ] = None,
    seed: Annotated[int, typer.Option(help="The first n accepted draws of this seed.")] = 0,
    stages: Annotated[int | None, typer.Option(help="The space with another number of stages.")] = None,
    image_side: Annotated[int | None, typer.Option(help="The space scaled to images of this side in pixels.")] = None,
    uniform: Annotated[bool, typer.Option("--uniform", help="Give every draw the same probability.")] = False,
    latency: Annotated[
        str | None, typer.Option(help="Band of the latency in ms, such as 5..8: one image, folded, all cores.")
    ] = None,
    latency_cache: Annotated[
        Path | None, typer.Option(help="A file that remembers what was measured, by network and machine.")
    ] = None,
    repeats: Annotated[bool, typer.Option("--repeats", help="Let a network come again.")] = False,
    csv: Annotated[Path | None, typer.Option(help="Write a row per network to this .csv file.")] = None,
    parquet: Annotated[Path | None, typer.Option(help="Write a row per network to this .parquet file.")] = None,
    page: Annotated[Path | None, typer.Option(help="Write a page about the sample to this .html file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Draw distinct networks of a space inside a budget; print them, or write them to files."""
    files = {suffix: path for suffix, path in ((".csv", csv), (".parquet", parquet), (".html", page)) if path}
    for suffix, path in files.items():
        _check_file(path, suffix)
    budget = Budget(flops=flops, params=params, activations=activations)
    made, side = read_space(name, stages, image_side)
    made = made.uniform() if uniform else made
    side = side if resolution is None else resolution
    if made.has_own_blocks:
        backend = get_backend("torch")
        check_own_blocks(made, lambda spec: backend.check(spec, side))
    clock = None if latency is None else _latency_band(latency, side, latency_cache)
    taken = draw_sample(made, n, seed=seed, resolution=side, budget=budget, latency=clock, repeats=repeats)
    if files:
        write_files(made, taken, files)
    if as_json:
        print_json(_sample_row(taken))
    else:
        print_sample(taken, listed=not files)
        for path in files.values():
            print(f"wrote {path}")


def read_space(name: str, stages: int | None, image_side: int | None) -> tuple[Space, int]:
    """Return a space of the catalogue or of a file, and the side of the images that it is for [pixels]."""
    if image_side is not None:
        check_resolution(image_side)
    if not name.endswith(".toml"):
        return space(name, num_stages=stages, image_side=image_side), image_side or MADE_FOR
    declared = read_declaration(Path(name)).found(Path(name).parent)
    if declared.parameters and image_side is not None:
        raise InputError(
            f"--image-side (={image_side}) scales spaces of the catalogue, and {name} has parameters of its own; "
            "narrow their ranges there"
        )
    variant: dict[str, Any] = {"num_stages": stages, "image_side": image_side}
    try:
        declared = replace(declared, **{field: given for field, given in variant.items() if given is not None})
        return declared.design_space(), declared.image_side or MADE_FOR
    except SpaceError as problem:
        raise SpaceError(f"{name}: {problem}") from None


def _latency_band(text: str, resolution: int, cache: Path | None) -> LatencyBand:
    """Return a band that measures networks on this machine as `bench infer` does. Raises: InputError."""
    low, high = parse_band(text)
    get_backend("torch")  # a missing framework is one sentence
    from netspace.backends.torch_latency import LatencyMeter

    setting = InferenceSetting(threads=os.cpu_count() or 1, fused=True, resolution=resolution)
    return LatencyBand(low=low, high=high, measure=LatencyMeter(setting=setting, cache=cache))


def _check_file(path: Path, suffix: str) -> None:
    """Check that a file may be written, before anything is drawn. Raises: InputError."""
    option = f"--{'page' if suffix == '.html' else suffix[1:]}"
    if path.suffix != suffix:
        raise InputError(f"{option} (={str(path)!r}) must end in {suffix}; nearest: {path.with_suffix(suffix).name!r}")
    if not path.parent.is_dir():
        raise InputError(f"{option} (={str(path)!r}): the folder {str(path.parent)!r} does not exist")


def write_files(made: Space, taken: Sample, files: Mapping[str, Path]) -> None:
    """Write a sample to the file of each suffix. Raises: InputError."""
    from netspace.storage.table_files import write_csv, write_parquet

    columns = sample_table(taken)
    if ".csv" in files:
        write_csv(columns, files[".csv"])
    if ".parquet" in files:
        write_parquet(columns, files[".parquet"])
    if ".html" in files:
        from netspace.report.sample_page import write_sample_page

        write_sample_page(made, taken, files[".html"])


def _sample_row(taken: Sample) -> dict[str, Any]:
    """Return a sample as plain data."""
    return {
        "space": taken.name,
        "seed": taken.seed,
        "resolution": taken.resolution,
        "budget": values.to_dict(taken.budget),
        "draws": taken.draws,
        "in_band": taken.in_band,
        "acceptance": taken.acceptance,
        "acceptance_interval": taken.acceptance_interval,
        "duplicates": taken.duplicates,
        "exhausted": taken.exhausted,
        "asked": taken.asked,
        "latencies": taken.latencies,
        "positions": taken.positions,
        "complexity": {measure: getattr(taken.complexity, measure).tolist() for measure in MEASURES},
        "networks": [spec.to_dict() for spec in taken.networks],
        "drawn": list(taken.drawn),
    }


def print_spaces(spaces: Sequence[Space], *, networks: bool = False) -> None:
    """Print a line per design space."""
    lines = table("space", right=("free", "draws", *(["networks"] if networks else [])), left=("relations",))
    for one in spaces:
        counts = [one.size(), *([one.distinct()] if networks else [])]
        lines.add_row(one.name, str(one.free_parameters()), *map(_count, counts), "; ".join(ties(one)))
    print_table(lines, "design spaces: free parameters, distinct draws, what ties the stages")


def _count(number: "int | Estimate") -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number.value:.2g} ±{(number.high - number.low) / 2:.1g}"


def print_sample(taken: Sample, *, listed: bool = True) -> None:
    """Print how a sample was drawn and, where `listed`, a line per network."""
    title = (
        f"{taken.name}: {len(taken.networks)} networks from {taken.draws:,} draws "
        f"({_share(taken)} met {taken.asked}; {taken.duplicates} repeated a network)"
    )
    if listed:
        print_networks(taken, title)
    else:
        print(title)
    if taken.exhausted:
        print(f"the space holds no other network there: {len(taken.networks)} are all")


def print_networks(taken: Sample, title: str) -> None:
    """Print a line per network of a sample."""
    timed = ("latency ms",) if taken.latencies else ()
    lines = table(
        "draw", right=("flops", "params", *timed), left=("depths", "widths", "ratios", "group widths", "digest")
    )
    for i, spec in enumerate(taken.networks):
        lines.add_row(
            str(taken.positions[i]),
            show_number(float(taken.complexity.flops[i])),
            show_number(float(taken.complexity.params[i])),
            *(f"{median:.3g} ±{noise:.1g}" for median, noise in taken.latencies[i : i + 1]),
            *(_stages(spec, field) for field in ("depth", "width", "bottleneck_ratio", "group_width")),
            spec.digest[:8],
        )
    print_table(lines, title)


def _share(taken: Sample) -> str:
    low, high = taken.acceptance_interval
    return f"{taken.acceptance:.3%} [{low:.3%}, {high:.3%}]"


def _stages(spec: NetworkSpec, field: str) -> str:
    values = [getattr(stage, field) for stage in spec.stages]
    return ",".join("-" if value is None else f"{value:g}" for value in values)
