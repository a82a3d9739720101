"""Every published RegNet comes out exactly: stages, widths before and after adjustment, complexity.

Ten of the rows have figures that are printed in the released code; those of the others are by our arithmetic.
"""

import csv
import dataclasses
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
    cost = complexity(spec, resolution=224)
    assert [cost.flops, cost.params, cost.activations] == [int(row[m]) for m in ("flops", "params", "activations")]


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: row["name"])
def test_widths_before_the_adjustment(row):
    family, size = row["name"].split("_")
    depth, initial, slope, multiplier, _ = {"regnetx": zoo._REGNETX, "regnety": zoo._REGNETY}[family][size]
    stages = linear_widths([depth], [initial], [slope], [multiplier], max_stages=4)
    assert stages.num_stages.tolist() == [4]
    assert not stages.skipped.any()
    assert stages.widths[0].tolist() == numbers(row["raw_widths"])


def test_the_golden_table_covers_the_published_zoo():
    regnets = [name for name in NETWORKS if name.startswith(("regnetx_", "regnety_"))]
    others = {"regnetx_small", *(name for name in regnets if name.endswith("_torchvision"))}
    assert [row["name"] for row in PUBLISHED] == [name for name in regnets if name not in others]


@pytest.mark.parametrize(
    ("name", "resolution", "flops", "params", "activations"),
    [
        # Dollar et al. 2021, arXiv 2103.06877.
        ("regnetz_500mf", 224, 507217126, 7122742, 5860358),
        # Its parameters are those of timm's regnetz_040_h; the rest by our arithmetic.
        ("regnetz_4gf", 224, 3116291136, 28938880, 18604640),
        # torchvision's own three, as its documentation counts them.
        ("regnetx_400mf_torchvision", 224, None, 5495976, None),
        ("regnety_800mf_torchvision", 224, None, 6432512, None),
        ("regnety_8.0gf_torchvision", 224, None, 39381472, None),
        # The CIFAR network of Radosavovic et al. 2019, arXiv 1905.13214.
        ("resnet56_cifar", 32, 125747850, 855770, 544778),
        # He et al. 2016 and Xie et al. 2017: parameters as everybody counts them; the rest by our arithmetic.
        ("resnet50", 224, 4089185256, 25557032, 11315688),
        ("resnet101", 224, None, 44549160, None),
        ("resnet152", 224, None, 60192808, None),
        ("resnext50_32x4d", 224, 4230480872, 25028904, 14602216),
        ("resnext101_32x8d", 224, None, 88791336, None),
        ("resnext101_64x4d", 224, None, 83455272, None),
    ],
)
def test_other_published_networks_are_exact(name, resolution, flops, params, activations):
    cost = complexity(network(name), resolution)
    assert cost.params == params
    assert flops is None or (cost.flops, cost.activations) == (flops, activations)


def test_the_chapters_network():
    spec = network("regnetx32")
    shapes = [(part.name, part.width, part.side) for part in parts(spec, resolution=96)]
    assert shapes == [("stem", 32, 48), ("stage 1", 32, 24), ("stage 2", 80, 12), ("head", 10, 1)]
    assert complexity(spec, resolution=96).params == 179_290


def test_a_network_is_known_by_what_it_computes():
    assert tuple(zoo.name_of(network(name)) for name in NETWORKS) == NETWORKS
    spec = network("regnety_800mf")
    trained = dataclasses.replace(
        spec, num_classes=2, in_channels=1, dropout=0.1, stochastic_depth=0.1, zero_init_last=True, norm_momentum=0.5
    )
    assert zoo.name_of(trained) == "regnety_800mf"
    assert zoo.name_of(dataclasses.replace(spec, norm_eps=1e-3)) is None
    assert zoo.name_of(dataclasses.replace(spec, se_ratio=0.5)) is None


def test_regnetz_is_what_its_paper_says():
    for name in ("regnetz_500mf", "regnetz_4gf"):
        spec = network(name)
        assert (spec.block, spec.activation, spec.se_ratio) == ("z", "silu", 0.25)
        assert {stage.bottleneck_ratio for stage in spec.stages} == {0.25}
