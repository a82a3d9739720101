"""Random search, successive halving, or a design space first: which finds the better single network at equal cost?

    netspace run examples/chapter/search.toml
    python examples/chapter/search.py

Every network of two populations was trained for one epoch and for four; the best third by the latter for sixteen, from
another seed. Searches are replayed on these results, each on networks in an order of its own: which networks a search
would have trained, and which one it would have returned, follow from its rule and its budget alone. What it returns is
judged by the sixteen epochs, which no search has seen.

- *random*: networks of the wide space, four epochs each; the lowest error wins.
- *halving*: networks of the wide space, one epoch each, the best third of them four more from the start (Jamieson and
  Talwalkar 2016, arXiv 1502.07943).
- *space first*: one epoch for `--learning` networks of the wide space, from which a simpler space is learned; the rest
  of the budget is halving in that one.
- *space known*: the same for the second network and every later one, when the space has been paid for.

Costs are the core-seconds that were measured, told in trainings of one epoch. A replay whose network was not among
those trained for sixteen epochs is counted and left out.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from netspace.errors import NetspaceError
from netspace.studies.study import Study

Array = npt.NDArray[np.float64]
Order = npt.NDArray[np.intp]
KEPT = 3
"""Halving keeps one network in so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Networks of a space: errors and costs [s] of the short and the longer training, errors (NaN) of the longest."""

    short: Array
    longer: Array
    longest: Array
    short_cost: Array
    longer_cost: Array

    def __len__(self) -> int:
        return len(self.short)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What searches of one kind and budget came to: mean error, 2.5 and 97.5 % of the searches, how many had none."""

    way: str
    budget: float
    networks: float
    error: float
    low: float
    high: float
    unknown: int


def pools(folder: Path) -> dict[str, Pool]:
    """Return the pool of every space of a study with two rungs, in the order of its file."""
    study = Study.open(folder)
    first, rungs = study.populations(), study.climbed()
    found = {}
    for population, longer, longest in zip(first, rungs[2], rungs[3], strict=True):
        known = {n.digest: e for n, e in zip(longest.networks, longest.errors.tolist(), strict=True)}
        assert [n.digest for n in population.networks] == [n.digest for n in longer.networks]
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
    """Return the network that wins, and how many were trained for one epoch: as many as the budget has room for."""
    best = (-1, 0)
    for count in range(KEPT, len(order) + 1):
        taken = order[:count]
        kept = taken[np.argsort(pool.short[taken], kind="stable")[: count // KEPT]]
        if pool.short_cost[taken].sum() + pool.longer_cost[kept].sum() > budget:
            break
        best = int(kept[np.argmin(pool.longer[kept])]), count
    return best


def rows(wide: Pool, narrow: Pool, budgets: list[float], learning: int, replays: int) -> list[Row]:
    """Return a line for every budget, in trainings of one epoch, and every way of searching."""
    unit = float(np.median(np.concatenate([wide.short_cost, narrow.short_cost])))
    learned = learning * float(np.median(wide.short_cost))
    ways: dict[str, tuple[Pool, Callable[[Pool, Order, float], tuple[int, int]], float]] = {
        "random": (wide, random_search, 0.0),
        "halving": (wide, halving, 0.0),
        "space first": (narrow, halving, learned),
        "space known": (narrow, halving, 0.0),
    }
    found = []
    for budget in budgets:
        for way, (pool, search, paid) in ways.items():
            chance = np.random.default_rng(0)
            won = [search(pool, chance.permutation(len(pool)), budget * unit - paid) for _ in range(replays)]
            errors = np.array([pool.longest[network] if network >= 0 else np.nan for network, _ in won])
            known = errors[np.isfinite(errors)]
            low, high = np.quantile(known, (0.025, 0.975)) if len(known) else (np.nan, np.nan)
            found.append(
                Row(
                    way=way,
                    budget=budget,
                    networks=float(np.mean([count for _, count in won])),
                    error=float(known.mean()) if len(known) else np.nan,
                    low=float(low),
                    high=float(high),
                    unknown=len(errors) - len(known),
                )
            )
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, nargs="?", default=Path("runs/chapter_search"))
    parser.add_argument("--budgets", default="60,120,200", help="in trainings of one epoch")
    parser.add_argument("--learning", type=int, default=48, help="networks from which the space is learned")
    parser.add_argument("--replays", type=int, default=2000)
    asked = parser.parse_args()
    (wide, first), (narrow, second) = pools(asked.study).items()
    print(f"{wide}, from which {narrow} is learned with {asked.learning} networks; {asked.replays:,} replays each")
    print(f"{'way':13}{'budget':>8}{'networks':>10}{'error of what it returns':>26}{'unknown':>9}")
    for row in rows(first, second, [float(one) for one in asked.budgets.split(",")], asked.learning, asked.replays):
        error = "-"
        if np.isfinite(row.error):
            error = f"{100 * row.error:.2f} % ({100 * row.low:.2f} to {100 * row.high:.2f})"
        print(f"{row.way:13}{row.budget:>8g}{row.networks:>10.1f}{error:>26}{row.unknown:>9}")


if __name__ == "__main__":
    try:
        main()
    except NetspaceError as problem:
        raise SystemExit(f"search: {problem}") from None
