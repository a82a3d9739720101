"""Specs: what cannot exist is refused in one sentence, and what exists survives a round trip."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given

from netspace.errors import SpecError
from netspace.networks.complexity import complexity
from netspace.networks.regnet import regnet
from netspace.networks.spec import NetworkSpec, Stage, Stem
from netspace.networks.zoo import network
from tests.strategies import specs

STAGE = {"depth": 1, "width": 8, "group_width": 8}


@given(specs)
def test_a_spec_survives_json(spec):
    again = NetworkSpec.from_dict(json.loads(json.dumps(spec.to_dict())))
    assert again == spec
    assert again.digest == spec.digest


def test_the_digest_is_the_same_on_every_machine():
    # A stored trial is found again by this number; if it must change, so must the store's schema version.
    assert network("regnetx32").digest == "64ee5c1edc33cd3570bc31b7ab8f2e77"


def test_digests_tell_networks_apart_and_equal_numbers_do_not():
    spec = network("regnetx32")
    assert dataclasses.replace(spec, conv_bias=False).digest != spec.digest
    whole, float_ = (Stage(depth=1, width=8, group_width=8, bottleneck_ratio=b) for b in (1, 1.0))
    assert NetworkSpec(stages=(whole,)).digest == NetworkSpec(stages=(float_,)).digest


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"stages": [STAGE | {"widht": 8}]}, "stages[0].widht: unknown key; did you mean 'width'?"),
        ({"stages": [STAGE], "stem": {"strde": 1}}, "stem.strde: unknown key; did you mean 'stride'?"),
        ({"stages": [{"depth": 1}]}, "stages[0].width: missing"),
        ({"stages": [STAGE], "block": "y"}, "block (='y') must be one of x, z, basic, mlp"),
        ({"stages": [STAGE], "activation": "rleu"}, "activation (='rleu') must be one of relu, silu, gelu; did you"),
        ({"stages": [STAGE], "block": "basic"}, "stages[0].group_width (=8) must be left out for 'basic'"),
        (
            {"stages": [{"depth": 1, "width": 8}], "block": "mlp", "se_ratio": 0.25},
            "se_ratio (=0.25) is for the blocks x and z; leave it out for 'mlp'",
        ),
        ({"stages": [STAGE], "residual": False, "stochastic_depth": 0.1}, "stochastic_depth (=0.1) needs residual"),
        ({"stages": [STAGE], "dropout": 1}, "dropout (=1.0) must be at least 0 and at most 0.95"),
        (
            {"stages": [STAGE], "stem": {"patchify": True}},
            "stem.stride (=2) of a patchify stem must be its",
        ),
        ({"stages": [STAGE | {"depth": "1"}]}, "stages[0].depth (='1'): input should be a valid integer"),
        ({"stages": [STAGE, STAGE | {"depth": 0}]}, "stages[1].depth (=0) must be a whole number of at least 1"),
        ({"stages": []}, "stages (=()) must hold at least one stage"),
        (
            {"stages": [STAGE | {"width": 24, "group_width": 16}]},
            "stages[0].group_width (=16) must divide the inner width (=24, that is width 24 / bottleneck_ratio "
            "1); nearest widths: 16 or 32",
        ),
        (
            {"stages": [STAGE | {"width": 30, "group_width": 1, "bottleneck_ratio": 4}]},
            "stages[0].width (=30) divided by bottleneck_ratio (=4) must be a whole number; nearest widths: 28 or 32",
        ),
        ({"stages": [STAGE | {"bottleneck_ratio": 0}]}, "stages[0].bottleneck_ratio (=0.0) must be at least 0.001"),
        ({"stages": [STAGE | {"stride": 3}]}, "stages[0].stride (=3) must be one of 1, 2"),
        ({"stages": [STAGE], "stem": {"kernel_size": 2}}, "stem.kernel_size (=2) must be odd"),
        ({"stages": [STAGE], "num_classes": 0}, "num_classes (=0) must be a whole number of at least 1"),
        ({"stages": [STAGE], "se_ratio": -1}, "se_ratio (=-1.0) must be above 0"),
    ],
)
def test_an_impossible_spec_is_one_sentence(data, sentence):
    with pytest.raises(SpecError) as caught:
        NetworkSpec.from_dict(data)
    assert str(caught.value).startswith(sentence)


def test_a_resolution_too_small_names_the_stage_and_the_least_one():
    spec = NetworkSpec(stages=(Stage(**STAGE),) * 3, stem=Stem(stride=1))
    assert complexity(spec, resolution=5).flops > 0
    with pytest.raises(
        SpecError,
        match=r"stages\[2\] has stride 2 but its input is 1x1 at resolution 4; the least "
        r"resolution for these strides is 5",
    ):
        complexity(spec, resolution=4)
    with pytest.raises(SpecError, match="the stem has stride 2"):
        complexity(network("regnetx32"), resolution=1)
    with pytest.raises(SpecError, match="the stem's max-pool has stride 2"):
        complexity(network("resnet50"), resolution=2)
    patches = NetworkSpec(stages=(Stage(**STAGE),), stem=Stem(kernel_size=16, stride=16, patchify=True))
    with pytest.raises(SpecError, match=r"kernel_size \(=16\) of a patchify stem must be at most .*=9"):
        complexity(patches, resolution=9)
    with pytest.raises(SpecError, match="the least resolution for these strides is 32"):
        complexity(patches, resolution=17)
    with pytest.raises(SpecError, match="resolution"):
        complexity(spec, resolution=0)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"total_depth": 0}, "total_depth"),
        ({"initial_width": 20}, "nearest: 16"),
        ({"width_slope": -1.0}, "width_slope"),
        ({"width_multiplier": 1.0}, "width_multiplier"),
    ],
)
def test_the_regnet_rule_checks_its_parameters(change, sentence):
    good = {"total_depth": 13, "initial_width": 24, "width_slope": 36.44, "width_multiplier": 2.49}
    with pytest.raises(SpecError, match=sentence):
        regnet(**(good | change), group_width=8)


def test_the_regnet_rule_takes_numpys_numbers():
    numbers = {"total_depth": np.int64(13), "initial_width": np.int32(24), "width_slope": np.float64(36.44)}
    spec = regnet(**numbers, width_multiplier=2.49, group_width=8)
    assert spec.digest == network("regnetx_200mf").digest


def test_an_unknown_network_names_the_nearest():
    with pytest.raises(SpecError, match="did you mean 'regnetx_400mf'"):
        network("regnetx_400m")
