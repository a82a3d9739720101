"""A parameter along the stages: counts, weights and membership against brute force."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from netspace.errors import SpaceError
from netspace.spaces.chains import chain
from netspace.spaces.laws import Choice, LogUniform, PowersOfTwo, Uniform, law_values, probabilities
from netspace.spaces.relations import (
    Constant,
    Decreasing,
    Different,
    Fixed,
    Increasing,
    Ratio,
    Share,
    Total,
    Violation,
    complement,
    opposite,
)
from tests.spaces.brute import holds

P = {"parameter": "width"}
LAWS = [
    Uniform(low=1, high=5),
    LogUniform(low=8, high=48, step=8),
    PowersOfTwo(low=1, high=8),
    Choice(options=(1, 2, 4)),
]
RELATIONS = [
    Share(**P),
    Constant(**P),
    Different(**P),
    Increasing(**P),
    Increasing(strict=True, **P),
    Decreasing(**P),
    Decreasing(strict=True, **P),
    Ratio(low=1, high=2, **P),
    Ratio(low=0.5, high=0.75, **P),
    Total(low=4, high=12, **P),
    Total(low=40, high=80, **P),
]
RELATIONS += [Violation(relation=relation) for relation in RELATIONS]
laws = st.sampled_from(LAWS)
relations = st.sampled_from(RELATIONS)


def inside(law, tied, stages):
    values = law_values(law).tolist()
    return [row for row in itertools.product(values, repeat=stages) if all(holds(r, row) for r in tied)]


@given(laws, st.lists(relations, max_size=3), st.integers(1, 4))
def test_counts_sequences_and_membership_are_those_of_brute_force(law, tied, stages):
    expected = inside(law, tied, stages)
    if not expected:
        with pytest.raises(SpaceError, match="contradict"):
            chain(law, tuple(tied), stages)
        return
    made = chain(law, tuple(tied), stages)
    assert made.count() == len(expected)
    assert sorted(map(tuple, made.sequences().tolist())) == sorted(expected)
    for row in itertools.product(law_values(law).tolist(), repeat=stages):
        assert made.reads(row) == (row in expected)
    assert not made.reads([999.0] * stages)


@given(laws, st.lists(relations, max_size=2), st.integers(1, 4), st.integers(0, 2**32))
def test_every_draw_is_inside(law, tied, stages, seed):
    expected = set(inside(law, tied, stages))
    assume(expected)
    uniform = np.random.Generator(np.random.PCG64(seed)).random((64, stages))
    uniform[0], uniform[1] = 0.0, np.nextafter(1.0, 0.0)
    assert set(map(tuple, chain(law, tuple(tied), stages).draw(uniform).tolist())) <= expected


@pytest.mark.parametrize("law", LAWS[:2], ids=lambda law: law.kind)
@pytest.mark.parametrize("relation", RELATIONS, ids=lambda relation: relation.describe())
def test_draws_have_the_law_of_independent_stages_conditioned_on_the_relation(relation, law):
    stages, n = 3, 100_000
    rows = inside(law, [relation], stages)
    if not rows:
        pytest.skip("this law and this relation contradict each other")
    chances = dict(zip(law_values(law).tolist(), probabilities(law).tolist(), strict=True))
    weights = np.array([np.prod([chances[value] for value in row]) for row in rows])
    if isinstance(relation, Share):  # one draw, not three that agree
        weights = np.array([chances[row[0]] for row in rows])
    uniform = np.random.Generator(np.random.PCG64(1)).random((n, stages))
    seen = Counter(map(tuple, chain(law, (relation,), stages).draw(uniform).tolist()))
    assert set(seen) <= set(rows)
    if len(rows) > 1:
        observed = [seen[row] for row in rows]
        assert stats.chisquare(observed, weights / weights.sum() * n).pvalue > 0.001


@pytest.mark.parametrize("relation", RELATIONS, ids=lambda relation: relation.describe())
def test_a_relation_and_its_violation_share_all_draws_between_them(relation):
    law = LAWS[1]
    everything = len(law_values(law)) ** 3

    def count(tied):
        try:
            return chain(law, (tied,), 3).count()
        except SpaceError:
            return 0

    assert count(relation) + count(complement(relation)) == everything


def test_strict_opposites():
    assert opposite(Increasing(**P)) == Decreasing(strict=True, **P)
    assert opposite(Decreasing(strict=True, **P)) == Increasing(strict=True, **P)
    assert opposite(Share(**P)) == Different(**P)
    assert opposite(Different(**P)) == Constant(**P)
    with pytest.raises(SpaceError, match="'width sums to 4 to 12' has no strict opposite"):
        opposite(Total(low=4, high=12, **P))


def test_a_contradiction_names_both():
    with pytest.raises(SpaceError, match=r"'width rises' and 'width falls' contradict each other under 1..5, uniform"):
        chain(LAWS[0], (Increasing(strict=True, **P), Total(low=1, high=99, **P), Decreasing(strict=True, **P)), 3)
    with pytest.raises(SpaceError, match=r"'width rises' contradicts the law 1..5, uniform in 6 stages"):
        chain(LAWS[0], (Increasing(strict=True, **P),), 6)
    three = (Different(**P), Increasing(**P), Decreasing(**P))
    with pytest.raises(SpaceError, match=r"'width never falls', 'width never rises' contradict"):
        chain(LAWS[0], three, 3)


def test_too_many_states_are_refused_in_words():
    law = Uniform(low=1, high=3000)
    with pytest.raises(SpaceError, match=r"width: its relations together have .* too many to count"):
        chain(law, (Increasing(**P),), 3)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Ratio(low=2, high=1, **P), "width is 2 to 1 times the stage before: upside down; the nearest is"),
        (lambda: Total(low=-1, high=1, **P), r"low \(=-1\) must be at least 0"),
        (
            lambda: Violation(relation=Violation(relation=Share(**P))),
            "'not: not: width is shared' is",
        ),
        (lambda: Fixed(values=(1, 2), **P).check(3), "2 values for 3 stages"),
    ],
)
def test_bad_relations_are_one_sentence(make, sentence):
    with pytest.raises(SpaceError, match=sentence):
        make()


@pytest.mark.parametrize("tenths", [11, 14, 22])
def test_ratios_are_closed_where_floats_are_not(tenths):
    law = LogUniform(low=8, high=1024, step=8)
    values = [int(value) for value in law_values(law)]
    exact = sum(10 * b == tenths * a for a in values for b in values)
    assert chain(law, (Ratio(low=tenths / 10, high=tenths / 10, **P),), 2).count() == exact > 0
