"""How many networks each of two spaces needs, found by trying: the verdict itself is judged on simulated populations.

What `planning` approximates for one sentence is simulated here until the number holds. The true spaces are assumed:
two normal laws a shift apart, one law for both, or a pilot's own distributions.
"""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from netspace.errors import InputError
from netspace.stats.edf import EDF, FloatArray, checked_errors
from netspace.stats.evidence import Criteria, gather
from netspace.stats.planning import MOST, POWER, fewest_networks
from netspace.stats.verdict import VerdictKind, kind_of

Law = Callable[[np.random.Generator, int], FloatArray]
"""Draws the errors (n,) of n networks of a space."""

FEWEST_IN_PILOT = 10
"""Below this many networks a pilot's distribution says too little to be taken for the true one."""

REPEATS = 400
"""Simulated verdicts at one number of networks: their share is known to 2 points, and so the number to about 5 %."""

_BATCH = 25
_NEAR = 1.03
_STEPS = 1000
_HIGHEST_POWER = 0.99
_WIDEST = 0.5
_DECIDED = frozenset(VerdictKind) - {VerdictKind.UNDECIDED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The fewest `networks` per space that win the claim with probability `power`; None where `MOST` do not.

    `chances` says how often each kind of verdict came out at that number (at `MOST` where there is none), the most
    frequent first, in simulations that had no part in the search.
    """

    networks: int | None
    power: float
    chances: tuple[tuple[VerdictKind, float], ...]


def plan_shift(
    shift: float, spread: float, *, criteria: Criteria | None = None, power: float = POWER, seed: int = 0
) -> Plan:
    """Plan for two spaces alike but for a shift of their errors: until the better one majorises the other.

    `shift` and `spread` (the standard deviation within a space) are errors in [0, 1]; the laws are normal, cut off at
    0 and 1. A shift within both margins may be found equivalent as well.
    Raises: InputError for a shift, a spread or a power that cannot be.
    """
    criteria = criteria or Criteria()
    if not 0.0 < shift < 1.0:
        hint = "; equal spaces can only be shown equivalent" if shift == 0.0 else ""
        raise InputError(f"shift (={shift:g}) must lie between 0 and 1: a difference of errors, such as 0.01{hint}")
    _check_spread(spread)
    apart = 2.0 * float(special.ndtr(0.5 * shift / spread)) - 1.0
    within = apart < criteria.margin and shift < criteria.median_margin
    claims = {VerdictKind.A_MAJORISES, *([VerdictKind.EQUIVALENT] if within else [])}
    better, worse = _normal(0.5 - shift / 2, spread), _normal(0.5 + shift / 2, spread)
    return _plan(better, worse, frozenset(claims), criteria, power, seed)


def plan_equal(spread: float, *, criteria: Criteria | None = None, power: float = POWER, seed: int = 0) -> Plan:
    """Plan for two equal spaces, until they are shown equivalent within both margins.

    `spread` is the standard deviation of the errors, in [0, 1]; their law is normal, cut off at 0 and 1.
    Raises: InputError for a spread or a power that cannot be.
    """
    _check_spread(spread)
    law = _normal(0.5, spread)
    return _plan(law, law, frozenset({VerdictKind.EQUIVALENT}), criteria or Criteria(), power, seed)


def plan_from_pilot(
    errors_a: ArrayLike,
    errors_b: ArrayLike,
    *,
    equal: bool = False,
    criteria: Criteria | None = None,
    power: float = POWER,
    seed: int = 0,
) -> Plan | None:
    """Plan as if a pilot's distributions were the true ones, until any claim is won; None for too small a pilot.

    `errors_a` (networks_a,) and `errors_b` (networks_b,) lie in [0, 1], `inf` for a failure. With `equal` both spaces
    are taken to be the two together, and the claim is that they are equivalent.
    Raises: InputError for errors or a power that cannot be.
    """
    a, b = checked_errors(errors_a, "errors_a"), checked_errors(errors_b, "errors_b")
    if min(a.size, b.size) < FEWEST_IN_PILOT:
        return None
    if equal:
        a = b = np.concatenate((a, b))
    claims = frozenset({VerdictKind.EQUIVALENT}) if equal else _DECIDED
    return _plan(_resampled(a), _resampled(b), claims, criteria or Criteria(), power, seed)


def _plan(law_a: Law, law_b: Law, claims: frozenset[VerdictKind], criteria: Criteria, power: float, seed: int) -> Plan:
    if not 0.0 < power <= _HIGHEST_POWER:
        raise InputError(f"power (={power:g}) must be above 0 and at most {_HIGHEST_POWER}, such as {POWER}")

    def judged(n: int, repeats: int, rng: np.random.Generator) -> Counter[VerdictKind]:
        return Counter(
            kind_of(gather(EDF(errors=law_a(rng, n)), EDF(errors=law_b(rng, n)), ("A", "B"), criteria), criteria)
            for _ in range(repeats)
        )

    def reaches(n: int) -> bool:
        """Say whether n networks win often enough, as soon as three standard errors leave no doubt."""
        rng = np.random.default_rng([seed, n])
        won = tried = 0
        while tried < REPEATS:
            kinds = judged(n, _BATCH, rng)
            won, tried = won + sum(kinds[claim] for claim in claims), tried + _BATCH
            if abs(won / tried - power) > 3.0 * math.sqrt(power * (1.0 - power) / tried):
                break
        return won >= power * tried

    # Halve the range, in ratios: `few` never win often enough, `enough` do.
    few, enough = fewest_networks(criteria.margin, criteria.alpha) - 1, MOST
    found = few < enough and reaches(enough)
    while found and enough > max(few + 1, _NEAR * few):
        middle = max(few + 1, round(math.sqrt(max(few, 1) * enough)))
        if reaches(middle):
            enough = middle
        else:
            few = middle
    # The search stops at a lucky number sooner than at an unlucky one, so that what is told is simulated afresh.
    kinds = judged(enough, REPEATS, np.random.default_rng([seed, enough, 1]))
    chances = tuple((kind, count / REPEATS) for kind, count in kinds.most_common())
    return Plan(networks=enough if found else None, power=power, chances=chances)


def _check_spread(spread: float) -> None:
    if not 0.0 < spread <= _WIDEST:
        rule = f"must be above 0 and at most {_WIDEST}: a standard deviation of errors, such as 0.05"
        raise InputError(f"spread (={spread:g}) {rule}")


def _normal(centre: float, spread: float) -> Law:
    # Errors are shares of so many images and come in steps too; with fewer points to test it is twice as fast.
    step = spread / _STEPS
    return lambda rng, n: ((rng.normal(centre, spread, n) / step).round() * step).clip(0.0, 1.0)


def _resampled(errors: FloatArray) -> Law:
    return lambda rng, n: rng.choice(errors, n)
