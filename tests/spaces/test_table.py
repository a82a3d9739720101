"""Columns of a sample, its marginals and regions: every number is the one that was drawn, or counted another way."""

import itertools
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from netspace.networks.spec import NetworkSpec
from netspace.spaces.budget import Budget
from netspace.spaces.catalog import space
from netspace.spaces.laws import law_values, probabilities
from netspace.spaces.marginals import marginals, stage_laws
from netspace.spaces.regions import regions
from netspace.spaces.table import sample_table


def test_a_row_is_its_network_and_what_was_drawn_for_it():
    taken = space("anynetx_a").sample(20, seed=4, flops=(360e6, 400e6))
    table = sample_table(taken)
    assert {len(column) for column in table.values()} == {20}
    for i, spec in enumerate(taken.networks):
        assert NetworkSpec.from_dict(json.loads(table["spec"][i])).digest == table["digest"][i] == spec.digest
        assert table["draw"][i] == taken.positions[i]
        assert table["flops"][i] == taken.complexity.flops[i]
        for stage in range(4):
            assert table[f"realised_width[{stage}]"][i] == spec.stages[stage].width
            assert table[f"width[{stage}]"][i] == taken.drawn[i][f"width[{stage}]"]
    assert table["width[0]"] != table["realised_width[0]"]
    assert all(type(width) is int for width in table["width[0]"])
    assert all(type(ratio) is float for ratio in table["bottleneck_ratio[0]"])
    assert not {"block", "activation", "stem.width"} & set(table)


def test_networks_of_a_union_show_in_what_they_differ():
    few = space("mlp", image_side=8, num_stages=2) | replace(space("anynetx_e"), num_stages=1)
    table = sample_table(few.sample(40, resolution=32))
    assert set(table["block"]) == {"mlp", "x"}
    assert len(set(table["activation"])) == 3
    assert set(table["stem.patchify"]) == {True, False}
    assert "in_channels" not in table
    for block, width, group in zip(table["block"], table["width[1]"], table["realised_group_width[0]"], strict=True):
        assert (width is None) == (block == "x")
        assert (group is None) == (block == "mlp")


def test_measured_latencies_are_columns():
    taken = replace(space("mlp").sample(2), latencies=((1.5, 0.1), (2.5, 0.2)))
    assert sample_table(taken)["latency_ms"] == [1.5, 2.5]


@pytest.mark.parametrize("tie", ["increasing", "decreasing", "different", "constant", "share"])
def test_laws_of_stages_are_those_of_all_sequences(tie):
    tied = getattr(space("anynetx_a", num_stages=3).narrow(depth=(1, 5)), tie)("depth")
    values, shares = stage_laws(tied, "depth")
    law = dict(zip(law_values(tied.law("depth")), probabilities(tied.law("depth")), strict=True))
    holds = {
        "increasing": lambda s: s[0] <= s[1] <= s[2],
        "decreasing": lambda s: s[0] >= s[1] >= s[2],
        "different": lambda s: s[0] != s[1] != s[2],
        "constant": lambda s: s[0] == s[1] == s[2],
        "share": lambda s: s[0] == s[1] == s[2],
    }[tie]
    weight = Counter()
    for sequence in filter(holds, itertools.product(values, repeat=3)):
        chance = law[sequence[0]] if tie == "share" else np.prod([law[value] for value in sequence])
        for stage, value in enumerate(sequence):
            weight[stage, value] += chance
    total = sum(weight.values()) / 3
    expected = [[weight[stage, value] / total for value in values] for stage in range(3)]
    np.testing.assert_allclose(shares, expected, atol=1e-12)


def test_marginals_count_the_sample_and_put_values_together():
    tied = space("anynetx_e")
    taken = tied.sample(300, seed=2)
    found = {(m.name, m.stage): m for m in marginals(tied, taken)}
    assert [key for key in found if key[0] == "bottleneck_ratio"] == [("bottleneck_ratio", None)]
    for (name, stage), one in found.items():
        column = np.array([row[f"{name}[{stage or 0}]"] for row in taken.drawn])
        counted = [((column >= low) & (column <= high)).mean() for low, high in zip(one.lows, one.highs, strict=True)]
        np.testing.assert_allclose(one.sampled, counted)
        assert one.sampled.sum() == pytest.approx(1)
        assert one.drawn.sum() == pytest.approx(1)
        # No share of 300 draws is this far from its law but once in ten thousand times.
        assert np.abs(one.sampled - one.drawn).max() < 0.12
    assert len(found["width", 3].lows) <= 16
    assert len(found["depth", 0].lows) == 16


def test_marginals_of_a_union_mix_those_of_its_members():
    narrow = space("anynet_resnet").narrow(depth=(1, 2))
    both = narrow | replace(narrow, name="deep").narrow(depth=2)
    one = next(m for m in marginals(both, both.sample(20)) if (m.name, m.stage) == ("depth", 0))
    assert one.lows.tolist() == [1, 2]
    first = probabilities(narrow.law("depth"))[0]
    np.testing.assert_allclose(one.drawn, [first / 2, 1 - first / 2])


def test_regions_count_every_draw_once_and_the_accepted_ones():
    tied = space("regnetx")
    taken = tied.sample(5, flops=(360e6, 400e6))
    found = regions(tied, taken)
    draws = tied.draw(0, taken.draws)
    assert found.num_draws == taken.draws
    assert found.networks.sum() == draws.exists.sum() < taken.draws
    assert found.accepted.sum() == taken.in_band
    assert (found.accepted <= found.networks).all()
    for spec in taken.networks:
        depth, width = sum(stage.depth for stage in spec.stages), max(stage.width for stage in spec.stages)
        row = np.searchsorted(found.depths, depth, side="right") - 1
        column = np.searchsorted(found.widths, width, side="right") - 1
        assert found.accepted[row, column] > 0


def test_regions_of_a_space_of_one_network():
    alone = space("anynet_resnet").narrow(depth=1, width=64, bottleneck_ratio=1)
    found = regions(alone, alone.sample(1))
    assert (found.networks.tolist(), found.accepted.tolist()) == ([[1]], [[1]])
    assert (found.depths.tolist(), found.widths.tolist()) == ([4, 5], [64, 65])
    assert marginals(alone, alone.sample(1)) == ()


def test_budgets_of_the_sample_decide_what_is_accepted():
    tied = space("anynetx_e")
    taken = tied.sample(5, params=(1e6, 2e6))
    assert taken.budget == Budget(params=(1e6, 2e6))
    assert regions(tied, taken).accepted.sum() == taken.in_band
