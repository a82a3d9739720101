"""`netspace compare --assisted` as a user meets it, on stores whose results are known."""

import math

import numpy as np
import pytest

import netspace as ns
from netspace.cli.results import print_assisted
from netspace.findings.assisted import known_spaces
from tests.test_cli_statistics import by_depth, made, netspace, told


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return made(tmp_path_factory.mktemp("assisted"), 20, by_depth)


def test_assisted_says_beside_the_verdicts_which_space_is_better(store):
    printed = netspace("compare", "out", "--assisted", cwd=store).stdout
    plain = netspace("compare", "out", cwd=store).stdout
    assert printed.startswith(plain)
    (row,) = told("compare", "out", "--assisted", cwd=store)["assisted"]
    assert row["spaces"] == ["anynetx_a", "anynetx_e"]
    assert (row["n_a"], row["n_b"]) == (20, 20)
    assert min(row["explained"]) > 0.5  # the errors rise with the depth, which is known
    assert row["factor"] > 1.2
    assert row["p_value"] <= row["p_adjusted"] < 0.05
    assert "anynetx_e is better than anynetx_a" in printed
    assert f"{row['factor']:.1f} times as many networks" in printed


def test_a_census_is_of_the_same_spaces_inside_the_budget_and_trains_nothing(store):
    study = ns.Study.open(store / "out")
    before = study.store_path.read_bytes()
    censuses = study.censuses()
    assert study.store_path.read_bytes() == before
    for population in study.populations():
        census = censuses[population.name]
        assert len(census.networks) > 100
        assert (census.complexity.flops >= 20e3).all()
        assert (census.complexity.flops <= 200e3).all()
        assert len(set(census.networks)) == len(census.networks)
    known = known_spaces(study.populations(), censuses)
    assert len({table.shape[1] for one in known.values() for table in (one.covariates, one.census)}) == 1
    depths = [sum(stage.depth for stage in spec.stages) for spec in study.populations()[0].networks]
    columns = known["anynetx_a"].covariates
    assert any(np.array_equal(column, depths) for column in columns.T)


def test_few_networks_are_not_enough_data(tmp_path):
    made(tmp_path, 9, by_depth)
    printed = netspace("compare", "out", "--assisted", cwd=tmp_path).stdout
    assert "anynetx_a and anynetx_e: not enough data: 9 networks of a space, at least 10 are needed" in printed
    assert ["anynetx_a", "and", "anynetx_e", "too", "few"] in [line.split() for line in printed.splitlines()]
    assert "nan" not in printed


def test_failures_and_untrained_networks_leave_no_nan(tmp_path):
    def errors(name, networks):
        if name == "anynetx_a":
            return [math.inf] * 20
        return [0.1 + 0.01 * i if i < 12 else None for i in range(20)]

    made(tmp_path, 20, errors)
    printed = netspace("compare", "out", "--assisted", cwd=tmp_path).stdout
    better = (
        "anynetx_e is better than anynetx_a: the better of two of its networks has a lower error than the better of "
    )
    assert (
        f"{better}two of anynetx_a in over 99 % of the cases (79 to 100 % with 95 % confidence; p < 0.001)" in printed
    )
    assert "which alone is no majorisation" in printed
    assert "covariates make it no surer" in printed  # nothing is left to explain
    assert "nan" not in printed
    (line,) = [line for line in printed.splitlines() if line.startswith("anynetx_a and anynetx_e")]
    assert line.split()[3:5] == ["0.0", "%"]
    assert "no finite number" in line  # a difference of medians
    assert " inf" not in printed


def test_what_pairs_planned_together_share_is_told_by_their_number(capsys):
    """Of three planned pairs one has come to its look, with networks that are unlike fresh draws of their space."""
    row = {"spaces": ["a", "b"], "refused": "not enough data: networks are so unlike", "n_a": 20, "n_b": 20}
    print_assisted([row | {"look": 1, "looks": 2, "pairs": 3, "level": 0.95}])
    title, _, line, _ = capsys.readouterr().out.splitlines()
    assert title.endswith("95 % confidence over all pairs (Bonferroni) and looks")
    assert line.split() == ["a", "and", "b", "unlike", "its", "space"]
