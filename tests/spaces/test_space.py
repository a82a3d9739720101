"""Spaces: exact counts, relations that hold in every draw, draws that depend on their number alone."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netspace.errors import SpaceError, SpecError
from netspace.spaces.budget import Budget
from netspace.spaces.catalog import SPACES, space
from netspace.spaces.sample import sample
from netspace.spaces.space import DesignSpace
from tests.spaces.brute import holds


@pytest.mark.parametrize(
    ("name", "size", "free"),
    [
        ("anynetx_a", 1846757322198614016, 16),
        ("anynetx_b", 68398419340689408, 13),
        ("anynetx_c", 316659348799488, 10),
        ("anynetx_d", 13821510942720, 10),
        ("anynetx_e", 817446539520, 10),
        ("mlp", 6 * 4**3 * 32**3, 7),
        ("anynet_resnet", (16 * 128 * 3) ** 4, 12),
    ],
)
def test_sizes_are_exact(name, size, free):
    assert space(name).size() == size
    assert space(name).free_parameters() == free


SINGLE = [name for name in SPACES if isinstance(space(name), DesignSpace)]


@given(st.sampled_from(SINGLE), st.integers(0, 5000), st.integers(1, 40), st.integers(0, 2**40))
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


@pytest.mark.parametrize("name", SINGLE)
def test_every_draw_of_a_space_obeys_its_relations(name):
    tied = space(name)
    draws = tied.draw(0, 2000)

    def columns(parameter):
        return np.stack([draws.drawn[f"{parameter}[{i}]"] for i in range(tied.num_stages)], axis=1)

    for relation in tied.relations:
        rows = columns(relation.parameter)
        assert all(holds(relation, row) for row in rows[:300])
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
    taken = one.sample(2)
    assert taken.exhausted
    assert len(taken.networks) == 1
    few = space("anynetx_e").narrow(depth=(1, 2), width=(8, 16), bottleneck_ratio=1, group_width=(1, 8))
    assert few.distinct() == len(few.sample(10_000).networks) == len(set(few.sample(10_000).networks))
    assert not few.sample(3).exhausted


def test_a_network_may_come_again_where_that_is_asked():
    tiny = space("anynetx_e").narrow(depth=1, width=(8, 16), bottleneck_ratio=1, group_width=(1, 2))
    taken = tiny.sample(50, repeats=True)
    assert len(taken.networks) == taken.in_band == taken.draws == 50
    assert taken.duplicates == 50 - len(set(taken.networks)) > 0


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
        (lambda: space("anynetx_a").sample(10**7), "n .=10,000,000. must be at most"),
        (lambda: space("anynetx_a").sample(True), "whole number"),
        (lambda: space("regnetx").increasing("width"), "no such parameter"),
        (lambda: space("anynetx_a").sample(0), "n .=0. must be"),
        (lambda: space("anynetx_a").sample(1, flops=(2, 1)), "upside down"),
        (lambda: space("anynetx_a").sample(1, flops=(float("nan"), 1)), "finite"),
    ],
)
def test_bad_input_is_one_sentence(make, sentence):
    with pytest.raises(SpaceError, match=sentence):
        make()
