"""The command that takes a found design to another budget."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from netspace import values
from netspace.cli.files import check_file, write_network
from netspace.cli.options import AsJson, Where, where
from netspace.cli.sources import SOURCES, find_spec
from netspace.cli.tables import console, percent, print_json, print_table, table
from netspace.errors import InputError
from netspace.networks.scaling import RULES, TOLERANCE, Scaled, scale, scaling_rule
from netspace.networks.spec import NetworkSpec
from netspace.networks.zoo import NETWORKS
from netspace.spaces.budget import parse_number, show_number
from netspace.spaces.catalog import MADE_FOR

app = typer.Typer()


@app.command("scale", epilog="Example: netspace scale network.json --to 40M --resolution 28 --out larger.json")
def scale_network(
    source: Annotated[
        str,
        typer.Argument(help=f"{SOURCES} Or a study's store: its best network.", metavar="NETWORK_OR_STORE"),
    ],
    to: Annotated[str, typer.Option(help="The multiply-adds that it is to have, such as 400M.")],
    resolution: Annotated[
        int | None,
        typer.Option(
            help="Side of the images in pixels that it is for now.", show_default="the study's; 224 of the zoo"
        ),
    ] = None,
    rule: Annotated[str, typer.Option(help=f"What grows: {', '.join(RULES)}. A large W takes most of it.")] = "dWr",
    alpha: Annotated[
        float | None, typer.Option(help="The share of the width in dW and dWr.", show_default="0.8")
    ] = None,
    tolerance: Annotated[float, typer.Option(help="By which share the multiply-adds may miss the goal.")] = TOLERANCE,
    output: Annotated[
        Path | None, typer.Option("--output", "--out", "-o", help="Write the scaled network to this .json file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Scale a network to a budget by depth, width and resolution together; say every number that changed.

    dWr is fast compound scaling (Dollar et al. 2021): of the growth in multiply-adds the width takes 0.8, depth and
    resolution 0.1 each. dW leaves the images as they are. Nothing is trained: what the scaled network is worth, only
    training says.
    """
    check_file("--out", output, (".json",))
    used = scaling_rule(rule, alpha)
    name, spec, side = _found(source, resolution)
    done = scale(spec, flops=parse_number(to), resolution=side, rule=used, tolerance=tolerance)
    if output is not None:
        write_network(done.network, output)
    if as_json:
        print_json(values.to_dict(done) | {"network": done.network.to_dict(), "digest": done.network.digest})
    else:
        _print_scaled(name, side, done)
        if output is not None:
            console().print(f"network: {output}; train it with --resolution {done.resolution}", soft_wrap=True)


def _found(source: str, resolution: int | None) -> tuple[str, NetworkSpec, int]:
    """Return what a network is called, its spec, and the side of its images [pixels]. Raises: InputError."""
    place = where(source)
    if _is_store(place):
        from netspace.studies.picking import pick  # SciPy and SQLAlchemy

        found = pick(place)
        best, known = found.picked, found.resolution
        name = f"{best.digest[:8]} of {', '.join(best.spaces)}, the best of {len(found.ranked)} ({percent(best.error)})"
        spec = best.network
    else:
        name, spec = source, find_spec(source)
        known = MADE_FOR if source in NETWORKS else None
    side = known if resolution is None else resolution
    if side is None:
        raise InputError(f"--resolution: missing, and {source!r} does not say for which images its network is")
    return name, spec, side


def _is_store(place: Where) -> bool:
    """Whether a place is a study's store; a folder that holds a network too is neither. Raises: InputError."""
    if not isinstance(place, Path):
        return True
    store, network = (place / "study.db").is_file(), (place / "network.json").is_file()
    if store and network:
        raise InputError(f"folder {str(place)!r} holds a store and a network; name its study.db or its network.json")
    return store or place.suffix == ".db"


def _print_scaled(name: str, side: int, done: Scaled) -> None:
    shares = f"depth {done.rule.depth:.3g}, width {done.rule.width:.3g}, resolution {done.rule.resolution:.3g}"
    lines = table("number", right=("before", "by the rule", "now"))
    for change in done.changes:
        lines.add_row(change.what, str(change.before), f"{change.by_rule:.1f}", str(change.after))
    print_table(lines, f"{name}: scaled by s = {done.factor:.4g}, shares {shares}")
    costs = [
        f"{measure} {show_number(old)} → {show_number(new)} (x {new / old:.2f})"
        for measure, old, new in zip(
            ("flops", "params", "activations"),
            values.to_dict(done.before).values(),
            values.to_dict(done.complexity).values(),
            strict=True,
        )
    ]
    console().print(Text(f"{', '.join(costs)}; {side}x{side} → {done.resolution}x{done.resolution}"), soft_wrap=True)
    off = done.complexity.flops / done.asked - 1.0
    asked = f"asked {show_number(done.asked)}, met within {100 * abs(off):.1f} %"
    console().print(Text(f"{asked}; digest {done.network.digest}"), soft_wrap=True)
