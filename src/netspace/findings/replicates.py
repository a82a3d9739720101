"""The same networks measured again: longer, or from other seeds."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from netspace.findings.readings import FloatArray
from netspace.storage.population import Population

Measured = dict[str, tuple[float, ...]]
"""What each measurement says of a network, by the network's digest."""


def measured_again(populations: Sequence[Population], *others: Sequence[Population]) -> dict[str, Measured]:
    """Return, by space, the errors of the networks that every measurement has a result of.

    Spaces without such a network are left out; failures are infinite.
    """
    found = {}
    for population in populations:
        again = [one for other in others for one in other if one.name == population.name]
        if len(again) < len(others):
            continue
        columns = [_errors(one) for one in (population, *again)]
        shared = [digest for digest in columns[0] if all(digest in column for column in columns)]
        if shared:
            found[population.name] = {digest: tuple(column[digest] for column in columns) for digest in shared}
    return found


def rows(measured: Measured) -> FloatArray:
    """Return the errors of one space's networks: (networks, measurements)."""
    return np.array(list(measured.values()), dtype=np.float64)


def together(found: Mapping[str, Measured]) -> tuple[FloatArray, NDArray[np.str_]]:
    """Return the errors of all networks (networks, measurements) and the space of each (networks,).

    A network that several spaces drew is one network, measured once: it counts with the first of them alone.
    """
    first: dict[str, tuple[str, tuple[float, ...]]] = {}
    for space, measured in found.items():
        for digest, errors in measured.items():
            first.setdefault(digest, (space, errors))
    every = rows({digest: errors for digest, (_, errors) in first.items()}) if first else np.zeros((0, 2))
    return every, np.array([space for space, _ in first.values()], dtype=np.str_)


def _errors(population: Population) -> dict[str, float]:
    pairs = zip(population.networks, population.results, strict=True)
    return {network.digest: result.judged_error for network, result in pairs if result is not None}
