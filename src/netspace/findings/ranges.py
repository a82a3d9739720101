"""Which values of each parameter the best networks of a population have."""

from typing import Any

import numpy as np

from netspace import values
from netspace.findings.readings import all_errors, parameters
from netspace.stats import best_range
from netspace.storage.population import Population


def range_rows(population: Population, share: float) -> list[dict[str, Any]]:
    """Return a row per parameter that varies in a population, as plain data; `best` is None without enough data."""
    errors = all_errors(population)
    trained = ~np.isnan(errors)
    if not trained.any():
        return []
    rows = []
    for parameter in parameters((population,)):
        column = parameter.values[0][trained]
        found = best_range(column, errors[trained], share=share)
        rows.append(
            {
                "space": population.name,
                "parameter": parameter.title,
                "sampled": [parameter.choices[0], parameter.choices[-1]],
                "networks": int((~np.isnan(column)).sum()),
                "best": None if found is None else values.to_dict(found),
            }
        )
    return rows
