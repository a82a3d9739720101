"""Spaces as files declare them: the same values as in Python, and one sentence for every mistake."""

import dataclasses

import pytest

from netspace import values
from netspace.errors import SpaceError
from netspace.networks.spec import Stem
from netspace.spaces.catalog import space
from netspace.spaces.declaration import SpaceDeclaration
from netspace.spaces.laws import Choice, LogUniform, PowersOfTwo, Uniform
from netspace.spaces.parameters import Parameter
from netspace.spaces.space import DesignSpace

OWN = {
    "name": "mine",
    "parameters": {
        "depth": {"law": "uniform", "low": 1, "high": 6},
        "width": {"law": "log-uniform", "low": 16, "high": 256, "step": 16},
        "bottleneck_ratio": {"options": [1, 2]},
        "group_width": {"law": "powers of two", "low": 4, "high": 16},
    },
}


def declared(**plain):
    return values.from_dict(SpaceDeclaration, plain, error=SpaceError).design_space()


def same(one, other):
    return dataclasses.replace(one, name="", source="") == dataclasses.replace(other, name="", source="")


def test_the_catalogue_s_own_steps_can_be_declared():
    e = declared(
        name="E",
        space="anynetx_a",
        share=["bottleneck_ratio", "group_width"],
        increasing=["width", "depth"],
    )
    assert e.size() == space("anynetx_e").size()
    assert {r.describe() for r in e.relations} == {r.describe() for r in space("anynetx_e").relations}
    assert same(declared(space="anynetx_e", reverse=["width"]), space("vionet_width"))


def test_every_relation_has_a_field():
    made = declared(
        name="all of them",
        space="anynetx_a",
        ranges={"depth": [1, 8]},
        constant=["bottleneck_ratio"],
        different=["group_width"],
        rising=["width"],
        ratio={"width": [1.5, 2.5]},
        total={"depth": [8, 20]},
    )
    a = space("anynetx_a").narrow(depth=(1, 8))
    assert same(
        made,
        a.constant("bottleneck_ratio")
        .different("group_width")
        .increasing("width", strict=True)
        .ratio("width", 1.5, 2.5)
        .total("depth", 8, 20),
    )
    assert declared(space="anynetx_a", falling=["depth"], decreasing=["width"]).sample(1).networks
    fixed = declared(space="anynetx_a", fixed={"width": [32, 64, 128, 256]}).sample(3)
    assert {row[f"width[{i}]"] for row in fixed.drawn for i in range(4)} == {32.0, 64.0, 128.0, 256.0}


def test_a_space_of_one_s_own():
    made = declared(**OWN, frame={"se_ratio": 0.25, "stem": {"width": 16, "stride": 1}}, num_stages=3)
    assert made == DesignSpace(
        name="mine",
        parameters=(
            Parameter(name="depth", law=Uniform(low=1, high=6)),
            Parameter(name="width", law=LogUniform(low=16, high=256, step=16)),
            Parameter(name="bottleneck_ratio", law=Choice(options=(1, 2))),
            Parameter(name="group_width", law=PowersOfTwo(low=4, high=16)),
        ),
        num_stages=3,
        se_ratio=0.25,
        stem=Stem(width=16, stride=1),
    )
    basic = {name: OWN["parameters"][name] for name in ("depth", "width")}
    assert declared(name="plain", parameters=basic, frame={"block": "basic", "residual": False}).sample(2).networks


def test_a_union_and_a_scaled_space():
    union = declared(name="both", union=["anynetx_e", "regnetx"], ranges={"depth": [1, 4]})
    assert union.name == "both"
    assert [member.name for member in union.members] == ["anynetx_e", "regnetx"]
    assert same(declared(space="anynetx_c", image_side=28), space("anynetx_c", image_side=28))
    assert same(declared(space="mlp", image_side=8), space("mlp", image_side=8))


def test_a_band_and_equal_weights():
    made = declared(space="anynetx_e", band={"flops": "360M..400M"}, uniform=True)
    assert same(made, space("anynetx_e").within(flops=(360e6, 400e6)).uniform())
    small = declared(space="mlp", image_side=28, band={"params": [1e4, 1e5], "resolution": 28})
    assert all(member.band.params == (1e4, 1e5) for member in small.members)


@pytest.mark.parametrize(
    ("plain", "sentence"),
    [
        ({"name": "x"}, "a space begins with one of space, union and parameters, and this has none of them"),
        (OWN | {"space": "anynetx_a"}, "and this has space and parameters"),
        ({"parameters": OWN["parameters"]}, "name: missing; a space of your own needs one"),
        ({"space": "anynetx_f"}, "did you mean 'anynetx_"),
        ({"space": "anynetx_a", "sharing": ["depth"]}, "sharing: unknown key; did you mean 'share'"),
        (
            {"space": "anynetx_a", "share": ["dept"]},
            "share: relation on 'dept': no such parameter; did you mean 'depth'",
        ),
        ({"space": "anynetx_a", "frame": {"se": 1}}, "frame.se: unknown key"),
        ({"space": "anynetx_a", "frame": {"se_ratio": "big"}}, r"frame.se_ratio \(='big'\)"),
        ({"space": "anynetx_a", "frame": {"block": "y"}}, r"frame.block \(='y'\) must be one of"),
        (
            {"space": "anynetx_a", "rising": ["bottleneck_ratio"]},
            "'bottleneck_ratio rises' contradicts the law one of 1, 2, 4",
        ),
        (
            {"space": "anynetx_a", "rising": ["width"], "falling": ["width"]},
            "falling: 'width rises' and 'width falls' contradict each other",
        ),
        (
            {"space": "anynetx_a", "violate": ["width"]},
            "violate: width: anynetx_a must have one relation on it, and has none",
        ),
        ({"space": "mlp", "share": ["width"]}, "share: mlp is a union, and relations are for a single space"),
        (
            {"space": "anynetx_a", "total": {"depth": [20, 8]}},
            "depth sums to 20 to 8: upside down; the nearest is",
        ),
        ({"space": "anynetx_a", "fixed": {"depth": [1, 2]}}, "fixed: depth is 1, 2: 2 values for 4 stages"),
        ({"space": "anynetx_a", "ranges": {"depth": [0, 4]}}, r"ranges.depth: range \[0, 4\] must lie inside"),
        (
            {"name": "m", "parameters": {"depth": {"law": "normal", "low": 1, "high": 2}}},
            "must be one of uniform, log-uniform",
        ),
        ({"name": "m", "parameters": {"depth": {"law": "uniform", "low": 1}}}, "high: missing"),
        ({"name": "m", "parameters": {"depth": {"options": [1], "low": 1}}}, "must be all that is said of a law"),
        ({"name": "m", "parameters": {"depth": {"options": [1]}}}, r"parameters \(=depth\) must be depth, width"),
        (OWN | {"image_side": 28}, r"image_side \(=28\) scales spaces of the catalogue"),
        ({"space": "anynetx_a", "image_side": 0}, r"image_side \(=0\) must be a whole number of at least 1"),
        ({"space": "anynetx_a", "band": {"flops": "4M..3M"}}, r"band.flops \(=4M..3M\) is upside down"),
        ({"space": "anynetx_a", "band": {"flop": "4M..5M"}}, "band.flop: unknown key; did you mean 'flops'"),
        ({"space": "anynetx_a", "num_stages": 9}, r"num_stages \(=9\) must be a whole number from 1 to 8"),
    ],
)
def test_a_wrong_declaration_is_one_sentence(plain, sentence):
    with pytest.raises(SpaceError, match=sentence) as caught:
        declared(**plain)
    assert "\n" not in str(caught.value)
