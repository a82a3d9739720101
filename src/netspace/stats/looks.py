"""Looking more than once: at which level each planned look is judged so that all looks together keep theirs.

The looks are planned before the first one, at so many networks of every space. A test statistic whose scores grow
as sums do (a rank test, a share, a median; not their largest over all errors) is at those looks a Brownian motion
seen at those times, whatever the statistic: so the chance to cross any boundary is an integral that can be done.
"""

import functools
import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from netspace.errors import InputError

MOST_LOOKS = 20
"""More looks than these save hardly anything."""

SHAPE = 0.25
"""Between O'Brien and Fleming (0: hardly any risk is taken early) and Pocock (1/2: every look is alike)."""

_FAR = 8.5
"""Scores beyond this are as good as impossible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Look `number` (from 1) of those `planned`: the networks of each space that were, or will be, looked at.

    Raises: InputError where no such look was planned.
    """

    number: int
    planned: tuple[int, ...]

    def __post_init__(self) -> None:
        _check_increasing("planned", self.planned)
        if not 1 <= self.number <= len(self.planned):
            raise InputError(f"number (={self.number}) must be one of the {len(self.planned)} planned looks")

    @property
    def networks(self) -> int:
        """How many networks of each space are looked at."""
        return self.planned[self.number - 1]

    def alpha(self, risk: float, growth: float = 1.0) -> float:
        """Return the risk that this look may take, for `risk` over all looks; `growth` as in `nominal_levels`.

        A verdict judges a direction at half of its risk, and boundaries are not linear in theirs: the halves are
        kept exactly, and the claims judged at the whole stay below it (a test holds both).
        """
        shares = tuple(n / self.planned[-1] for n in self.planned)
        return 2.0 * nominal_levels(shares, risk / 2, growth=growth)[self.number - 1]


def planned_looks(networks: int, looks: int) -> tuple[int, ...]:
    """Return after how many networks of each space each look comes: equally spaced, the last at `networks`.

    Raises: InputError unless 2 <= looks <= networks, and looks <= MOST_LOOKS.

    >>> planned_looks(64, 5)
    (13, 26, 39, 52, 64)
    """
    most = max(min(MOST_LOOKS, networks), 2)
    if not 2 <= looks <= most or networks < 2:
        rule = f"must be a whole number from 2 to {most}, for at least 2 networks of each space (={networks})"
        raise InputError(f"looks (={looks}) {rule}; the nearest is {min(max(looks, 2), most)}")
    return tuple(-(-networks * number // looks) for number in range(1, looks + 1))


@functools.lru_cache(maxsize=256)
def nominal_levels(
    shares: tuple[float, ...], alpha: float, shape: float = SHAPE, growth: float = 1.0
) -> tuple[float, ...]:
    """Return the level of each look at which a one-sided test errs at any of them with probability `alpha`.

    `shares` [of the networks at the last look] are when it is looked; they increase to 1. Look k rejects at a
    score of c * share ** (shape - 1/2), with c such that the risk is met. What is known grows as the share to the power
    of `growth`: 1 for a plain test; more where a prediction learns besides, so that looks are less alike.
    Raises: InputError for shares, an alpha or a shape that cannot be.
    Source: Wang and Tsiatis 1987; at shape 0 O'Brien and Fleming 1979, at 1/2 Pocock 1977.

    >>> [round(level, 4) for level in nominal_levels((0.5, 1.0), 0.025, shape=0.0)]
    [0.0026, 0.024]
    """
    _check_increasing("shares", shares)
    if shares[-1] != 1.0:
        raise InputError(f"shares (={shares}) must end at 1: the last look sees all")
    if not 0.0 < alpha < 0.5:
        raise InputError(f"alpha (={alpha:g}) must lie between 0 and 0.5")
    if not 0.0 <= shape <= 0.5:
        raise InputError(f"shape (={shape:g}) must lie between 0 and 0.5")
    if not 1.0 <= growth <= 4.0:
        raise InputError(f"growth (={growth:g}) must lie between 1 and 4")
    times = np.array(shares)
    # One look alone needs the lower end; the upper end would do if no two looks ever erred together.
    lowest, highest = (-float(special.ndtri(level)) for level in (alpha, alpha / len(shares)))
    if len(shares) == 1:
        return (alpha,)

    def bounds(constant: float) -> NDArray[np.float64]:
        scores: NDArray[np.float64] = constant * times ** (shape - 0.5)
        return scores

    constant = optimize.brentq(lambda c: crossing_risk(times**growth, bounds(c)) - alpha, lowest, highest, xtol=1e-9)
    return tuple(special.ndtr(-bounds(constant)).tolist())


def crossing_risk(times: NDArray[np.float64], scores: NDArray[np.float64]) -> float:
    """Return the chance that a Brownian motion W has W(t) / sqrt(t) above its bound at any of the times (looks,).

    The density of W on the way that has crossed nothing is carried from look to look by Gauss-Legendre quadrature.
    Source: Armitage, McPherson and Rowe 1969.
    """
    steps = np.sqrt(np.diff(times, prepend=0.0))
    # A node for every step of the motion and some more: twice as many change no risk by 1e-9.
    widest = float(np.max(2.0 * _FAR * np.sqrt(times) / steps))
    nodes, weights = np.polynomial.legendre.leggauss(math.ceil(1.25 * widest) + 32)
    places, mass = np.zeros(1), np.ones(1)
    for time, step, score in zip(times, steps, scores, strict=True):
        low, high = -_FAR * math.sqrt(time), min(score, _FAR) * math.sqrt(time)
        at = low + (high - low) * (nodes + 1.0) / 2.0
        density = np.exp(-0.5 * ((at[:, None] - places) / step) ** 2) @ mass / (step * math.sqrt(2.0 * math.pi))
        places, mass = at, density * weights * (high - low) / 2.0
    return 1.0 - float(mass.sum())


def _check_increasing(name: str, values: tuple[float, ...]) -> None:
    rising = all(before < after for before, after in itertools.pairwise((0.0, *values)))
    if not values or not rising:
        raise InputError(f"{name} (={values}) must increase from above 0")
