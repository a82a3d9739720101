"""Which values of each parameter the best networks of a population have."""

from typing import Any

import numpy as np

from netspace import values
from netspace.findings.readings import FloatArray, all_errors, parameters
from netspace.stats import best_range
from netspace.storage.outcomes import Outcomes
from netspace.storage.population import Population


def range_rows(population: Population | Outcomes, share: float) -> list[dict[str, Any]]:
    """Return a row per parameter that varies in a population, as plain data; `best` is None without enough data."""
    if isinstance(population, Outcomes):
        errors = population.errors
        return [_row(population.name, name, column, errors, share) for name, column in population.varying.items()]
    errors = all_errors(population)
    if np.isnan(errors).all():
        return []
    found = parameters((population,))
    return [_row(population.name, one.title, one.values[0], errors, share) for one in found]


def _row(space: str, parameter: str, column: FloatArray, errors: FloatArray, share: float) -> dict[str, Any]:
    """Return what is said of one parameter: (networks,) values and errors, NaN where a network has none."""
    trained = ~np.isnan(errors)
    best = best_range(column[trained], errors[trained], share=share)
    return {
        "space": space,
        "parameter": parameter,
        "sampled": [float(np.nanmin(column)), float(np.nanmax(column))],
        "networks": int((~np.isnan(column[trained])).sum()),
        "best": None if best is None else values.to_dict(best),
    }
