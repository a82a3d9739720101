"""Random search, successive halving, or a design space first: which finds the better single network at equal cost?

    netspace run examples/chapter/search.toml
    python examples/chapter/search.py

Every network of two populations was trained for one epoch and for four; the best third by the latter for sixteen, from
another seed. Searches are replayed on these results, each on networks drawn for it: which networks a search would
have trained, and which one it would have returned, follow from its rule and its budget alone. What it returns is
judged by the sixteen epochs, which no search has seen.

- *random*: networks of the wide space, four epochs each; the lowest error wins.
- *halving*: networks of the wide space, one epoch each, the best third of them four more from the start (Jamieson and
  Talwalkar 2016, arXiv 1502.07943).
- *space first*: one epoch for `--learning` networks of the wide space, from which a simpler space is learned; the rest
  of the budget is halving in that one.
- *space known*: the same for the second network and every later one, when the space has been paid for.

That 48 networks always lead to the simpler space is taken for granted; the study of `study.toml` says how sure that is.

Costs are the core-seconds that were measured, told in trainings of one epoch. A search draws its networks from those of
the pool, with replacement. Limits (95 %) are of the mean over all searches and of its difference from random search, by
a bootstrap of the pools. A winner that was not among those trained for sixteen epochs is "unknown": where that is more
than one search in twenty, or a search could train nothing, no mean is told, for it would flatter.
"""

import argparse
import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from netspace.errors import InputError, NetspaceError
from netspace.studies.study import Study

Array = npt.NDArray[np.float64]
Order = npt.NDArray[np.intp]
KEPT = 3
"""Halving keeps one network in so many."""
POOLS, MOST = 100, 3
"""Resampled pools, and how many networks a search may draw, as a multiple of a pool's."""
UNKNOWN = 0.05
"""The share of searches with an unknown winner above which no mean is told."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Networks of a space: errors and costs [s] of the short and the longer training, errors (NaN) of the longest."""

    short: Array
    longer: Array
    longest: Array
    short_cost: Array
    longer_cost: Array

    def __len__(self) -> int:
        return len(self.short)


Way = Callable[[Pool, Order, float], tuple[int, int]]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What searches of one kind and budget came to; `error` and `gain` over random search with their limits, in [0, 1].

    `unknown` and `nothing` are shares of the searches: whose winner has no final error, and which trained none.
    """

    way: str
    budget: float
    networks: float
    error: tuple[float, float, float] | None
    gain: tuple[float, float, float] | None
    unknown: float
    nothing: float


def pools(folder: Path) -> dict[str, Pool]:
    """Return the pool of every space of a study with two rungs, in the order of its file."""
    study = Study.open(folder)
    first, rungs = study.populations(), study.climbed()
    for number in (1, 2, 3):
        populations = first if number == 1 else rungs.get(number, ())
        waiting = sum(result is None for population in populations for result in population.results)
        if waiting or not populations:
            raise InputError(f"rung {number} of {str(folder)!r} is not complete; `netspace run` goes on with it")
    found = {}
    for population, longer, longest in zip(first, rungs[2], rungs[3], strict=True):
        known = {n.digest: e for n, e in zip(longest.networks, longest.errors.tolist(), strict=True)}
        found[population.name] = Pool(
            short=population.errors,
            longer=longer.errors,
            longest=np.array([known.get(n.digest, np.nan) for n in population.networks]),
            short_cost=np.array([r.seconds for r in population.results if r]),
            longer_cost=np.array([r.seconds for r in longer.results if r]),
        )
    return found


def random_search(pool: Pool, order: Order, budget: float) -> tuple[int, int]:
    """Return the network that wins, and how many were trained."""
    taken = order[np.cumsum(pool.longer_cost[order]) <= budget]
    return int(taken[np.argmin(pool.longer[taken])]) if len(taken) else -1, len(taken)


def halving(pool: Pool, order: Order, budget: float) -> tuple[int, int]:
    """Return the network that wins, and how many were trained for one epoch: the most for which the budget has room."""
    spent = np.cumsum(pool.short_cost[order])
    for count in range(int(np.searchsorted(spent, budget)), KEPT - 1, -1):
        taken = order[:count]
        kept = taken[np.argsort(pool.short[taken], kind="stable")[: count // KEPT]]
        if spent[count - 1] + pool.longer_cost[kept].sum() <= budget:
            return int(kept[np.argmin(pool.longer[kept])]), count
    return -1, 0


def rows(wide: Pool, narrow: Pool, budgets: Sequence[float], learning: int, replays: int) -> list[Row]:
    """Return a line for every budget, in trainings of one epoch, and every way of searching."""
    unit = float(np.median(np.concatenate([wide.short_cost, narrow.short_cost])))
    learned = learning * float(np.median(wide.short_cost))
    ways: dict[str, tuple[Pool, Way, float]] = {
        "random": (wide, random_search, 0.0),
        "halving": (wide, halving, 0.0),
        "space first": (narrow, halving, learned),
        "space known": (narrow, halving, 0.0),
    }
    each = max(1, replays // POOLS)
    return [
        row
        for budget in budgets
        for row in _of_budget(ways, budget, {way: budget * unit - paid for way, (_, _, paid) in ways.items()}, each)
    ]


def _of_budget(
    ways: dict[str, tuple[Pool, Way, float]], budget: float, seconds: dict[str, float], each: int
) -> list[Row]:
    """Return the lines of a budget, of so many searches in each of the resampled pools."""
    chance = np.random.default_rng(0)
    won: dict[str, list[list[tuple[int, int]]]] = {way: [] for way in ways}
    for _ in range(POOLS):
        # Pools of one size are resampled alike, so that all ways that search one search the same networks.
        again = {size: chance.integers(0, size, size) for size in {len(pool) for pool, _, _ in ways.values()}}
        for way, (pool, search, _) in ways.items():
            networks = again[len(pool)]
            orders = (networks[chance.integers(0, len(pool), MOST * len(pool))] for _ in range(each))
            won[way].append([search(pool, order, seconds[way]) for order in orders])
    means, found = {}, []
    for way, (pool, _, _) in ways.items():
        winners = np.array([[network for network, _ in searches] for searches in won[way]])
        errors = np.where(winners >= 0, pool.longest[winners], np.nan)
        nothing = float((winners < 0).mean())
        unknown = float(np.isnan(errors).mean()) - nothing
        told = nothing == 0 and unknown <= UNKNOWN
        means[way] = np.nanmean(errors, axis=1) if told else np.full(POOLS, np.nan)
        found.append(
            Row(
                way=way,
                budget=budget,
                networks=float(np.mean([count for searches in won[way] for _, count in searches])),
                error=_limits(means[way]) if told else None,
                gain=_limits(means["random"] - means[way]) if told and way != "random" else None,
                unknown=unknown,
                nothing=nothing,
            )
        )
    return found


def _limits(values: Array) -> tuple[float, float, float] | None:
    """Return a mean with its limits; None where it cannot be told."""
    if np.isnan(values).any():
        return None
    low, high = np.quantile(values, (0.025, 0.975))
    return float(values.mean()), float(low), float(high)


def _points(told: tuple[float, float, float] | None, sign: str = "") -> str:
    if told is None:
        return "-"
    value, low, high = (100 * one for one in told)
    return f"{value:{sign}.2f} ({low:{sign}.2f} to {high:{sign}.2f})"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, nargs="?", default=Path("runs/chapter_search"))
    parser.add_argument("--budgets", default="60,120,200", help="in trainings of one epoch")
    parser.add_argument("--learning", type=int, default=48, help="networks from which the space is learned")
    parser.add_argument("--replays", type=int, default=5000, help="searches of each way and budget")
    parser.add_argument("--json", action="store_true", help="for a program to read")
    asked = parser.parse_args()
    (wide, first), (narrow, second) = pools(asked.study).items()
    found = rows(first, second, [float(one) for one in asked.budgets.split(",")], asked.learning, asked.replays)
    if asked.json:
        print(json.dumps([dataclasses.asdict(row) for row in found]))
        return
    print(f"{wide}, from which {narrow} is learned by {asked.learning} networks; about {asked.replays:,} searches each")
    print(
        f"{'way':13}{'budget':>7}{'networks':>9}{'error [%]':>25}{'better than random':>25}{'unknown':>9}{'nothing':>9}"
    )
    for row in found:
        print(
            f"{row.way:13}{row.budget:>7g}{row.networks:>9.1f}{_points(row.error):>25}{_points(row.gain, '+'):>25}"
            f"{row.unknown:>9.1%}{row.nothing:>9.1%}"
        )


if __name__ == "__main__":
    try:
        main()
    except NetspaceError as problem:
        raise SystemExit(f"search: {problem}") from None
