"""Comparing spaces by trained networks and by all that is known before training, of which drawing tells for nothing.

A space can be drawn from as often as one likes, so that the distribution of depths, widths or flops over all of it is
known, while errors are known of a few trained networks only. Where errors can partly be told from such covariates,
networks of a kind that happens to be more frequent in the sample than in the space get less weight, the others more:

1. One ridge over the networks of all spaces predicts ranks of errors from covariates; each network by the others.
2. Within each space, weights make the sample's mean prediction that of the census (the regression estimator).

What is estimated stays the distribution of errors in the whole space; the chance of the draw that covariates explain
is taken out of it. A prediction that is wrong makes this less precise, never biased beyond an order of 1/n.
Source: Särndal, Swensson and Wretman 1992, chapter 6; Robins, Rotnitzky and Zhao 1994; prediction-powered inference,
Angelopoulos et al. 2023, with the slope of PPI++.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import scipy
from numpy.typing import ArrayLike

from netspace.errors import InputError
from netspace.stats.better_of_two import better_of_two
from netspace.stats.edf import FloatArray, checked_errors
from netspace.stats.prediction import Known, predicted_ranks, standardised
from netspace.stats.quantiles import joined_limits

FEWEST = 10
"""Networks of a space below which nothing is claimed."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AssistedSample:
    """Errors of a space's trained networks, `inf` for a failure, with the `weights` that covariates give them.

    `errors`, `weights` (networks,), in the order given; the weights sum to 1, and some may be negative. `predicted`
    (networks,) are the predictions, each by the other networks, with mean 0 in the census. `explained` is the share of
    the variance of the errors' ranks that they explain. `census_variance` is that of a census's mean prediction.
    """

    errors: FloatArray
    weights: FloatArray
    predicted: FloatArray
    explained: float
    census_variance: float

    @property
    def n(self) -> int:
        """The number of networks, failed ones included."""
        return self.errors.size

    @property
    def freedom(self) -> int:
        """The residual degrees of freedom."""
        return self.n - 2

    def variance(self, values: FloatArray, least: float) -> float:
        """Return the variance of the mean over the space of values that its trained networks have.

        It adds that of the residuals, each widened by its leverage, and that of the census. It is never below that
        of a half network of weight `least`: values that are all alike are no proof that all others are.
        Source: MacKinnon and White 1985 (HC3, which is the jackknife's but for a factor of 1 - 1/n).
        """
        slope, residuals, leverage = _line(self.predicted, values)
        squares = np.square(self.weights * residuals / (1.0 - leverage))
        return max(float(squares.sum()), (least / (2 * self.n)) ** 2) + slope**2 * self.census_variance

    def median(self, level: float) -> tuple[float, float, float]:
        """Return the median error of the space and its interval; `inf` among failures. Source: Woodruff 1952."""
        order = np.argsort(self.errors, kind="stable")
        shares = np.maximum.accumulate(np.cumsum(self.weights[order]))

        def quantile(share: float) -> float:
            at = int(np.searchsorted(shares, share - 1e-12))
            return float(self.errors[order[min(at, self.n - 1)]])

        median = quantile(0.5)
        variance = self.variance((self.errors <= median).astype(np.float64), 1.0)
        reach = float(scipy.stats.t.ppf((1.0 + level) / 2.0, self.freedom)) * math.sqrt(variance)
        low = quantile(0.5 - reach) if reach < 0.5 else 0.0
        return median, low, quantile(0.5 + reach) if reach < 0.5 else math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class AssistedDifference:
    """How much better A is than B, or in `refused` the sentence that says why that is not told.

    `better` is how often the better of two networks of A beats the better of two of B, a tie counting half, with its
    interval; 1/2 between equals.
    `p_a_better` and `p_b_better` test that it is not above 1/2, and not below; `p_value` that it is 1/2.
    `median_difference` (A minus B, in errors) is None where a failure leaves none; its limits may be infinite.
    `explained` are the shares of both spaces' variance of ranks that covariates predict. `factor` says how many times
    as many networks would know `better` as well without them.
    """

    n_a: int
    n_b: int
    refused: str = ""
    better: float = 0.5
    standard_error: float = math.inf
    interval: tuple[float, float] = (0.0, 1.0)
    p_a_better: float = 1.0
    p_b_better: float = 1.0
    median_difference: float | None = None
    median_interval: tuple[float, float] = (-math.inf, math.inf)
    explained: tuple[float, float] = (0.0, 0.0)
    factor: float = 1.0

    @property
    def p_value(self) -> float:
        """The two-sided p-value."""
        return min(1.0, 2.0 * min(self.p_a_better, self.p_b_better))


def assist(spaces: Mapping[str, Known]) -> dict[str, AssistedSample]:
    """Return the trained networks of each space with the weights that their covariates give them.

    All spaces have the same columns of covariates, and teach the prediction together; those of fewer than `FEWEST`
    networks do not, and keep equal weights. The penalty predicts best with each network left out, and may be infinite:
    then all weights are equal.
    Raises: InputError for errors that cannot be, and for covariates that do not fit or are infinite.

    >>> rng = np.random.default_rng(0)
    >>> known, census = rng.random((50, 1)), rng.random((2000, 1))
    >>> sample = assist({"A": Known(errors=known[:, 0] / 2, covariates=known, census=census)})["A"]
    >>> sample.explained > 0.9, round(float(sample.weights @ known[:, 0] - census.mean()), 2)
    (True, 0.0)
    """
    errors = {name: checked_errors(one.errors, f"errors of {name}") for name, one in spaces.items()}
    tables = standardised(spaces)
    every = scipy.stats.rankdata(np.concatenate(list(errors.values()))) / sum(one.size for one in errors.values())
    ranks = dict(zip(errors, np.split(every, np.cumsum([one.size for one in errors.values()])[:-1]), strict=True))
    enough = [name for name, one in errors.items() if one.size >= FEWEST]
    columns = next(iter(tables.values()))[0].shape[1]
    predicted, slopes = predicted_ranks([tables[name][0] for name in enough], [ranks[name] for name in enough], columns)
    predictions = dict(zip(enough, predicted, strict=True))
    return {
        name: _weighted(one, ranks[name], predictions.get(name, np.zeros(one.size)), tables[name][1] @ slopes)
        for name, one in errors.items()
    }


def _weighted(errors: FloatArray, ranks: FloatArray, predicted: FloatArray, census: FloatArray) -> AssistedSample:
    """Return a space's networks weighted so that their mean prediction is that of its census: 0."""
    centred = predicted - predicted.mean()
    squares = float(centred @ centred) or 1.0
    _, residuals, _ = _line(predicted, ranks)
    spread = float(np.square(ranks - ranks.mean()).sum())
    return AssistedSample(
        errors=errors,
        weights=1.0 / errors.size - predicted.mean() * centred / squares,
        predicted=predicted,
        explained=1.0 - float(np.square(residuals).sum()) / spread if spread > 0.0 else 0.0,
        census_variance=float(census.var()) / census.size,
    )


def assisted_difference(a: AssistedSample, b: AssistedSample, *, level: float = 0.95) -> AssistedDifference:
    """Say how much better A is than B, by the better of two networks and in the median, with intervals at `level`.

    It asks for no shape of the errors and holds with ties and failures: the test of Brunner and Munzel, by the better
    of two networks in place of one, and with weights. Raises: InputError for a level out of its range.

    >>> rng = np.random.default_rng(0)
    >>> known, census = rng.random((2, 50, 1)), rng.random((2000, 1))
    >>> spaces = [Known(errors=one[:, 0] / 2 + 0.05 * i, covariates=one, census=census) for i, one in enumerate(known)]
    >>> found = assisted_difference(*assist(dict(zip("AB", spaces))).values())
    >>> found.p_a_better < 0.01, found.factor > 4
    (True, True)
    """
    if not 0.5 < level < 1.0:
        raise InputError(f"level (={level}) must lie between 0.5 and 1, such as 0.95")
    if min(a.n, b.n) < FEWEST:
        networks = "1 network" if min(a.n, b.n) == 1 else f"{min(a.n, b.n)} networks"
        fewer = f"not enough data: {networks} of a space, at least {FEWEST} are needed"
        return AssistedDifference(n_a=a.n, n_b=b.n, refused=fewer)
    effective = min(1.0 / float(np.square(one.weights).sum()) for one in (a, b))
    if effective < FEWEST / 2:
        unlike = (
            f"not enough data: networks are so unlike fresh draws of their space that they count for {effective:.1f}"
        )
        return AssistedDifference(n_a=a.n, n_b=b.n, refused=unlike)
    found = better_of_two(a.errors, a.weights, b.errors, b.weights)
    better, variance_a, variance_b = found.share, a.variance(found.pull_a, 2.0), b.variance(found.pull_b, 2.0)
    variance = variance_a + variance_b
    error = math.sqrt(variance)
    freedom = variance**2 / (variance_a**2 / a.freedom + variance_b**2 / b.freedom)
    reach = float(scipy.stats.t.ppf((1.0 + level) / 2.0, freedom)) * error
    score = (better - 0.5) / error
    medians = a.median(level), b.median(level)
    difference, *limits = joined_limits(*medians)
    return AssistedDifference(
        n_a=a.n,
        n_b=b.n,
        better=min(max(better, 0.0), 1.0),
        standard_error=error,
        interval=(max(better - reach, 0.0), min(better + reach, 1.0)),
        p_a_better=float(scipy.stats.t.sf(score, freedom)),
        p_b_better=float(scipy.stats.t.cdf(score, freedom)),
        median_difference=difference if difference is not None and math.isfinite(difference) else None,
        median_interval=(limits[0], limits[1]),
        explained=(a.explained, b.explained),
        factor=_plain_variance(a, b) / variance,
    )


def holm(p_values: ArrayLike) -> FloatArray:
    """Return p-values (claims,) adjusted so that all claims together hold their level. Source: Holm 1979.

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    given = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(given, kind="stable")
    adjusted = np.empty_like(given)
    adjusted[order] = np.maximum.accumulate(np.minimum(given[order] * np.arange(given.size, 0, -1), 1.0))
    return adjusted


def _line(predicted: FloatArray, values: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    """Return the slope of values over predictions, the residuals and the leverages (networks,)."""
    centred = predicted - predicted.mean()
    squares = float(centred @ centred) or 1.0  # predictions that are all alike have no slope
    slope = float(centred @ values) / squares
    return slope, values - values.mean() - slope * centred, 1.0 / values.size + np.square(centred) / squares


def _plain_variance(a: AssistedSample, b: AssistedSample) -> float:
    """Return the variance that the share would have if all networks of a space weighed the same."""
    even = [replace(one, weights=np.full(one.n, 1.0 / one.n), predicted=np.zeros(one.n)) for one in (a, b)]
    found = better_of_two(a.errors, even[0].weights, b.errors, even[1].weights)
    return even[0].variance(found.pull_a, 2.0) + even[1].variance(found.pull_b, 2.0)
