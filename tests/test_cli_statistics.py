"""`netspace samplesize`, `ranges` and `importance` as a user meets them, on a store whose results are known."""

import json
import math

import numpy as np
import pytest

import netspace as ns
from netspace.cli.results import verdict_row
from netspace.errors import InputError
from netspace.findings.fits import fit_row
from netspace.findings.normalised import normalised_errors
from netspace.findings.trends import trend_rows
from netspace.networks.fitting import fit_regnet
from netspace.storage.population import Population
from netspace.storage.store import Entry, Store
from netspace.training.trial import TrialResult
from tests.command_line import netspace
from tests.tiny import STUDY

WORKERS, SECONDS = 2, 3.0
QUICK = ("--margin", 0.3, "--median-margin", 0.04)
"""Margins so wide that few networks are simulated."""


def told(*words, cwd):
    return json.loads(netspace(*words, "--json", cwd=cwd).stdout)


def made(folder, networks, errors, more="", budget="20k..200k"):
    """Make a store of the tiny study (and `more` spaces) with these errors by space; None where a network waits."""
    (folder / "study.toml").write_text(
        STUDY.replace("networks = 3", f"networks = {networks}").replace("20k..200k", budget) + more
    )
    study = ns.Study.open(folder / "study.toml", output=folder / "out")
    drawn = study.draw()
    facts = {"rows": {}, "notes": []}
    with Store.create(study.store_path, study=study.spec.identity(), text=study.text, facts=facts) as store:
        for name, taken in drawn.samples.items():
            trials = [trial.id for trial in drawn.trials[name]]
            population = Population(
                name=name,
                networks=taken.networks,
                results=(None,) * networks,
                drawn=taken.drawn,
                positions=taken.positions,
                complexity=taken.complexity,
                num_draws=taken.draws,
                num_in_band=taken.in_band,
            )
            store.add_population(population, definition={}, trials=trials)
            for trial, error in zip(trials, errors(name, taken.networks), strict=True):
                if error is not None:
                    store.record(Entry(result=result(trial, error)))
    return folder


def result(trial, error):
    if math.isinf(error):
        return TrialResult(trial_id=trial, status="failed", reason="by design")
    return TrialResult(trial_id=trial, status="finished", error=error, seconds=SECONDS, images=100)


def by_depth(name, networks):
    """Errors that rise with the depth, a little lower in one space."""
    rng = np.random.default_rng(len(name) + ord(name[-1]))
    better = 0.02 if name == "anynetx_e" else 0.0
    depths = [sum(stage.depth for stage in spec.stages) for spec in networks]
    noise = rng.normal(0.0, 0.01, len(networks))
    return [0.2 - better + 0.04 * depth + float(more) for depth, more in zip(depths, noise, strict=True)]


@pytest.fixture(scope="module")
def pilot(tmp_path_factory):
    return made(tmp_path_factory.mktemp("pilot é"), 20, by_depth)


def test_samplesize_for_a_shift_and_for_equal_spaces(tmp_path):
    text = netspace("samplesize", "--shift", 0.05, "--spread", 0.05, *QUICK, cwd=tmp_path).stdout
    title, header, shifted, equal = text.splitlines()
    assert title.startswith("networks per space that win a claim with 80 % probability; errors spread by 5 points")
    assert "margins 30 points of EDF and 4 points of median error, 95 % confidence" in title
    assert header.split() == ["spaces", "are", "networks", "each", "time", "verdicts", "then"]
    assert shifted.startswith("better by 5 points of error")
    assert "A majorises 8" in shifted
    assert equal.startswith("equal, to be shown equivalent")
    assert "equivalent " in equal


def test_samplesize_asks_more_of_more_spaces_and_prints_json(tmp_path):
    words = ("samplesize", "--shift", 0.06, "--spread", 0.05, *QUICK)
    two, four = told(*words, cwd=tmp_path), told(*words, "--spaces", 4, cwd=tmp_path)
    assert (two["criteria"]["comparisons"], four["criteria"]["comparisons"]) == (1, 6)
    for few, many in zip(two["plans"], four["plans"], strict=True):
        assert few["networks"] < many["networks"]
        assert sum(few["chances"].values()) == pytest.approx(1.0)
        assert few["hours"] is None


def test_samplesize_from_a_pilot_plans_every_pair_and_the_time_from_its_pace(pilot):
    found = told("samplesize", "--store", "out", *QUICK, cwd=pilot)
    (pair,) = found["pairs"]
    assert pair["spaces"] == ["anynetx_a", "anynetx_e"]
    assert pair["trained"] == [20, 20]
    assert 20 < pair["networks"] < 10_000
    assert pair["chances"]["anynetx_e majorises"] > 0.6
    assert pair["hours"] == pytest.approx(2 * (pair["networks"] - 20) * SECONDS / WORKERS / 3600)
    assert found["all"] == {"networks": pair["networks"], "hours": pytest.approx(pair["hours"])}
    text = netspace("samplesize", "--store", "out", *QUICK, cwd=pilot)
    assert text.stderr == "simulating the verdicts of 1 pair\n"
    assert "anynetx_a and anynetx_e" in text.stdout
    assert "all of them: " in text.stdout
    assert "more on 2 workers" in text.stdout


def test_samplesize_takes_the_time_of_an_assumed_plan_from_a_store(pilot):
    found = told("samplesize", "--spread", 0.05, "--store", "out", *QUICK, cwd=pilot)
    (plan,) = found["plans"]
    assert plan["hours"] == pytest.approx(2 * plan["networks"] * SECONDS / WORKERS / 3600)


def test_samplesize_says_so_where_nothing_within_reach_decides(tmp_path):
    made(tmp_path, 12, lambda name, networks: [math.inf] * len(networks))
    text = netspace("samplesize", "--store", "out", cwd=tmp_path).stdout
    assert "over 10,000" in text
    assert "no pair is decided by what can be trained" in text


def test_samplesize_of_too_small_a_pilot_says_so(tmp_path):
    made(tmp_path, 3, by_depth)
    text = netspace("samplesize", "--store", "out", cwd=tmp_path).stdout
    assert "not enough data: a pilot takes 10 networks of each space" in text
    assert "no pair is planned" in text


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "samplesize needs --spread, such as 0.05, or --store"),
        (("--shift", 0.01), "--shift goes with --spread"),
        (("--spaces", 3), "--spaces goes with --spread"),
        (("--spread", 0.05, "--spaces", 1), "--spaces (=1) must be a whole number of at least 2"),
        (("--spread", 0.05, "--shift", 0), "shift (=0) must lie between 0 and 1"),
        (("--spread", 0), "spread (=0) must be above 0"),
        (("--spread", -0.1), "spread (=-0.1) must be above 0"),
        (("--spread", 0.05, "--power", 0), "power (=0) must be above 0"),
        (("--spread", 0.05, "--power", 1), "power (=1) must be above 0 and at most 0.99"),
        (("--spread", 0.05, "--level", 95), "level (=95.0) must lie between 0.5 and 1"),
        (("--spread", 0.05, "--margin", 0), "margin (=0.0) must lie between 0 and 1"),
        (("--store", "nowhere"), "store 'nowhere' does not exist"),
        (("--spread", "wide"), "Invalid value for '--spread'"),
    ],
)
def test_samplesize_refuses_in_one_sentence(tmp_path, words, sentence):
    done = netspace("samplesize", *words, cwd=tmp_path, check=2)
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_pilot_without_two_spaces_of_results_is_refused(tmp_path):
    made(tmp_path, 3, lambda name, networks: [0.1 if name == "anynetx_a" else None] * len(networks))
    done = netspace("samplesize", "--store", "out", cwd=tmp_path, check=2)
    assert "has results of 1 of 2 spaces; a pilot takes two at least" in done.stderr
    assert "not enough data" in netspace("ranges", "out", cwd=tmp_path).stdout


def test_ranges_prints_every_parameter_that_varies_and_finds_the_one_that_matters(pilot):
    text = netspace("ranges", "out", cwd=pilot).stdout
    assert "anynetx_e: the best of 25 % of the networks, drawn again and again" in text
    rows = {(row["space"], row["parameter"]): row for row in told("ranges", "out", cwd=pilot)["ranges"]}
    depth = rows["anynetx_e", "Total depth"]
    assert depth["sampled"][0] == depth["best"]["low"] == depth["best"]["median"]
    assert depth["best"]["high"] < depth["sampled"][1]
    assert depth["networks"] == depth["best"]["networks"] == 20
    assert ("anynetx_a", "Width, stage 2") in rows
    assert "NaN" not in json.dumps(list(rows.values()))


def test_compare_normalised_says_so_and_effects_have_limits(pilot):
    text = netspace("compare", "out", "--normalised", "params", "--effects", cwd=pilot).stdout
    assert "normalised by params: 2 bins that count the same" in text
    assert "anynetx_a less anynetx_e, in points of error, with limits at 95 % confidence, normalised by params" in text
    assert "limits are sure but wide: either space may hold better networks" in text
    assert "\nbest tenth" in text
    (verdict,) = ns.Study.open(pilot / "out").verdicts(normalised="params")
    row = verdict_row(verdict)
    assert row["evidence"]["normalised"]["measure"] == "params"
    assert [effect["of"] for effect in row["evidence"]["effects"]][:3] == ["mean", "median", "best tenth"]
    assert row["sentence"] in text
    (plain,) = ns.Study.open(pilot / "out").verdicts()
    assert "normalised" not in plain.sentence
    done = netspace("compare", "out", "--normalised", "parms", cwd=pilot, check=2)
    assert done.stderr == (
        "netspace: normalised (='parms') must be one of flops, params, activations; did you mean 'params'?\n"
    )


def test_the_weights_of_a_page_are_those_of_bins_that_all_spaces_share(pilot, tmp_path):
    populations = ns.Study.open(pilot / "out").populations()
    found = normalised_errors(populations, "params")
    (verdict,) = ns.Study.open(pilot / "out").verdicts(normalised="params")
    assert found.how == verdict.evidence.normalised
    for edf, side in zip(found.edfs, (verdict.evidence.a, verdict.evidence.b), strict=True):
        assert (edf.n, edf.median) == (side.n, side.median)
    made(tmp_path, 3, lambda name, networks: [None] * len(networks))
    assert normalised_errors(ns.Study.open(tmp_path / "out").populations()) is None


def test_ranges_fits_the_rule_to_the_best(pilot):
    text = netspace("ranges", "out", "--fit", cwd=pilot).stdout
    assert "the RegNet rule fitted: is its error smaller for the best tenth" in text
    assert "anynetx_a: the rule nearest to each of the best tenth" in text
    row = fit_row(ns.Study.open(pilot / "out").populations()[0])
    assert (row["space"], row["networks"], row["best"]["networks"]) == ("anynetx_a", 20, 3)
    assert [fit["error"] for fit in row["best"]["fits"]] == sorted(fit["error"] for fit in row["best"]["fits"])
    assert 0.0 <= row["best"]["smaller"] <= 1.0
    assert -1.0 <= row["correlation"]["low"] <= row["correlation"]["value"] <= row["correlation"]["high"] <= 1.0


def test_good_networks_that_fit_the_rule_are_found_to(tmp_path):
    """Errors that are the fit errors themselves go with them, and the best tenth has the smaller ones."""
    made(tmp_path, 30, lambda name, networks: [0.1 + min(fit_regnet(spec).error, 0.8) for spec in networks])
    row = fit_row(ns.Study.open(tmp_path / "out").populations()[0])
    assert row["correlation"]["value"] == pytest.approx(1.0)
    assert row["best"]["smaller"] < 0.05
    assert row["best"]["median_fit_error"] < row["best"]["others_median_fit_error"]


@pytest.fixture(scope="module")
def larger(tmp_path_factory):
    """The spaces of the pilot at a larger budget, where deeper networks are the better ones."""
    folder = tmp_path_factory.mktemp("larger")
    return made(folder, 20, lambda name, networks: [1.0 - e for e in by_depth(name, networks)], budget="120k..2M")


def test_ranges_of_two_budgets_ends_with_the_trends(pilot, larger):
    text = netspace("ranges", "out", larger / "out", cwd=pilot).stdout
    assert "anynetx_a: how the best value moves with the budget over" in text
    assert "flat is within 10 % of the sampled values per doubling" in text
    stores = [ns.Study.open(folder / "out").populations() for folder in (pilot, larger)]
    trends = {(row["space"], row["parameter"]): row["trend"] for row in trend_rows(stores, share=1.0)}
    depth = trends["anynetx_a", "Total depth"]
    assert depth["direction"] == "rising"
    assert 0.0 < depth["low"] <= depth["slope"] <= depth["high"]
    assert depth["budgets"] == sorted(depth["budgets"])
    assert trend_rows(stores[::-1], share=1.0)[0]["trend"]["slope"] == pytest.approx(depth["slope"], rel=0.2)
    with pytest.raises(InputError, match=r"flat \(=0\) must be above 0"):
        trend_rows(stores, flat=0.0)
    with pytest.raises(InputError, match="stores must hold the same spaces"):
        trend_rows([stores[0], stores[1][:1]])


def test_trends_are_refused_where_budgets_coincide_or_more_than_the_budget_differs(pilot, violated):
    same = netspace("ranges", "out", "out", cwd=pilot, check=2)
    assert "budgets of stores 1 and 2 coincide" in same.stderr
    other = netspace("ranges", "out", violated / "out", cwd=pilot, check=2)
    assert "spaces of the stores 'out' and" in other.stderr
    assert len(same.stderr.splitlines()) == len(other.stderr.splitlines()) == 1


@pytest.mark.parametrize("share", [0, 1.5, "nan"])
def test_ranges_refuses_a_share_that_cannot_be(pilot, share):
    done = netspace("ranges", "out", "--share", share, cwd=pilot, check=2)
    assert "must be above 0 and at most 1" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_ranges_of_failures_and_of_nothing(tmp_path):
    (tmp_path / "failed").mkdir()
    (tmp_path / "waiting").mkdir()
    made(tmp_path / "failed", 12, lambda name, networks: [math.inf] * len(networks))
    text = netspace("ranges", "out", "--fit", cwd=tmp_path / "failed").stdout
    assert text.count("not enough data") > 2
    assert "nan" not in text
    text = netspace("compare", "out", "--effects", "--normalised", "flops", cwd=tmp_path / "failed").stdout
    assert "every network of both failed" in text
    assert "nan" not in text
    made(tmp_path / "waiting", 3, lambda name, networks: [None] * len(networks))
    done = netspace("ranges", "out", cwd=tmp_path / "waiting", check=2)
    assert "has no results yet" in done.stderr


VIOLATIONS = """
[[spaces]]
space = "vionet_width"
[[spaces]]
space = "anynetx_e"
name = "fallen"
violate = ["depth"]
"""


def by_falls(name, networks):
    """Errors that rise with the depth, and where the widths fall; falling depths cost nothing."""
    rng = np.random.default_rng(len(name))
    errors = []
    for spec in networks:
        first, second = spec.stages
        noise = float(rng.normal(0.0, 0.004))
        errors.append(0.1 + 0.02 * (first.depth + second.depth) + 0.1 * (first.width > second.width) + noise)
    return errors


@pytest.fixture(scope="module")
def violated(tmp_path_factory):
    return made(tmp_path_factory.mktemp("violated é"), 40, by_falls, VIOLATIONS)


def test_importance_finds_the_parameters_that_matter_and_refuses_a_forest_of_noise(violated, tmp_path):
    found = {row["space"]: row for row in told("importance", "out", cwd=violated)["parameters"]}
    assert {group["name"] for group in found["anynetx_a"]["groups"][:2]} == {"Width", "Depth"}
    assert found["anynetx_e"]["groups"][0]["name"] == "Depth"
    assert found["anynetx_a"]["networks"] == 40
    assert found["anynetx_a"]["explained"] > 0.2
    rng = np.random.default_rng(0)
    made(tmp_path, 40, lambda name, networks: rng.random(len(networks)).tolist())
    text = netspace("importance", "out", cwd=tmp_path).stdout
    assert text.count("cannot tell: the forest explains") == 2
    assert "between: no space of this study violates one relation of another" in text


def test_importance_puts_both_routes_of_a_relation_side_by_side(violated):
    rows = {row["relation"]: row for row in told("importance", "out", cwd=violated)["relations"]}
    falls = rows["width never falls"]
    assert falls["within"]["spaces"] == ["anynetx_a"]
    assert 0 < falls["within"]["obey"] < falls["within"]["networks"] == 40
    assert falls["within"]["per_step"]["low"] < 0.1 < falls["within"]["per_step"]["high"]
    (pair,) = falls["between"]
    assert (pair["holds"], pair["violates"], pair["routes"]) == ("anynetx_e", "vionet_width", "agree: it costs")
    assert pair["shift"]["median"] == pytest.approx(0.1, abs=0.02)
    (pair,) = rows["depth never falls"]["between"]
    assert pair["violates"] == "fallen"
    text = netspace("importance", "out", cwd=violated).stdout
    assert "a forest explains" in text
    assert "agree: it costs" in text
    assert "Depth matters most to the forests of anynetx_e" in text
    assert "violating 'width never falls' moves the EDF most, by " in text
    assert "points: the two disagree\n" in text
    assert "nan" not in text


def test_importance_of_few_of_failures_and_of_nothing(pilot, tmp_path):
    text = netspace("importance", "out", cwd=pilot).stdout
    assert text.count("not enough data: 20 of 30 networks") == 2
    assert "too few" in text
    for folder, error in (("failed", math.inf), ("waiting", None)):
        (tmp_path / folder).mkdir()
        made(tmp_path / folder, 31, lambda name, networks, error=error: [error] * len(networks))
    text = netspace("importance", "out", cwd=tmp_path / "failed").stdout
    assert text.count("cannot tell: all networks have the same error") == 2
    done = netspace("importance", "out", cwd=tmp_path / "waiting", check=2)
    assert "has no results yet" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    json.loads(netspace("importance", "out", "--json", cwd=tmp_path / "failed").stdout, parse_constant=pytest.fail)


def test_a_comparison_of_a_store_that_still_trains_says_what_its_confidence_is_not(tmp_path):
    def unfinished(name, networks):
        return [*by_depth(name, networks)[:-2], None, None]

    for name, errors in (("whole", by_depth), ("waiting", unfinished)):
        (tmp_path / name).mkdir()
        printed = netspace("compare", "out", cwd=made(tmp_path / name, 12, errors)).stdout
        assert ("4 networks wait for training: the confidence is that of one look" in printed) == (name == "waiting")
