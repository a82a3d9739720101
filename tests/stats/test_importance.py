"""Forest importance and the cost of broken relations, on simulated populations whose truth is known."""

import math
import time

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor

from netspace.errors import InputError
from netspace.stats import Cost, Shift, cost_per_step, forest_importance, shift, two_routes
from netspace.stats.importance import TREES, _out_of_bag


def additive(n: int, seed: int = 0) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Errors that depend on d most, on w less, and not on b and g; four stages each."""
    rng = np.random.default_rng(seed)
    groups = {name: rng.random((n, 4)) for name in "bdgw"}
    errors = 0.2 + 0.2 * groups["d"].mean(axis=1) + 0.12 * groups["w"].mean(axis=1) + rng.normal(0.0, 0.005, n)
    return groups, errors, rng.random(n)


def confounded(n: int, seed: int = 0) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Errors that depend on complexity and w; x follows complexity and does nothing itself."""
    rng = np.random.default_rng(seed)
    complexity, w = rng.random(n), rng.random(n)
    x = complexity + rng.normal(0.0, 0.2, n)
    return {"x": x, "w": w}, 0.2 + 0.3 * complexity + 0.1 * w + rng.normal(0.0, 0.01, n), complexity


def by_name(found):
    return {group.name: group for group in found.groups}


def test_a_known_model_gives_the_right_order_and_nothing_to_the_idle():
    found = forest_importance(*additive(300))
    assert [group.name for group in found.groups[:2]] == ["d", "w"]
    groups = by_name(found)
    assert groups["d"].rise > 2 * groups["w"].rise
    assert groups["w"].low > 0.05
    for idle in "bg":
        assert abs(groups[idle].rise) < 0.02
        assert groups[idle].low < 0.01
    assert 0.5 < found.explained < 1.0
    assert (found.networks, found.strata, found.refused) == (300, 30, "")
    assert all(group.low < group.rise < group.high and group.spread > 0.0 for group in found.groups)


def test_it_is_the_same_for_a_seed_and_for_errors_of_the_same_ranks():
    groups, errors, complexity = additive(80)
    found = forest_importance(groups, errors, complexity, seed=1)
    assert found == forest_importance(groups, errors**3, complexity, seed=1)
    assert found != forest_importance(groups, errors, complexity, seed=2)


@pytest.mark.parametrize("n", [30, 64, 200])
def test_noise_is_refused(n):
    told = 0
    for seed in range(10):
        groups, _, complexity = additive(n, seed)
        found = forest_importance(groups, np.random.default_rng(99 + seed).random(n), complexity, forests=2)
        told += not found.refused
        if found.refused:
            assert found.refused.startswith("cannot tell: the forest explains ")
            assert found.refused.endswith("% of the spread (out-of-bag R2), at least 20 % is needed")
            assert found.groups == ()
    assert told <= 1


def test_the_trees_are_those_of_a_random_forest():
    groups, errors, _ = additive(80)
    known = np.column_stack(list(groups.values())).astype(np.float32)
    forest = RandomForestRegressor(
        n_estimators=TREES, max_features=1 / 3, min_samples_leaf=5, random_state=3, oob_score=True
    ).fit(known, errors)
    assert _out_of_bag(known, errors, known[None], 3)[0].tolist() == pytest.approx(forest.oob_prediction_.tolist())


def test_strata_give_nothing_to_a_parameter_that_only_follows_complexity():
    groups, errors, complexity = confounded(300)
    fooled = by_name(forest_importance(groups, errors, complexity, strata=1))
    assert fooled["x"].rise > 0.8
    assert fooled["x"].low > 3 * fooled["w"].rise
    told = by_name(forest_importance(groups, errors, complexity))
    assert told["x"].rise < 0.05
    assert told["x"].low < 0.0
    assert told["w"].low > 0.05


def test_a_parameter_that_the_budget_ties_to_another_keeps_a_part_of_its_importance():
    rng = np.random.default_rng(3)
    width, complexity = rng.random(300), 0.7 * rng.random(300)
    depth = complexity - 2.0 * width + rng.normal(0.0, 0.3, 300)
    found = forest_importance({"w": width, "d": depth}, 0.2 + 0.3 * width + rng.normal(0.0, 0.02, 300), complexity)
    groups = by_name(found)
    assert 0.0 < groups["d"].rise < 0.4 * groups["w"].rise


def test_the_limits_of_an_idle_parameter_seldom_exclude_nothing():
    surely = 0
    for seed in range(40):
        groups, errors, complexity = additive(60, seed)
        del groups["w"]
        found = by_name(forest_importance(groups, errors, complexity, forests=3))
        surely += sum(found[idle].low > 0.0 for idle in "bg" if found)
    assert surely <= 6


def test_failures_are_the_worst_and_no_further_away():
    groups, errors, complexity = additive(120)
    failed = errors.copy()
    failed[np.argsort(errors)[-20:]] = math.inf
    assert [group.name for group in forest_importance(groups, failed, complexity).groups[:2]] == ["d", "w"]


def test_a_parameter_that_some_networks_lack_is_a_value_of_its_own():
    groups, _, complexity = additive(120)
    groups["d"][:60] = math.nan
    lacking = np.repeat([0.3, 0.2], 60) + np.random.default_rng(0).normal(0.0, 0.01, 120)
    assert forest_importance(groups, lacking, complexity).groups[0].name == "d"


@pytest.mark.parametrize("errors", [np.full(60, math.inf), np.full(60, 0.1)])
def test_nothing_is_told_where_all_failed_or_are_alike(errors):
    groups, _, complexity = additive(60)
    found = forest_importance(groups, errors, complexity)
    assert (found.refused, found.explained) == ("cannot tell: all networks have the same error", None)


@pytest.mark.parametrize("n", [1, 2, 29])
def test_of_a_handful_nothing_is_told(n):
    found = forest_importance(*additive(n))
    assert (found.refused, found.groups) == (f"not enough data: {n} of 30 networks", ())


def test_many_ties_are_no_trouble():
    groups, errors, _ = additive(200)
    found = forest_importance({name: column.round() for name, column in groups.items()}, errors.round(2), np.ones(200))
    assert [group.name for group in found.groups[:2]] == ["d", "w"]


def test_five_hundred_networks_take_seconds():
    begun = time.perf_counter()
    forest_importance(*additive(500))
    rng = np.random.default_rng(1)
    cost_per_step(rng.integers(0, 4, 500), rng.random(500), rng.random(500))
    assert time.perf_counter() - begun < 20.0


def broken(n: int, cost: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Networks that break a relation at up to three steps, the more the more complex they are, at a cost each."""
    rng = np.random.default_rng(seed)
    complexity = rng.random(n)
    steps = rng.binomial(3, 0.2 + 0.6 * complexity)
    return steps, 0.5 - 0.2 * complexity + cost * steps + rng.normal(0.0, 0.02, n), complexity


def test_the_limits_hold_the_true_cost_as_often_as_stated():
    held, claimed = 0, 0
    for seed in range(200):
        steps, errors, complexity = broken(100, 0.01, seed)
        found = cost_per_step(steps, errors, complexity, repeats=500)
        held += found.low <= 0.01 <= found.high
        noise = np.random.default_rng(1000 + seed).random(100)
        claimed += cost_per_step(steps, noise, complexity, repeats=500).p_value <= 0.05
    assert held >= 180
    assert claimed <= 18


def test_strata_undo_what_complexity_does():
    steps, errors, complexity = broken(400, 0.0, 5)
    fooled = cost_per_step(steps, errors, np.ones(400))
    assert fooled.rise < -0.02
    assert fooled.p_value < 0.001
    assert abs(cost_per_step(steps, errors, complexity).rise) < 0.004


def test_spaces_are_compared_with_themselves_only():
    rng = np.random.default_rng(6)
    steps = np.r_[rng.binomial(1, 0.8, 60), rng.binomial(1, 0.2, 60)]
    errors, space = np.r_[rng.normal(0.6, 0.02, 60), rng.normal(0.2, 0.02, 60)], np.repeat([0, 1], 60)
    assert cost_per_step(steps, errors, rng.random(120)).rise > 0.1
    assert abs(cost_per_step(steps, errors, rng.random(120), space).rise) < 0.02


def test_the_p_value_and_the_limits_say_the_same():
    for seed in range(40):
        steps, errors, complexity = broken(60, 0.006, seed)
        found = cost_per_step(steps, errors, complexity, repeats=1000)
        if abs(found.p_value - 0.05) > 0.01:
            assert (found.p_value <= 0.05) == (found.low > 0.0 or found.high < 0.0)


def test_too_few_that_obey_say_nothing():
    obeyed, errors = np.arange(150) % 25 == 0, np.linspace(0.1, 0.5, 150)
    assert cost_per_step(~obeyed, errors, np.arange(150)) is None
    assert cost_per_step(np.zeros(150), errors, np.arange(150)) is None


def test_failures_count_as_the_worst():
    steps = np.tile([0, 1], 40)
    errors = np.where(steps == 1, math.inf, np.linspace(0.1, 0.2, 80))
    found = cost_per_step(steps, errors, np.arange(80))
    assert (found.rise, found.low, found.p_value < 0.001) == (math.inf, math.inf, True)
    alike = cost_per_step(steps, np.full(80, math.inf), np.arange(80))
    assert (alike.rise, alike.p_value) == (0.0, 1.0)


def test_a_shift_of_the_distribution_is_found_with_its_direction():
    rng = np.random.default_rng(7)
    holds, violates = rng.normal(0.2, 0.02, 100), rng.normal(0.23, 0.02, 100)
    found = shift(holds, violates)
    assert found.low < 0.03 < found.high
    assert found.lead > 0.3
    assert found.p_value < 0.001
    turned = shift(violates, holds)
    assert (turned.median, turned.lead, turned.p_value) == (-found.median, -found.lead, found.p_value)
    assert shift(holds, holds).p_value == 1.0
    assert shift(holds, violates[:9]) is None
    failed = shift(np.full(20, math.inf), np.full(20, math.inf))
    assert (failed.median, failed.lead, failed.p_value) == (None, 0.0, 1.0)


def test_the_two_routes_in_words():
    def within(rise, p):
        return Cost(rise=rise, low=-1.0, high=1.0, p_value=p)

    def between(lead, p):
        return Shift(median=lead, low=-1.0, high=1.0, lead=lead, p_value=p)

    assert two_routes(within(0.1, 0.01), between(0.3, 0.01)) == "agree: it costs"
    assert two_routes(within(-0.1, 0.01), between(0.3, 0.01)) == "disagree: within it helps, between it costs"
    assert two_routes(within(-0.1, 0.2), between(0.3, 0.01)) == "only between shows: it costs"
    assert two_routes(within(-0.1, 0.01), between(0.3, 0.2)) == "only within shows: it helps"
    assert two_routes(within(-0.1, 0.2), between(0.3, 0.2)) == "neither shows anything"
    assert two_routes(None, between(0.3, 0.2)) == "between alone: nothing shown"
    assert two_routes(None, None) == "not enough data"


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda: forest_importance({}, [0.1] * 4, [1.0] * 4), "groups must name at least one parameter"),
        (lambda: forest_importance({"d": [1, 2]}, [0.1] * 4, [1.0] * 4), r"groups\['d'\] .* a row for each of the 4"),
        (lambda: forest_importance({"d": [1, math.inf]}, [0.1] * 2, [1.0] * 2), "holds an infinite value"),
        (lambda: forest_importance({"d": [1, 2]}, [0.1, math.nan], [1.0] * 2), r"errors\[1\] \(=nan\)"),
        (lambda: forest_importance({"d": [1, 2]}, [0.1] * 2, [1.0, math.nan]), "complexity .* must hold a finite"),
        (lambda: forest_importance({"d": [1, 2]}, [0.1] * 2, [1.0] * 2, strata=2), r"strata \(=2\) must be"),
        (lambda: forest_importance({"d": [1, 2]}, [0.1] * 2, [1.0] * 2, forests=1), r"forests \(=1\) must be"),
        (lambda: cost_per_step([0, math.nan], [0.1] * 2, [1.0] * 2), "broken .* must hold a number for each"),
        (lambda: cost_per_step([0, 1], [0.1] * 2, [1.0]), "complexity .* must hold a finite number for each"),
        (lambda: cost_per_step([0, 1], [0.1] * 2, [1.0] * 2, [0]), "blocks .* must hold a number for each"),
        (lambda: cost_per_step([0, 1], [0.1] * 2, [1.0] * 2, repeats=1), r"repeats \(=1\) must be at least 100"),
        (lambda: shift([0.1], [math.nan]), r"violates\[0\] \(=nan\)"),
    ],
)
def test_impossible_questions_are_refused_in_a_sentence(ask, sentence):
    with pytest.raises(InputError, match=sentence):
        ask()
