"""What looking early costs and saves: false claims, power and networks used, by method, in simulation.

    python benchmarks/sequential.py --repeats 2000

Two spaces grow to 500 networks each. The verdict itself is judged at planned looks, at the levels of several
boundaries; beside it stand methods that may look at any time: bands for all n at once (looked at after every tenth
network here), and bets on network i of A against network i of B (after each). Their column "better" says how often A
was shown to be better, which is less than that it majorises; they stop there. "falsely" is the largest share of false
claims among the laws named below the table.
"""

import argparse
import dataclasses
import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import special

from netspace.stats import (
    EDF,
    Criteria,
    VerdictKind,
    anytime_half_width,
    compare_all,
    compare_at_looks,
    nominal_levels,
    planned_looks,
)
from netspace.stats.dominance import joint_steps, somewhere_better_p_value
from netspace.stats.evidence import Evidence, gather
from netspace.stats.quantiles import quantile_difference
from netspace.stats.verdict import kind_of

FloatArray = NDArray[np.float64]
Law = Callable[[np.random.Generator, int], FloatArray]

ALPHA = 0.05
NETWORKS = 500
EDGE_NETWORKS = 2000
PRIOR = 40.0
"""Of the bets: a Beta law with this parameter twice. Its spread of 5 points suits a shift by a fifth of the errors'."""


def normal(centre: float, spread: float, decimals: int = 9) -> Law:
    return lambda rng, n: rng.normal(centre, spread, n).clip(0.0, 1.0).round(decimals)


def mixture(share: float, first: Law, second: Law) -> Law:
    return lambda rng, n: np.where(rng.random(n) < share, first(rng, n), second(rng, n))


def failing(share: float, law: Law) -> Law:
    return mixture(share, lambda rng, n: np.full(n, math.inf), law)


TIED = normal(0.30, 0.05, decimals=2)
NULLS: dict[str, tuple[Law, Law, frozenset[VerdictKind]]] = {
    "equal": (normal(0.30, 0.05), normal(0.30, 0.05), frozenset(VerdictKind) - {VerdictKind.EQUIVALENT}),
    "equal, tied": (TIED, TIED, frozenset(VerdictKind) - {VerdictKind.EQUIVALENT}),
    "equal, 10 % fail": (failing(0.1, TIED), failing(0.1, TIED), frozenset(VerdictKind) - {VerdictKind.EQUIVALENT}),
    "A ahead, but behind by the margin at the best tenth": (
        normal(0.30, 0.01),
        mixture(0.10, normal(0.10, 0.01), normal(0.50, 0.01)),
        frozenset({VerdictKind.A_MAJORISES, VerdictKind.B_MAJORISES, VerdictKind.EQUIVALENT}),
    ),
    "A ahead, but fails in 25 %, B in 15 %": (
        failing(0.25, normal(0.1, 0.01)),
        failing(0.15, normal(0.3, 0.01)),
        frozenset({VerdictKind.A_MAJORISES, VerdictKind.B_MAJORISES, VerdictKind.EQUIVALENT}),
    ),
    "alike in the better half, A ahead in the worse": (
        normal(0.30, 0.05),
        lambda rng, n: (x := rng.normal(0.30, 0.05, n)) + 0.05 * (x > 0.30),
        frozenset({VerdictKind.B_MAJORISES, VerdictKind.CROSSING, VerdictKind.EQUIVALENT}),
    ),
}
EDGE: tuple[Law, Law, frozenset[VerdictKind]] = (
    normal(0.30, 0.05),
    normal(0.305, 0.05),
    frozenset({VerdictKind.EQUIVALENT, VerdictKind.B_MAJORISES, VerdictKind.CROSSING}),
)
SHIFTS = (0.01, 0.02, 0.05)

Boundary = dict[int, float]
"""The level (both directions together) at so many networks."""


def boundaries(networks: int) -> dict[str, Boundary]:
    """Return the level of each look, for each way to plan them."""

    def planned(looks: int, shape: float) -> Boundary:
        at = planned_looks(networks, looks)
        levels = nominal_levels(tuple(n / networks for n in at), ALPHA / 2, shape)
        return {n: 2.0 * level for n, level in zip(at, levels, strict=True)}

    five = planned_looks(networks, 5)
    return {
        "fixed plan: one look at the end": {networks: ALPHA},
        "5 looks, each at 5 % (a lie)": dict.fromkeys(five, ALPHA),
        "5 looks, Bonferroni": dict.fromkeys(five, ALPHA / 5),
        "5 looks, Pocock": planned(5, 0.5),
        "5 looks, shape 1/4": planned(5, 0.25),
        "5 looks, O'Brien and Fleming": planned(5, 0.0),
        "10 looks, shape 1/4": planned(10, 0.25),
        "10 looks, O'Brien and Fleming": planned(10, 0.0),
    }


def decide(
    measured: Mapping[int, tuple[Evidence, FloatArray, FloatArray]], boundary: Boundary
) -> tuple[VerdictKind, int]:
    """Return the first claim that is won at a look, and after how many networks of each space."""
    kind, n = VerdictKind.UNDECIDED, 0
    for n, alpha in boundary.items():
        evidence, a, b = measured[n]
        _, *limits = quantile_difference(a, b, 0.5, 1.0 - alpha)
        evidence = dataclasses.replace(evidence, median_interval=(limits[0], limits[1]))
        kind = kind_of(evidence, Criteria(level=1.0 - alpha))
        if kind is not VerdictKind.UNDECIDED:
            break
    return kind, n


def measure(a: FloatArray, b: FloatArray, looks: tuple[int, ...]) -> dict[int, tuple[Evidence, FloatArray, FloatArray]]:
    """Return the evidence, and both sorted samples, at each look."""
    measured = {}
    for n in looks:
        edf_a, edf_b = EDF(errors=a[:n]), EDF(errors=b[:n])
        measured[n] = gather(edf_a, edf_b, ("A", "B"), Criteria()), edf_a, edf_b
    return measured


def by_bands(a: FloatArray, b: FloatArray, every: int = 10) -> tuple[int, int]:
    """Return which space (1 for A, -1 for B, 0 for none) the bands for all n first show to be ahead, and when."""
    for n in range(every, a.size + 1, every):
        lead = joint_steps(np.sort(a[:n]), np.sort(b[:n])).lead
        apart = 2.0 * anytime_half_width(n, 1.0 - ALPHA / 2)
        if np.abs(lead).max() > apart:
            return int(np.sign(lead[np.abs(lead).argmax()])), n
    return 0, a.size


def by_bets(a: FloatArray, b: FloatArray) -> tuple[int, int]:
    """Return the same for bets, looked at after every network: that A's network wins its pair more often than not.

    The wealth is the likelihood of the wins, mixed over chances above one half, against that of a fair coin.
    """
    wins, losses = np.cumsum(a < b), np.cumsum(b < a)
    at = {}
    for sign, won, lost in ((1, wins, losses), (-1, losses, wins)):
        beta = special.betaln(won + PRIOR, lost + PRIOR) + np.log(special.betaincc(won + PRIOR, lost + PRIOR, 0.5))
        wealth = beta - special.betaln(PRIOR, PRIOR) + (won + lost + 1) * math.log(2.0)
        reached = np.flatnonzero(wealth >= math.log(2.0 / ALPHA))
        at[int(reached[0]) + 1 if reached.size else a.size + 1] = sign
    first = min(at)
    return (at[first], first) if first <= a.size else (0, a.size)


def print_parts(repeats: int, rng: np.random.Generator) -> None:
    """Print the level of the one test whose statistic is no sum, at looks; and that of three verdicts at the edge."""
    print("\n'somewhere better' between equals, in either direction at 2.5 % over all looks")
    for networks, looks in ((100, 5), (500, 5), (500, 10)):
        at = planned_looks(networks, looks)
        levels = dict(zip(at, nominal_levels(tuple(n / networks for n in at), ALPHA / 2), strict=True))
        wrong = 0
        for _ in range(repeats):
            a, b = rng.random(networks), rng.random(networks)
            wrong += any(somewhere_better_p_value(joint_steps(np.sort(a[:n]), np.sort(b[:n]))) <= levels[n] for n in at)
        print(f"{networks} networks, {looks} looks: {wrong / repeats:.1%}")
    print("three spaces, neighbours' medians apart by the margin: any pair falsely equivalent, 5 % due")
    for networks in (1200, 1800, 2600):
        wrong_once = wrong_looks = 0
        for _ in range(repeats // 5):
            spaces = {name: normal(0.295 + 0.005 * i, 0.05)(rng, networks) for i, name in enumerate("abc")}
            wrong_once += any(v.kind is VerdictKind.EQUIVALENT for v in compare_all(spaces))
            verdicts = compare_at_looks(spaces, planned_looks(networks, 3))
            wrong_looks += any(v.kind is VerdictKind.EQUIVALENT for v in verdicts)
        once, at_looks = (wrong / (repeats // 5) for wrong in (wrong_once, wrong_looks))
        print(f"{networks} networks: {once:.1%} by one look, {at_looks:.1%} by three")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    repeats = options.repeats
    plans, edge_plans = boundaries(NETWORKS), boundaries(EDGE_NETWORKS)
    looks, edge_looks = planned_looks(NETWORKS, 10), planned_looks(EDGE_NETWORKS, 10)
    rng = np.random.default_rng(options.seed)

    falsely: dict[str, dict[str, float]] = {name: {} for name in (*plans, "bands", "bets")}
    for law, (law_a, law_b, wrong) in {**NULLS, "medians apart by their margin, n = 2000": EDGE}.items():
        networks, at, now = (NETWORKS, looks, plans) if law in NULLS else (EDGE_NETWORKS, edge_looks, edge_plans)
        counts = dict.fromkeys(falsely, 0)
        for _ in range(repeats):
            a, b = law_a(rng, networks), law_b(rng, networks)
            measured = measure(a, b, at)
            for name, boundary in now.items():
                counts[name] += decide(measured, boundary)[0] in wrong - {VerdictKind.UNDECIDED}
            if law.startswith("equal"):
                counts["bands"] += by_bands(a, b)[0] != 0
                counts["bets"] += by_bets(a, b)[0] != 0
        for name, count in counts.items():
            if name in plans or law.startswith("equal"):
                falsely[name][law] = count / repeats

    found: dict[tuple[str, float], list[tuple[bool, int]]] = {(name, shift): [] for name in falsely for shift in SHIFTS}
    for shift in SHIFTS:
        law_a, law_b = normal(0.30, 0.05), normal(0.30 + shift, 0.05)
        for _ in range(repeats if shift == SHIFTS[0] else repeats // 4):
            a, b = law_a(rng, NETWORKS), law_b(rng, NETWORKS)
            measured = measure(a, b, looks)
            for name, boundary in plans.items():
                kind, n = decide(measured, boundary)
                found[name, shift].append((kind is VerdictKind.A_MAJORISES, n))
            for name, (sign, n) in (("bands", by_bands(a, b)), ("bets", by_bets(a, b))):
                found[name, shift].append((sign == 1, n))

    print(f"two spaces of up to {NETWORKS} networks, {repeats} repeats; errors spread by 5 points, A better by a shift")
    print(f"{'':36}{'':>9}{'power, 1 point':>19}{'networks each, by shift [points]':>38}")
    points = "".join(f"{f'{100 * shift:g}':>12}" for shift in SHIFTS)
    print(f"{'method':36}{'falsely':>9}{'majorises':>11}{'better':>8}{points}")
    for name, shares in falsely.items():
        label = {"bands": "any time, bands", "bets": "any time, bets on pairs"}.get(name, name)
        power = f"{np.mean([won for won, _ in found[name, SHIFTS[0]]]):.1%}"
        shown = f"{power:>11}{'-':>8}" if name in plans else f"{'-':>11}{power:>8}"
        means = "".join(f"{np.mean([n for _, n in found[name, shift]]):>12.0f}" for shift in SHIFTS)
        print(f"{label:36}{max(shares.values()):>9.1%}{shown}{means}")
    print("\nfalse claims by law")
    print(f"{'law':54}" + "".join(f"{name.partition(':')[0]:>24}" for name in list(plans)[:6:2]))
    for law in falsely["5 looks, shape 1/4"]:
        print(f"{law:54}" + "".join(f"{falsely[name][law]:>24.1%}" for name in list(plans)[:6:2]))
    print_parts(repeats, np.random.default_rng(options.seed))


if __name__ == "__main__":
    main()
