"""How often `netspace principles` accepts and rejects a relation, by what it truly does and by the networks a side.

    python benchmarks/principles.py

Errors are normal with a spread of 5 points; the relation moves them all by a number of points. `edge` is a relation
that costs exactly the margin at one error. Every decision is one of six (Bonferroni), as on the chapter's way from
AnyNetX_A, and then the only one. The last line tries the networks that `networks_if_harmless` names.
"""

import argparse
import time
from collections import Counter
from collections.abc import Callable

import numpy as np

from netspace.stats import DecisionKind, compare, decide, networks_if_harmless

Law = Callable[[np.random.Generator, int], np.ndarray]
MARGIN, LEVEL, SPREAD = 0.10, 0.95, 0.05
KINDS = (DecisionKind.ACCEPT, DecisionKind.REJECT, DecisionKind.UNDECIDED)


def shifted(points: float) -> Law:
    return lambda rng, n: rng.normal(0.30 + points / 100, SPREAD, n).clip(0.0, 1.0).round(4)


def two_values(share: float) -> Law:
    return lambda rng, n: np.where(rng.random(n) < share, 0.1, 0.2)


TRUTHS: dict[str, tuple[Law, Law]] = {
    "gains 2 points": (shifted(0.0), shifted(-2.0)),
    "gains 1 point": (shifted(0.0), shifted(-1.0)),
    "changes nothing": (shifted(0.0), shifted(0.0)),
    "costs 1 point": (shifted(0.0), shifted(1.0)),
    "costs 2 points": (shifted(0.0), shifted(2.0)),
    "edge": (two_values(0.55), two_values(0.45)),
}


def rates(present: Law, refined: Law, n: int, level: float, repeats: int) -> dict[DecisionKind, float]:
    rng = np.random.default_rng(n)
    counts = Counter(
        decide(compare(present(rng, n), refined(rng, n), margin=MARGIN, level=level)).kind for _ in range(repeats)
    )
    return {kind: counts[kind] / repeats for kind in KINDS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=400)
    options = parser.parse_args()

    begun = time.monotonic()
    sizes = (50, 100, 200, 500, 1000)
    print("accepted / rejected [% of simulated decisions], the rest undecided")
    for steps in (6, 1):
        level = 1.0 - (1.0 - LEVEL) / steps
        print(f"{f'one of {steps}' if steps > 1 else 'the only one':18}" + "".join(f"{f'n = {n}':>14}" for n in sizes))
        for words, (present, refined) in TRUTHS.items():
            row = [rates(present, refined, n, level, options.repeats) for n in sizes]
            cells = [f"{100 * one[KINDS[0]]:.1f} / {100 * one[KINDS[1]]:.1f}" for one in row]
            print(f"{words:18}" + "".join(f"{cell:>14}" for cell in cells), flush=True)
    for steps in (6, 1):
        level = 1.0 - (1.0 - LEVEL) / steps
        n = networks_if_harmless(MARGIN, 1.0 - level)
        accepted = rates(*TRUTHS["changes nothing"], n, level, options.repeats)[DecisionKind.ACCEPT]
        print(f"one of {steps}: a relation that changes nothing is accepted at n = {n} in {100 * accepted:.0f} %")
    print(f"{time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
