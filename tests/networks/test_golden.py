"""Every published RegNet comes out exactly: stages, widths before and after adjustment, complexity."""

import csv
from pathlib import Path

import pytest

from netspace.networks import zoo
from netspace.networks.complexity import complexity, parts
from netspace.networks.regnet import linear_widths
from netspace.networks.zoo import NETWORKS, network

with (Path(__file__).parent.parent / "golden" / "regnets.csv").open() as file:
    PUBLISHED = list(csv.DictReader(file))


def numbers(text: str) -> list[int]:
    return [int(word) for word in text.split()]


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: row["name"])
def test_published_networks_are_exact(row):
    spec = network(row["name"])
    assert [stage.depth for stage in spec.stages] == numbers(row["depths"])
    assert [stage.width for stage in spec.stages] == numbers(row["widths"])
    assert [stage.group_width for stage in spec.stages] == numbers(row["group_widths"])
    if row["flops"]:
        cost = complexity(spec, resolution=224)
        printed = [int(row[measure]) for measure in ("flops", "params", "activations")]
        assert [cost.flops, cost.params, cost.activations] == printed


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: row["name"])
def test_widths_before_the_adjustment(row):
    family, size = row["name"].split("_")
    depth, initial, slope, multiplier, _ = zoo._FAMILIES[family][0][size]
    stages = linear_widths([depth], [initial], [slope], [multiplier], max_stages=4)
    assert stages.num_stages.tolist() == [4]
    assert not stages.skipped.any()
    assert stages.widths[0].tolist() == numbers(row["raw_widths"])


def test_the_golden_table_covers_the_published_zoo():
    assert [row["name"] for row in PUBLISHED] == [name for name in NETWORKS if name != "regnetx32"]


def test_the_chapters_network():
    spec = network("regnetx32")
    shapes = [(part.name, part.width, part.side) for part in parts(spec, resolution=96)]
    assert shapes == [("stem", 32, 48), ("stage 1", 32, 24), ("stage 2", 80, 12), ("head", 10, 1)]
    assert complexity(spec, resolution=96).params == 179_290
