"""How the best values of parameters move with the budget: the same spaces, trained at several of them."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from netspace import values
from netspace.errors import InputError
from netspace.findings.readings import all_errors, parameters
from netspace.stats import best_trend
from netspace.storage.population import Population

FLAT = 0.1
"""A slope per doubling of the budget, as a share of the values sampled at any, that is too small to matter."""


def trend_rows(
    stores: Sequence[Sequence[Population]], *, flat: float = FLAT, share: float = 0.25
) -> list[dict[str, Any]]:
    """Return a row per space and parameter that varies, as plain data; `trend` is None without enough data.

    Each store holds the same spaces at a budget of its own. The budget of a population is the median of its networks'
    flops [multiply-adds]; `flat` and `share` as for `best_trend`, the former as a share of the sampled values.
    Raises: InputError where the spaces differ, or two budgets coincide.
    """
    names = [population.name for population in stores[0]]
    for position, store in enumerate(stores[1:], start=1):
        other = [population.name for population in store]
        if sorted(other) != sorted(names):
            raise InputError(f"stores must hold the same spaces: the first has {names}, number {position + 1} {other}")
    if not flat > 0.0:
        raise InputError(f"flat (={flat:g}) must be above 0: a share of the sampled values, such as {FLAT}")
    rows = []
    for name in names:
        group = [next(population for population in store if population.name == name) for store in stores]
        if all(population.trained for population in group):
            rows.extend(_rows(group, _budgets(group), flat, share))
    return rows


def _budgets(group: Sequence[Population]) -> list[float]:
    """Return the median flops of each population. Raises: InputError where two of them coincide."""
    flops = [np.asarray(population.complexity.flops, dtype=np.float64) for population in group]
    middles = [float(np.median(column)) for column in flops]
    for i, j in itertools.combinations(range(len(group)), 2):
        if flops[i].min() <= middles[j] <= flops[i].max() and flops[j].min() <= middles[i] <= flops[j].max():
            raise InputError(
                f"budgets of stores {i + 1} and {j + 1} coincide: the median flops of {group[0].name} are "
                f"{middles[i]:,.0f} in one and {middles[j]:,.0f} in the other, each among the networks of both"
            )
    return middles


def _rows(group: Sequence[Population], budgets: Sequence[float], flat: float, share: float) -> list[dict[str, Any]]:
    rows = []
    errors = [all_errors(population) for population in group]
    trained = [~np.isnan(column) for column in errors]
    for parameter in parameters(group):
        columns = [column[keep] for column, keep in zip(parameter.values, trained, strict=True)]
        has = [~np.isnan(column) for column in columns]
        width = parameter.choices[-1] - parameter.choices[0]
        found = None
        if all(inside.any() for inside in has) and width > 0.0:
            sets = [
                (budget, column, error[keep])
                for budget, column, error, keep in zip(budgets, columns, errors, trained, strict=True)
            ]
            found = best_trend(sets, flat_within=flat * width, share=share)
        rows.append(
            {
                "space": group[0].name,
                "parameter": parameter.title,
                "sampled": [parameter.choices[0], parameter.choices[-1]],
                "trend": None if found is None else values.to_dict(found),
            }
        )
    return rows
