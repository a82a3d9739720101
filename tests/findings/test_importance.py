"""What matters most, of populations as studies and tables have them."""

import numpy as np
import pytest

from netspace.findings.importance import forest_row, most_important, parameter_groups
from netspace.storage.outcomes import Outcomes


def population(names):
    """Return 60 networks whose errors follow the widths; a column is the same whatever stands before it."""
    columns = {name: np.random.default_rng(sum(name.encode())).random(60) for name in names}
    errors = (columns["width[0]"] + columns["width[10]"]) / 4
    return Outcomes(name="A", errors=errors, complexity={"flops": np.arange(60.0)}, parameters=columns)


def test_the_order_in_which_a_table_has_the_parameters_changes_nothing():
    names = ["own", "bottleneck_ratio", "width[10]", "width[9]", "width[0]", "depth", "total_depth", "also[x]"]
    row = forest_row(population(names))
    assert row == forest_row(population(names[::-1])) == forest_row(population(sorted(names)))
    assert row["groups"][0]["name"] == "Width"
    titles = ["Total depth", "Depth", "Width", "Bottleneck ratio", "Also", "Own"]
    groups = parameter_groups(population(names))
    assert list(groups) == titles
    wide = population(names).parameters
    assert np.array_equal(groups["Width"], np.stack([wide["width[0]"], wide["width[9]"], wide["width[10]"]], axis=1))


@pytest.mark.parametrize(
    ("second", "sentence"),
    [
        (
            {"name": "Width", "low": 0.1, "high": 0.2},
            "Depth matters most to the forests of A, and {}: the two disagree",
        ),
        (
            {"name": "Width", "low": 0.1, "high": 0.4},
            "Depth or Width matters most to the forests of A, and {}: the two may agree",
        ),
    ],
)
def test_a_parameter_whose_limits_reach_into_the_first_ones_may_be_first(second, sentence):
    groups = [{"name": "Depth", "low": 0.3, "high": 0.5}, second, {"name": "Group width", "low": -0.1, "high": 0.1}]
    forests = [{"space": "A", "groups": groups}, {"space": "B", "groups": []}]
    felt = {"shift": {"lead": -0.25, "p_value": 0.01}}
    relations = [{"relation": "width never falls", "parameter": "width", "between": [felt]}]
    moved = "violating 'width never falls' moves the EDF most, by 25 points"
    assert most_important(forests, relations) == [sentence.format(moved)]
