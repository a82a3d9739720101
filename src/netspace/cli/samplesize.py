"""The command that plans: how many networks per space a verdict takes, and how long they train."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from rich.text import Text

from netspace.cli.options import AccuracyName, AsJson, ErrorName, InPercent, Where, where
from netspace.cli.populations import error_column, is_table, read_table, rung_of
from netspace.cli.tables import clock, console, print_json, print_table, table
from netspace.errors import InputError
from netspace.studies.ladder import check_sampled

if TYPE_CHECKING:  # `netspace zoo` needs no SciPy and no SQLAlchemy
    from netspace.stats import Criteria, Plan
    from netspace.storage.outcomes import Outcomes
    from netspace.storage.population import Population
    from netspace.studies.study import Study

app = typer.Typer()


@app.command(
    epilog="Example: netspace samplesize --shift 0.01 --spread 0.05, or: netspace samplesize --store runs/digits"
)
def samplesize(
    spread: Annotated[float | None, typer.Option(help="Standard deviation of the errors within a space.")] = None,
    shift: Annotated[
        float | None, typer.Option(help="Difference of errors by which one of two spaces is better, in 0..1.")
    ] = None,
    store: Annotated[
        Where | None,
        typer.Option(
            help="A study's output folder, its study.db or a postgresql:// URL: the pilot, and the pace. Or a table.",
            parser=where,
        ),
    ] = None,
    spaces: Annotated[
        int | None, typer.Option(help="Spaces compared with one another.", show_default="2, or the study's")
    ] = None,
    power: Annotated[float, typer.Option(help="Probability of winning the claim.")] = 0.8,
    level: Annotated[float | None, typer.Option(help="Confidence.", show_default="0.95, or the study's")] = None,
    margin: Annotated[
        float | None, typer.Option(help="Margin of the EDFs, in 0..1.", show_default="0.10, or the study's")
    ] = None,
    median_margin: Annotated[
        float | None, typer.Option(help="Margin of the median errors, in 0..1.", show_default="0.005, or the study's")
    ] = None,
    error: ErrorName = None,
    accuracy: AccuracyName = None,
    percent: InPercent = False,
    as_json: AsJson = False,
) -> None:
    """Say how many networks per space a verdict takes, and how long they train.

    With --spread: for two spaces a --shift apart, and for two equal ones. With --store alone: for every pair of its
    spaces, as if the errors so far were the true distributions. The verdict itself is simulated; time follows from
    the seconds per network that the store recorded.
    """
    if spread is None and (shift is not None or spaces is not None):
        raise InputError(f"--{'spaces' if shift is None else 'shift'} goes with --spread, such as --spread 0.05")
    if spread is None and store is None:
        raise InputError("samplesize needs --spread, such as 0.05, or --store with a pilot's results")
    if spaces is not None and spaces < 2:
        raise InputError(f"--spaces (={spaces}) must be a whole number of at least 2")
    from netspace.studies.study import Study  # SciPy and SQLAlchemy, which the commands about networks do without

    column = error_column([] if store is None else [store], error, accuracy, percent)
    study: Study | None = None
    populations: Sequence[Population | Outcomes] = ()
    if store is not None and is_table(store):
        table = read_table(store, column)
        check_sampled(rung_of(store, table), "a pilot")
        populations = table.populations
    elif store is not None:
        study = Study.open(store)
        check_sampled(study.spec.rung, "a pilot")
        populations = study.populations()
    given = {"level": level, "margin": margin, "median_margin": median_margin}
    terms: dict[str, Any] = {} if study is None else study.spec.comparison.terms
    terms |= {name: value for name, value in given.items() if value is not None}
    workers = None if study is None else _workers(study)
    told: dict[str, Any] = {"power": power, "workers": workers}
    if spread is not None:
        together = spaces or max(len(populations), 2)
        told |= _assumed(shift, spread, together, power, terms)
        _add_hours(told, populations, workers)
    else:
        told |= _piloted(store, populations, power, terms, workers)
    if as_json:
        print_json(told)
    elif spread is not None:
        _print_assumed(told)
    else:
        _print_piloted(told)


def _assumed(shift: float | None, spread: float, spaces: int, power: float, terms: dict[str, Any]) -> dict[str, Any]:
    """Plan for spaces of which only spread and shift are known."""
    from netspace.stats import Criteria, plan_equal, plan_shift

    pairs = spaces * (spaces - 1) // 2
    criteria = Criteria(**terms, comparisons=pairs)
    plans = {}
    if shift is not None:
        plans[f"better by {_points(shift)} of error"] = plan_shift(shift, spread, criteria=criteria, power=power)
    plans["equal, to be shown equivalent"] = plan_equal(spread, criteria=criteria, power=power)
    return {
        "criteria": _criteria_row(criteria),
        "spread": spread,
        "shift": shift,
        "spaces": spaces,
        "plans": [{"spaces_are": words, **_plan_row(plan, ("A", "B"))} for words, plan in plans.items()],
    }


def _add_hours(told: dict[str, Any], populations: Sequence["Population | Outcomes"], workers: int | None) -> None:
    """Add the time that all spaces together take, at the pace of a store's networks."""
    seconds = [pace for population in populations if (pace := _seconds_each(population)) is not None]
    for row in told["plans"]:
        known = seconds and workers and row["networks"]
        row["hours"] = told["spaces"] * row["networks"] * float(np.mean(seconds)) / workers / 3600 if known else None


def _piloted(
    store: "Where | None",
    populations: Sequence["Population | Outcomes"],
    power: float,
    terms: dict[str, Any],
    workers: int | None,
) -> dict[str, Any]:
    """Plan for every pair of spaces as if the errors so far were the true distributions."""
    from netspace.findings.words import count
    from netspace.stats import compare_all, plan_from_pilot

    trained = {population.name: population for population in populations if population.trained}
    if len(trained) < 2:
        raise InputError(
            f"--store (={str(store)!r}) has results of {len(trained)} of {len(populations)} spaces; a pilot takes two "
            "at least, and `netspace run` trains them"
        )
    verdicts = compare_all({name: population.errors for name, population in trained.items()}, **terms)
    print(f"simulating the verdicts of {count(len(verdicts), 'pair')}", file=sys.stderr)
    rows = []
    for verdict in verdicts:
        pair = [trained[name] for name in verdict.names]
        plan, if_equal = (
            plan_from_pilot(pair[0].errors, pair[1].errors, equal=equal, criteria=verdict.criteria, power=power)
            for equal in (False, True)
        )
        row = _plan_row(plan, verdict.names)
        rows.append(
            {
                "spaces": list(verdict.names),
                "trained": [len(population.trained) for population in pair],
                "verdict": str(verdict.kind),
                **row,
                "hours": _hours_left(pair, row["networks"], workers),
                "networks_if_equal": None if if_equal is None else if_equal.networks,
            }
        )
    return {"criteria": _criteria_row(verdicts[0].criteria), "pairs": rows, "all": _all(rows, trained, workers)}


def _all(
    rows: list[dict[str, Any]], trained: dict[str, "Population | Outcomes"], workers: int | None
) -> dict[str, Any] | None:
    """Return what decides every pair that anything decides."""
    sizes = [row["networks"] for row in rows if row["networks"]]
    if not sizes:
        return None
    return {"networks": max(sizes), "hours": _hours_left(list(trained.values()), max(sizes), workers)}


def _hours_left(
    populations: Sequence["Population | Outcomes"], networks: int | None, workers: int | None
) -> float | None:
    """Return the time [h] until each population has so many results."""
    seconds = [_seconds_each(population) for population in populations]
    if networks is None or workers is None or None in seconds:
        return None
    missing = [max(networks - len(population.trained), 0) for population in populations]
    return float(np.dot(missing, np.array(seconds, dtype=np.float64))) / workers / 3600


def _seconds_each(population: "Population | Outcomes") -> float | None:
    """Return the mean time [s] of a network in its worker; None where none was recorded."""
    results = getattr(population, "results", ())  # a table of others has no times
    seconds = [result.seconds for result in results if result is not None and result.seconds > 0.0]
    return float(np.mean(seconds)) if seconds else None


def _workers(study: "Study") -> int:
    from netspace.studies.launching import number_of_workers

    return number_of_workers(study.spec, study.spec.workers)


def _plan_row(plan: "Plan | None", names: tuple[str, str]) -> dict[str, Any]:
    """Return a plan as plain data; without one, for too small a pilot, `chances` is None."""
    words = {"a_majorises": f"{names[0]} majorises", "b_majorises": f"{names[1]} majorises"}
    return {
        "networks": None if plan is None else plan.networks,
        "chances": None if plan is None else {words.get(kind, str(kind)): chance for kind, chance in plan.chances},
    }


def _criteria_row(criteria: "Criteria") -> dict[str, Any]:
    return {name: getattr(criteria, name) for name in ("level", "margin", "median_margin", "comparisons")}


def _print_assumed(told: dict[str, Any]) -> None:
    lines = table("spaces are", right=("networks each", "time"), left=("verdicts then",))
    for row in told["plans"]:
        lines.add_row(row["spaces_are"], _number(row["networks"]), _time(row["hours"]), _chances(row["chances"]))
    print_table(lines, _title(told, f"; errors spread by {_points(told['spread'])}"))
    if told["workers"] is not None:
        console().print(Text(f"time: {told['spaces']} spaces on {told['workers']} workers"), soft_wrap=True)


def _print_piloted(told: dict[str, Any]) -> None:
    lines = table("pair", right=("trained", "networks each", "time left", "each, if equal"), left=("verdicts then",))
    for row in told["pairs"]:
        small = row["chances"] is None
        lines.add_row(
            " and ".join(row["spaces"]),
            " and ".join(map(str, row["trained"])),
            "-" if small else _number(row["networks"]),
            _time(row["hours"]),
            "-" if small else _number(row["networks_if_equal"]),
            "not enough data: a pilot takes 10 networks of each space" if small else _chances(row["chances"]),
        )
    print_table(lines, _title(told, ", if the errors so far are the true distributions"))
    whole = told["all"]
    if whole is None:
        small = all(row["chances"] is None for row in told["pairs"])
        text = "no pair is planned" if small else "no pair is decided by what can be trained"
    else:
        open_pairs = sum(row["networks"] is None for row in told["pairs"])
        rest = f"; {open_pairs} of {len(told['pairs'])} pairs stay open" if open_pairs else ""
        time = "" if whole["hours"] is None else f", {_time(whole['hours'])} more on {told['workers']} workers"
        text = f"all of them: {_number(whole['networks'])} networks of every space{time}{rest}"
    console().print(Text(text), soft_wrap=True)


def _title(told: dict[str, Any], added: str) -> str:
    criteria = told["criteria"]
    together = f" over all {criteria['comparisons']} comparisons (Bonferroni)" if criteria["comparisons"] > 1 else ""
    return (
        f"networks per space that win a claim with {_percent(told['power'])} probability{added}; "
        f"margins {_points(criteria['margin'])} of EDF and {_points(criteria['median_margin'])} of median error, "
        f"{_percent(criteria['level'])} confidence{together}"
    )


def _number(networks: int | None) -> str:
    from netspace.stats.planning import MOST, rough

    return f"over {MOST:,}" if networks is None else f"{rough(networks):,}"


def _chances(chances: dict[str, float]) -> str:
    return ", ".join(f"{words} {_percent(round(chance, 2))}" for words, chance in chances.items() if chance >= 0.005)


def _time(hours: float | None) -> str:
    return "-" if hours is None else clock(3600 * hours)


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _points(share: float) -> str:
    return f"{100 * share:.3g} point{'' if share == 0.01 else 's'}"
