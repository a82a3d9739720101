"""Commands about design spaces: the catalogue, and samples inside a budget."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from netspace import values
from netspace.cli.options import AsJson, Resolution
from netspace.cli.tables import print_json, print_table, table
from netspace.networks.spec import NetworkSpec
from netspace.spaces.budget import Budget, parse_band, show_number
from netspace.spaces.catalog import SPACES, space
from netspace.spaces.counting import Estimate
from netspace.spaces.sample import Sample
from netspace.spaces.sample import sample as draw_sample
from netspace.spaces.union import Space, SpaceUnion

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


@app.command(epilog="Example: netspace sample anynetx_a -n 5 --flops 360M..400M")
def sample(
    name: Annotated[str, typer.Argument(help="A name of `netspace spaces`.", metavar="SPACE")],
    n: Annotated[int, typer.Option("-n", help="How many networks.")] = 10,
    flops: Annotated[str | None, typer.Option(help="Band of multiply-adds, such as 360M..400M.")] = None,
    params: Annotated[str | None, typer.Option(help="Band of learnable numbers.")] = None,
    activations: Annotated[str | None, typer.Option(help="Band of activations.")] = None,
    resolution: Resolution = 224,
    seed: Annotated[int, typer.Option(help="The first n accepted draws of this seed.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Draw distinct networks of a space inside a budget."""
    bands = {"flops": flops, "params": params, "activations": activations}
    budget = Budget(**{measure: parse_band(text) for measure, text in bands.items() if text is not None})
    taken = draw_sample(space(name), n, seed=seed, resolution=resolution, budget=budget)
    if as_json:
        print_json(
            {
                "draws": taken.draws,
                "in_band": taken.in_band,
                "acceptance": taken.acceptance,
                "networks": [spec.to_dict() for spec in taken.networks],
                "drawn": list(taken.drawn),
            }
        )
    else:
        print_sample(taken)


def print_spaces(spaces: Sequence[Space], *, networks: bool = False) -> None:
    """Print a line per design space."""
    lines = table("space", right=("free", "draws", *(["networks"] if networks else [])), left=("relations",))
    for one in spaces:
        counts = [one.size(), *([one.distinct()] if networks else [])]
        lines.add_row(one.name, str(one.free_parameters()), *map(_count, counts), _tied(one))
    print_table(lines, "design spaces: free parameters, distinct draws, what ties the stages")


def _count(number: "int | Estimate") -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number.value:.2g} ±{(number.high - number.low) / 2:.1g}"


def _tied(one: Space) -> str:
    if isinstance(one, SpaceUnion):
        return f"union of {len(one.members)}: {', '.join(member.name for member in one.members)}"
    tied = [relation.describe() for relation in one.relations]
    if one.is_linear:
        tied.insert(0, "widths and depths by the RegNet rule")
    if one.se_ratio is not None:
        tied.append(f"squeeze-and-excitation {one.se_ratio:g}")
    return "; ".join(tied) or "every stage free"


def print_sample(taken: Sample) -> None:
    """Print a line per network of a sample."""
    lines = table("draw", right=("flops", "params"), left=("depths", "widths", "ratios", "group widths", "digest"))
    for i, spec in enumerate(taken.networks):
        lines.add_row(
            str(taken.positions[i]),
            show_number(float(taken.complexity.flops[i])),
            show_number(float(taken.complexity.params[i])),
            *(_stages(spec, field) for field in ("depth", "width", "bottleneck_ratio", "group_width")),
            spec.digest[:8],
        )
    print_table(
        lines,
        f"{taken.name}: {len(taken.networks)} networks from {taken.draws:,} draws "
        f"({_share(taken)} met {taken.budget.describe()}; {taken.duplicates} repeated a network)",
    )
    if taken.exhausted:
        print(f"the space holds no other network there: {len(taken.networks)} are all")


def _share(taken: Sample) -> str:
    low, high = taken.acceptance_interval
    return f"{taken.acceptance:.3%} [{low:.3%}, {high:.3%}]"


def _stages(spec: NetworkSpec, field: str) -> str:
    values = [getattr(stage, field) for stage in spec.stages]
    return ",".join("-" if value is None else f"{value:g}" for value in values)
