"""True laws of errors, with and without complexity, whose verdicts are known: what calibration draws from.

The tests of `test_calibration.py` and the table of `benchmarks/calibration.py` judge the same cases.
"""

import math
from collections.abc import Callable

import numpy as np

Law = Callable[[np.random.Generator, int], np.ndarray]
"""Draws the errors (n,) of n networks."""

LawAlike = Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]
"""Draws the errors (n,) and the complexities (n,) of n networks."""


def normal(centre: float, spread: float, decimals: int = 9) -> Law:
    return lambda rng, n: rng.normal(centre, spread, n).clip(0.0, 1.0).round(decimals)


def constant(value: float) -> Law:
    return lambda rng, n: np.full(n, value)


def mixture(share: float, first: Law, second: Law) -> Law:
    return lambda rng, n: np.where(rng.random(n) < share, first(rng, n), second(rng, n))


def failing(share: float, law: Law) -> Law:
    return mixture(share, constant(math.inf), law)


EQUAL = {
    "spread": normal(0.30, 0.05),
    "ties": normal(0.30, 0.05, decimals=2),
    "heavy ties": normal(0.10, 0.01, decimals=2),
    "two values": mixture(0.5, constant(0.1), constant(0.2)),
    "10 % failures": failing(0.10, normal(0.30, 0.05, decimals=2)),
    "60 % failures": failing(0.60, normal(0.30, 0.05)),
}

# A is better nearly everywhere, but behind by exactly the margin of 10 points, or by more, somewhere.
CROSSING = {
    "B has 10 % great networks": (normal(0.30, 0.01), mixture(0.10, normal(0.10, 0.01), normal(0.50, 0.01))),
    "B has 10 % good networks": (normal(0.30, 0.05), mixture(0.10, normal(0.05, 0.01), normal(0.35, 0.05))),
    "A fails in 10 %": (failing(0.10, normal(0.10, 0.01)), normal(0.30, 0.01)),
    "A fails in 25 %, B in 15 %": (failing(0.25, normal(0.1, 0.01)), failing(0.15, normal(0.3, 0.01))),
    "B has 15 % great networks": (normal(0.30, 0.01), mixture(0.15, normal(0.10, 0.01), normal(0.50, 0.01))),
    "A is narrow, B wide": (normal(0.30, 0.03), normal(0.30, 0.06)),
}

# The true curves, or the true medians, are exactly the margin apart: equivalence would be false.
EDGE = {
    "EDFs at the bottom": (normal(0.30, 0.005), mixture(0.1, normal(0.10, 0.01), normal(0.30, 0.005))),
    "EDFs in the middle": (
        mixture(0.25, normal(0.10, 0.01), mixture(2 / 3, constant(0.3), normal(0.50, 0.01))),
        mixture(0.35, normal(0.10, 0.01), mixture(8 / 13, constant(0.3), normal(0.50, 0.01))),
    ),
    "failures": (failing(0.15, normal(0.30, 0.005)), failing(0.05, normal(0.30, 0.005))),
    "medians, wide": (normal(0.30, 0.05), normal(0.305, 0.05)),
    "medians, narrow": (normal(0.30, 0.03), normal(0.305, 0.03)),
    "medians, ties": (normal(0.30, 0.05, decimals=3), normal(0.305, 0.05, decimals=3)),
}


def sized(lean: tuple[float, float], law: Law, slope: float = 0.0, failing_small: float = 0.0) -> LawAlike:
    """Add to a law's errors what smallness costs: `slope` from the largest networks to the smallest.

    Complexities lie between 1 and 10, their logarithms as a beta law that leans to one side. Of the smallest networks
    a share fails, of the largest none.
    """

    def draw(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        size = rng.beta(*lean, n)
        errors = (law(rng, n) + slope * (1.0 - size)).clip(0.0, None)
        errors[rng.random(n) < failing_small * (1.0 - size)] = math.inf
        return errors, 10.0**size

    return draw


def split(small: Law, large: Law) -> LawAlike:
    """Draw one law for the smaller half of the networks, another one for the larger; complexities as in `sized`."""

    def draw(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        size = rng.random(n)
        return np.where(size < 0.5, small(rng, n), large(rng, n)), 10.0**size

    return draw


LARGE, SMALL, EVEN = (3.0, 1.5), (1.5, 3.0), (1.0, 1.0)
"""Spaces with mostly large networks, with mostly small ones, and with all sizes alike."""

# At like complexity the two are equal.
EQUAL_ALIKE = {
    "like sizes": (sized(EVEN, normal(0.30, 0.05)),) * 2,
    "A has larger networks": (sized(LARGE, normal(0.30, 0.03), 0.15), sized(SMALL, normal(0.30, 0.03), 0.15)),
    "the same, ties": tuple(sized(lean, normal(0.3, 0.03, 2), 0.1) for lean in (LARGE, SMALL)),
    "the same, two values": tuple(sized(lean, EQUAL["two values"]) for lean in (LARGE, SMALL)),
    "the same, small ones fail": tuple(sized(lean, normal(0.3, 0.03), 0.1, 0.4) for lean in (LARGE, SMALL)),
    "far apart in size": tuple(sized(lean, normal(0.3, 0.02), 0.3) for lean in ((6.0, 1.5), (1.5, 6.0))),
    "each better in one half": (
        split(normal(0.25, 0.03), normal(0.35, 0.03)),
        split(normal(0.35, 0.03), normal(0.25, 0.03)),
    ),
}

# A is behind by the margin somewhere, at every complexity.
CROSSING_ALIKE = {
    name: (sized(LARGE, CROSSING[name][0]), sized(SMALL, CROSSING[name][1]))
    for name in ("B has 10 % great networks", "A fails in 10 %", "A is narrow, B wide")
}

EDGE_ALIKE = {
    name: (sized(LARGE, EDGE[name][0]), sized(SMALL, EDGE[name][1]))
    for name in ("EDFs at the bottom", "EDFs in the middle", "failures", "medians, narrow")
}
