"""The Pareto front against its definition, and what it refuses."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netspace.errors import InputError
from netspace.stats import pareto_front

# Few distinct values, so that ties of every kind are common.
errors = st.sampled_from([0.0, 0.1, 0.2, 0.3, 1.0, math.inf])
costs = st.sampled_from([0.0, 1.0, 2.0, 3.5, 1e12])
networks = st.lists(st.tuples(errors, costs), min_size=1, max_size=12)


def by_definition(points):
    def beats(one, other):
        return one[0] <= other[0] and one[1] <= other[1] and one != other

    return [point[0] < math.inf and not any(beats(other, point) for other in points) for point in points]


@given(networks)
def test_the_front_is_that_of_the_definition(points):
    assert pareto_front(*zip(*points, strict=True)).tolist() == by_definition(points)


@given(networks, st.randoms(use_true_random=False))
def test_the_order_of_networks_is_nothing_to_it(points, chance):
    order = list(range(len(points)))
    chance.shuffle(order)
    front = pareto_front(*zip(*points, strict=True))
    mixed = pareto_front(*zip(*(points[i] for i in order), strict=True))
    assert mixed.tolist() == front[order].tolist()


def test_failures_are_never_on_it_even_where_all_failed():
    assert pareto_front([math.inf, math.inf], [1, 2]).tolist() == [False, False]
    assert pareto_front([math.inf, 0.5], [1, 2]).tolist() == [False, True]


def test_what_is_no_number_is_refused_by_name():
    with pytest.raises(InputError, match=r"errors\[1\] \(=nan\)"):
        pareto_front([0.1, math.nan], [1, 2])
    with pytest.raises(InputError, match=r"costs\[0\] \(=nan\) must be a finite number"):
        pareto_front([0.1, 0.2], [math.nan, 2])
    with pytest.raises(InputError, match=r"costs \(shape \(1,\)\) must hold one for each of the 2 errors"):
        pareto_front(np.array([0.1, 0.2]), [1.0])
