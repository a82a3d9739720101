"""The command that says which values of each parameter the best networks have."""

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from netspace import values
from netspace.cli.options import AsJson, StorePath
from netspace.cli.tables import print_json, print_table, table
from netspace.errors import InputError

if TYPE_CHECKING:  # `netspace zoo` needs no SciPy and no SQLAlchemy
    from netspace.storage.population import Population

app = typer.Typer()


@app.command(epilog="Example: netspace ranges runs/fashion_mnist")
def ranges(
    store: StorePath,
    share: Annotated[float, typer.Option(help="Share of the networks in each draw of the bootstrap.")] = 0.25,
    as_json: AsJson = False,
) -> None:
    """Say which values of each parameter the best networks have, by the empirical bootstrap.

    Draw a share of the networks with replacement, keep the best one's value, repeat: the median and the middle 95 %
    of those values, beside the range of all sampled ones. "Holds" is the share of all networks with a value inside:
    84 % in the middle, and seldom below 66 %, for a parameter that the errors do not depend on.
    """
    from netspace.study import Study  # SciPy and SQLAlchemy, which the commands about networks do without

    populations = Study.open(store).populations()
    rows = [row for population in populations for row in range_rows(population, share)]
    if not rows:
        raise InputError(f"store {str(store)!r} has no results yet; `netspace run` trains its networks")
    if as_json:
        print_json({"share": share, "ranges": rows})
    else:
        _print_ranges(rows, share)


def range_rows(population: "Population", share: float) -> list[dict[str, Any]]:
    """Return a row per parameter that varies in a population, as plain data; `best` is None without enough data."""
    from netspace.report.readings import all_errors, parameters
    from netspace.stats import best_range

    errors = all_errors(population)
    trained = ~np.isnan(errors)
    if not trained.any():
        return []
    rows = []
    for parameter in parameters((population,)):
        column = parameter.values[0][trained]
        found = best_range(column, errors[trained], share=share)
        rows.append(
            {
                "space": population.name,
                "parameter": parameter.title,
                "sampled": [parameter.choices[0], parameter.choices[-1]],
                "networks": int((~np.isnan(column)).sum()),
                "best": None if found is None else values.to_dict(found),
            }
        )
    return rows


def _print_ranges(rows: list[dict[str, Any]], share: float) -> None:
    for space in dict.fromkeys(row["space"] for row in rows):
        lines = table("parameter", right=("sampled", "best: median", "middle 95 %", "holds", "networks"))
        for row in (row for row in rows if row["space"] == space):
            best = row["best"]
            found = ("not enough data", "-", "-")
            if best is not None:
                found = (f"{best['median']:g}", _span(best["low"], best["high"]), f"{100 * best['holds']:.0f} %")
            lines.add_row(row["parameter"], _span(*row["sampled"]), *found, str(row["networks"]))
        print_table(lines, f"{space}: the best of {100 * share:.3g} % of the networks, drawn again and again")


def _span(low: float, high: float) -> str:
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
