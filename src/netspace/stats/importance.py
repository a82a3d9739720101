"""How much of the errors' spread each group of parameters explains, among networks of like complexity.

A random forest learns the errors from the parameters; then one group of them is exchanged between networks, and the
forest's predictions, out of bag, get worse by as much as it relied on that group. A budget ties parameters together
through the complexity, so that values are exchanged only between networks of like complexity: asked of the forest is
what a group says beyond that.
Source: Breiman 2001 (forests, out-of-bag permutation); Strobl et al. 2008 (permutation within strata).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray
from scipy import special

from netspace.errors import InputError
from netspace.stats.columns import checked_columns
from netspace.stats.edf import FloatArray, checked_errors

IntArray = NDArray[np.int64]

FEWEST = 30
"""Networks below which no forest is asked: on so few, noise alone is explained to a fifth too often."""

LEAST_EXPLAINED = 0.2
"""The out-of-bag R2 below which a forest knows too little: noise reached it once in 100 samples of 30 networks."""

STRATUM = 10
"""The least number of networks in a stratum of like complexity."""

LEVEL = 0.95
TREES, EXCHANGES = 100, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupImportance:
    """How much the mean squared error of the forest rises without a group [share of the spread of the errors].

    `low` and `high` are the limits, at 95 %, for other networks of the same space; `spread` is the standard deviation
    over forests of other seeds, which more networks would not change.
    """

    name: str
    rise: float
    low: float
    high: float
    spread: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """Each group's importance, the largest first, or in `refused` the sentence that says why none is told.

    `explained` is the out-of-bag R2: the share of the spread that the forest explains; None where no forest was asked.
    """

    networks: int
    strata: int
    explained: float | None = None
    groups: tuple[GroupImportance, ...] = ()
    refused: str = ""


def forest_importance(
    groups: Mapping[str, ArrayLike],
    errors: ArrayLike,
    complexity: ArrayLike,
    *,
    strata: int | None = None,
    forests: int = 10,
    seed: int = 0,
) -> Importance:
    """Return the importance of each group of parameters.

    `groups` are columns (networks,) or (networks, parameters), NaN for a network without the parameter, which counts
    as a value of its own; `errors` (networks,) in [0, 1], `inf` for a failure; `complexity` (networks,) is any
    measure. Errors stand for their ranks (ties share theirs), so that failures are the worst and not infinitely far.
    `strata` is the number of strata of complexity, each with the same number of networks; by default as many as
    leaves `STRATUM` networks in each. With 1 all networks exchange values.
    Raises: InputError for columns, errors, complexities, strata or forests that cannot be.

    >>> rng = np.random.default_rng(0)
    >>> depth, width = rng.random(100), rng.random(100)
    >>> found = forest_importance({"width": width, "depth": depth}, (2 * depth + width) / 4, rng.random(100))
    >>> [group.name for group in found.groups], found.explained > 0.7
    (['depth', 'width'], True)
    """
    checked = checked_errors(errors, "errors")
    n = checked.size
    measure = checked_complexity(complexity, n)
    columns = checked_columns(groups, n)
    if strata is not None and not 1 <= strata <= n // 2:
        raise InputError(f"strata (={strata}) must be at least 1, and at most {n // 2} for pairs of {n} networks")
    if forests < 2:
        raise InputError(f"forests (={forests}) must be at least 2: their spread is told")
    stratum = strata_of(measure, strata)
    told = Importance(networks=n, strata=int(stratum.max()) + 1)
    if n < FEWEST:
        return replace(told, refused=f"not enough data: {n} of {FEWEST} networks")
    if np.unique(checked).size == 1:
        return replace(told, refused="cannot tell: all networks have the same error")
    ranks = scipy.stats.rankdata(checked) / n
    seeds = np.random.SeedSequence(seed).spawn(forests)
    losses = np.stack([_losses(columns, ranks, stratum, np.random.default_rng(one)) for one in seeds])
    losses /= ranks.var()
    explained = 1.0 - float(losses[:, 0].mean())
    if explained < LEAST_EXPLAINED:
        short = f"the forest explains {100 * max(explained, 0.0):.0f} % of the spread (out-of-bag R2)"
        refused = f"cannot tell: {short}, at least {100 * LEAST_EXPLAINED:.0f} % is needed"
        return replace(told, explained=explained, refused=refused)
    found = [_told(name, losses[:, 1 + i] - losses[:, 0]) for i, name in enumerate(columns)]
    found.sort(key=lambda group: -group.rise)
    return replace(told, explained=explained, groups=tuple(found))


def strata_of(complexity: FloatArray, strata: int | None = None) -> IntArray:
    """Return the stratum of each network (networks,): bins of equal count, from the least to the most complex.

    >>> strata_of(np.arange(25.0)).tolist() == [0] * 13 + [1] * 12
    True
    """
    n = complexity.size
    place = np.empty(n, dtype=np.int64)
    place[np.argsort(complexity, kind="stable")] = np.arange(n)
    return place * (strata or max(n // STRATUM, 1)) // n


def checked_complexity(complexity: ArrayLike, n: int) -> FloatArray:
    """Return complexities as an array (networks,). Raises: InputError for another shape, or what is no number."""
    values = np.asarray(complexity, dtype=np.float64)
    if values.shape != (n,) or not np.isfinite(values).all():
        raise InputError(f"complexity (shape {values.shape}) must hold a finite number for each of the {n} errors")
    return values


def _losses(
    columns: dict[str, FloatArray], ranks: FloatArray, stratum: IntArray, rng: np.random.Generator
) -> FloatArray:
    """Return the squared errors of one forest out of bag, as it is and without each group: (1 + groups, networks)."""
    parts = list(columns.values())
    known = np.hstack(parts).astype(np.float32)  # what trees compare in
    seed = int(rng.integers(2**31))
    asked = [known]
    ends = np.cumsum([part.shape[1] for part in parts])
    for part, end in zip(parts, ends.tolist(), strict=True):
        mine = slice(end - part.shape[1], end)
        for _ in range(EXCHANGES):
            exchanged = known.copy()
            exchanged[:, mine] = known[_others(stratum, rng), mine]
            asked.append(exchanged)
    squared = np.square(_out_of_bag(known, ranks, np.stack(asked), seed) - ranks)
    without = squared[1:].reshape(len(parts), EXCHANGES, -1).mean(axis=1)
    losses: FloatArray = np.concatenate((squared[:1], without))
    return losses


def _others(stratum: IntArray, rng: np.random.Generator) -> IntArray:
    """Return for each network another one of its stratum: each is taken once."""
    others = np.arange(stratum.size)
    for one in range(int(stratum.max()) + 1):
        members = rng.permutation(np.flatnonzero(stratum == one))
        others[members] = np.roll(members, 1)
    return others


def _out_of_bag(known: NDArray[np.float32], ranks: FloatArray, asked: NDArray[np.float32], seed: int) -> FloatArray:
    """Return predictions (questions, networks) of the trees of a forest that did not learn from the network.

    Trees are grown one by one: their numbers are those of scikit-learn's own forest with this seed, in a third of its
    time, since it clones, checks and seeds each tree several times, which takes longer than to grow it on so few.
    """
    import sklearn
    from sklearn.tree import DecisionTreeRegressor  # takes a second, which other commands do without

    questions, n, _ = asked.shape
    sums, trees = np.zeros((questions, n)), np.zeros(n)
    truth = np.ascontiguousarray(ranks[:, None], dtype=np.float64)
    rng = np.random.RandomState(seed)
    drawing, splitting = np.random.RandomState(0), np.random.RandomState(0)
    # Breiman's own choice for regression: a third of the columns at each split, five networks in a leaf.
    tree = DecisionTreeRegressor(max_features=1 / 3, min_samples_leaf=5, random_state=splitting)
    with sklearn.config_context(skip_parameter_validation=True, assume_finite=True):
        for _ in range(TREES):
            own = rng.randint(np.iinfo(np.int32).max)
            drawing.seed(own)
            splitting.seed(own)
            learnt = np.bincount(drawing.randint(0, n, n), minlength=n)
            tree.fit(known, truth, sample_weight=learnt.astype(np.float64), check_input=False)
            out = np.flatnonzero(learnt == 0)
            rows = asked[:, out].reshape(questions * out.size, -1)
            sums[:, out] += tree.tree_.predict(rows).reshape(questions, -1)
            trees[out] += 1
    assert trees.all()  # a network misses one tree in e, and all of 100 never
    return sums / trees


def _told(name: str, rises: FloatArray) -> GroupImportance:
    """Sum up the rises (forests, networks) of a group."""
    each = rises.mean(axis=0)
    rise = float(each.mean())
    half = float(special.ndtri((1.0 + LEVEL) / 2.0)) * float(each.std(ddof=1)) / math.sqrt(each.size)
    spread = float(rises.mean(axis=1).std(ddof=1))
    return GroupImportance(name=name, rise=rise, low=rise - half, high=rise + half, spread=spread)
