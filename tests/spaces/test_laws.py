"""Laws give each value its stated probability, and one uniform number is one draw."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from netspace.errors import SpaceError
from netspace.spaces.laws import Choice, LogUniform, PowersOfTwo, Uniform, draw, law_values, probabilities

bounds = st.tuples(st.integers(1, 40), st.integers(1, 40)).map(sorted)
laws = st.one_of(
    st.builds(lambda b, q: Uniform(low=b[0] * q, high=b[1] * q, step=q), bounds, st.sampled_from([1, 8, 0.1])),
    st.builds(lambda b, q: LogUniform(low=b[0] * q, high=b[1] * q, step=q), bounds, st.sampled_from([1, 8, 0.1])),
    st.builds(lambda b: PowersOfTwo(low=2 ** b[0], high=2 ** b[1]), bounds),
    st.builds(lambda s: Choice(options=tuple(sorted(s))), st.sets(st.integers(1, 50), min_size=1)),
)


@given(laws)
def test_probabilities_sum_to_one_over_values_inside_the_range(law):
    values, chances = law_values(law), probabilities(law)
    assert len(values) == len(chances)
    assert (np.diff(values) > 0).all()
    assert (chances > 0).all()
    assert chances.sum() == pytest.approx(1)


@given(laws, st.floats(0, 1, exclude_max=True))
def test_a_draw_inverts_the_distribution(law, uniform):
    value = draw(law, np.array([uniform]))[0]
    values, below = law_values(law), np.cumsum(probabilities(law))
    index = int(np.searchsorted(values, value))
    assert values[index] == value
    assert uniform <= below[index] + 1e-12
    assert index == 0 or uniform >= below[index - 1] - 1e-12


@given(laws)
def test_the_largest_uniform_number_is_still_a_value(law):
    assert draw(law, np.array([np.nextafter(1.0, 0.0)]))[0] == law_values(law)[-1]


@pytest.mark.parametrize(
    "law",
    [LogUniform(low=8, high=1024, step=8), LogUniform(low=1, high=16), Uniform(low=1, high=63)],
    ids=lambda law: law.describe(),
)
def test_frequencies_agree_with_the_probabilities(law):
    uniform = np.random.Generator(np.random.PCG64(0)).random(200_000)
    drawn = draw(law, uniform)
    observed = np.array([(drawn == value).sum() for value in law_values(law)])
    assert stats.chisquare(observed, probabilities(law) * len(drawn)).pvalue > 0.001


def test_the_papers_width_law():
    # x is log-uniform on (4, 1024] and rounded up to a multiple of 8.
    chances = probabilities(LogUniform(low=8, high=1024, step=8))
    assert chances[0] == pytest.approx(math.log(8 / 4) / math.log(1024 / 4))
    assert chances[1] == pytest.approx(math.log(16 / 8) / math.log(1024 / 4))


@given(st.integers(1, 16), st.integers(1, 16))
def test_a_narrowed_law_is_the_law_conditioned_on_the_range(a, b):
    low, high = sorted((a, b))
    law = LogUniform(low=8, high=128, step=8)
    narrow = law.narrow(low * 8, high * 8)
    inside = np.isin(law_values(law), law_values(narrow))
    conditioned = probabilities(law)[inside] / probabilities(law)[inside].sum()
    np.testing.assert_allclose(probabilities(narrow), conditioned, rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Uniform(low=5, high=1), "right way up"),
        (lambda: LogUniform(low=0, high=8, step=8), "begin at 8"),
        (lambda: Uniform(low=1, high=12, step=8), "multiple of the step 8; nearest: 0"),
        (lambda: PowersOfTwo(low=1, high=12), "power of two; nearest: 16"),
        (lambda: Choice(options=()), "at least one value"),
        (lambda: Uniform(low=1, high=8).narrow(0, 4), r"must lie inside \[1, 8\]; nearest: \[1, 4\]"),
        (lambda: Uniform(low=1, high=8).narrow(4, 2), "upside down"),
        (lambda: Choice(options=(1, 2)).narrow(3, 4), "holds none of the options"),
        (lambda: Uniform(low=1, high=math.inf), "finite"),
    ],
)
def test_impossible_ranges_are_refused(make, sentence):
    with pytest.raises(SpaceError, match=sentence):
        make()
