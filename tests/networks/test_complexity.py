"""One arithmetic: a million networks as arrays cost what each costs alone; parts add up to the whole."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netspace.errors import SpecError
from netspace.networks.complexity import MEASURES, complexity, parts
from netspace.networks.plan import out_side, plan, sides
from netspace.networks.spec import Stem
from netspace.spaces.catalog import SPACES, space
from tests.strategies import specs


@given(specs, st.integers(25, 70))
def test_parts_add_up_to_the_whole(spec, resolution):
    total = complexity(spec, resolution)
    for measure in MEASURES:
        assert sum(getattr(part.complexity, measure) for part in parts(spec, resolution)) == getattr(total, measure)
        assert type(getattr(total, measure)) is int


@pytest.mark.parametrize("name", SPACES)
def test_arrays_cost_what_each_network_costs_alone(name):
    resolution = 224 if name == "mlp" else 64
    for draws in space(name).batches(0, 300, seed=3):
        costs = complexity(draws.networks, resolution)
        rows = np.flatnonzero(draws.exists)
        assert len(rows) > 5
        for row in rows[:60]:
            alone = complexity(draws.networks[int(row)], resolution)
            for measure in MEASURES:
                assert getattr(costs, measure)[row] == getattr(alone, measure)


def test_arrays_refuse_what_64_bits_cannot_count():
    draws = space("anynetx_a").draw(0, 10).networks
    assert complexity(draws, 10_000).flops.min() > 0
    with pytest.raises(SpecError, match="more than 64-bit arithmetic can count"):
        complexity(dataclasses.replace(draws, stem=Stem(width=2**24)), 10_000)


@given(specs)
def test_a_plan_states_every_number_once(spec):
    planned = plan(spec)
    before = planned.stem.out_width
    for stage, chosen in zip(planned.stages, spec.stages, strict=True):
        blocks = list(stage.blocks())
        assert len(blocks) == chosen.depth
        for position, block in enumerate(blocks):
            convolutions = block.convolutions
            assert (convolutions[0].in_width, convolutions[-1].out_width) == (before, chosen.width)
            assert all(one.out_width == two.in_width for one, two in itertools.pairwise(convolutions))
            stride = chosen.stride if position == 0 else 1
            assert np.prod([convolution.stride for convolution in convolutions]) == stride
            same = before == chosen.width and stride == 1
            assert (block.projection is not None) == (spec.residual and spec.block in ("x", "basic") and not same)
            assert block.shortcut == (spec.residual and (same or spec.block in ("x", "basic")))
            if spec.block in ("x", "z"):
                grouped = convolutions[1]
                assert grouped.num_groups * (chosen.group_width or grouped.out_width) == grouped.out_width
                assert grouped.stride == stride
            before = chosen.width
    if planned.head is not None:
        assert planned.head.in_width == before
        before = spec.head_width
    assert planned.classifier.in_width == before


@given(st.integers(2, 300))
def test_sides_follow_the_rule(resolution):
    through = sides(space("anynetx_a").draw(0, 1).networks, resolution * 16)
    assert through.convolution == through.stem == (resolution * 16 - 1) // 2 + 1
    chain = itertools.pairwise((through.stem, *through.stages))
    assert all(after == out_side(before, 2) for before, after in chain)
