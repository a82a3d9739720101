"""The chapter's searches, replayed: what each may spend, what it returns, and what is told of many of them."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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


@given(st.integers(0, 1000), st.floats(0, 300))
def test_a_space_is_chosen_by_its_first_networks_and_all_of_them_are_paid(seed, budget):
    chance = np.random.default_rng(seed)
    pools = [pool(chance), pool(chance, gain=0.001)]
    orders = [chance.permutation(40), chance.permutation(40)]
    chosen, (winner, count) = search.space_first(pools, orders, budget, 6)
    medians = [np.median(networks.short[order[:6]]) for networks, order in zip(pools, orders, strict=True)]
    assert medians[chosen] == min(medians)
    other = pools[1 - chosen].short_cost[orders[1 - chosen][:6]].sum()
    alone = search.halving(pools[chosen], orders[chosen], budget - other)
    assert (winner, count - 6) == (alone if alone[1] >= 6 else (-1, 0))


def told(spaces, *, learning=12, budget=100.0):
    return {row.way: row for row in search.rows(spaces, (budget,), learning, 400)}


def test_a_better_space_is_found_and_pays_most_for_who_knows_it():
    chance = np.random.default_rng(0)
    found = told({"wide": pool(chance, size=96), "better": pool(chance, size=96, gain=0.02)})
    assert list(found) == ["random", "halving", "space first", "in better"]
    known, first = found["in better"], found["space first"]
    assert known.gain[1] > 0.01
    assert known.error[0] < first.error[0] < found["halving"].error[0] < found["random"].error[0]


def test_ways_that_search_one_space_meet_the_same_networks():
    networks = pool(np.random.default_rng(1), size=96)
    found = told({"one": networks, "same": networks})
    assert found["halving"].networks == pytest.approx(found["in same"].networks, rel=0.1)
    assert found["in same"].gain[1] < found["halving"].gain[0] < found["in same"].gain[2]
    assert told({"one": networks})["space first"].gain == told({"one": networks})["halving"].gain


def test_nothing_is_told_where_winners_are_unknown_or_nothing_was_trained():
    networks = pool(np.random.default_rng(2), size=96, hidden=0.3)
    found = told({"one": networks, "two": networks}, learning=90)
    assert found["random"].error is found["random"].gain is None
    assert 0.05 < found["random"].unknown < 0.6
    first = found["space first"]
    assert (first.nothing, first.unknown, first.error) == (1, 0, None)


def test_the_same_results_are_told_again():
    networks = pool(np.random.default_rng(3))
    assert told({"one": networks}) == told({"one": networks})
