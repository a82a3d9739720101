"""The errors of populations made alike in complexity, as weighted distributions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from netspace.errors import InputError, did_you_mean
from netspace.networks.complexity import MEASURES
from netspace.stats import EDF, Normalisation, make_alike, normalised_edf
from netspace.storage.outcomes import Outcomes
from netspace.storage.population import Population


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NormalisedErrors:
    """A distribution per population that has results, under bins with common edges that count the same.

    `weights[k]` (trained,) go with the errors of `populations[k]`: 0 for a network that is left out, and all 0 where no
    bin is shared, so that `edfs[k]` is None. `how.left_out` counts by population.
    """

    populations: tuple[Population, ...]
    weights: tuple[npt.NDArray[np.float64], ...]
    edfs: tuple[EDF | None, ...]
    how: Normalisation


def normalised_errors(populations: Sequence[Population], measure: str = "flops") -> NormalisedErrors | None:
    """Return the errors of trained networks made alike in a measure of complexity; None where nothing is trained.

    All populations share the bins here; a verdict makes its two alike by themselves, and so may keep more of them.
    Raises: InputError for an unknown measure.
    """
    trained = tuple(population for population in populations if population.trained)
    columns = complexities(trained, measure)
    if not trained:
        return None
    alike = make_alike(list(columns.values()), names=list(columns), measure=measure)
    edfs = tuple(normalised_edf(p.errors, weights, p.name) for p, weights in zip(trained, alike.weights, strict=True))
    return NormalisedErrors(populations=trained, weights=alike.weights, edfs=edfs, how=alike.how)


def complexities(populations: Sequence[Population | Outcomes], measure: str) -> dict[str, npt.NDArray[np.float64]]:
    """Return a measure of the networks that have a result, (trained,) by the population's name. Raises: InputError."""
    if measure not in MEASURES:
        known = ", ".join(MEASURES)
        raise InputError(f"normalised (={measure!r}) must be one of {known}{did_you_mean(measure, MEASURES)}")
    columns = {}
    for population in populations:
        held = population.complexity
        column = held.get(measure) if isinstance(held, Mapping) else getattr(held, measure)
        if column is None:
            raise InputError(f"normalised (={measure!r}): {population.name!r} comes from a table without it")
        columns[population.name] = np.asarray(column, dtype=np.float64)[list(population.trained)]
    return columns
