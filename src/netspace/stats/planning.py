"""Rough numbers of networks: how many each space needs before a claim about it can be won.

They follow from normal approximations, at `POWER`, and are meant to be read as "about". They are instant, which a
sentence needs; `sample_size` finds such numbers by trying the verdict itself.
"""

import functools
import math

import numpy as np
import scipy
from scipy import special

from netspace.stats.dominance import JointSteps

POWER = 0.8

MOST = 10_000
"""More networks of one space than anyone trains to see a difference: plans end here."""


def fewest_networks(margin: float, alpha: float) -> int:
    """Return the n below which "nowhere behind by the margin" cannot be won: 0 of n must rule out `margin`.

    >>> fewest_networks(0.10, 0.05)
    29
    """
    return math.ceil(math.log(alpha) / math.log1p(-margin))


@functools.lru_cache(maxsize=256)
def networks_if_equal(margin: float, alpha: float) -> int:
    """Return how many networks each of two equal spaces needs to be shown equivalent in their EDFs.

    The difference of the two EDFs moves as a Brownian bridge; the claim is won where that and the tests' own
    half-width stay within the margin everywhere. The sum of the largest values of both stands for the largest
    sum here, which made the figure about 8 % too large against a simulation of the bridge.

    >>> networks_if_equal(0.10, 0.05)
    719
    """
    reach = float(scipy.stats.kstwobign.ppf(POWER)) + 0.5 * _score(1.0 - alpha)
    return max(math.ceil(2.0 * (reach / margin) ** 2), fewest_networks(margin, alpha))


def networks_for_median(
    n: float, difference: float, half_width: float, median_margin: float, alpha: float
) -> int | None:
    """Return how many networks each show that medians so far apart are within the margin; None if not so.

    `half_width` is that of the interval around `difference` at n networks each; both in errors.
    """
    room = median_margin - abs(difference)
    if not (room > 0.0 and math.isfinite(half_width)):
        return None
    factor = 1.0 + _score(POWER) / _score(1.0 - alpha)
    return math.ceil(n * (factor * half_width / room) ** 2)


def networks_to_majorise(steps: JointSteps, score: float, margin: float, alpha: float) -> int | None:
    """Return how many networks each show that A majorises B if these are the true EDFs; None if never.

    `score` is that of the rank test between the samples, positive where A does better.
    """
    room = margin + steps.lead
    if score <= 0.0 or room.min(initial=margin) <= 0.0:
        return None
    n = 2.0 / (1.0 / steps.n_a + 1.0 / steps.n_b)
    better = n * ((_score(1.0 - alpha / 2) + _score(POWER)) / score) ** 2
    share_a, share_b = steps.counts_a / steps.n_a, steps.counts_b / steps.n_b
    variance = share_a * (1.0 - share_a) + share_b * (1.0 - share_b)
    not_worse = np.max(variance * ((_score(1.0 - alpha) + _score(POWER)) / room) ** 2, initial=0.0)
    return max(math.ceil(better), math.ceil(not_worse), fewest_networks(margin, alpha))


def rough(n: int) -> int:
    """Round up to two digits: more would claim too much.

    >>> rough(719), rough(97)
    (720, 97)
    """
    unit = int(10 ** max(len(str(n)) - 2, 0))
    return math.ceil(n / unit) * unit


def _score(probability: float) -> float:
    return float(special.ndtri(probability))
