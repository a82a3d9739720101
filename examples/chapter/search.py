"""Random search, successive halving, or a design space first: which finds the better single network at equal cost?

    netspace run examples/chapter/search.toml
    python examples/chapter/search.py

Every network of three populations was trained for one epoch and for four; the best third by the latter for sixteen,
from another seed. Searches are replayed on these results, each on networks drawn for it: which networks a search would
have trained, and which one it would have returned, follow from its rule and its budget alone. What it returns is
judged by the sixteen epochs, which no search has seen.

- *random*: networks of the first, the widest space, four epochs each; the lowest error wins.
- *halving*: networks of the widest space, one epoch each, the best third of them four more from the start (Jamieson and
  Talwalkar 2016, arXiv 1502.07943).
- *space first*: one epoch for `--learning` networks of every space; where the median is lowest, halving goes on among
  these networks and further ones.
- *in ...*: halving in one of the other spaces from the beginning, for whoever knows that it is the right one.

Costs are the core-seconds that were measured, told in trainings of one epoch. A search draws its networks from those of
the pool, with replacement; all ways meet the networks of a space in the same order. Limits (95 %) are of the mean over
all searches and of its difference from random search, by a bootstrap of the pools. A winner that was not among those
trained for sixteen epochs is "unknown": where that is more than one search in twenty, or a search could train nothing,
no mean is told, for it would flatter.
"""

import argparse
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
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


Way = Callable[[float], tuple[int, int, int]]
"""A search of a budget [s]: the space and the network that win (-1 for none), and how many networks were trained."""


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
    """Return the pool of every space of a study with three rungs, in the order of its file."""
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


def halving(pool: Pool, order: Order, budget: float, least: int = KEPT) -> tuple[int, int]:
    """Return the network that wins, and how many were trained for one epoch: the most for which the budget has room.

    Where it has none for `least` networks, it is -1 and 0.
    """
    spent = np.cumsum(pool.short_cost[order])
    for count in range(int(np.searchsorted(spent, budget)), least - 1, -1):
        taken = order[:count]
        kept = taken[np.argsort(pool.short[taken], kind="stable")[: count // KEPT]]
        if spent[count - 1] + pool.longer_cost[kept].sum() <= budget:
            return int(kept[np.argmin(pool.longer[kept])]), count
    return -1, 0


def space_first(
    pools: Sequence[Pool], orders: Sequence[Order], budget: float, learning: int
) -> tuple[int, tuple[int, int]]:
    """Return the space with the lowest median of its first networks, and what halving among those and more comes to."""
    tried = [order[:learning] for order in orders]
    chosen = int(np.argmin([np.median(pool.short[first]) for pool, first in zip(pools, tried, strict=True)]))
    costs = [pool.short_cost[first].sum() for pool, first in zip(pools, tried, strict=True)]
    others = sum(cost for space, cost in enumerate(costs) if space != chosen)
    winner, count = halving(pools[chosen], orders[chosen], budget - others, learning)
    return chosen, (winner, count + learning * (len(pools) - 1))


def ways(spaces: Mapping[str, Pool], orders: Sequence[Order], learning: int) -> dict[str, Way]:
    """Return every way of searching, on networks in these orders."""
    pools = list(spaces.values())

    def among_all(budget: float) -> tuple[int, int, int]:
        chosen, (winner, count) = space_first(pools, orders, budget, learning)
        return chosen, winner, count

    def alone(search: Callable[[Pool, Order, float], tuple[int, int]], space: int) -> Way:
        return lambda budget: (space, *search(pools[space], orders[space], budget))

    known = {f"in {name}": alone(halving, space) for space, name in enumerate(spaces) if space}
    return {"random": alone(random_search, 0), "halving": alone(halving, 0), "space first": among_all} | known


def rows(spaces: Mapping[str, Pool], budgets: Sequence[float], learning: int, replays: int) -> list[Row]:
    """Return a line for every budget, in trainings of one epoch, and every way of searching."""
    pools = list(spaces.values())
    unit = float(np.median(np.concatenate([pool.short_cost for pool in pools])))
    return [row for budget in budgets for row in _of_budget(spaces, budget, budget * unit, learning, replays)]


def _of_budget(spaces: Mapping[str, Pool], budget: float, seconds: float, learning: int, replays: int) -> Iterator[Row]:
    """Yield the lines of a budget, of searches in each of the resampled pools."""
    chance = np.random.default_rng(0)
    longest = [np.append(pool.longest, np.nan) for pool in spaces.values()]  # the last one is of no network
    won: dict[str, list[list[tuple[float, int, bool]]]] = {}
    for _ in range(POOLS):
        again = [chance.integers(0, len(pool), len(pool)) for pool in spaces.values()]
        searches: dict[str, list[tuple[float, int, bool]]] = {}
        for _ in range(max(1, replays // POOLS)):
            orders = [pool[chance.integers(0, len(pool), MOST * len(pool))] for pool in again]
            for way, search in ways(spaces, orders, learning).items():
                space, winner, count = search(seconds)
                searches.setdefault(way, []).append((longest[space][winner], count, winner < 0))
        for way, found in searches.items():
            won.setdefault(way, []).append(found)
    means: dict[str, Array] = {}
    for way, found_by_pool in won.items():
        errors, counts, nothing = np.moveaxis(np.array(found_by_pool), -1, 0)
        none = float(nothing.mean())
        unknown = float(np.isnan(errors).mean()) - none
        told = none == 0 and unknown <= UNKNOWN
        means[way] = np.nanmean(errors, axis=1) if told else np.full(POOLS, np.nan)
        yield Row(
            way=way,
            budget=budget,
            networks=float(counts.mean()),
            error=_limits(means[way]) if told else None,
            gain=_limits(means["random"] - means[way]) if told and way != "random" else None,
            unknown=unknown,
            nothing=none,
        )


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
    parser.add_argument("--learning", type=int, default=12, help="networks of each space by which one is chosen")
    parser.add_argument("--replays", type=int, default=5000, help="searches of each way and budget")
    parser.add_argument("--json", action="store_true", help="for a program to read")
    asked = parser.parse_args()
    spaces = pools(asked.study)
    found = rows(spaces, [float(one) for one in asked.budgets.split(",")], asked.learning, asked.replays)
    if asked.json:
        print(json.dumps([dataclasses.asdict(row) for row in found]))
        return
    wide, *others = spaces
    print(f"{wide}, and {' and '.join(repr(name) for name in others)}; about {asked.replays:,} searches each")
    first = max(len(row.way) for row in found)
    print(f"{'way':{first}}{'budget':>8}{'networks':>9}{'error [%]':>23}{'better than random':>23}  unknown  nothing")
    for row in found:
        print(
            f"{row.way:{first}}{row.budget:>8g}{row.networks:>9.1f}{_points(row.error):>23}{_points(row.gain, '+'):>23}"
            f"{row.unknown:>9.1%}{row.nothing:>9.1%}"
        )


if __name__ == "__main__":
    try:
        main()
    except NetspaceError as problem:
        raise SystemExit(f"search: {problem}") from None
