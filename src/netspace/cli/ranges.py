"""The command that says which values of each parameter the best networks have."""

from typing import Annotated, Any

import typer

from netspace.cli.options import AccuracyName, AsJson, ErrorName, InPercent, Source
from netspace.cli.populations import error_column, is_table, read_table
from netspace.cli.tables import print_json, print_table, table
from netspace.errors import InputError

app = typer.Typer()


@app.command(epilog="Example: netspace ranges runs/fashion_mnist")
def ranges(
    store: Source,
    share: Annotated[float, typer.Option(help="Share of the networks in each draw of the bootstrap.")] = 0.25,
    error: ErrorName = None,
    accuracy: AccuracyName = None,
    percent: InPercent = False,
    as_json: AsJson = False,
) -> None:
    """Say which values of each parameter the best networks have, by the empirical bootstrap.

    Draw a share of the networks with replacement, keep the best one's value, repeat: the median and the middle 95 %
    of those values, beside the range of all sampled ones. "Holds" is the share of all networks with a value inside:
    84 % in the middle, and seldom below 66 %, for a parameter that the errors do not depend on.
    """
    # SciPy and SQLAlchemy, which the commands about networks do without
    from netspace.findings.ranges import range_rows
    from netspace.study import Study

    column = error_column([store], error, accuracy, percent)
    populations = read_table(store, column) if is_table(store) else Study.open(store).populations()
    rows = [row for population in populations for row in range_rows(population, share)]
    if not rows and is_table(store):
        raise InputError(f"file {str(store)!r} holds no parameter that differs between networks")
    if not rows:
        raise InputError(f"store {str(store)!r} has no results yet; `netspace run` trains its networks")
    if as_json:
        print_json({"share": share, "ranges": rows})
    else:
        _print_ranges(rows, share)


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
