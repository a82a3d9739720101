"""Spaces: exact counts, relations that hold in every draw, draws that depend on their number alone."""

import itertools
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from netspace.errors import SpaceError, SpecError
from netspace.spaces.budget import Budget
from netspace.spaces.catalog import SPACES, space
from netspace.spaces.laws import LogUniform, Uniform, law_values, probabilities
from netspace.spaces.relations import Increasing, Independent, Share
from netspace.spaces.sample import sample


@pytest.mark.parametrize(
    ("name", "size", "free"),
    [
        ("anynetx_a", 1846757322198614016, 16),
        ("anynetx_b", 68398419340689408, 13),
        ("anynetx_c", 316659348799488, 10),
        ("anynetx_d", 13821510942720, 10),
        ("anynetx_e", 817446539520, 10),
        ("regnetx", None, 6),
    ],
)
def test_sizes_are_exact(name, size, free):
    assert space(name).size() == size
    assert space(name).free_parameters() == free


@pytest.mark.parametrize("relation", [Independent, Share, Increasing])
@pytest.mark.parametrize("law", [Uniform(low=1, high=5), LogUniform(low=8, high=48, step=8)], ids=str)
def test_a_relation_counts_and_weighs_like_brute_force(relation, law):
    """Its draws have the law of independent stages conditioned on the relation, ties included."""
    stages = 3
    values, chances = law_values(law), probabilities(law)
    holds = {
        Independent: lambda row: True,
        Share: lambda row: len(set(row)) == 1,
        Increasing: lambda row: list(row) == sorted(row),
    }[relation]
    inside = [row for row in itertools.product(range(len(values)), repeat=stages) if holds(row)]
    tied = relation(parameter="width")
    assert tied.count(law, stages) == len(inside)

    uniform = np.random.Generator(np.random.PCG64(1)).random((120_000, stages))
    rows = tied.draw(law, uniform)
    seen = Counter(tuple(row) for row in np.searchsorted(values, rows).tolist())
    assert set(seen) <= set(inside)
    weights = np.array([np.prod(chances[list(row)]) for row in inside])
    if relation is Share:
        weights = chances  # a shared value is one draw of its law, not three that agree
    observed = [seen[row] for row in inside]
    assert stats.chisquare(observed, weights / weights.sum() * len(rows)).pvalue > 0.001


@given(st.sampled_from(SPACES), st.integers(0, 5000), st.integers(1, 40), st.integers(0, 2**40))
def test_a_draw_depends_on_its_number_alone(name, start, count, seed):
    some = space(name).draw(start, start + count, seed=seed)
    more = space(name).draw(max(0, start - 7), start + count + 9, seed=seed)
    offset = start - max(0, start - 7)
    for key, column in some.drawn.items():
        assert (column == more.drawn[key][offset : offset + count]).all()
    assert (some.networks.table() == more.networks.table()[offset : offset + count]).all()


def test_draws_are_the_same_in_a_fresh_interpreter():
    code = (
        "from netspace.spaces.catalog import space;"
        "print([n.digest for n in space('regnetx').sample(5, seed=7, flops=(2e8, 4e8)).networks])"
    )
    fresh = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    here = [n.digest for n in space("regnetx").sample(5, seed=7, flops=(2e8, 4e8)).networks]
    assert fresh.strip() == str(here)


def test_draws_are_the_same_on_every_machine():
    taken = space("anynetx_a").sample(3, seed=0, flops=(360e6, 400e6))
    assert list(taken.positions) == [13, 98, 120]
    assert [network.digest[:8] for network in taken.networks] == ["820c7ade", "732f6d65", "4fe78fec"]


def test_other_seeds_and_other_spaces_draw_otherwise():
    a = space("anynetx_a").draw(0, 50).networks.table()
    assert (a != space("anynetx_a").draw(0, 50, seed=1).networks.table()).any(axis=1).all()
    assert (a != space("anynetx_b").draw(0, 50).networks.table()).any(axis=1).all()


@pytest.mark.parametrize("name", SPACES)
def test_every_draw_of_a_space_obeys_its_relations(name):
    tied = space(name)
    draws = tied.draw(0, 2000)

    def columns(parameter):
        return np.stack([draws.drawn[f"{parameter}[{i}]"] for i in range(tied.num_stages)], axis=1)

    for relation in tied.relations:
        rows = columns(relation.parameter)
        if isinstance(relation, Share):
            assert (rows == rows[:, :1]).all()
        else:
            assert (np.diff(rows, axis=1) >= 0).all()
    if tied.is_linear:
        widths = np.stack([stage.width for stage in draws.networks.stages], axis=1)[draws.exists]
        assert draws.exists.any()
        assert (~draws.exists).any()
        assert (np.diff(widths, axis=1) >= 0).all()
    for row in np.flatnonzero(draws.exists)[:50]:
        draws.networks[int(row)]  # a spec that can be built, or this raises


@given(st.integers(1, 40))
def test_a_larger_sample_only_appends(n):
    band = {"flops": (2e6, 8e6), "resolution": 32}
    small, large = space("anynetx_c").sample(n, **band), space("anynetx_c").sample(40, **band)
    assert large.networks[:n] == small.networks
    assert large.positions[:n] == small.positions
    assert len(set(large.networks)) == 40


def test_a_sample_tells_what_it_cost():
    taken = space("anynetx_a").sample(20, flops=(360e6, 400e6), params=(1e6, 1e8))
    assert taken.draws == taken.positions[-1] + 1
    assert taken.acceptance == taken.in_band / taken.draws
    assert ((taken.complexity.flops >= 360e6) & (taken.complexity.flops <= 400e6)).all()
    assert (taken.complexity.params >= 1e6).all()
    draws = space("anynetx_a").draw(0, taken.draws)
    for i, position in enumerate(taken.positions):
        assert draws.networks[position] == taken.networks[i]


def test_duplicates_are_counted_and_never_returned():
    tiny = space("anynetx_e").narrow(depth=1, width=(8, 16), bottleneck_ratio=1, group_width=(1, 2))
    taken = tiny.sample(9)
    assert len(set(taken.networks)) == 9
    assert taken.duplicates == taken.in_band - 9 > 0


def test_a_band_that_cannot_be_met_says_what_can():
    with pytest.raises(SpaceError) as caught:
        sample(space("anynetx_a"), 3, budget=Budget(flops=(1, 10)), max_draws=5000)
    text = str(caught.value)
    assert "5,000 draws gave 0 of 3 distinct networks with flops in 1..10" in text
    assert "acceptance 0" in text
    assert "above" in text
    with pytest.raises(SpaceError, match=r"next to the band .* below and .* above"):
        sample(space("anynetx_a"), 3, budget=Budget(flops=(1_000_000_000, 1_000_000_001)), max_draws=5000)


def test_a_space_smaller_than_the_sample_says_so():
    one = space("anynetx_e").narrow(depth=1, width=8, bottleneck_ratio=1, group_width=1)
    with pytest.raises(SpaceError, match="gave 1 of 2 distinct networks"):
        sample(one, 2, max_draws=3000)


def test_a_resolution_too_small_for_the_stages():
    with pytest.raises(SpecError, match=r"stages\[2\] has stride 2 but its input is 1x1"):
        space("anynetx_a").sample(1, resolution=8)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: space("anynetx_f"), "did you mean 'anynetx_"),
        (lambda: space("anynetx_a").narrow(dept=1), "dept: anynetx_a has no such parameter; did you mean 'depth'"),
        (lambda: space("anynetx_a").narrow(depth=(1, 17)), r"depth: range \[1, 17\] must lie inside \[1, 16\]"),
        (lambda: space("anynetx_a").narrow(depth=(1, 2, 3)), r"must be one number or \[low, high\]"),
        (lambda: space("anynetx_a").share("widht"), "did you mean 'width'"),
        (lambda: space("anynetx_b").increasing("bottleneck_ratio"), "can have one"),
        (lambda: space("regnetx").increasing("width"), "no such parameter"),
        (lambda: space("anynetx_a").sample(0), "n .=0. must be"),
        (lambda: space("anynetx_a").sample(1, flops=(2, 1)), "upside down"),
        (lambda: space("anynetx_a").sample(1, flops=(float("nan"), 1)), "finite"),
    ],
)
def test_bad_input_is_one_sentence(make, sentence):
    with pytest.raises(SpaceError, match=sentence):
        make()
