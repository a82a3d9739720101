"""Which of two spaces is better, by their trained networks and by what fresh draws of the spaces say for nothing."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
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
from netspace.stats import AssistedDifference, Known, Look, assist, assisted_difference, holm
from netspace.storage.population import Population

CENSUS = 5000
"""Networks drawn of each space. Beside 500 trained ones, what they leave unknown of the covariates is a tenth."""

GROWTH = 2.0
"""What assisted looks know grows faster than their networks, since the prediction learns: with n to the power of 1.7
from 10 to 20 networks, of 1.3 from 20 to 40 (`benchmarks/core_hours.py`). The square is on the careful side."""

FEWEST_SAVED = 1.05
"""Below this factor covariates are said to save nothing."""


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
    populations: Sequence[Population], censuses: Mapping[str, Sample], pairs: Sequence[tuple[str, str]], level: float
) -> list[dict[str, Any]]:
    """Return a row per pair of spaces that has results, as plain data; `p_adjusted` holds for all together (Holm).

    A pair is `shown` to differ where that is below `alpha`.
    """
    trained = [population for population in populations if population.trained]
    if len(trained) < 2:
        return []
    samples = assist(known_spaces(trained, censuses))
    there = [(a, b) for a, b in pairs if a in samples and b in samples]
    found = [assisted_difference(samples[a], samples[b], level=level) for a, b in there]
    adjusted = holm([one.p_value for one in found]).tolist()
    return [
        _row(pair, one, censuses, level) | {"p_adjusted": p, "alpha": 1.0 - level, "shown": p <= 1.0 - level}
        for pair, one, p in zip(there, found, adjusted, strict=True)
    ]


def assisted_at_looks(
    populations: Sequence[Population],
    censuses: Mapping[str, Sample],
    pairs: Sequence[tuple[str, str]],
    planned: tuple[int, ...],
    level: float,
) -> list[dict[str, Any]]:
    """Return a row per pair of spaces, as of the planned look that shows which is better, else of its last one so far.

    Each look takes exactly the first networks of both, and nothing else: not even their prediction learns of other
    spaces. `level` holds for all `pairs` at all looks; a pair is `shown` to differ where its p-value is below the
    `alpha` of its look, which is also that of its limits.
    """
    leading = {population.name: len(population.leading_errors) for population in populations}
    begun = [population for population in populations if leading[population.name] >= planned[0]]
    known = known_spaces(begun, censuses)
    risk = (1.0 - level) / len(pairs)
    rows = []
    for pair in pairs:
        if not all(name in known for name in pair):
            continue
        row: dict[str, Any] = {}
        for number, networks in enumerate(planned, start=1):
            if min(leading[name] for name in pair) < networks or row.get("shown"):
                break
            samples = assist({name: _first(known[name], networks) for name in pair})
            alpha = Look(number=number, planned=planned).alpha(risk, GROWTH)
            found = assisted_difference(*samples.values(), level=1.0 - alpha)
            look = {"look": number, "looks": len(planned), "pairs": len(pairs), "alpha": alpha}
            row = _row(pair, found, censuses, level) | look | {"shown": found.p_value <= alpha}
        rows.append(row)
    return rows


def assisted_sentence(row: Mapping[str, Any]) -> str:
    """Say in one sentence what a row says."""
    a, b = row["spaces"]
    if row["refused"]:
        return f"{a} and {b}: {row['refused']}"
    better, other, share, (low, high) = a, b, row["better"], row["interval"]
    if share < 0.5:
        better, other, share, low, high = b, a, 1.0 - share, 1.0 - high, 1.0 - low
    p = row.get("p_adjusted", row["p_value"])
    sure = "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
    if "look" in row:
        sure += f" at look {row['look']} of {row['looks']}, its level {100 * row['alpha']:.2g} %"
    saved = f"{row['factor']:.1f} times as many networks would say it as surely without covariates"
    if row["factor"] < FEWEST_SAVED:
        saved = "covariates make it no surer"
    cases = (
        f"has a lower error than the better of two of {other} in {_cases(share)} of the cases "
        f"({math.floor(100 * low)} to {math.ceil(100 * high)} % with {_confidence(row['alpha'])} confidence; {sure})"
    )
    if not row["shown"]:
        return f"neither of {a} and {b} is shown to be better: the better of two of {better} {cases}; {saved}"
    own = "the better of two of its networks"
    return f"{better} is better than {other}: {own} {cases}, which alone is no majorisation; {saved}"


def _cases(share: float) -> str:
    """Return a share in per cent; no rounding makes it all of them."""
    return "over 99 %" if share > 0.99 else f"{100 * share:.0f} %"


def _confidence(alpha: float) -> str:
    return "over 99.9 %" if alpha < 0.0005 else f"{100 * (1.0 - alpha):.3g} %"


def _row(
    pair: tuple[str, str], found: AssistedDifference, censuses: Mapping[str, Sample], level: float
) -> dict[str, Any]:
    censused = [len(censuses[name].networks) for name in pair]
    return {"spaces": list(pair), **asdict(found), "p_value": found.p_value, "level": level, "census": censused}


def _first(known: Known, networks: int) -> Known:
    return replace(known, errors=known.errors[:networks], covariates=known.covariates[:networks])


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
