"""Bands of latency: a shortlist is measured, each network once, and the search gives up after a stated number."""

import pytest

from netspace.errors import SpaceError
from netspace.networks.complexity import complexity
from netspace.spaces.catalog import space
from netspace.spaces.latency import LatencyBand


class Meter:
    """A device on which a network takes a millisecond for every hundred thousand flops."""

    def __init__(self):
        self.asked = []

    def __call__(self, spec):
        self.asked.append(spec.digest)
        return complexity(spec, 32).flops / 1e5, 0.1


def test_only_networks_of_the_budget_are_measured_and_each_once():
    meter = Meter()
    band = LatencyBand(low=20, high=30, measure=meter)
    taken = space("anynetx_a").sample(8, resolution=32, flops=(1e6, 4e6), latency=band)
    assert all(2e6 <= cost <= 3e6 for cost in taken.complexity.flops)
    assert taken.latencies == tuple((cost / 1e5, 0.1) for cost in taken.complexity.flops)
    assert len(meter.asked) == len(set(meter.asked))
    inside = space("anynetx_a").sample(len(meter.asked), resolution=32, flops=(1e6, 4e6))
    assert meter.asked == [spec.digest for spec in inside.networks]
    assert taken.in_band == 8 + taken.duplicates


def test_a_search_gives_up_and_says_what_it_saw():
    band = LatencyBand(low=5, high=6, measure=Meter(), most=7)
    with pytest.raises(SpaceError, match=r"latency in 5..6 ms: of 7 networks that were measured 0 of 3 lie there"):
        space("anynetx_a").sample(3, resolution=32, flops=(1e6, 4e6), latency=band)


@pytest.mark.parametrize(
    ("bounds", "sentence"),
    [((2, 1), "upside down; the nearest is 1..2"), ((-1, 1), "finite"), ((0, float("inf")), "finite")],
)
def test_a_wrong_band_is_one_sentence(bounds, sentence):
    with pytest.raises(SpaceError, match=sentence):
        LatencyBand(low=bounds[0], high=bounds[1], measure=Meter())
