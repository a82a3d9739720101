"""Which parameters and which relations matter most in the populations of a study, by two routes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from netspace import values
from netspace.findings.readings import RULE_TITLES, STAGE_FIELDS
from netspace.spaces.relations import Fixed, Increasing, Relation, Share, Total, Violation
from netspace.spaces.union import Space
from netspace.spaces.violations import violated_relation
from netspace.stats import Cost, cost_per_step, forest_importance, shift, two_routes
from netspace.storage.outcomes import Outcomes
from netspace.storage.population import Population

TITLES = {"total_depth": "Total depth"} | RULE_TITLES | STAGE_FIELDS
"""The parameters that a space may have, in the order in which forests take them; others follow by name."""

MOST_NETWORKS = 3_000
"""Networks with a result, of all spaces together, above which forests take minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportanceFound:
    """What matters most: rows of `forest_row`, of `relation_rows`, and the sentences of `most_important`.

    `left_out` is the sentence that says why there are none.
    """

    forests: tuple[dict[str, Any], ...] = ()
    relations: tuple[dict[str, Any], ...] = ()
    sentences: tuple[str, ...] = ()
    left_out: str = ""


def importance(populations: Sequence[Population], spaces: dict[str, Space]) -> ImportanceFound:
    """Return what matters most in populations, by both routes; nothing where there are too many networks for it."""
    trained = [population for population in populations if population.trained]
    networks = sum(len(population.trained) for population in trained)
    if networks > MOST_NETWORKS:
        reason = f"{networks:,} networks are more than {MOST_NETWORKS:,}, above which a page does not wait for forests"
        return ImportanceFound(left_out=f"Left out: {reason}; `netspace importance STORE` asks them.")
    forests = [forest_row(population) for population in trained]
    relations = relation_rows(trained, spaces)
    sentences = most_important(forests, relations)
    return ImportanceFound(forests=tuple(forests), relations=tuple(relations), sentences=tuple(sentences))


def forest_row(population: Population | Outcomes) -> dict[str, Any]:
    """Return the importance of the parameters of a population, as plain data.

    What was drawn is exchanged, not what it became: any width goes with any group width before they are adjusted.
    `measure` is the complexity of which strata are made: the first one that is known; None where none is, so that all
    networks exchange values.
    """
    columns = parameter_groups(population)
    trained = list(population.trained)
    if isinstance(population, Outcomes):
        measure = next(iter(population.complexity), None)
        complexity = np.zeros(len(trained)) if measure is None else population.complexity[measure]
    else:
        measure, complexity = "flops", population.complexity.flops[trained]
    row: dict[str, Any] = {"space": population.name, "networks": len(trained), "measure": measure}
    if not columns:
        return row | {"explained": None, "groups": [], "refused": "cannot tell: no parameter varies"}
    strata = None if measure or len(trained) < 2 else 1
    found = forest_importance(columns, population.errors, complexity, strata=strata)
    plain: dict[str, Any] = values.to_dict(found)
    return row | plain


def parameter_groups(population: Population | Outcomes) -> dict[str, Any]:
    """Return the parameters that vary among the trained networks, by title: (trained, parameters) of each.

    Their order is that of `TITLES`, since what a forest tells depends on it a little, and exports keep none.
    """
    if isinstance(population, Outcomes):
        drawn: Mapping[str, Any] = population.parameters
    else:
        names = dict.fromkeys(name for i in population.trained for name in population.drawn[i])
        drawn = {
            name: np.array([population.drawn[i].get(name, math.nan) for i in population.trained]) for name in names
        }
    groups: dict[str, list[Any]] = {}
    for name in sorted(drawn, key=_place):
        column, kept = drawn[name], groups.setdefault(name.partition("[")[0], [])
        # A constant says nothing, and a shared value says it once.
        varies = np.unique(column).size > 1
        if varies and not any(np.array_equal(column, other, equal_nan=True) for other in kept):
            kept.append(column)
    return {_title(name): np.stack(kept, axis=1) for name, kept in groups.items() if kept}


def relation_rows(populations: Sequence[Population], spaces: dict[str, Space]) -> list[dict[str, Any]]:
    """Return a row per relation that some networks break and others do not, or that a space violates."""
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
        within, cost = relation_within(relation, populations)
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

    Parameters whose limits reach into those of the first one share its place. There is none where no violation was
    shown to move the EDF. Forests without that relation's parameter are left out.
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
    by_first: dict[tuple[str, ...], list[str]] = {}
    for forest in forests:
        groups = forest["groups"]
        if expected in (group["name"] for group in groups):
            first = tuple(group["name"] for group in groups if group["high"] >= groups[0]["low"])
            by_first.setdefault(first, []).append(forest["space"])
    moved = f"violating {row['relation']!r} moves the EDF most, by {100 * lead:.0f} points"
    return [
        f"{' or '.join(first)} matters most to the forests of {', '.join(names)}, and {moved}: "
        f"the two {('disagree' if expected not in first else 'agree' if len(first) == 1 else 'may agree')}"
        for first, names in by_first.items()
    ]


def relation_within(relation: Relation, populations: Sequence[Population]) -> tuple[dict[str, Any], Cost | None]:
    """Return what the spaces say in which a relation is broken by some networks only, and the cost per step.

    A relation that gives the values is broken at stages, any other one at steps from a stage to the next.
    """
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


def _broken_steps(relation: Relation, population: Population) -> Any:
    """Return at how many steps (or stages) each trained network breaks a relation: (trained,), or nothing."""
    if isinstance(relation, Total | Violation):
        return np.zeros(0)  # not told step by step
    counts = []
    for i in population.trained:
        # The relation is one of what was drawn, before widths were adjusted. A rule draws no stages: what they become
        # goes with all else that the rule decides.
        drawn = [value for name, value in population.drawn[i].items() if name.startswith(f"{relation.parameter}[")]
        row = np.array(drawn)
        if isinstance(relation, Fixed):
            counts.append(int((row != relation.values[: len(row)]).sum()))
        else:
            counts.append(int((~relation.allows(row[:-1], row[1:])).sum()))
    return np.array(counts)


def _place(name: str) -> tuple[int, str, int, str]:
    """Return the place of a parameter, "width[2]", among all: that of its group, then its stage's."""
    group, _, stage = name.partition("[")
    known = list(TITLES)
    return known.index(group) if group in TITLES else len(known), group, len(stage), stage


def _title(name: str) -> str:
    return TITLES.get(name, name.replace("_", " ").capitalize())
