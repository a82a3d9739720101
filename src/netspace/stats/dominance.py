"""Three one-sided tests between the errors of two spaces: better, better somewhere, nowhere much worse.

Each returns a p-value against the null that it names. All hold with ties and with failures (`inf`), which
rank above every finite error; sorted arrays of errors, as `EDF.errors` keeps them, go in.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from netspace.stats.edf import FloatArray

CountArray = NDArray[np.int64] | FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JointSteps:
    """Two EDFs at every finite error where either of them steps; between two such errors both are constant.

    `errors` (points,), sorted; `counts_a`, `counts_b` (points,) say how many networks have an error <= each. Those of
    weighted networks, and their `n`, are effective numbers.
    """

    errors: FloatArray
    counts_a: CountArray
    counts_b: CountArray
    n_a: float
    n_b: float

    @property
    def swapped(self) -> "JointSteps":
        """The same with A and B exchanged."""
        return JointSteps(
            errors=self.errors, counts_a=self.counts_b, counts_b=self.counts_a, n_a=self.n_b, n_b=self.n_a
        )

    @property
    def lead(self) -> FloatArray:
        """F_A - F_B at each point."""
        return self.counts_a / self.n_a - self.counts_b / self.n_b


def joint_steps(a: FloatArray, b: FloatArray) -> JointSteps:
    """Return the two EDFs of sorted errors (networks,) on their common steps."""
    both = np.concatenate((a, b))
    points = np.unique(both[np.isfinite(both)])
    return JointSteps(
        errors=points,
        counts_a=np.searchsorted(a, points, side="right"),
        counts_b=np.searchsorted(b, points, side="right"),
        n_a=a.size,
        n_b=b.size,
    )


def rank_test(a: FloatArray, b: FloatArray) -> tuple[float, float, float]:
    """Test the nulls "A is nowhere better" and "B is nowhere better" by ranks (Mann-Whitney).

    Returns the score z, positive where A's errors are lower, and the p-values of "A is better" and of "B is".
    Where F_A <= F_B everywhere A's errors are the larger in distribution, so that its ranks can only be worse
    than between equals. Simulated beside a one-sided Kolmogorov-Smirnov test, this one found shifts, changes
    of scale and better tails more often at n of 32 and 100; at 500 a shift in 87 % against 76 % of the cases.
    Source: Mann and Whitney 1947; the correction for ties as in Lehmann 1975.
    """
    left, right = np.searchsorted(b, a, side="left"), np.searchsorted(b, a, side="right")
    wins = float((b.size - right).sum()) + 0.5 * float((right - left).sum())
    n = a.size + b.size
    _, tied = np.unique(np.concatenate((a, b)), return_counts=True)
    if tied.size == 1:
        return 0.0, 1.0, 1.0
    lost_to_ties = float((tied.astype(np.float64) ** 3 - tied).sum()) / (n * (n - 1))
    spread = math.sqrt(a.size * b.size / 12 * (n + 1 - lost_to_ties))
    difference = wins - 0.5 * a.size * b.size
    # Few networks, or few distinct errors, let the pairs won move in steps; half a step makes up for it. Two
    # neighbouring distinct errors lie half the sum of their frequencies apart in rank.
    half_step = 0.25 * int(np.gcd.reduce(tied[1:] + tied[:-1]))
    p_a, p_b = (
        special.ndtr((half_step - difference) / spread),
        special.ndtr((half_step + difference) / spread),
    )
    return difference / spread, float(p_a), float(p_b)


def somewhere_better_p_value(steps: JointSteps) -> float:
    """Test the null "A is nowhere better" by the largest F_A - F_B (one-sided Kolmogorov-Smirnov).

    Unlike the ranks it finds that A is better at some errors although it is worse at others. It is exact for
    equal n without ties, conservative with ties, and for unequal n an approximation that can be a fifth too
    small for a handful of networks.
    Source: Gnedenko and Korolyuk 1951; Hodges 1958, equation 5.3.
    """
    m, n = sorted((steps.n_a, steps.n_b), reverse=True)
    if m == n:
        steps_ahead = max(int((steps.counts_a - steps.counts_b).max(initial=0)), 0)
        log_paths = 2 * special.gammaln(n + 1)
        log_paths -= special.gammaln(n + steps_ahead + 1) + special.gammaln(n - steps_ahead + 1)
        return float(np.exp(min(log_paths, 0.0)))
    z = max(float(steps.lead.max(initial=0.0)), 0.0) * math.sqrt(m * n / (m + n))
    return math.exp(-2 * z * z - 2 * z * (m + 2 * n) / (3 * math.sqrt(m * n * (m + n))))


def not_worse_p_value(steps: JointSteps, margin: float) -> float:
    """Test the null "somewhere A is behind by the margin or more" (F_B - F_A >= margin at some error).

    The claim "nowhere" is the intersection of claims at single errors, so it is won at level alpha when each
    of them is (an intersection-union test): the p-value is the largest one. Source: Berger 1982.
    """
    # Below every error both counts are 0: that point must be won as well, and 0 of few proves little.
    counts_a, counts_b = np.append(steps.counts_a, 0), np.append(steps.counts_b, 0)
    p_values = margin_p_values(counts_b, steps.n_b, counts_a, steps.n_a, margin)
    # Beside a space that mostly fails, a handful of networks could win; the least number stays a plain rule.
    return float(max(p_values.max(), (1.0 - margin) ** steps.n_a))


def margin_p_values(counts_1: CountArray, n_1: float, counts_2: CountArray, n_2: float, margin: float) -> FloatArray:
    """Test the null p_1 - p_2 >= margin between two shares, at each of the counts (points,), by their score.

    The variance is the one at the nearest shares that the null allows, so that it does not vanish at 0 of n
    or n of n. With the correction for continuity a nominal 5 % is 5.02 % at most, enumerated for n of 29 to
    500 and margins of 0.05 to 0.2; without it, 5.9 %.
    Source: Miettinen and Nurminen 1985; the cubic's root in closed form as in Farrington and Manning 1990.
    """
    p_1, p_2, ratio = counts_1 / n_1, counts_2 / n_2, n_2 / n_1
    a = 1.0 + ratio
    b = -(1.0 + ratio + p_1 + ratio * p_2 + margin * (ratio + 2.0))
    c = margin**2 + margin * (2.0 * p_1 + ratio + 1.0) + p_1 + ratio * p_2
    d = -p_1 * margin * (1.0 + margin)
    v = b**3 / (27 * a**3) - b * c / (6 * a**2) + d / (2 * a)
    u = np.copysign(np.sqrt(np.maximum(b**2 / (9 * a**2) - c / (3 * a), 1e-20)), v)
    angle = (np.pi + np.arccos(np.clip(v / u**3, -1.0, 1.0))) / 3
    null_1 = np.clip(2 * u * np.cos(angle) - b / (3 * a), margin, 1.0)
    null_2 = null_1 - margin
    variance = null_1 * (1.0 - null_1) / n_1 + null_2 * (1.0 - null_2) / n_2
    variance *= (n_1 + n_2) / (n_1 + n_2 - 1)
    half_step = 0.25 / n_1 + 0.25 / n_2
    p_values = np.asarray(special.ndtr((p_1 - p_2 - margin + half_step) / np.sqrt(variance)))
    # Here the null's largest probability is known exactly, and the correction would be too strict.
    p_values[(counts_1 == 0) & (counts_2 == 0)] = (1.0 - margin) ** n_1
    p_values[(counts_1 == n_1) & (counts_2 == n_2)] = (1.0 - margin) ** n_2
    return p_values
