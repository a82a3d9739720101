"""The elementary tests beneath a verdict, against SciPy, brute force and tables."""

import math

import numpy as np
import pytest
from scipy import stats

from netspace.stats.dominance import joint_steps, margin_p_values, rank_test, somewhere_better_p_value
from netspace.stats.edf import EDF
from netspace.stats.quantiles import quantile_difference


@pytest.mark.parametrize("decimals", [1, 3])
def test_the_rank_test_is_scipys(decimals: int) -> None:
    rng = np.random.default_rng(1)
    a, b = (np.sort(rng.normal(0.5, 0.1, n).round(decimals)) for n in (60, 45))
    _, p_a, p_b = rank_test(a, b)
    # SciPy's correction for continuity is half a pair, ours half a step: the same once errors are fine.
    for p, alternative in ((p_a, "less"), (p_b, "greater")):
        expected = stats.mannwhitneyu(a, b, alternative=alternative, method="asymptotic").pvalue
        assert p == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize(("n_a", "n_b", "tolerance"), [(5, 5, 1e-9), (40, 40, 1e-9), (32, 100, 0.05)])
def test_the_one_sided_kolmogorov_smirnov_test_is_scipys(n_a: int, n_b: int, tolerance: float) -> None:
    rng = np.random.default_rng(2)
    a, b = np.sort(rng.uniform(0.0, 0.8, n_a)), np.sort(rng.uniform(0.1, 1.0, n_b))
    expected = stats.ks_2samp(a, b, alternative="greater", method="exact").pvalue
    assert somewhere_better_p_value(joint_steps(a, b)) == pytest.approx(expected, rel=tolerance)


def test_the_null_of_the_score_test_is_the_likeliest_pair_of_shares() -> None:
    # Without the half step, z must be that of shares found by brute force.
    n_1, n_2, x_1, x_2, margin = 40, 60, 3, 9, 0.1
    shares = np.linspace(margin + 1e-6, 1.0 - 1e-6, 400_001)
    likelihood = stats.binom.logpmf(x_1, n_1, shares) + stats.binom.logpmf(x_2, n_2, shares - margin)
    null = shares[np.argmax(likelihood)]
    variance = (null * (1 - null) / n_1 + (null - margin) * (1 - null + margin) / n_2) * 100 / 99
    z = (x_1 / n_1 - x_2 / n_2 - margin + 0.25 / n_1 + 0.25 / n_2) / math.sqrt(variance)
    p = margin_p_values(np.array([x_1]), n_1, np.array([x_2]), n_2, margin)
    assert p[0] == pytest.approx(stats.norm.cdf(z), rel=1e-4)


def test_the_interval_of_medians_uses_the_order_statistics_of_the_sign_test() -> None:
    # P(Bin(11, 1/2) <= 2) = 0.033 and P(<= 3) = 0.113: the third smallest and the third largest of 11.
    a, b = np.linspace(0.0, 1.0, 11), np.zeros(11)

    def median_difference(first: np.ndarray, second: np.ndarray) -> object:
        return quantile_difference(EDF(errors=first), EDF(errors=second), 0.5, 0.95)

    assert median_difference(a, b) == pytest.approx((0.5, 0.2, 0.8))
    assert median_difference(np.full(11, math.inf), a) == (math.inf, math.inf, math.inf)
    assert median_difference(a[:3], b) == (0.1, 0.0, math.inf)
