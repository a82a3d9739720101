"""The command that says which parameters and which relations matter most."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import typer
from rich.text import Text

from netspace import values
from netspace.cli.options import AsJson, StorePath
from netspace.cli.results import without_infinities
from netspace.cli.tables import console, print_json, print_table, table
from netspace.errors import InputError

if TYPE_CHECKING:  # `netspace zoo` needs no SciPy and no SQLAlchemy
    from netspace.spaces.relations import Relation
    from netspace.spaces.union import Space
    from netspace.storage.population import Population

app = typer.Typer()


@app.command(epilog="Example: netspace importance runs/vionets")
def importance(store: StorePath, as_json: AsJson = False) -> None:
    """Say which parameters matter most, and what it costs to break a relation between stages, by two routes.

    Parameters: how much worse a random forest predicts the errors when networks of like complexity exchange them.
    Relations: within spaces, the error at each step that breaks one; between a space and the one that violates it,
    how far the distributions of errors are apart. The last column says where the two routes disagree.
    """
    from netspace.study import Study  # SciPy and SQLAlchemy, which the commands about networks do without

    study = Study.open(store)
    populations = [population for population in study.populations() if population.trained]
    if not populations:
        raise InputError(f"store {str(store)!r} has no results yet; `netspace run` trains its networks")
    spaces = study.spec.design_spaces(num_classes=2, in_channels=1)  # of any images: relations are the same
    forests = [forest_row(population) for population in populations]
    relations = relation_rows(populations, spaces)
    sentences = most_important(forests, relations)
    if as_json:
        print_json(without_infinities({"parameters": forests, "relations": relations, "sentences": sentences}))
    else:
        _print_forests(forests)
        _print_relations(relations)
        for sentence in sentences:
            console().print(Text(sentence), soft_wrap=True)


def forest_row(population: "Population") -> dict[str, Any]:
    """Return the importance of the drawn parameters of a population, as plain data.

    What was drawn is exchanged, not what it became: any width goes with any group width before they are adjusted.
    """
    from netspace.stats import forest_importance

    trained = list(population.trained)
    names = dict.fromkeys(name for i in trained for name in population.drawn[i])
    groups: dict[str, list[Any]] = {}
    for name in names:
        column = np.array([population.drawn[i].get(name, math.nan) for i in trained])
        kept = groups.setdefault(name.partition("[")[0], [])
        # A constant says nothing, and a shared value says it once.
        varies = np.unique(column).size > 1
        if varies and not any(np.array_equal(column, other, equal_nan=True) for other in kept):
            kept.append(column)
    columns = {_title(name): np.stack(kept, axis=1) for name, kept in groups.items() if kept}
    row: dict[str, Any] = {"space": population.name, "networks": len(trained)}
    if not columns:
        return row | {"explained": None, "groups": [], "refused": "cannot tell: no parameter varies"}
    found = forest_importance(columns, population.errors, population.complexity.flops[trained])
    plain: dict[str, Any] = values.to_dict(found)
    return row | plain


def relation_rows(populations: Sequence["Population"], spaces: dict[str, "Space"]) -> list[dict[str, Any]]:
    """Return a row per relation that some networks break and others do not, or that a space violates."""
    from netspace.spaces.relations import Increasing, Share
    from netspace.spaces.violations import violated_relation
    from netspace.stats import shift, two_routes

    violations: dict[Relation, list[tuple[Population, Population]]] = {
        Share(parameter="bottleneck_ratio"): [],
        Share(parameter="group_width"): [],
        Increasing(parameter="width"): [],
        Increasing(parameter="depth"): [],
    }
    for holds in populations:
        for violates in populations:
            relation = violated_relation(spaces[holds.name], spaces[violates.name])
            if relation is not None:
                violations.setdefault(relation, []).append((holds, violates))
    rows = []
    for relation, pairs in violations.items():
        within, cost = _within(relation, populations)
        between = []
        for holds, violates in pairs:
            found = shift(holds.errors, violates.errors)
            between.append(
                {
                    "holds": holds.name,
                    "violates": violates.name,
                    "shift": None if found is None else values.to_dict(found),
                    "routes": two_routes(cost, found),
                }
            )
        if within["networks"] or between:
            routes = two_routes(cost, None)
            what = {"relation": relation.describe(), "parameter": relation.parameter}
            rows.append(what | {"within": within, "between": between, "routes": routes})
    return rows


def most_important(forests: list[dict[str, Any]], relations: list[dict[str, Any]]) -> list[str]:
    """Return a sentence per parameter that forests put first, beside the relation whose violation is felt most.

    There is none where no violation was shown to move the EDF. Forests without that relation's parameter are left out.
    """
    felt = [
        (abs(pair["shift"]["lead"]), row)
        for row in relations
        for pair in row["between"]
        if pair["shift"] is not None and pair["shift"]["p_value"] <= 0.05
    ]
    if not felt:
        return []
    lead, row = max(felt, key=lambda one: one[0])
    expected = _title(row["parameter"])
    by_first: dict[str, list[str]] = {}
    for forest in forests:
        names = [group["name"] for group in forest["groups"]]
        if expected in names:
            by_first.setdefault(names[0], []).append(forest["space"])
    moved = f"violating {row['relation']!r} moves the EDF most, by {100 * lead:.0f} points"
    return [
        f"{first} matters most to the forests of {', '.join(names)}, and {moved}: "
        f"the two {'agree' if first == expected else 'disagree'}"
        for first, names in by_first.items()
    ]


def _within(relation: "Relation", populations: Sequence["Population"]) -> tuple[dict[str, Any], Any]:
    """Return what the spaces say in which a relation is broken by some networks only, and the cost per step."""
    from netspace.stats import cost_per_step

    counted = [(population, _broken_steps(relation, population)) for population in populations]
    mixed = [(population, steps) for population, steps in counted if np.unique(steps).size > 1]
    row: dict[str, Any] = {"spaces": [p.name for p, _ in mixed], "networks": 0, "obey": 0}
    if not mixed:
        return row | {"at_all": None, "per_step": None}, None
    steps = np.concatenate([steps for _, steps in mixed])
    errors = np.concatenate([population.errors for population, _ in mixed])
    flops = np.concatenate([population.complexity.flops[list(population.trained)] for population, _ in mixed])
    blocks = np.repeat(np.arange(len(mixed)), [len(steps) for _, steps in mixed])
    at_all = cost_per_step(np.minimum(steps, 1), errors, flops, blocks)
    per_step = cost_per_step(steps, errors, flops, blocks)
    plain = {"at_all": at_all, "per_step": per_step}
    row |= {name: None if cost is None else values.to_dict(cost) for name, cost in plain.items()}
    return row | {"networks": len(steps), "obey": int((steps == 0).sum())}, per_step


def _broken_steps(relation: "Relation", population: "Population") -> Any:
    """Return at how many steps from stage to stage each trained network breaks a relation: (trained,), or nothing."""
    from netspace.spaces.relations import Fixed, Total, Violation

    if isinstance(relation, Fixed | Total | Violation):
        return np.zeros(0)  # not told step by step
    counts = []
    for i in population.trained:
        # The relation is one of what was drawn, before widths were adjusted. A rule draws no stages: what they become
        # goes with all else that the rule decides.
        drawn = [value for name, value in population.drawn[i].items() if name.startswith(f"{relation.parameter}[")]
        row = np.array(drawn)
        counts.append(int((~relation.allows(row[:-1], row[1:])).sum()))
    return np.array(counts)


def _print_forests(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        if row["refused"]:
            console().print(Text(f"{row['space']}: {row['refused']}"), soft_wrap=True)
            continue
        lines = table("parameter", right=("importance", "95 % limits", "over forests"))
        for group in row["groups"]:
            limits = f"{round(100 * group['low'])} to {round(100 * group['high'])}"
            lines.add_row(group["name"], f"{round(100 * group['rise'])} %", limits, f"± {100 * group['spread']:.1f}")
        explained = f"a forest explains {100 * row['explained']:.0f} % of the spread (out-of-bag R2)"
        strata = f"{row['networks']} networks exchange values in {row['strata']} strata of flops"
        print_table(lines, f"{row['space']}: {explained}; {strata}")


def _print_relations(rows: list[dict[str, Any]]) -> None:
    if not rows:
        console().print("no relation is broken by some networks and obeyed by others")
        return
    violated = any(row["between"] for row in rows)
    between = ("violated by", "medians", "largest lead", "p") if violated else ()
    right = ("obey", "if broken", "p", "per broken step", "p", *between)
    lines = table("relation", right=right, left=("within and between",))
    for row in rows:
        within = row["within"]
        obey = f"{within['obey']} of {within['networks']}" if within["networks"] else "-"
        told = (obey, *_cost(within["at_all"], within["networks"]), *_cost(within["per_step"], within["networks"]))
        for pair in row["between"]:
            lines.add_row(row["relation"], *told, pair["violates"], *_shift(pair["shift"]), pair["routes"])
        if not row["between"]:
            lines.add_row(row["relation"], *told, *("-" for _ in between), row["routes"])
    print_table(lines, "what breaking a relation costs, in points of error, with 95 % limits")
    spaces = dict.fromkeys(name for row in rows for name in row["within"]["spaces"])
    if spaces:
        console().print(f"within: among networks of like flops, of {', '.join(spaces)}", soft_wrap=True)
    if not violated:
        console().print("between: no space of this study violates one relation of another", soft_wrap=True)


def _cost(cost: dict[str, Any] | None, networks: int) -> tuple[str, str]:
    if cost is None:
        return ("too few" if networks else "-"), "-"
    return _span(cost["rise"], cost["low"], cost["high"]), _p(cost["p_value"])


def _shift(found: dict[str, Any] | None) -> tuple[str, str, str]:
    if found is None:
        return "too few", "-", "-"
    median = math.nan if found["median"] is None else found["median"]
    return _span(median, found["low"], found["high"]), f"{100 * found['lead']:+.0f}", _p(found["p_value"])


def _span(middle: float, low: float, high: float) -> str:
    return f"{100 * middle:+.2f} ({100 * low:.2f} to {100 * high:.2f})"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.2g}"


def _title(name: str) -> str:
    from netspace.report.readings import RULE_TITLES, STAGE_FIELDS

    titles = {"total_depth": "Total depth"} | RULE_TITLES | STAGE_FIELDS
    return titles.get(name, name.replace("_", " ").capitalize())
