"""What matters most, of populations as studies and tables have them."""

import numpy as np

from netspace.findings.importance import forest_row, parameter_groups
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
