"""What failures leave of a number has a word: never a NaN, on a page or in a terminal."""

import math

import pytest

from netspace.findings.words import points, relation_lines
from netspace.report.found_tables import effect_table, relation_table
from netspace.stats import compare

WITHIN = {"networks": 40, "obey": 12, "at_all": {"rise": 0.01, "low": -0.002, "high": 0.03, "p_value": 0.2}}
FAILURES = {"median": None, "low": -math.inf, "high": math.inf, "lead": 0.31, "p_value": 1e-5}


def row(between):
    return {"relation": "widths never fall", "within": WITHIN | {"per_step": None}, "between": between, "routes": "-"}


@pytest.mark.parametrize("median", [None, math.inf, math.nan])
def test_medians_that_are_failures_are_told_in_words(median):
    rows = [row([{"violates": "VioNet_w", "shift": FAILURES | {"median": median}, "routes": "agree"}]), row([])]
    first, second = relation_lines(rows)
    told = ("widths never fall", "12 of 40", "+1.00 (-0.20 to 3.00)", "0.2", "too few", "-")
    assert first == (*told, "VioNet_w", "no finite number", "+31", "< 0.001", "agree")
    assert second == (*told, "-", "-", "-", "-", "-")
    head, *lines = relation_table(rows)
    assert lines == [first, second]
    assert {len(line) for line in lines} == {len(head)}


def test_a_limit_that_is_not_there_is_unlimited():
    assert points(0.01, -math.inf, 0.02) == "+1.00 (unlimited to 2.00)"
    assert points(0.01, None, None) == "+1.00"
    assert relation_table([]) == []


def test_differences_of_a_pair_are_a_row_whatever_fails():
    errors = [0.1 + 0.01 * i for i in range(12)]
    verdict = compare(errors, [math.inf] * 12, names=("good", "failed"))
    head, line = effect_table([verdict])
    assert line[0] == "good less failed"
    assert len(line) == len(head)
    assert dict(zip(head, line, strict=True))["minimum"] == "no finite number"
    assert "nan" not in " ".join(line)
