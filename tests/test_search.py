"""The chapter's three searches, replayed: what each may spend, what it returns, and what is told of many of them."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

search = SimpleNamespace(**runpy.run_path(Path(__file__).parents[1] / "examples" / "chapter" / "search.py"))


def pool(chance, *, size=40, gain=0.0, hidden=0.0):
    """Return networks whose longer errors are more alike to the longest than the short ones are."""
    longest = chance.normal(0.1 - gain, 0.01, size)
    longer, short = (longest + chance.normal(0, noise, size) for noise in (0.002, 0.004))
    costs = chance.uniform(1, 3, size)
    known = np.where(chance.random(size) < hidden, np.nan, longest)
    return search.Pool(short=short, longer=longer, longest=known, short_cost=costs, longer_cost=4 * costs)


@given(st.integers(0, 1000), st.floats(0, 300))
def test_random_search_takes_what_it_can_pay_and_returns_the_best_of_it(seed, budget):
    chance = np.random.default_rng(seed)
    networks = pool(chance)
    order = chance.permutation(len(networks))
    winner, count = search.random_search(networks, order, budget)
    costs = networks.longer_cost[order]
    assert costs[:count].sum() <= budget
    assert count == len(order) or costs[: count + 1].sum() > budget
    if count:
        assert networks.longer[winner] == networks.longer[order[:count]].min()
    else:
        assert winner == -1


@given(st.integers(0, 1000), st.floats(0, 300))
def test_halving_keeps_a_third_within_its_budget_and_could_not_begin_with_more(seed, budget):
    chance = np.random.default_rng(seed)
    networks = pool(chance)
    order = chance.permutation(len(networks))

    def kept_and_cost(count):
        taken = sorted(order[:count], key=lambda network: networks.short[network])
        kept = taken[: count // 3]
        return kept, networks.short_cost[order[:count]].sum() + networks.longer_cost[kept].sum()

    possible = [count for count in range(3, len(order) + 1) if kept_and_cost(count)[1] <= budget]
    winner, count = search.halving(networks, order, budget)
    assert count == max(possible, default=0)
    assert winner == (min(kept_and_cost(count)[0], key=lambda network: networks.longer[network]) if count else -1)


def test_a_better_space_wins_once_it_is_paid_for():
    chance = np.random.default_rng(0)
    wide, better = pool(chance, size=96), pool(chance, size=96, gain=0.02)
    told = {(row.way, row.budget): row for row in search.rows(wide, better, (60.0, 200.0), 48, 400)}
    known = told["space known", 60.0]
    assert known.gain[1] > 0.01
    assert known.error[0] < told["halving", 60.0].error[0] < told["random", 60.0].error[0]
    # Of 60 trainings 48 go into learning the space, which leaves too few for most of the gain.
    first = told["space first", 60.0]
    assert first.networks < known.networks / 3
    assert told["space first", 200.0].gain[0] > first.gain[0]


def test_ways_that_search_one_space_search_the_same_networks():
    networks = pool(np.random.default_rng(1), size=96)
    rows = {row.way: row for row in search.rows(networks, networks, (100.0,), 0, 400)}
    assert rows["halving"].networks == pytest.approx(rows["space known"].networks, rel=0.1)
    assert rows["space first"].gain[1] < rows["halving"].gain[0] < rows["space first"].gain[2]


def test_nothing_is_told_where_winners_are_unknown_or_nothing_was_trained():
    networks = pool(np.random.default_rng(2), size=96, hidden=0.3)
    rows = {row.way: row for row in search.rows(networks, networks, (100.0,), 120, 400)}
    assert rows["random"].error is rows["random"].gain is None
    assert 0.05 < rows["random"].unknown < 0.6
    assert rows["space first"].nothing == 1
    assert rows["space first"].networks == 0
    assert rows["space first"].error is None


def test_the_same_results_are_told_again():
    networks = pool(np.random.default_rng(3))
    once, again = (search.rows(networks, networks, (50.0,), 10, 200) for _ in range(2))
    assert once == again
    assert_array_equal([row.unknown for row in once], 0)
