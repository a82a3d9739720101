"""Groups of parameters as columns that a model of the errors can take."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from netspace.errors import InputError
from netspace.stats.edf import FloatArray


def checked_columns(groups: Mapping[str, ArrayLike], n: int) -> dict[str, FloatArray]:
    """Return the columns of each group as (networks, parameters), those of absent parameters below all others.

    `groups` are columns (networks,) or (networks, parameters), NaN for a network without the parameter.
    Raises: InputError that names the group.
    """
    if not groups:
        raise InputError("groups must name at least one parameter")
    columns = {}
    for name, given in groups.items():
        values = np.array(given, dtype=np.float64)
        values = values[:, None] if values.ndim == 1 else values
        if values.ndim != 2 or len(values) != n or not values.shape[1]:
            raise InputError(f"groups[{name!r}] (shape {values.shape}) must hold a row for each of the {n} errors")
        if np.isinf(values).any():
            raise InputError(f"groups[{name!r}] holds an infinite value; a network without the parameter has NaN")
        lowest = np.min(values, initial=0.0, where=~np.isnan(values))
        columns[name] = np.where(np.isnan(values), lowest - 1.0, values)
    return columns
