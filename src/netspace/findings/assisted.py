"""Which of two spaces is better, by their trained networks and by what fresh draws of the spaces say for nothing."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from netspace.errors import SpaceError
from netspace.findings.readings import STAGE_FIELDS
from netspace.networks.complexity import MEASURES
from netspace.networks.spec import NetworkSpec
from netspace.spaces.budget import Budget
from netspace.spaces.sample import MAX_DRAWS, Sample, sample
from netspace.spaces.union import Space
from netspace.stats import Known, assist, assisted_difference, holm
from netspace.storage.population import Population

CENSUS = 5000
"""Networks drawn of each space. Beside 500 trained ones, what they leave unknown of the covariates is a tenth."""


def draw_census(space: Space, *, seed: int, resolution: int, budget: Budget) -> Sample:
    """Return many distinct networks of a space inside a budget, or as many as it holds; raises as `sample` does."""
    networks = CENSUS
    while True:
        try:
            return sample(space, networks, seed=seed, resolution=resolution, budget=budget, max_draws=MAX_DRAWS)
        except SpaceError:  # so many are not met with
            if networks < 100:
                raise
            networks //= 2


def known_spaces(populations: Sequence[Population], censuses: Mapping[str, Sample]) -> dict[str, Known]:
    """Return the errors of trained networks, and all that is known of them and of a census before training.

    Known are what was drawn, the numbers of each stage that came of it, flops, params and activations, and the
    logarithms of all of them.
    """
    rows: dict[str, list[list[dict[str, float]]]] = {}
    for population in populations:
        trained, census = list(population.trained), censuses[population.name]
        networks = [population.networks[i] for i in trained]
        costs = {measure: getattr(population.complexity, measure)[trained] for measure in MEASURES}
        rows[population.name] = [
            _rows(networks, [population.drawn[i] for i in trained], costs),
            _rows(
                census.networks, census.drawn, {measure: getattr(census.complexity, measure) for measure in MEASURES}
            ),
        ]
    names = sorted({name for tables in rows.values() for table in tables for row in table for name in row})
    errors = {population.name: population.errors for population in populations}
    return {
        name: Known(errors=errors[name], covariates=_columns(names, trained), census=_columns(names, census))
        for name, (trained, census) in rows.items()
    }


def assisted_rows(
    populations: Sequence[Population], censuses: Mapping[str, Sample], level: float
) -> list[dict[str, Any]]:
    """Return a row per pair of spaces, as plain data; `p_adjusted` holds for all pairs together (Holm)."""
    trained = [population for population in populations if population.trained]
    if len(trained) < 2:
        return []
    samples = assist(known_spaces(trained, censuses))
    pairs = list(itertools.combinations(samples, 2))
    found = [assisted_difference(samples[a], samples[b], level=level) for a, b in pairs]
    adjusted = holm([one.p_value for one in found]).tolist()
    return [
        {
            "spaces": list(pair),
            **asdict(one),
            "p_value": one.p_value,
            "p_adjusted": p,
            "level": level,
            "census": [len(censuses[name].networks) for name in pair],
        }
        for pair, one, p in zip(pairs, found, adjusted, strict=True)
    ]


def assisted_sentence(row: Mapping[str, Any]) -> str:
    """Say in one sentence what a row says."""
    a, b = row["spaces"]
    if row["refused"]:
        return f"{a} and {b}: {row['refused']}"
    better, other, share = (a, b, row["better"]) if row["better"] >= 0.5 else (b, a, 1.0 - row["better"])
    p = row["p_adjusted"]
    sure = "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
    networks = f"{row['factor']:.1f} times as many networks would say it as surely without covariates"
    if p > 1.0 - row["level"]:
        return f"neither of {a} and {b} is shown to be better ({sure}); {networks}"
    pairs = f"its network has the lower error in {100 * share:.0f} % of the pairs"
    return f"{better} is better than {other}: {pairs} ({sure}); {networks}"


def _rows(
    networks: Sequence[NetworkSpec], drawn: Sequence[Mapping[str, float]], costs: Mapping[str, Any]
) -> list[dict[str, float]]:
    """Return what is known of each network, by name."""
    rows = []
    for i, (network, values_drawn) in enumerate(zip(networks, drawn, strict=True)):
        row = {f"drawn {name}": value for name, value in values_drawn.items()}
        for position, stage in enumerate(network.stages):
            for field in STAGE_FIELDS:
                value = getattr(stage, field)
                if value is not None:
                    row[f"{field} {position}"] = float(value)
        row["total depth"] = float(sum(stage.depth for stage in network.stages))
        rows.append(row | {measure: float(column[i]) for measure, column in costs.items()})
    return rows


def _columns(names: Sequence[str], rows: Sequence[Mapping[str, float]]) -> npt.NDArray[np.float64]:
    """Return each covariate and its logarithm; NaN where a network lacks the parameter, 0 for want of a logarithm."""
    columns = np.array([[row.get(name, math.nan) for name in names] for row in rows])
    logarithms = np.log(columns, where=columns > 0, out=np.zeros_like(columns))
    return np.hstack((columns, np.where(np.isnan(columns), math.nan, logarithms)))
