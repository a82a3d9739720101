"""The command that picks one network of a study: the front of error against cost, and the best that a budget allows."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from netspace import values
from netspace.cli.files import check_file, write_bytes, write_network
from netspace.cli.options import AsJson, StorePath
from netspace.cli.results import without_infinities
from netspace.cli.tables import console, percent, print_json, print_table, table
from netspace.errors import InputError
from netspace.spaces.budget import show_number
from netspace.training.metrics import metric_name

if TYPE_CHECKING:  # `netspace zoo` needs no SciPy and no SQLAlchemy
    from netspace.findings.candidates import Candidate
    from netspace.studies.picking import Pick

app = typer.Typer()

FIGURES = (".svg", ".png", ".pdf")

UNSTEADY = 0.1
"""The noise of a latency, as a share of it, above which it is called unsteady."""


@app.command(epilog="Example: netspace pick runs/digits --flops 400k --out network.json")
def pick(
    store: StorePath,
    space: Annotated[
        list[str] | None, typer.Option(help="A space to pick from; may be said again.", show_default="all")
    ] = None,
    flops: Annotated[str | None, typer.Option(help="Most multiply-adds, such as 4M, or a band such as 2M..4M.")] = None,
    params: Annotated[str | None, typer.Option(help="Most learnable numbers, or a band.")] = None,
    activations: Annotated[str | None, typer.Option(help="Most activations, or a band.")] = None,
    latency: Annotated[
        str | None, typer.Option(help="Highest latency, such as 3ms, or a band: one image, folded, on this machine.")
    ] = None,
    against: Annotated[
        str, typer.Option(help="The cost of the front: flops, params, activations or latency.")
    ] = "flops",
    latency_cache: Annotated[
        Path | None, typer.Option(help="A file that remembers what was measured, by network and machine.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Threads while latency is measured.", show_default="all cores")
    ] = None,
    top: Annotated[int, typer.Option(help="Lines for the lowest errors; the whole front is listed besides.")] = 10,
    output: Annotated[
        Path | None, typer.Option("--output", "--out", "-o", help="Write the picked network to this .json file.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the front to this .svg, .png or .pdf file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Pick the network with the lowest validation error inside a budget; say what that error is worth.

    The lowest of many errors is partly luck: the lines below the table give limits that hold for it all the same, and
    say how many others cannot be told apart from it. The file of --out is a network for train, show, fit and scale.
    """
    # SciPy and SQLAlchemy, which the commands about networks do without
    from netspace.studies.picking import pick as pick_network

    if top < 0:
        raise InputError(f"--top (={top}) must be at least 0")
    for option, path, suffixes in (("--out", output, (".json",)), ("--plot", plot, FIGURES)):
        check_file(option, path, suffixes)
    found = pick_network(
        store,
        spaces=tuple(space or ()),
        against=against,
        flops=flops,
        params=params,
        activations=activations,
        latency=latency,
        latency_cache=latency_cache,
        threads=threads,
        on_measuring=lambda networks: typer.echo(f"measuring the latency of {networks} networks", err=True),
    )
    if output is not None:
        write_network(found.picked.network, output)
    if plot is not None:
        _draw(found, plot)
    if as_json:
        print_json(pick_row(found))
    else:
        _print_candidates(found, top)
        for sentence in sentences(found):
            console().print(Text(f"• {sentence}"), soft_wrap=True)
        for what, path in (("network", output), ("figure", plot)):
            if path is not None:
                console().print(f"{what}: {path}", soft_wrap=True)


def pick_row(found: "Pick") -> dict[str, Any]:
    """Return a pick as plain data; numbers that are not finite as None."""
    row: dict[str, Any] = values.to_dict(found)
    picked: dict[str, Any] = without_infinities(
        {name: value for name, value in row.items() if name != "candidates"}
        | {"picked": found.picked.digest, "front": [one.digest for one in found.front], "sentences": sentences(found)}
        | {"candidates": row["candidates"]}
    )
    return picked


def sentences(found: "Pick") -> list[str]:
    """Return what is to be known of a pick: who took part, what its error is worth, who may be as good."""
    from netspace.findings.words import count

    one, ranked = found.picked, found.ranked
    failed = len(found.candidates) - len(ranked)
    told = [
        f"{count(found.networks, 'network')} of {', '.join(found.spaces)}: {len(ranked)} with an error inside the "
        f"budget ({found.budget}), {failed} diverged or failed there, {found.outside} outside, {found.waiting} not "
        "trained yet."
    ]
    name, of = metric_name(found.metric), f"the lowest of {len(ranked)}"
    picked = f"Picked: {one.digest[:8]} of {', '.join(one.spaces)}, {name} {percent(one.error)}, {of}"
    if found.best_limits is None:
        told.append(
            f"{picked}; it has no limits, for on how many images it rests is not known here: the study's data are not "
            "found, and NETSPACE_DATA would name their folder."
        )
    else:
        limits = " to ".join(f"{100 * limit:.2f}" for limit in found.best_limits)
        told.append(
            f"{picked}{' and so probably too low' * (len(ranked) > 1)}: by {found.images:,} validation images its true "
            f"error is {limits} %, with {100 * found.level:g} % confidence for all {found.judged} at once."
        )
    told += _of_seeds(found)
    alike = sum(other.may_be_best for other in ranked) - 1
    others = f"{count(alike, 'other')} of {len(ranked)} cannot be told apart from the best"
    if found.noise is not None:
        chance = f"by the chance between trainings, measured from {found.noise.seeds} seeds"
    elif found.images is not None:
        chance = (
            "by the chance of the images, as if each network had been judged by images of its own; that of the seeds, "
            "which comes on top, was not measured (seeds in the study's [checks] does)"
        )
    else:
        chance = "because no chance was measured"
    return [*told, f"{others}, {chance}.", *_of_latency(found)]


def _of_seeds(found: "Pick") -> list[str]:
    one, told = found.picked, []
    if one.expected is not None:
        told.append(f"Trained from another seed it is expected to have {percent(one.expected)}.")
    if one.again:
        again = ", ".join("failed" if error is None else percent(error) for error in one.again)
        told.append(f"Trained from other seeds it had {again}; these had no part in the choice.")
    return told


def _of_latency(found: "Pick") -> list[str]:
    clocks = [one.latency for one in found.candidates if one.latency is not None]
    unsteady = sum(noise > UNSTEADY * median for median, noise in clocks)
    if not unsteady:
        return []
    return [
        f"The latency of {unsteady} of {len(clocks)} networks varied by more than {100 * UNSTEADY:g} % while it was "
        "measured: other work was running; fewer --threads, or a quieter machine, tell more."
    ]


def _print_candidates(found: "Pick", top: int) -> None:
    timed = any(one.latency is not None for one in found.candidates)
    measured = ("latency ms",) if timed else ()
    right = (metric_name(found.metric), f"{100 * found.level:g} % limits", "flops", "params", "activations", *measured)
    lines = table("rank", right=right, left=("front", "may be best", "network", "space"))
    shown = [one for one in found.ranked if one.on_front or (one.rank or 0) <= top]
    for one in shown:
        lines.add_row(*_cells(one), "yes" if one.on_front else "", "yes" if one.may_be_best else "", one.digest[:8],
                      ", ".join(one.spaces))  # fmt: skip
    side = f" at {found.resolution}x{found.resolution}" if found.resolution is not None else ""
    print_table(lines, f"{found.study}{side}: lowest errors, and the front of error against {found.against}")
    if len(shown) < len(found.ranked):
        console().print(
            f"{len(found.ranked) - len(shown)} more are not listed; --top {len(found.ranked)} lists them all"
        )


def _cells(one: "Candidate") -> tuple[str, ...]:
    limits = "-" if one.limits is None else " to ".join(f"{100 * limit:.2f}" for limit in one.limits)
    costs = (one.complexity.flops, one.complexity.params, one.complexity.activations)
    clock = () if one.latency is None else (f"{one.latency[0]:.3g} ±{one.latency[1]:.2g}",)
    return str(one.rank), percent(one.error), limits, *(show_number(float(cost)) for cost in costs), *clock


def _draw(found: "Pick", path: Path) -> None:
    from netspace.report.front import front_figure  # matplotlib
    from netspace.report.images import pdf, png, svg

    figure = front_figure(found.candidates, spaces=found.spaces, against=found.against, name=metric_name(found.metric))
    write_bytes({".svg": svg, ".png": png, ".pdf": pdf}[path.suffix](figure), path)
