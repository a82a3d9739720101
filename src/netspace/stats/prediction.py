"""Predicting the ranks of errors from what is known before training: a ridge over the networks of several spaces.

Source: Hoerl and Kennard 1970; predictions without a network in closed form, Allen 1974.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netspace.errors import InputError
from netspace.stats.edf import FloatArray

_PENALTIES = 10.0 ** np.arange(-2.0, 3.1, 0.5)
"""Ridge penalties to choose from, in units of the mean squared length of a network's covariates."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Known:
    """What is known of a space: errors of its trained networks, covariates of these and of a census of fresh draws.

    `errors` (networks,) in [0, 1], `inf` for a failure; `covariates` (networks, p) and `census` (draws, p) have the
    same columns, NaN for a network without the parameter.
    """

    errors: FloatArray
    covariates: FloatArray
    census: FloatArray


def standardised(spaces: Mapping[str, Known]) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Return covariates and census of each space, with mean 0 in its census and spread 1 in all, absence as columns.

    Raises: InputError for tables that do not fit together, or hold an infinite value.
    """
    tables = []
    for name, one in spaces.items():
        for given, what, rows in ((one.covariates, "covariates", len(one.errors)), (one.census, "census", None)):
            table = np.asarray(given, dtype=np.float64)
            if table.ndim != 2 or not len(table) or (rows is not None and len(table) != rows):
                wanted = "a row for each draw" if rows is None else f"a row for each of the {rows} errors"
                raise InputError(f"{what} of {name} (shape {table.shape}) must hold {wanted}, a column per covariate")
            if np.isinf(table).any():
                raise InputError(f"{what} of {name} hold an infinite value; a network without the parameter has NaN")
            tables.append(table)
    columns = {table.shape[1] for table in tables}
    if len(columns) > 1:
        raise InputError(f"covariates and censuses (of {sorted(columns)} columns) must have the same columns")
    drawn = np.concatenate(tables[1::2])
    absent = np.isnan(drawn)
    means = np.where(absent, 0.0, drawn).sum(axis=0) / np.maximum((~absent).sum(axis=0), 1)
    filled = [np.hstack((np.where(np.isnan(one), means, one), np.isnan(one))) for one in tables]
    # What is the same in all draws of each space differs between spaces only, whose means are taken out.
    spread = np.sqrt(np.mean([census.var(axis=0) for census in filled[1::2]], axis=0))
    varies = spread > 1e-9 * np.max([np.abs(one).max(axis=0) for one in filled], axis=0, initial=1e-300)
    return {
        name: (_scaled(known, census, spread, varies), _scaled(census, census, spread, varies))
        for name, known, census in zip(spaces, filled[::2], filled[1::2], strict=True)
    }


def predicted_ranks(
    known: list[FloatArray], ranks: list[FloatArray], columns: int
) -> tuple[list[FloatArray], FloatArray]:
    """Return the predictions of ranks by a ridge with a mean for each space, and the slopes (p,) of all networks.

    Covariates have mean 0 in the census of their space. A prediction is that of the slopes without the network, in
    closed form, and so has mean 0 in the census as well.
    """
    if not known:
        return [], np.zeros(columns)
    centred = np.concatenate([one - one.mean(axis=0) for one in known])
    values = np.concatenate([one - one.mean() for one in ranks])
    means = np.concatenate([np.full(len(one), 1.0 / len(one)) for one in known])
    every = np.concatenate(known)
    nothing = [np.zeros(len(one)) for one in known], np.zeros(every.shape[1])
    left, lengths, right = np.linalg.svd(centred, full_matrices=False)
    kept = lengths > 1e-9 * lengths.max(initial=0.0)
    left, lengths, right = left[:, kept], lengths[kept], right[kept]
    if not kept.any() or not values.any():
        return nothing
    loss, found = float(np.square(values / (1.0 - means)).sum()), None
    for penalty in _PENALTIES * float(np.square(lengths).sum()) / len(every):
        shrink = np.square(lengths) / (np.square(lengths) + penalty)
        leverage = means + np.square(left) @ shrink
        left_out = (values - left @ (shrink * (left.T @ values))) / (1.0 - leverage)
        if np.square(left_out).sum() < loss:
            loss, found = float(np.square(left_out).sum()), (shrink, left_out)
    if found is None:
        return nothing
    shrink, left_out = found
    slopes = right.T @ (shrink / lengths * (left.T @ values))
    # How far a network's own error moves the slopes along its own covariates.
    reach = ((every @ right.T) * (shrink / lengths) * left).sum(axis=1)
    ends = np.cumsum([len(one) for one in known])[:-1]
    return np.split(every @ slopes - reach * left_out, ends), slopes


def _scaled(table: FloatArray, census: FloatArray, spread: FloatArray, kept: NDArray[np.bool_]) -> FloatArray:
    scaled: FloatArray = (table[:, kept] - census[:, kept].mean(axis=0)) / spread[kept]
    return scaled
