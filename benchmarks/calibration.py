"""How often the verdict is wrong, how often it finds what is there, and how often the limits of effects hold.

    python -m benchmarks.calibration --repeats 1000
    python -m benchmarks.calibration --families 400     # several comparisons: even shares of the risk against Holm's

Simulates two spaces whose true distributions are known (`tests/stats/laws.py`) and judges them again and again, as they
are and made alike in complexity. Prints rates in per cent, each with its Monte Carlo error (one standard error).
"""

import argparse
import itertools
import math
import platform
from collections import Counter
from collections.abc import Callable, Collection
from zlib import crc32

import numpy as np
from scipy import stats

from netspace.stats import EDF, Verdict, VerdictKind, compare
from netspace.stats.effects import best_of_how_many, effects
from tests.stats import laws

SIZES = (32, 100, 500)
CLAIMS = frozenset(VerdictKind) - {VerdictKind.UNDECIDED, VerdictKind.EQUIVALENT}
MAJORISES = {VerdictKind.A_MAJORISES, VerdictKind.B_MAJORISES}
Judge = Callable[[np.random.Generator, int], Verdict]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=1000, help="at n of 32 and 100; a share of it beyond")
    parser.add_argument("--families", type=int, help="print only how often one of three pairs is falsely equivalent")
    options = parser.parse_args()
    if options.families is not None:
        families(options.families)
        return
    repeats = options.repeats
    print(f"{platform.machine()}, {repeats} repeats at n of 32 and 100; a stated risk of 5 %")

    equal = {name: plain(law, law) for name, law in laws.EQUAL.items()}
    equal["ties, three times as many of B"] = plain(laws.EQUAL["ties"], lambda rng, n: laws.EQUAL["ties"](rng, 3 * n))
    table("equal spaces: a claim that they differ", equal, CLAIMS, SIZES, repeats)
    crossing = {name: plain(*pair) for name, pair in laws.CROSSING.items()}
    table("curves that cross by the margin or more: majorisation", crossing, MAJORISES, SIZES, repeats)
    edge = {name: plain(*pair) for name, pair in laws.EDGE.items()}
    table("at the edge of a margin: equivalence", edge, {VerdictKind.EQUIVALENT}, (*SIZES, 1500), repeats)

    equal = {name: alike(*pair) for name, pair in laws.EQUAL_ALIKE.items()}
    table("equal at like complexity, normalised: a claim that they differ", equal, CLAIMS, SIZES, repeats)
    crossing = {name: alike(*pair) for name, pair in laws.CROSSING_ALIKE.items()}
    table("crossing by the margin, normalised: majorisation", crossing, MAJORISES, SIZES, repeats)
    edge = {name: alike(*pair) for name, pair in laws.EDGE_ALIKE.items()}
    table("at the edge of a margin, normalised: equivalence", edge, {VerdictKind.EQUIVALENT}, (500, 1500), repeats)

    power(repeats)
    coverage(repeats)


def plain(law_a: laws.Law, law_b: laws.Law) -> Judge:
    return lambda rng, n: compare(law_a(rng, n), law_b(rng, n))


def alike(law_a: laws.LawAlike, law_b: laws.LawAlike) -> Judge:
    def judge(rng: np.random.Generator, n: int) -> Verdict:
        (a, size_a), (b, size_b) = law_a(rng, n), law_b(rng, n)
        return compare(a, b, complexity=(size_a, size_b))

    return judge


def table(
    title: str, judges: dict[str, Judge], wrong: Collection[VerdictKind], sizes: tuple[int, ...], repeats: int
) -> None:
    """Print how often each case ends in a wrong verdict, a column per number of networks."""
    print(f"\n{title:64}" + "".join(f"{f'n = {n}':>14}" for n in sizes))
    for name, judge in judges.items():
        cells = []
        for n in sizes:
            rng, tried = np.random.default_rng([crc32(name.encode()), n, 1]), fewer(repeats, n)
            kinds = Counter(judge(rng, n).kind for _ in range(tried))
            cells.append(rate(sum(kinds[kind] for kind in wrong), tried))
        print(f"  {name:62}" + "".join(f"{cell:>14}" for cell in cells), flush=True)


def families(tried: int) -> None:
    """Print how often one of three pairs is falsely equivalent: errors spread by 5 points, medians a margin apart.

    By Holm's correction a pair that is decided hands on its risk to those that are not.
    """
    sizes = (1200, 1800, 2600)
    falsely: dict[str, list[int]] = {"even shares of the risk": [], "Holm's correction": []}
    for n in sizes:
        rng, wrong = np.random.default_rng(n), Counter[str]()
        for _ in range(tried):
            errors = [rng.normal(0.3 + 0.005 * k, 0.05, n).clip(0.0, 1.0) for k in range(3)]
            open_pairs, kinds, first = list(itertools.combinations(range(3), 2)), [], True
            while open_pairs:
                level = 1.0 - 0.05 / len(open_pairs)
                judged = {pair: compare(errors[pair[0]], errors[pair[1]], level=level).kind for pair in open_pairs}
                kinds += [kind for kind in judged.values() if kind is not VerdictKind.UNDECIDED]
                wrong["even shares of the risk"] += first and VerdictKind.EQUIVALENT in kinds
                still = [pair for pair in open_pairs if judged[pair] is VerdictKind.UNDECIDED]
                if len(still) == len(open_pairs):
                    break
                open_pairs, first = still, False
            wrong["Holm's correction"] += VerdictKind.EQUIVALENT in kinds
        for name, counts in falsely.items():
            counts.append(wrong[name])
    title = f"{tried} families of three spaces, neighbours' medians their margin apart: a false equivalence"
    print(f"{title:80}" + "".join(f"{f'n = {n}':>14}" for n in sizes))
    for name, counts in falsely.items():
        print(f"  {name:78}" + "".join(f"{rate(count, tried):>14}" for count in counts))


def power(repeats: int) -> None:
    """Print how often a shift by a fifth of the spread is found by the verdict, and by two tests alone."""
    tried = fewer(repeats, 500)
    rng, shift, spread = np.random.default_rng(9), 0.01, 0.05
    found: Counter[str] = Counter()
    for _ in range(tried):
        a, b, size_a, size_b = *rng.normal(0.3, spread, (2, 500)), *10 ** rng.random((2, 500))
        b = b + shift
        found["verdict: A majorises"] += compare(a, b).kind is VerdictKind.A_MAJORISES
        made_alike = compare(a, b, complexity=(size_a, size_b))
        found["verdict, normalised by a size that does not matter"] += made_alike.kind is VerdictKind.A_MAJORISES
        found["rank-sum, two-sided"] += stats.mannwhitneyu(a, b).pvalue <= 0.05
        found["Kolmogorov-Smirnov, two-sided"] += stats.ks_2samp(a, b, method="asymp").pvalue <= 0.05
    print("\npower: one point of shift, five of spread, n = 500, two-sided 5 %")
    for name, count in found.items():
        print(f"  {name:62}{rate(count, tried):>14}")


def coverage(repeats: int) -> None:
    """Print how often 95 % limits miss the true difference between a skewed law and a normal one."""

    def skewed(at: np.ndarray) -> np.ndarray:
        return np.asarray(0.05 + 0.04 * np.exp(0.6 * stats.norm.ppf(at))).clip(0.0, 0.9)

    def even(at: np.ndarray) -> np.ndarray:
        return np.asarray(stats.norm.ppf(at, 0.30, 0.05)).clip(0.0, 1.0)

    grid = (np.arange(100_000) + 0.5) / 100_000
    print("\nlimits of effects at 95 % that miss the true difference, a skewed law against a normal one")
    for n in SIZES:
        few, tried = best_of_how_many(n, 0.95), fewer(repeats, n)
        shares = {"median": 0.5, "best tenth": 0.1, f"best of {few}": 1.0 - 0.5 ** (1.0 / few)}
        true = {of: float(skewed(np.array(share)) - even(np.array(share))) for of, share in shares.items()}
        true["mean"] = float(skewed(grid).mean() - even(grid).mean())
        rng, missed = np.random.default_rng(n), dict.fromkeys(["mean", *shares], 0)
        for _ in range(tried):
            for effect in effects(EDF(errors=skewed(rng.random(n))), EDF(errors=even(rng.random(n))), 0.95):
                if effect.of in true:
                    missed[effect.of] += not effect.low <= true[effect.of] <= effect.high
        print(f"  n = {n:4}  " + "   ".join(f"{of} {rate(count, tried)}" for of, count in missed.items()))


def fewer(repeats: int, n: int) -> int:
    """Return how many repeats are affordable at n."""
    return max(repeats * 200 // max(n, 200), 50)


def rate(count: int, tried: int) -> str:
    share = count / tried
    return f"{100 * share:.1f} ± {100 * math.sqrt(max(share, 1 / tried) * (1 - share) / tried):.1f}"


if __name__ == "__main__":
    main()
