"""Core-hours to a verdict: how many trained networks each way of comparing two spaces takes.

    netspace run benchmarks/core_hours.toml          # an hour of one core; or any stores with large populations
    python benchmarks/core_hours.py runs/core_hours

Two spaces are made of one recorded population of really trained networks: networks are dealt to two sides, none to
both, and the errors of one side are lowered by one point (and no further than to 0), while covariates stay as they
are. Means of two such sides differ as those of independent samples do. A plan wins where it calls the better side
better, one-sidedly at 5 %. For each plan the networks per space at which it wins in 80 % of the deals are read from a
probit line through the share won over the root of n. The level is the share won, with as many networks, where
nothing was lowered, of five times as many deals. A plan of several looks may stop before its most networks; "networks
each" is then their mean.
"""

import argparse
import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import special

from netspace.findings.assisted import GROWTH, known_spaces
from netspace.stats import AssistedDifference, Known, assist, assisted_difference, nominal_levels, planned_looks
from netspace.stats.dominance import joint_steps, rank_test, somewhere_better_p_value
from netspace.storage.population import Population
from netspace.studies.study import Study

LEVEL, POWER = 0.05, 0.8
STRATA = 5
CENSUS = 2000
"""Networks of the census that are used here, for the time's sake; more would hardly be surer."""

Array = npt.NDArray[np.float64]
Deal = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
Process = Callable[[int], float]
"""The p-value against "A is nowhere better" when each side has trained its first n networks."""

Looks = Callable[[Process, int], tuple[bool, int]]
"""How often one looks: from a process and the most networks per space, whether A won, and the networks trained."""


def once(p_value: Process, most: int) -> tuple[bool, int]:
    """Look once, at the end."""
    return p_value(most) <= LEVEL, most


def five_times(p_value: Process, most: int, growth: float = 1.0) -> tuple[bool, int]:
    """Look five times, as `netspace run --until-decided` does, and stop where A has won."""
    looks = planned_looks(most, 5)
    levels = nominal_levels(tuple(n / most for n in looks), LEVEL, growth=growth)
    for n, level in zip(looks, levels, strict=True):
        if p_value(n) <= level:
            return True, n
    return False, most


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A population that was trained: errors (networks,), what was known before, and the same of a census."""

    name: str
    errors: Array
    known: Array
    census: Array
    flops: Array
    census_flops: Array
    curves: Array
    seconds: float

    @classmethod
    def of(cls, population: Population, census: object) -> "Recorded":
        known = known_spaces([population], {population.name: census})[population.name]
        results = [result for result in population.results if result is not None]
        epochs = max(len(result.curve) for result in results)
        curves = [[one.validation_error for one in result.curve] for result in results]
        return cls(
            name=population.name,
            errors=population.errors,
            known=known.covariates,
            census=known.census[:CENSUS],
            flops=_strata(population.complexity.flops[list(population.trained)], census.complexity.flops),
            census_flops=_strata(census.complexity.flops, census.complexity.flops),
            curves=np.array([row + [1.0] * (epochs - len(row)) for row in curves]),
            seconds=float(np.mean([result.seconds for result in results])),
        )

    def errors_of(self, deal: Deal, shift: float) -> tuple[Array, Array]:
        return np.maximum(self.errors[deal[0]] - shift, 0.0), self.errors[deal[1]]


def kolmogorov_smirnov(recorded: Recorded, deal: Deal, shift: float) -> float:
    a, b = map(np.sort, recorded.errors_of(deal, shift))
    return somewhere_better_p_value(joint_steps(a, b))


def ranks(recorded: Recorded, deal: Deal, shift: float) -> float:
    a, b = map(np.sort, recorded.errors_of(deal, shift))
    return rank_test(a, b)[1]


def better_of_two(recorded: Recorded, deal: Deal, shift: float) -> float:
    return _assisted(recorded, deal, shift, np.ones((len(recorded.errors), 1)), np.ones((1, 1)))


def strata(recorded: Recorded, deal: Deal, shift: float) -> float:
    return _assisted(recorded, deal, shift, recorded.flops, recorded.census_flops)


def assisted(recorded: Recorded, deal: Deal, shift: float) -> float:
    return _assisted(recorded, deal, shift, recorded.known, recorded.census)


PLANS = {
    "plain: Kolmogorov-Smirnov": (kolmogorov_smirnov, once),
    "rank sum": (ranks, once),
    "rank sum, 5 looks": (ranks, five_times),
    "better of two": (better_of_two, once),
    f"better of two, {STRATA} strata of flops": (strata, once),
    "assisted by covariates": (assisted, once),
    "assisted by covariates, 5 looks": (assisted, functools.partial(five_times, growth=GROWTH)),
}


def won(
    plan: Callable[[Recorded, Deal, float], float],
    recorded: Recorded,
    n: int,
    shift: float,
    deals: int,
    looks: Looks,
) -> tuple[float, float]:
    """Return the share of deals of at most n networks per space that A won, and how many were trained on average."""
    rng = np.random.default_rng(n)  # the same deals for every plan
    outcomes = []
    for _ in range(deals):
        dealt = rng.permutation(len(recorded.errors))
        a, b = dealt[:n], dealt[n : 2 * n]
        outcomes.append(looks(lambda m, a=a, b=b: plan(recorded, (a[:m], b[:m]), shift), n))
    shares, trained = np.mean(np.array(outcomes, dtype=np.float64), axis=0)
    return float(shares), float(trained)


def networks_needed(sizes: list[int], shares: list[float], deals: int) -> float:
    """Return the n at which a probit line through the shares won over the root of n reaches the power."""
    clipped = np.clip(shares, 0.5 / deals, 1 - 0.5 / deals)
    near = (clipped > 0.3) & (clipped < 0.98)
    if near.sum() < 2:
        return float("nan")
    slope, start = np.polyfit(np.sqrt(np.array(sizes)[near]), special.ndtri(clipped[near]), 1)
    return float(((special.ndtri(POWER) - start) / slope) ** 2)


def show(recorded: Recorded, shift: float, deals: int) -> None:
    most = len(recorded.errors) // 2
    sizes = [int(size) for size in np.geomspace(16, most, 12)]
    spread = 100 * recorded.errors[np.isfinite(recorded.errors)].std()
    print(
        f"{recorded.name}: {2 * most} networks, errors spread by {spread:.1f} points, {recorded.seconds:.2f} s each; "
        f"shift {100 * shift:g} point, level {100 * LEVEL:g} %, power {100 * POWER:g} %, {deals} deals each"
    )
    print(f"{'plan':32}{'at most':>9}{'networks each':>15}{'core-hours':>12}{'of plain':>10}{'level':>9}")
    plain = None
    for name, (plan, looks) in PLANS.items():
        shares: list[float] = []
        for n in sizes:
            shares.append(won(plan, recorded, n, shift, deals, looks)[0])
            if shares[-1] > 0.98:
                break
        needed = networks_needed(sizes[: len(shares)], shares, deals)
        if not np.isfinite(needed):
            print(f"{name:32}{'not reached':>9}  share won {shares[-1]:.2f} at {sizes[-1]}")
            continue
        at = min(round(needed), most)
        level, _ = won(plan, recorded, at, 0.0, 5 * deals, looks)
        trained = needed * won(plan, recorded, at, shift, deals, looks)[1] / at
        plain = plain or trained
        beyond = "*" if needed > most else ""
        hours = 2 * trained * recorded.seconds / 3600
        row = f"{name:32}{beyond + str(round(needed)):>9}{trained:>15.0f}{hours:>12.3f}{100 * trained / plain:>8.0f} %"
        print(f"{row}{100 * level:>7.1f} %", flush=True)
    print("* beyond half of the recorded networks: the probit line goes on\n")


def show_learning(recorded: Recorded, deals: int) -> None:
    """Print how what is known of a difference (one over its variance) grows with the networks: predictions learn."""
    sizes, rng = (10, 20, 40, 80), np.random.default_rng(0)
    known = []
    for n in sizes:
        dealt = (rng.permutation(len(recorded.errors)) for _ in range(deals))
        found = [
            _difference(recorded, (one[:n], one[n : 2 * n]), 0.0, recorded.known, recorded.census) for one in dealt
        ]
        known.append(float(np.median([one.standard_error for one in found])) ** -2)
    powers = np.diff(np.log(known)) / np.diff(np.log(sizes))
    told = [f"{power:.1f} from {n} to {2 * n}" for power, n in zip(powers, sizes, strict=False)]
    print(f"{recorded.name}: with covariates what is known grows as n to the power of {', '.join(told)}")


def show_early_epochs(recorded: Recorded) -> None:
    """Print what the error after a few epochs would add, if a census of as many as pays were trained so far.

    With r the share of the remaining variance that it explains and c its cost, as a share of a network's, the cost of
    the same certainty is (sqrt(1 - r) + sqrt(c r))^2 of that without, if the networks of both phases are shared out
    best (Neyman 1938); below one where it pays.
    """
    epochs = recorded.curves.shape[1]
    free = _explained(recorded, recorded.known, recorded.census)
    print(f"{recorded.name}: covariates explain {100 * free:.0f} % of the variance of ranks")
    for epoch in range(1, epochs):
        early = np.column_stack((recorded.known, recorded.curves[:, :epoch]))
        both = _explained(recorded, early, early)
        r, c = max((both - free) / (1 - free), 0.0), epoch / epochs
        cost = min((np.sqrt(1 - r) + np.sqrt(c * r)) ** 2, 1.0)
        print(f"  and the errors up to epoch {epoch} of {epochs}: {100 * both:.0f} %; cost {100 * cost:.0f} %")


def _explained(recorded: Recorded, known: Array, census: Array) -> float:
    return assist({"": Known(errors=recorded.errors, covariates=known, census=census)})[""].explained


def _assisted(recorded: Recorded, deal: Deal, shift: float, known: Array, census: Array) -> float:
    return _difference(recorded, deal, shift, known, census).p_a_better


def _difference(recorded: Recorded, deal: Deal, shift: float, known: Array, census: Array) -> AssistedDifference:
    errors = recorded.errors_of(deal, shift)
    a, b = (Known(errors=one, covariates=known[side], census=census) for one, side in zip(errors, deal, strict=True))
    return assisted_difference(*assist({"A": a, "B": b}).values())


def _strata(flops: Array, census: Array) -> Array:
    """Return for each network (networks, STRATA) in which stratum of the census's flops it lies."""
    limits = np.quantile(census, np.arange(1, STRATA) / STRATA)
    return np.eye(STRATA)[np.searchsorted(limits, flops)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", type=Path, nargs="+")
    parser.add_argument("--shift", type=float, default=0.01, help="of the errors; 0.01 is one point")
    parser.add_argument("--deals", type=int, default=400, help="of each plan and number of networks")
    options = parser.parse_args()
    for store in options.stores:
        study = Study.open(store)
        censuses = study.censuses()
        for population in study.populations():
            if len(population.trained) >= 200:
                recorded = Recorded.of(population, censuses[population.name])
                show(recorded, options.shift, options.deals)
                show_learning(recorded, options.deals)
                show_early_epochs(recorded)


if __name__ == "__main__":
    main()
