"""The chapter's principles lead from AnyNetX_A over B, C, D and E to RegNetX, or say why they have nothing to do."""

import pytest

from netspace.spaces.catalog import space
from netspace.spaces.declaration import BandChoice, SpaceDeclaration
from netspace.spaces.principles import PRINCIPLES, NothingToDo
from netspace.spaces.relations import Fixed
from netspace.spaces.union import SpaceUnion
from netspace.studies.spec import read_study
from tests.own_blocks import EXAMPLES


def walked(choice, ranges=None):
    """Return what each principle makes of a declaration if all before it were taken: a space or a reason."""
    found = {}
    for principle in PRINCIPLES:
        made = choice.design_space()
        assert not isinstance(made, SpaceUnion)
        try:
            choice = principle.refine(choice, made, ranges or {})
        except NothingToDo as problem:
            found[principle.key] = str(problem)
        else:
            found[principle.key] = choice.design_space()
    return found


def test_the_way_is_that_of_the_chapter():
    found = walked(SpaceDeclaration(space="anynetx_a"))
    for key, name in zip(["share-b", "share-g", "widths-rise", "depths-rise"], "bcde", strict=True):
        assert found[key].digest == space(f"anynetx_{name}").digest
    # Total depths and widths reach as far as AnyNetX's: 4 stages of 16 blocks, though the paper's RegNet stops at 63.
    regnet = space("regnetx").narrow(total_depth=(4, 63), initial_width=(8, 248), width_slope=(0.1, 255.9))
    assert found["linear-widths"].digest == regnet.digest
    assert found["b-is-1"].digest == regnet.narrow(bottleneck_ratio=1).digest
    assert found["b-is-1"].name.endswith("rising d + linear w + b = 1")


def test_ranges_of_the_rule_are_the_studys_or_follow_from_depths_and_widths():
    choice = SpaceDeclaration(space="anynetx_e", num_stages=3, ranges={"depth": (1, 5), "width": (16, 120)})
    law = walked(choice, {"width_slope": (0.1, 64.0)})["linear-widths"].law
    assert (law("total_depth").low, law("total_depth").high) == (3, 15)
    assert (law("initial_width").low, law("initial_width").high) == (16, 120)
    assert law("width_slope").high == 64


def test_a_space_keeps_all_else_when_its_widths_follow_the_rule():
    choice = SpaceDeclaration(
        space="anynetx_a",
        stride=1,
        frame={"se_ratio": 0.25, "activation": "silu"},
        different=("group_width",),
        band=BandChoice(flops="1M..2M", resolution=32),
        uniform=True,
        image_side=28,
    )
    before, after = choice.design_space(), walked(choice)["linear-widths"]
    assert after.frame() == before.frame()
    assert (after.stride, after.band, after.band_resolution) == (1, before.band, 32)
    assert [r.describe() for r in after.relations] == [
        "bottleneck_ratio is shared",
        "group_width differs from stage to stage",
    ]
    assert after.law("group_width") == before.law("group_width")


def test_own_blocks_follow_the_rule_too():
    choice = read_study(EXAMPLES / "convnext.toml")[0].spaces[0]
    found = walked(choice)
    assert found["share-b"] == "the space has no bottleneck ratio"
    assert found["widths-rise"] == "it holds already"
    assert found["linear-widths"].own_block == choice.design_space().own_block
    assert found["linear-widths"].own_block.file.endswith("convnext.py")


@pytest.mark.parametrize(
    ("choice", "key", "reason"),
    [
        ({"space": "anynetx_c"}, "share-g", "it holds already"),
        ({"space": "anynetx_a", "constant": ("bottleneck_ratio",)}, "share-b", "it holds already"),
        ({"space": "anynetx_a", "num_stages": 1}, "widths-rise", "it holds already"),
        ({"space": "anynetx_a", "rising": ("depth",)}, "depths-rise", "it holds already"),
        ({"space": "anynetx_a", "ranges": {"group_width": 8}}, "share-g", "it holds already"),
        ({"space": "regnetx"}, "linear-widths", "it holds already"),
        ({"space": "regnetx"}, "widths-rise", "the RegNet rule gives width"),
        ({"space": "regnetx_constrained"}, "b-is-1", "it holds already"),
        ({"space": "regnetz"}, "b-is-1", "the space has no bottleneck ratio of 1"),
        ({"space": "anynet_resnet"}, "share-g", "the space has no group width"),
        ({"space": "vionet_width"}, "widths-rise", "width"),
        ({"space": "vionet_width"}, "linear-widths", "'width falls' cannot be asked"),
        ({"space": "anynetx_a", "total": {"depth": (4, 12)}}, "linear-widths", "cannot be asked"),
    ],
    ids=range(13),
)
def test_a_principle_without_anything_to_do_says_why(choice, key, reason):
    found = walked(SpaceDeclaration(**choice))[key]
    assert isinstance(found, str)
    assert reason in found


def test_what_networks_may_obey_by_chance():
    relations = [principle.relation(3) for principle in PRINCIPLES]
    assert relations[-1] == Fixed(parameter="bottleneck_ratio", values=(1.0, 1.0, 1.0))
    assert [relation and relation.describe() for relation in relations[:-1]] == [
        "bottleneck_ratio is shared",
        "group_width is shared",
        "width never falls",
        "depth never falls",
        None,
    ]
