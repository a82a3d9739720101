"""The four assumptions stand as populations of known truth make them stand."""

import functools
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import special

import netspace as ns
from netspace.findings.assumptions import Standing, assumptions
from netspace.findings.replicates import measured_again, rows, together
from netspace.stats import Criteria, compare_at_looks
from netspace.studies.preparing import untrained
from netspace.training.trial import EpochRecord, TrialResult

SPACES = {name: ns.space(name) for name in ("anynetx_a", "anynetx_e")}
CRITERIA = Criteria(margin=0.2, median_margin=0.05)


@functools.cache
def drawn(name, n=60):
    taken = SPACES[name].sample(n)
    return untrained(name, taken)


def finished(error, epochs=2):
    if math.isinf(error):
        return TrialResult(trial_id="t", status="failed", reason="by design")
    curve = [EpochRecord(epoch=i + 1, training_loss=1.0, validation_error=error, seconds=1.0) for i in range(epochs)]
    return TrialResult(trial_id="t", status="finished", error=error, curve=tuple(curve))


def trained(name, noise=0.3, better=0.0, sign=1.0, seed=0, interplay=0.0, n=60, epochs=2):
    """A population whose log-odds rise with the depth and fall with the width (`sign`), and with their product."""
    rng = np.random.default_rng(seed)
    population = drawn(name)
    depth, width = (
        np.array([sum(np.log(getattr(s, field)) for s in spec.stages) for spec in population.networks])
        for field in ("depth", "width")
    )
    d, w = ((x - x.mean()) / x.std() for x in (depth, width))
    odds = sign * (d - 0.5 * w) + interplay * d * w - 2.0 - better + noise * rng.normal(size=60)
    results = tuple(finished(error, epochs) for error in special.expit(odds[:n]).tolist())
    return replace(population, results=results + (None,) * (60 - n))


@functools.cache
def good():
    return trained("anynetx_a", seed=1), trained("anynetx_e", better=3.0, seed=2)


def test_everything_holds_where_it_does():
    again = tuple(trained(p.name, better=b, seed=9) for p, b in zip(good(), (0.0, 3.0), strict=True))
    dear = tuple(trained(p.name, better=b, noise=0.1, seed=9, epochs=7) for p, b in zip(good(), (0, 3), strict=True))
    found = assumptions(good(), SPACES, criteria=CRITERIA, dear=dear, repeats=(again,), rescaled=again)
    assert [one.standing for one in found] == [Standing.HOLDS] * 4
    populations, ranks, budgets, effects = found
    assert populations.sentence == "anynetx_e majorises anynetx_a, which it refines."
    evidence = dict(ranks.evidence)
    assert evidence["Networks trained twice"] == "120"
    assert evidence["Epochs"] == "2 and 7"
    assert evidence["anynetx_a and anynetx_e"] == "the same"
    assert 0.8 < float(evidence["Ceiling that their chance sets, were dear training without any"]) < 1.0
    assert "Of 1 pair of spaces 1 is decided alike" in budgets.sentence
    assert [what for what, _ in effects.evidence] == ["anynetx_a", "anynetx_e"]


def test_nothing_holds_where_it_does_not():
    a, e = trained("anynetx_a", better=3.0, interplay=2.0), trained("anynetx_e", interplay=2.0)
    dear = trained("anynetx_a", sign=-1.0), trained("anynetx_e", sign=-1.0)
    found = assumptions((a, e), SPACES, criteria=CRITERIA, dear=dear, rescaled=good())
    assert [one.standing for one in found] == [Standing.FAILS] * 4
    assert "1 oppositely" in found[2].sentence


def test_without_checks_each_sentence_names_the_line_that_is_missing():
    found = assumptions(good(), SPACES, criteria=CRITERIA)
    assert [one.standing for one in found[1:3]] == [Standing.NOT_ENOUGH_DATA] * 2
    assert "`epochs = 18` under [checks] in the study file" in found[1].sentence
    assert "`budget` under [checks] in the study file" in found[2].sentence
    dear = assumptions(good(), SPACES, criteria=CRITERIA, dear=good())[1]
    assert "`seeds = 1` under [checks] in the study file" in dict(dear.evidence)["Ceiling that chance sets"]


def test_an_opposite_verdict_about_spaces_is_enough_to_fail():
    dear = trained("anynetx_a", better=3.0, seed=1), trained("anynetx_e", seed=2)
    found = assumptions(good(), SPACES, criteria=CRITERIA, dear=dear)[1]
    assert found.standing is Standing.FAILS
    assert "1 pair of spaces get the opposite verdict" in found.sentence


@pytest.mark.parametrize(
    "populations",
    [
        (),
        (drawn("anynetx_a"),),
        (trained("anynetx_a", n=1),),
        (trained("anynetx_a", n=2), trained("anynetx_e", n=3)),
        tuple(replace(drawn(name), results=(finished(math.inf),) * 60) for name in SPACES),
        tuple(replace(drawn(name), results=(finished(0.2),) * 60) for name in SPACES),
    ],
    ids=["nothing", "untrained", "one", "few", "all failed", "all equal"],
)
def test_little_is_not_enough_and_says_so(populations):
    found = assumptions(
        populations, SPACES, criteria=Criteria(), dear=populations, repeats=(populations,), rescaled=populations
    )
    assert {one.standing for one in found[1:]} == {Standing.NOT_ENOUGH_DATA} or len(populations) == 2
    assert Standing.HOLDS not in {one.standing for one in (found[0], found[1], found[3])}
    text = " ".join([one.sentence for one in found] + [value for one in found for _, value in one.evidence])
    assert "nan" not in text.replace("finance", "")
    assert "inf" not in text
    assert all(one.sentence.endswith(".") for one in found)


def test_networks_are_matched_by_what_they_are_and_only_those_with_every_result():
    a = trained("anynetx_a", n=5)
    order = [3, 4, 1]
    again = replace(
        a,
        networks=tuple(a.networks[i] for i in order),
        results=(*(finished(0.1 * (i + 1)) for i in range(2)), None),
    )
    found = measured_again((a, trained("anynetx_e")), (again,))
    assert list(found) == ["anynetx_a"]
    assert rows(found["anynetx_a"]) == pytest.approx(np.array([[a.errors[3], 0.1], [a.errors[4], 0.2]]))


def test_a_network_that_two_spaces_drew_counts_once():
    a, dear = trained("anynetx_a"), trained("anynetx_a", noise=0.1, seed=9)
    twice = [replace(one, name="anynetx_e") for one in (a, dear)]
    found = measured_again((a, twice[0]), (dear, twice[1]))
    assert [len(measured) for measured in found.values()] == [60, 60]
    errors, space_of_each = together(found)
    assert errors == pytest.approx(np.column_stack((a.errors, dear.errors)))
    assert set(space_of_each) == {"anynetx_a"}
    alone, both = (
        assumptions(measured, SPACES, criteria=CRITERIA, dear=longer)[1].evidence[:5]
        for measured, longer in (((a,), (dear,)), ((a, twice[0]), (dear, twice[1])))
    )
    assert both == alone  # the limits are no narrower


def test_good_populations_are_judged_by_the_verdicts_at_looks_where_there_are_such():
    errors = {population.name: population.errors for population in good()}
    at_look = compare_at_looks({name: column[:10] for name, column in errors.items()}, (10, 60))
    once, looked = (assumptions(good(), SPACES, criteria=CRITERIA, verdicts=given)[0] for given in (None, at_look))
    assert (once.standing, looked.standing) == (Standing.HOLDS, Standing.NOT_ENOUGH_DATA)
