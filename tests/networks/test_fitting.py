"""The best RegNet of a network: exact where the rule made it, the best of the grid elsewhere."""

import json
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netspace.errors import SpecError
from netspace.networks import zoo
from netspace.networks.fitting import RegNetFit, fit_regnet
from netspace.networks.regnet import linear_widths
from netspace.networks.spec import NetworkSpec, Stage
from netspace.networks.zoo import network
from netspace.spaces.catalog import space
from tests.test_cli import netspace


def by_rule(total_depth, initial_width, width_slope, width_multiplier):
    rule = linear_widths([total_depth], [initial_width], [width_slope], [width_multiplier], max_stages=total_depth)
    return np.repeat(rule.widths[0], rule.depths[0]).tolist()


def plain_errors(observed, firsts, slopes, multipliers):
    """e_fit of every triple of a grid, straight from the paper's equations."""
    first, slope, multiplier = np.meshgrid(firsts, slopes, multipliers, indexing="ij")
    total = np.zeros(first.shape)
    for j, width in enumerate(observed):
        power = np.rint(np.log((first + slope * j) / first) / np.log(multiplier))
        total += np.abs(np.log(np.rint(first * np.power(multiplier, power) / 8) * 8 / width))
    return total / len(observed)


@given(st.lists(st.integers(1, 72), min_size=1, max_size=7))
@settings(max_examples=40, deadline=None)
def test_no_triple_of_a_small_grid_fits_better(observed):
    fit = fit_regnet(observed, multipliers=(2.0, 2.02))
    slopes = np.append(np.arange(0, 150, 0.25), fit.width_slope)
    errors = plain_errors(observed, np.arange(8, 80, 8), slopes, np.arange(2000, 2021) / 1000)
    # The slope that was found is in the grid, so the least error there is the fit's own.
    assert fit.error == pytest.approx(errors.min(), abs=1e-12)


@pytest.mark.parametrize("name", ["anynetx_a", "anynetx_e"])
def test_no_triple_of_the_papers_grid_fits_better_as_far_as_one_can_look(name):
    for spec in space(name).sample(4, seed=1, flops=(360e6, 400e6)).networks:
        fit = fit_regnet(spec)
        observed = [stage.width for stage in spec.stages for _ in range(stage.depth)]
        slopes = np.append(np.arange(0, 256, 2.0), fit.width_slope)
        errors = plain_errors(observed, np.arange(8, max(observed) + 8, 8), slopes, np.arange(1500, 3001, 15) / 1000)
        assert fit.error <= errors.min() + 1e-12


def test_what_the_rule_made_has_error_0():
    draws = space("regnetx").draw(0, 600, seed=3)
    rows = np.flatnonzero(draws.exists)[:40]
    assert len(rows) == 40
    for row in rows:
        drawn = {name: draws.drawn[name][row] for name in ("initial_width", "width_slope", "width_multiplier")}
        observed = by_rule(int(draws.drawn["total_depth"][row]), *drawn.values())
        fit = fit_regnet(observed)
        assert (fit.error, list(fit.widths)) == (0.0, observed)


PUBLISHED = [(f"regnet{kind}_{size}", row) for kind, rows in (("x", zoo._REGNETX), ("y", zoo._REGNETY))
             for size, row in rows.items()]  # fmt: skip


@pytest.mark.parametrize(("name", "row"), PUBLISHED, ids=[name for name, _ in PUBLISHED])
def test_a_published_regnet_fits_exactly_before_and_nearly_after_its_groups(name, row):
    depth, first, slope, multiplier, _ = row
    assert fit_regnet(by_rule(depth, first, slope, multiplier)).error == 0
    fit = fit_regnet(network(name))
    adjusted = [stage.width for stage in network(name).stages for _ in range(stage.depth)]
    own = np.abs(np.log(np.array(by_rule(depth, first, slope, multiplier)) / adjusted)).mean()
    assert fit.error <= own + 1e-12
    assert fit.error < 0.08


def test_the_parameters_give_the_widths_and_the_widths_the_error():
    spec = network("resnet50")
    fit = fit_regnet(spec)
    assert list(fit.widths) == by_rule(16, fit.initial_width, fit.width_slope, fit.width_multiplier)
    observed = [256] * 3 + [512] * 4 + [1024] * 6 + [2048] * 3
    assert fit.error == pytest.approx(np.abs(np.log(np.array(fit.widths) / observed)).mean())


def test_widths_that_fall_fit_badly():
    assert fit_regnet([512] * 5 + [256] * 5 + [128] * 5).error > 0.3


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        ([64], RegNetFit(initial_width=64, width_slope=0.0, width_multiplier=1.5, error=0.0, widths=(64,))),
        ([40] * 3, RegNetFit(initial_width=40, width_slope=0.0, width_multiplier=1.5, error=0.0, widths=(40,) * 3)),
        ([4], RegNetFit(initial_width=8, width_slope=0.0, width_multiplier=1.5, error=math.log(2), widths=(8,))),
    ],
    ids=["one block", "one stage", "below the step"],
)
def test_networks_of_almost_nothing(observed, expected):
    assert fit_regnet(observed) == expected


def test_a_population_takes_seconds():
    networks = space("anynetx_e").sample(50, seed=2, flops=(360e6, 400e6)).networks
    begun = time.monotonic()
    errors = [fit_regnet(spec).error for spec in networks]
    assert time.monotonic() - begun < 10
    assert np.median(errors) > 0.1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (((),), "widths of 0 blocks cannot be fitted; a network must have 1 to 512"),
        ((NetworkSpec(stages=(Stage(depth=10**7, width=8),)),), "widths of 10,000,000 blocks cannot be fitted"),
        (([32, 0],), r"widths\[1\] \(=0\) must be a whole number from 1"),
        (([32, 48.5],), r"widths\[1\] \(=48.5\) must be a whole number"),
        (([32], (3.0, 1.5)), r"multipliers \(=\(3.0, 1.5\)\) must be the right way up, above 1"),
        (([32], (1.0, 2.0)), "above 1"),
        (([32], (2.0, math.inf)), "at most 100"),
        ((None,), "must be a NetworkSpec or the widths of its blocks"),
        (([32], 2), "must be two numbers"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_what_cannot_be_fitted_is_one_sentence(words, sentence):
    with pytest.raises(SpecError, match=sentence):
        fit_regnet(words[0], **({"multipliers": words[1]} if len(words) > 1 else {}))


def test_the_command_prints_the_widths_beside_those_of_the_rule(tmp_path):
    text = netspace("fit", "resnet50", cwd=tmp_path, check=0).stdout
    fit = fit_regnet(network("resnet50"))
    assert f"w_0 {fit.initial_width}, w_a {fit.width_slope:g}, w_m {fit.width_multiplier:g} fit it best" in text
    rows = [line.split() for line in text.splitlines()[2:]]
    assert sum(int(blocks) for blocks, _, _ in rows) == 16
    assert [int(width) for blocks, _, width in rows for _ in range(int(blocks))] == list(fit.widths)
    read = json.loads(netspace("fit", "resnet50", "--json", cwd=tmp_path, check=0).stdout)
    assert RegNetFit(**{**read, "widths": tuple(read["widths"])}) == fit
