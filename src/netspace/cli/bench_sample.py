"""`netspace bench sample`: how fast a design space is sampled."""

import platform
from typing import Annotated

import typer

from netspace import values
from netspace.cli.options import AsJson
from netspace.cli.spaces import read_space
from netspace.cli.tables import percent, print_json, print_table, table
from netspace.errors import InputError
from netspace.spaces.budget import Budget
from netspace.spaces.speed import SamplingSpeed, sampling_speed


def sample(
    name: Annotated[
        str, typer.Argument(help="A name of `netspace spaces`, or a declaration in a .toml file.", metavar="SPACE")
    ],
    flops: Annotated[str | None, typer.Option(help="Band of multiply-adds, such as 360M..400M.")] = None,
    params: Annotated[str | None, typer.Option(help="Band of learnable numbers.")] = None,
    activations: Annotated[str | None, typer.Option(help="Band of activations.")] = None,
    n: Annotated[int, typer.Option("-n", help="How many networks.")] = 100,
    rounds: Annotated[int, typer.Option(help="How often all of it is done.")] = 5,
    resolution: Annotated[
        int | None, typer.Option(help="Side of the images in pixels.", show_default="the space's, or 224")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure how fast a space is sampled: raw draws, draws held against a budget, distinct networks inside it."""
    budget = Budget(flops=flops, params=params, activations=activations)
    if rounds < 1:
        raise InputError(f"--rounds (={rounds}) must be a whole number of at least 1")
    space, side = read_space(name, None, None)
    side = side if resolution is None else resolution
    found = sampling_speed(space, n, budget=budget, resolution=side, rounds=rounds)
    machine = f"{platform.machine()}, one core"
    title = f"{space.name}, {budget.describe()} at {side}x{side}; {machine}, medians of {rounds} rounds"
    if as_json:
        about = {"space": space.name, "budget": budget.describe(), "resolution": side, "machine": machine}
        print_json(about | {"rounds": rounds} | values.to_dict(found))
    else:
        print_figures(title, found)


def print_figures(title: str, found: SamplingSpeed) -> None:
    """Print one line."""
    lines = table("draws/s", right=("checked/s", "networks/s", "acceptance", "networks", "seconds"))
    lines.add_row(
        f"{found.draws:,.0f}",
        f"{found.checked:,.0f}",
        f"{found.networks:,.0f}",
        percent(found.acceptance),
        f"{found.found:,}",
        f"{found.seconds:,.3f}",
    )
    print_table(lines, title)
