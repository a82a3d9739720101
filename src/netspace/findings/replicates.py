"""The same networks measured again: longer, or from other seeds."""

from collections.abc import Sequence

import numpy as np

from netspace.findings.readings import FloatArray
from netspace.storage.population import Population


def measured_again(populations: Sequence[Population], *others: Sequence[Population]) -> dict[str, FloatArray]:
    """Return the errors of the networks that every measurement has a result of, by space: (networks, measurements).

    Spaces without such a network are left out; failures are infinite.
    """
    found = {}
    for population in populations:
        columns = [_errors(population)]
        columns += [_errors(again) for other in others for again in other if again.name == population.name]
        shared = [digest for digest in columns[0] if all(digest in column for column in columns)]
        if shared and len(columns) == 1 + len(others):
            found[population.name] = np.array([[column[digest] for column in columns] for digest in shared])
    return found


def together(rows: dict[str, FloatArray]) -> FloatArray:
    """Return the rows of all spaces: (networks, measurements), without any for none."""
    return np.concatenate(list(rows.values())) if rows else np.zeros((0, 2))


def _errors(population: Population) -> dict[str, float]:
    pairs = zip(population.networks, population.results, strict=True)
    return {network.digest: result.judged_error for network, result in pairs if result is not None}
