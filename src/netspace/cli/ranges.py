"""The command that says which values of each parameter the best networks have, and how they move with the budget."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netspace.cli.options import AccuracyName, AsJson, ErrorName, InPercent, Sources, Where
from netspace.cli.populations import error_column, is_table, read_table
from netspace.cli.tables import console, percent, print_json, print_table, table
from netspace.errors import InputError

if TYPE_CHECKING:
    from netspace.studies.study import Study

app = typer.Typer()


@app.command(epilog="Example: netspace ranges runs/fashion_mnist --fit")
def ranges(
    stores: Sources,
    share: Annotated[float, typer.Option(help="Share of the networks in each draw of the bootstrap.")] = 0.25,
    fit: Annotated[bool, typer.Option("--fit", help="Fit the RegNet rule to the best networks as well.")] = False,
    flat: Annotated[
        float, typer.Option(help="A slope per doubling of the budget that is flat, as a share of the sampled values.")
    ] = 0.1,
    error: ErrorName = None,
    accuracy: AccuracyName = None,
    in_percent: InPercent = False,
    as_json: AsJson = False,
) -> None:
    """Say which values of each parameter the best networks have, by the empirical bootstrap.

    Draw a share of the networks with replacement, keep the best one's value, repeat: the median and the middle 95 %
    of those values, beside the range of all sampled ones. "Holds" is the share of all networks with a value inside:
    84 % in the middle, and seldom below 66 %, for a parameter that the errors do not depend on.

    Several stores, of the same spaces at different budgets, are followed by the trend of each parameter.
    """
    # SciPy and SQLAlchemy, which the commands about networks do without
    from netspace.findings.fits import fit_row
    from netspace.findings.ranges import range_rows
    from netspace.findings.trends import trend_rows
    from netspace.studies.study import Study

    column = error_column(stores, error, accuracy, in_percent)
    tables = [store for store in stores if is_table(store)]
    if tables and (fit or len(stores) > 1):
        raise InputError(f"{str(tables[0])!r} is a table; fits and trends across budgets take stores")
    studies = [Study.open(store) for store in stores if not is_table(store)]
    _check_alike(stores, studies)
    by_store = [study.populations() for study in studies]
    populations = [read_table(table, column).populations for table in tables] or by_store
    rows = [
        {"store": str(store)} | row
        for store, found in zip(stores, populations, strict=True)
        for population in found
        for row in range_rows(population, share)
    ]
    for store in stores:
        if not any(row["store"] == str(store) for row in rows):
            if is_table(store):
                raise InputError(f"file {str(store)!r} holds no parameter that differs between networks")
            raise InputError(f"store {str(store)!r} has no results yet; `netspace run` trains its networks")
    trends = trend_rows(by_store, flat=flat, share=share) if len(stores) > 1 else []
    fits = [
        {"store": str(store)} | row
        for store, found in zip(stores, by_store, strict=bool(by_store))
        for population in found
        if fit and (row := fit_row(population)) is not None
    ]
    if as_json:
        print_json({"share": share, "ranges": rows, "trends": trends, "fits": fits})
        return
    for store in stores:
        if len(stores) > 1:
            console().print(str(store), style="bold", soft_wrap=True)
        _print_ranges([row for row in rows if row["store"] == str(store)], share)
        _print_fits([row for row in fits if row["store"] == str(store)])
    _print_trends(trends, flat)


def _check_alike(stores: Sequence[Where], studies: list["Study"]) -> None:
    """Refuse to lay a line through budgets where more than the budget differs."""
    for store, study in zip(stores[1:], studies[1:], strict=True):
        for field in ("spaces", "ranges", "stem", "num_stages", "conv_bias", "data", "recipe"):
            if getattr(study.spec, field) != getattr(studies[0].spec, field):
                rule = "must be the same, so that the budget alone tells them apart"
                raise InputError(f"{field} of the stores {str(stores[0])!r} and {str(store)!r} {rule}")


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


def _print_trends(rows: list[dict[str, Any]], flat: float) -> None:
    for space in dict.fromkeys(row["space"] for row in rows):
        lines = table("parameter", right=("sampled", "trend", "per doubling", "middle 95 %"))
        group = [row for row in rows if row["space"] == space]
        for row in group:
            trend = row["trend"]
            found = ("not enough data", "-", "-")
            if trend is not None:
                limits = f"{trend['low']:+.3g} to {trend['high']:+.3g}"
                found = (str(trend["direction"]), f"{trend['slope']:+.3g}", limits)
            lines.add_row(row["parameter"], _span(*row["sampled"]), *found)
        budgets = next((row["trend"]["budgets"] for row in group if row["trend"] is not None), None)
        over = f" over {', '.join(f'{budget:.3g}' for budget in budgets)} flops" if budgets else ""
        flat_words = f"flat is within {100 * flat:.3g} % of the sampled values per doubling"
        print_table(lines, f"{space}: how the best value moves with the budget{over}; {flat_words}")


def _print_fits(rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    lines = table(
        "space",
        right=("networks", "best", "fit error: best", "others", "p", "rank correlation with error", "95 % limits"),
    )
    for row in rows:
        best, found = row["best"], row["correlation"]
        cells = ("not enough data", "-", "-", "-")
        if best is not None:
            both = (f"{best['median_fit_error']:.3f}", f"{best['others_median_fit_error']:.3f}")
            cells = (str(best["networks"]), *both, f"{best['smaller']:.2g}")
        related = ("-", "-")
        if found is not None:
            related = (f"{found['value']:+.2f}", f"{found['low']:+.2f} to {found['high']:+.2f}")
        lines.add_row(row["space"], str(row["networks"]), *cells, *related)
    print_table(
        lines, "the RegNet rule fitted: is its error smaller for the best tenth, and does it go with the error?"
    )
    for row in (row for row in rows if row["best"] is not None):
        lines = table("network", right=("error", "fit error", "blocks", "w₀", "wₐ", "wₘ"))
        for fit in row["best"]["fits"]:
            rule = (f"{fit['initial_width']:g}", f"{fit['width_slope']:g}", f"{fit['width_multiplier']:g}")
            errors = (percent(fit["error"]), f"{fit['fit_error']:.3f}")
            lines.add_row(fit["network"][:8], *errors, str(fit["total_depth"]), *rule)
        print_table(lines, f"{row['space']}: the rule nearest to each of the best tenth")


def _span(low: float, high: float) -> str:
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
