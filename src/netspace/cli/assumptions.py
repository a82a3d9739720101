"""The commands that put to the test what a comparison takes for granted: the four assumptions, and chance."""

from typing import TYPE_CHECKING, Any

import typer
from rich.text import Text

from netspace import values
from netspace.cli.options import AsJson, StorePath
from netspace.cli.results import without_infinities
from netspace.cli.tables import console, percent, print_json, print_table, table
from netspace.errors import InputError

if TYPE_CHECKING:  # `netspace zoo` needs no SciPy and no SQLAlchemy
    from netspace.stats import EDF, SeedNoise

app = typer.Typer()

QUANTILES = {"minimum": 0.0, "best tenth": 0.1, "median": 0.5, "worst tenth": 0.9}


@app.command(epilog="Example: netspace assumptions runs/checks")
def assumptions(store: StorePath, as_json: AsJson = False) -> None:
    r"""Say how the four assumptions stand on which comparing cheap networks rests, each with its evidence.

    Good populations exist; cheap training ranks networks like dear training; small networks predict large ones;
    effects are nearly independent. \[checks] in the study file says what is trained to judge the second and the third.
    """
    # SciPy and SQLAlchemy, which the commands about networks do without
    from netspace.studies.study import Study

    found = Study.open(store).assumptions()
    if as_json:
        print_json(values.to_dict(found))
        return
    for number, one in enumerate(found, start=1):
        console().print(Text(f"{number}. {one.title}: {one.standing}", style="bold"), soft_wrap=True)
        lines = table("evidence", left=("",))
        for what, value in one.evidence:
            lines.add_row(Text(what), Text(value))
        if one.evidence:
            print_table(lines, one.sentence)
        else:
            console().print(Text(one.sentence), soft_wrap=True)


@app.command(epilog="Example: netspace noise runs/checks")
def noise(store: StorePath, as_json: AsJson = False) -> None:
    r"""Say how much of the errors' spread is chance, from networks trained from several seeds; and EDFs without it.

    `seeds` in the \[checks] of the study file trains them. An EDF without chance is what single errors would have,
    were each network trained from so many seeds that chance averaged out.
    """
    # SciPy and SQLAlchemy, which the commands about networks do without
    from netspace.findings.readings import distribution
    from netspace.findings.replicates import measured_again, rows, together
    from netspace.stats import seed_noise, without_noise
    from netspace.studies.study import Study

    study = Study.open(store)
    populations, repeats = study.populations(), study.repeats()
    measured = measured_again(populations, *repeats) if repeats else {}
    if not measured:
        raise InputError(
            f"store {str(store)!r} has no network trained from two seeds; `seeds = 2` in the [checks] of the study "
            "file, and `netspace run`, make them"
        )
    whole = seed_noise(together(measured)[0])
    splits = {name: seed_noise(rows(one)) for name, one in measured.items()} | {"all together": whole}
    edfs = {}
    for population in populations:
        before = distribution(population)
        if before is not None:
            edfs[population.name] = before, None if whole is None else without_noise(population.errors, whole)
    if as_json:
        told = {
            "splits": {name: None if one is None else values.to_dict(one) for name, one in splits.items()},
            "edfs": {
                name: {"before": _quantiles(before), "after": None if after is None else _quantiles(after)}
                for name, (before, after) in edfs.items()
            },
        }
        print_json(without_infinities(told))
    else:
        _print_splits(splits, edfs)
        _print_edfs(edfs)


def _print_splits(splits: dict[str, "SeedNoise | None"], edfs: dict[str, tuple["EDF", Any]]) -> None:
    right = ("networks", "failed", "seeds", "networks' own", "chance", "95 % limits", "at the median", "own share")
    lines = table("space", right=(*right, "95 % limits", "rank again"))
    for name, one in splits.items():
        if one is None:
            lines.add_row(name, "not enough data")
            continue
        median = edfs[name][0].median if name in edfs else None
        around = "-" if median is None or median > 1.0 else f"± {100 * one.points(median):.2f} points"
        lines.add_row(
            name,
            str(one.networks),
            str(one.failed),
            str(one.seeds),
            f"{one.between:.2f}",
            f"{one.seed.value:.2f}",
            f"{one.seed.low:.2f} to {one.seed.high:.2f}",
            around,
            f"{100 * one.reliability.value:.0f} %",
            f"{100 * one.reliability.low:.0f} to {100 * one.reliability.high:.0f} %",
            "-" if one.rank_repeat is None else f"{one.rank_repeat:.2f}",
        )
    print_table(lines, "the spread of the log-odds of errors: networks' own and chance, as standard deviations")


def _print_edfs(edfs: dict[str, tuple["EDF", "EDF | None"]]) -> None:
    lines = table("space", right=tuple(QUANTILES))
    for name, (before, after) in edfs.items():
        told = _quantiles(before), None if after is None else _quantiles(after)
        lines.add_row(name, *(f"{percent(told[0][q])} → {percent(told[1][q]) if told[1] else '-'}" for q in QUANTILES))
    print_table(lines, "EDFs of single trainings → without chance (log-odds shrunk towards their mean)")


def _quantiles(edf: "EDF") -> dict[str, float]:
    return {name: edf.quantile(share) if share else edf.minimum for name, share in QUANTILES.items()}
