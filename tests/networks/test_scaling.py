"""A design at another budget: the paper's growth of flops, params and activations, rounding, and what is refused."""

import dataclasses
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import netspace as ns
from netspace.errors import SpecError
from netspace.networks.scaling import RULES, ScalingRule, scale, scaled_by, scaling_rule
from tests.strategies import specs

LARGE = ns.NetworkSpec(
    stages=tuple(
        ns.Stage(depth=depth, width=width, group_width=64)
        for depth, width in ((60, 512), (120, 1024), (180, 2048), (60, 4096))
    ),
)
"""So deep and wide that rounding is nothing, and stem and head next to nothing."""


def growth(rule, factor, resolution=2048):
    """Return the exponents of s with which flops, params and activations of the large network grow."""
    spec, side = scaled_by(LARGE, resolution, RULES[rule], factor)
    before, after = ns.complexity(LARGE, resolution), ns.complexity(spec, side)
    return [
        math.log(getattr(after, measure) / getattr(before, measure)) / math.log(factor)
        for measure in ("flops", "params", "activations")
    ]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("factor", [0.25, 4.0, 16.0])
def test_flops_grow_by_s_and_the_rest_as_the_paper_derives(rule, factor):
    shares = RULES[rule]
    expected = (1.0, shares.depth + shares.width, shares.depth + shares.width / 2 + shares.resolution)
    assert growth(rule, factor) == pytest.approx(expected, abs=0.04)


def test_the_fast_rule_raises_activations_little_more_than_the_root_of_flops():
    by_rule = {rule: growth(rule, 8.0)[2] for rule in ("w", "dWr", "dwr", "d")}
    assert by_rule == pytest.approx({"w": 0.5, "dWr": 0.6, "dwr": 5 / 6, "d": 1.0}, abs=0.03)
    assert by_rule["w"] < by_rule["dWr"] < by_rule["dwr"] < by_rule["d"]


@pytest.mark.parametrize("rule", ["dWr", "dwr"])
def test_twice_by_s_is_once_by_s_squared(rule):
    half_way, side = scaled_by(LARGE, 1024, RULES[rule], 3.0)
    twice, twice_side = scaled_by(half_way, side, RULES[rule], 3.0)
    once, once_side = scaled_by(LARGE, 1024, RULES[rule], 9.0)
    assert abs(twice_side - once_side) <= 4
    for two, one in zip(twice.stages, once.stages, strict=True):
        assert abs(two.depth - one.depth) <= 1
        assert abs(two.width - one.width) <= one.group_width  # to which widths are rounded
    assert ns.complexity(twice, 1024).flops == pytest.approx(ns.complexity(once, 1024).flops, rel=0.05)


@given(specs, st.sampled_from(sorted(RULES)))
def test_the_factor_1_changes_nothing_at_all(spec, rule):
    assert scaled_by(spec, 37, RULES[rule], 1.0) == (spec, 37)


@given(specs, st.sampled_from(sorted(RULES)), st.floats(0.05, 20.0))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_what_it_gives_is_a_network_that_differs_in_sizes_only(spec, rule, factor):
    found, side = scaled_by(spec, 64, RULES[rule], factor)  # made: so checked
    assert side >= 1
    assert dataclasses.replace(found, stages=spec.stages, head_width=spec.head_width) == spec
    for old, new in zip(spec.stages, found.stages, strict=True):
        assert (old.bottleneck_ratio, old.stride) == (new.bottleneck_ratio, new.stride)
        assert (old.group_width is None) == (new.group_width is None)


def test_a_budget_is_met_by_exact_complexity_and_every_change_is_told():
    spec = ns.network("regnety_400mf")
    found = ns.scale(spec, flops=4e9)
    assert found.complexity == ns.complexity(found.network, found.resolution)
    assert found.before == ns.complexity(spec, 224)
    assert found.complexity.flops == pytest.approx(4e9, rel=0.05)
    assert found.factor == pytest.approx(10.0, rel=0.1)
    told = {change.what: change for change in found.changes}
    assert told["resolution"].after == found.resolution
    assert told["resolution"].by_rule == pytest.approx(224 * found.factor**0.05)
    for position, (old, new) in enumerate(zip(spec.stages, found.network.stages, strict=True), start=1):
        depth, width = told[f"stage {position}, depth"], told[f"stage {position}, width"]
        assert (depth.before, depth.after) == (old.depth, new.depth)
        assert (width.before, width.after) == (old.width, new.width)
        assert width.by_rule == pytest.approx(old.width * found.factor**0.4)
        assert told[f"stage {position}, group width"].after == new.group_width
    assert len(found.changes) == 1 + 3 * len(spec.stages)


def test_no_factor_of_a_fine_grid_comes_nearer():
    spec, goal = ns.network("regnetx_small"), 20e6
    found = ns.scale(spec, flops=goal, resolution=28)
    factors = (goal / found.before.flops * 2.0 ** (step / 37) for step in range(-74, 75))
    nearest = min(abs(ns.complexity(*scaled_by(spec, 28, RULES["dWr"], s)).flops - goal) for s in factors)
    assert abs(found.complexity.flops - goal) <= nearest


def test_its_own_flops_give_the_network_itself():
    spec = ns.network("regnetz_500mf")
    found = ns.scale(spec, flops=ns.complexity(spec).flops)
    assert (found.network, found.resolution, found.factor) == (spec, 224, 1.0)
    assert all(change.before == change.after for change in found.changes)


def test_groups_grow_with_widths_which_are_then_made_divisible_by_them():
    spec = ns.NetworkSpec(
        stages=(ns.Stage(depth=2, width=48, group_width=24), ns.Stage(depth=2, width=64, group_width=1))
    )
    found, _ = scaled_by(spec, 32, RULES["w"], 4.0)  # widths by 2
    assert [(stage.width, stage.group_width) for stage in found.stages] == [(96, 48), (128, 2)]
    found, _ = scaled_by(spec, 32, RULES["w"], 2.0)  # widths by 1.41: 67.9 is 72 by groups of 32 64
    assert [(stage.width, stage.group_width) for stage in found.stages] == [(64, 32), (88, 1)]


def test_a_patchified_image_grows_by_whole_patches():
    mlp = ns.NetworkSpec(
        block="mlp",
        stem=ns.Stem(width=16, kernel_size=8, stride=8, patchify=True),
        stages=(ns.Stage(depth=2, width=32, stride=1),),
    )
    assert scaled_by(mlp, 8, RULES["r"], 3.0)[1] == 16


def test_a_rule_by_name_and_with_another_share_of_the_width():
    assert scaling_rule("dWr", 1.0) == RULES["w"]
    assert scaling_rule("dW", 0.5) == RULES["dw"]
    for rule in RULES.values():
        deeper, wider, finer = rule.factors(7.0)
        assert deeper * wider**2 * finer**2 == pytest.approx(7.0)


def test_what_cannot_be_is_one_sentence():
    spec = ns.network("regnetx32")
    for words, call in {
        "rule (='depth') must be one of d, w, r, dw": lambda: scaling_rule("depth"),
        "alpha (=0.5) is for the rules dW and dWr": lambda: scaling_rule("dwr", 0.5),
        "alpha (=1.5) must be at least 0 and at most 1": lambda: scaling_rule("dWr", 1.5),
        "depth, width and resolution (=0.5 together)": lambda: ScalingRule(depth=0.5),
        "flops (=0) must be a finite number above 0": lambda: scale(spec, flops=0),
        "flops (=nan) must be": lambda: scale(spec, flops=math.nan),
        "tolerance (=0) must lie between 0 and 1": lambda: scale(spec, flops=1e9, tolerance=0),
        "resolution (=0)": lambda: scale(spec, flops=1e9, resolution=0),
        "spec (='regnetx32') must be a NetworkSpec": lambda: scale("regnetx32", flops=1e9),
        "flops (=1000) cannot be met within 5 %, for depths and widths go in steps; the nearest": lambda: scale(
            spec, flops=1e3, resolution=96
        ),
    }.items():
        with pytest.raises(SpecError) as refused:
            call()
        assert str(refused.value).startswith(words)
