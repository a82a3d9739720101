"""Weights from covariates: exact where they can be known, at their level where nothing is, surer where they tell."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from netspace.errors import InputError
from netspace.findings.assisted import GROWTH
from netspace.stats import AssistedSample, Known, Look, assist, assisted_difference, holm

SIMULATIONS = 150


def pair(a: Known, b: Known) -> tuple[AssistedSample, AssistedSample]:
    samples = assist({"A": a, "B": b})
    return samples["A"], samples["B"]


def drawn(rng: np.random.Generator, n: int, kind: str, p: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Covariates (n, p) and errors (n,) that some of them tell, unless the kind says otherwise."""
    known = rng.normal(size=(n, p))
    told = 0.0 if kind in ("says nothing", "as many as networks") else known[:, 0] + 0.7 * known[:, 1]
    errors = np.clip(0.4 + 0.06 * (told + 0.7 * rng.normal(size=n)), 0.0, 1.0)
    if kind == "ties":
        errors = errors.round(1)
    if kind == "failures":
        errors[rng.random(n) < 0.1 + 0.2 * (known[:, 0] > 0.5)] = math.inf
    if kind == "absent and constant":
        known[known[:, 2] > 0.5, 2] = math.nan
        known[:, 3] = 1.0
    return known, errors


def simulated(kind: str, n: int, shift: float = 0.0) -> list[tuple[float, float]]:
    """The one-sided p-value of the true side and the factor, for pairs of spaces that differ by a shift."""
    rng = np.random.default_rng(1)
    p = n if kind == "as many as networks" else 6
    census = drawn(rng, 1000, kind, p)[0]
    found = []
    for _ in range(SIMULATIONS):
        (known_a, errors_a), (known_b, errors_b) = drawn(rng, n, kind, p), drawn(rng, n, kind, p)
        one = assisted_difference(
            *pair(
                Known(errors=np.clip(errors_a - shift, 0.0, None), covariates=known_a, census=census),
                Known(errors=errors_b, covariates=known_b, census=census),
            )
        )
        found.append((one.p_a_better, one.factor))
    return found


@pytest.mark.parametrize(
    ("kind", "n"),
    [
        ("tells", 32),
        ("tells", 100),
        ("ties", 32),
        ("failures", 32),
        ("says nothing", 32),
        ("as many as networks", 32),
        ("absent and constant", 32),
    ],
)
def test_between_equal_spaces_the_better_one_is_named_no_oftener_than_the_level_says(kind: str, n: int) -> None:
    p_values = np.array([p for p, _ in simulated(kind, n)])
    most = stats.binom.ppf(0.999, SIMULATIONS, 0.05) / SIMULATIONS
    assert np.mean(p_values < 0.05) <= most
    assert np.mean(p_values > 0.95) <= most
    assert np.mean(p_values < 0.5) > 0.3  # a test that never rejects keeps every level


@pytest.mark.parametrize("kind", ["tells", "ties"])
def test_between_equal_spaces_no_look_of_several_names_a_better_one_oftener_than_the_level_says(kind: str) -> None:
    rng, planned, wrong = np.random.default_rng(9), (12, 24, 36), 0
    levels = [Look(number=number, planned=planned).alpha(0.10, GROWTH) for number in (1, 2, 3)]
    census = drawn(rng, 1000, kind)[0]
    for _ in range(SIMULATIONS):
        sides = [drawn(rng, planned[-1], kind) for _ in range(2)]
        wrong += any(
            assisted_difference(
                *pair(*(Known(errors=errors[:n], covariates=known[:n], census=census) for known, errors in sides))
            ).p_value
            <= level
            for n, level in zip(planned, levels, strict=True)
        )
    assert 0.02 * SIMULATIONS < wrong <= stats.binom.ppf(0.999, SIMULATIONS, 0.10)


def test_covariates_that_tell_save_networks_and_others_cost_none() -> None:
    told, not_told = simulated("tells", 60, shift=0.03), simulated("says nothing", 60, shift=0.0)
    assert np.median([factor for _, factor in told]) > 2.0
    assert np.median([factor for _, factor in not_told]) > 0.95
    plain = [p for p, _ in simulated("says nothing", 60, shift=0.03 / math.sqrt(1.98 / 0.49))]
    assert np.mean([p < 0.05 for p, _ in told]) > np.mean([p < 0.05 for p in plain]) + 0.2


def test_intervals_hold_the_truth() -> None:
    rng = np.random.default_rng(2)
    census = drawn(rng, 1000, "tells")[0]
    held = np.zeros(2)
    spread = 0.06 * math.sqrt(1 + 0.49 + 0.49)
    # The better of two of A lies 0.05 lower: P(min of two normals + 0.05 < min of two others), by quadrature.
    at = np.linspace(-8.0, 8.0, 4001)
    density = 2.0 * stats.norm.pdf(at) * stats.norm.sf(at)
    truth = float(density @ np.square(stats.norm.sf(at - 0.05 / spread)) * (at[1] - at[0]))
    for _ in range(SIMULATIONS):
        (known_a, errors_a), (known_b, errors_b) = drawn(rng, 60, "tells"), drawn(rng, 60, "tells")
        found = assisted_difference(
            *pair(
                Known(errors=errors_a - 0.05, covariates=known_a, census=census),
                Known(errors=errors_b, covariates=known_b, census=census),
            )
        )
        low, high = found.median_interval
        held += found.interval[0] <= truth <= found.interval[1], low <= -0.05 <= high
    assert (held >= stats.binom.ppf(0.001, SIMULATIONS, 0.95)).all()


def better(a: np.ndarray, b: np.ndarray) -> float:
    """How often the better of two networks of A beats the better of two of B, by going through all of them."""
    low_a, low_b = (np.array([min(two) for two in itertools.combinations(one, 2)]) for one in (a, b))
    return float(np.mean((low_a[:, None] < low_b) + 0.5 * (low_a[:, None] == low_b)))


def test_without_covariates_it_is_counted_in_all_pairs_of_networks_and_is_as_sure_as_the_jackknife_says() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.random(16).round(1), (0.8 * rng.random(12)).round(1)
    a[0] = math.inf
    constant = [Known(errors=one, covariates=np.ones((len(one), 1)), census=np.ones((9, 1))) for one in (a, b)]
    found = assisted_difference(*pair(*constant))
    assert found.better == pytest.approx(better(a, b))
    assert found.factor == pytest.approx(1.0)
    without = [
        [better(np.delete(a, i), b) for i in range(len(a))],
        [better(a, np.delete(b, i)) for i in range(len(b))],
    ]
    variance = sum((len(one) - 1) * np.var(one) for one in without)
    assert found.standard_error == pytest.approx(math.sqrt(variance), rel=0.1)


def test_a_prediction_is_that_of_a_ridge_without_the_network() -> None:
    # A ridge on 60 columns of noise fits 40 networks almost exactly; what it says of one that it has not seen is noise.
    rng = np.random.default_rng(4)
    agreement = []
    for _ in range(40):
        covariates, census = rng.normal(size=(40, 60)), rng.normal(size=(500, 60))
        sample = assist({"A": Known(errors=rng.random(40), covariates=covariates, census=census)})["A"]
        if sample.predicted.any():
            agreement.append(np.corrcoef(sample.predicted, sample.errors)[0, 1])
    assert len(agreement) > 5
    assert np.mean(agreement) < 0.3


def test_weights_make_the_sample_s_mean_prediction_that_of_the_census() -> None:
    rng = np.random.default_rng(5)
    known, errors = drawn(rng, 50, "tells")
    sample = assist({"A": Known(errors=errors, covariates=known, census=drawn(rng, 1000, "tells")[0])})["A"]
    assert sample.weights.sum() == pytest.approx(1.0)
    assert sample.weights @ sample.predicted == pytest.approx(0.0, abs=1e-12)
    assert 0.4 < sample.explained < 0.9


@pytest.mark.parametrize(
    ("errors", "better"),
    [
        ((np.full(12, 0.1), np.full(12, 0.1)), 0.5),
        ((np.full(12, math.inf), np.full(12, math.inf)), 0.5),
        ((np.linspace(0.1, 0.2, 12), np.full(12, math.inf)), 1.0),
        ((np.linspace(0.1, 0.2, 12), np.linspace(0.6, 0.7, 15)), 1.0),
    ],
)
def test_scores_that_are_all_alike_leave_doubt(errors: tuple[np.ndarray, np.ndarray], better: float) -> None:
    rng = np.random.default_rng(6)
    census = rng.random((100, 2))
    spaces = [Known(errors=one, covariates=rng.random((len(one), 2)), census=census) for one in errors]
    found = assisted_difference(*pair(*spaces))
    assert found.better == pytest.approx(better)
    assert found.standard_error > 0.02
    assert found.interval[1] - found.interval[0] > 0.05
    assert (found.p_value < 0.05) == (better == 1.0)
    assert not any(math.isnan(limit) for limit in found.median_interval)


def test_a_handful_of_networks_is_not_enough_data() -> None:
    rng = np.random.default_rng(7)
    for n in (1, 2, 9):
        spaces = [
            Known(errors=rng.random(m), covariates=rng.random((m, 3)), census=rng.random((50, 3))) for m in (n, 40)
        ]
        assert (
            f"not enough data: {n} network{'' if n == 1 else 's'} of a space"
            in assisted_difference(*pair(*spaces)).refused
        )


def test_networks_that_are_no_draws_of_their_space_are_refused() -> None:
    rng = np.random.default_rng(10)
    known, errors = drawn(rng, 12, "tells")
    far = Known(errors=errors, covariates=known, census=drawn(rng, 500, "tells")[0] + 9.0)
    found = assisted_difference(*pair(far, far))
    assert "so unlike fresh draws of their space that they count for 0." in found.refused


def test_a_small_space_leaves_the_others_their_covariates() -> None:
    rng = np.random.default_rng(8)
    census = drawn(rng, 500, "tells")[0]
    spaces = {}
    for name, n in (("A", 40), ("B", 40), ("C", 1)):
        known, errors = drawn(rng, n, "tells")
        spaces[name] = Known(errors=errors, covariates=known, census=census)
    samples = assist(spaces)
    assert min(samples["A"].explained, samples["B"].explained) > 0.4
    assert samples["C"].weights.tolist() == [1.0]
    assert {name: one.explained for name, one in assist({"C": spaces["C"]}).items()} == {"C": 0.0}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"errors": np.full(20, math.nan)}, "errors of A"),
        ({"covariates": np.ones((19, 2))}, "covariates of A .* a row for each of the 20 errors"),
        ({"covariates": np.full((20, 2), math.inf)}, "covariates of A hold an infinite value"),
        ({"census": np.ones((50, 3))}, "must have the same columns"),
        ({"census": np.ones((0, 2))}, "census of A .* a row for each draw"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, np.ndarray], sentence: str) -> None:
    fine = {"errors": np.full(20, 0.5), "covariates": np.ones((20, 2)), "census": np.ones((50, 2))}
    with pytest.raises(InputError, match=sentence):
        assist({"A": Known(**(fine | change))})


def test_a_level_that_cannot_be_is_refused() -> None:
    fine = Known(errors=np.full(20, 0.5), covariates=np.ones((20, 2)), census=np.ones((50, 2)))
    with pytest.raises(InputError, match="level"):
        assisted_difference(*pair(fine, fine), level=1.0)


def test_holm_is_its_definition() -> None:
    p_values = [0.02, 0.001, 0.5, 0.03]
    assert holm(p_values) == pytest.approx([0.06, 0.004, 0.5, 0.06])
    assert holm([]).size == 0
