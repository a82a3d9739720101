"""A user's own block as a module: what its cost says is what the module has, and a cost that is wrong is refused."""

import dataclasses

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import netspace as ns
from netspace.backends import get_backend
from netspace.errors import CheckpointError, OwnBlockError
from netspace.networks.complexity import complexity
from netspace.networks.own_block import load
from netspace.networks.spec import NetworkSpec, Stage, Stem
from tests.own_blocks import CONVNEXT, MIXER, SMALL, changed


@pytest.fixture
def write(tmp_path):
    def block_file(text=SMALL):
        (tmp_path / "block.py").write_text(text)
        return tmp_path / "block.py"

    return block_file


def spec_of(own, **fields):
    stages = (Stage(depth=2, width=16), Stage(depth=1, width=24))
    return NetworkSpec(
        **{"block": "own", "own_block": own, "stem": Stem(width=16), "stages": stages, "num_classes": 10} | fields
    )


def mixer(tokens):
    stages = (Stage(depth=2, width=16, stride=1), Stage(depth=2, width=24, stride=1))
    return spec_of(
        ns.OwnBlock.of(MIXER, tokens=tokens),
        stem=Stem(width=16, kernel_size=2, stride=2, patchify=True),
        stages=stages,
    )


CASES = [
    (spec_of(ns.OwnBlock.of(CONVNEXT)), 32),
    (spec_of(ns.OwnBlock.of(CONVNEXT, expansion=2)), 33),
    (spec_of(ns.OwnBlock.of(CONVNEXT), head_width=20, conv_bias=True), 27),
    (mixer(16), 8),
    (mixer(49), 14),
]


@pytest.mark.parametrize(("spec", "resolution"), CASES)
def test_counts_on_the_whole_network_equal_the_arithmetic(spec, resolution):
    network = ns.build(spec).eval()
    outputs = []

    def count(layer, _, output):
        outputs.append((output.numel(), getattr(layer, "bias", None) is not None))

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    image = torch.rand(1, 3, resolution, resolution)
    with FlopCounterMode(display=False) as counter:
        logits = network(image)
    cost = complexity(spec, resolution)
    assert logits.shape == (1, 10)
    assert cost.params == sum(parameter.numel() for parameter in network.parameters())
    assert cost.activations == sum(size for size, _ in outputs)
    assert cost.flops == counter.get_total_flops() // 2 + sum(size for size, biased in outputs if biased)
    shapes = [tuple(one.shape[1:]) for one in network.features(image)]
    assert shapes == [(width, *shape[1:]) for width, shape in zip(spec.feature_widths, shapes, strict=True)]


MUTANTS = [
    ("params=weights + width + 2 * width", "params=weights + width", "cost says 144 params .* built module has 176"),
    (
        "params=weights + width + 2 * width",
        "params=weights + width + 2 * in_width",
        "for in_width 8, width 16 and stride 2 at 64x64",
    ),
    ("flops=(weights + width)", "flops=weights", "cost says 131,072 flops for in_width 8, width 16 and stride 2 at"),
    ("activations=width * out_side**2", "activations=width * in_side**2", "cost says 65,536 activations .* 16,384"),
    ("activations=width * out_side**2", "activations=2 * width * out_side**2", "activations"),
]


@pytest.mark.parametrize(("before", "after", "sentence"), MUTANTS, ids=range(len(MUTANTS)))
def test_a_cost_that_is_not_the_modules_is_refused(write, before, after, sentence):
    spec = spec_of(ns.OwnBlock.of(write(changed(before, after))), stem=Stem(width=8, stride=1))
    with pytest.raises(OwnBlockError, match=sentence):
        get_backend("torch").check(spec, 64)
    with pytest.raises(OwnBlockError, match="cost says"):
        ns.build(spec)


def test_the_examples_layer_norm_is_not_forgotten(write):
    text = CONVNEXT.read_text()
    assert text.count("norm_and_scale = 2 * width + width") == 1
    block = ns.OwnBlock.of(write(text.replace("norm_and_scale = 2 * width + width", "norm_and_scale = width")))
    with pytest.raises(OwnBlockError, match=r"cost says .* params .* built module has"):
        ns.build(spec_of(block))


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        (
            "    weights = ",
            "    width = max(width, 4) if stride else 0\n    weights = ",
            "line 7: cost failed with ValueE",
        ),
        ("flops=(weights + width)", "flops=(weights + width - (type(width) is not int))", "another number where it is"),
        ("    return Block()", "    return 3", "build must return a torch.nn.Module, not a int"),
        ("    return Block()", "    return Blok()", r"line 27: build failed with NameError: name 'Blok' is not def"),
        ("stride=stride, padding", "stride=1, padding", r"must have the shape \(1, 16, 56, 56\), and is \(1, 16, 112"),
        (
            ".permute(0, 3, 1, 2).relu()",
            ".permute(0, 3, 1, 2).reluu()",
            "line 25: the module's forward failed with Attr",
        ),
        ("self.norm(self.convolution(x)", "(self.norm(x), self.convolution(x)", "the module's forward failed with"),
    ],
    ids=range(7),
)
def test_a_file_that_cannot_be_built(write, before, after, sentence):
    with pytest.raises(OwnBlockError, match=sentence) as caught:
        ns.build(spec_of(ns.OwnBlock.of(write(changed(before, after)))))
    assert "\n" not in str(caught.value)


def test_weights_come_from_the_seed_and_leave_pytorchs_generator_alone():
    spec = CASES[0][0]
    before = torch.get_rng_state()
    first, again, other = (ns.build(spec, seed=seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], again[name]) for name in first)
    for name in ("stem.conv.weight", "stages.0.0.0.convolution.weight", "stages.1.0.1.expand.weight"):
        assert not torch.equal(first[name], other[name])
    # The block's own beginning, not netspace's: N(0, 0.02) and a layer scale of 1e-6.
    assert first["stages.0.1.0.expand.weight"].std() == pytest.approx(0.02, rel=0.1)
    assert (first["stages.0.1.0.scale"] == 1e-6).all()


@pytest.mark.parametrize("spec", [CASES[0][0], CASES[3][0]], ids=["convnext", "mixer"])
def test_a_network_is_saved_loaded_and_folded(spec, tmp_path):
    network = ns.build(spec, seed=3).eval()
    ns.save(network, tmp_path)
    image = torch.rand(2, 3, 8, 8)
    again = ns.load(tmp_path)
    assert again.spec == spec
    assert torch.equal(again(image), network(image))
    folded = ns.fuse(network)
    assert torch.allclose(folded(image), network(image), atol=1e-5)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in folded.modules())


def test_a_saved_network_needs_the_file_of_its_block(write, tmp_path):
    ns.save(ns.build(spec_of(ns.OwnBlock.of(write()))), tmp_path / "saved")
    load.cache_clear()
    write(SMALL + "# edited\n")
    with pytest.raises(CheckpointError, match=r"network.json: own block .* has changed: its digest must be"):
        ns.load(tmp_path / "saved")
    write().unlink()
    with pytest.raises(CheckpointError, match=r"block.py' cannot be read \(No such file or directory\)"):
        ns.load(tmp_path / "saved")


def test_networks_without_own_blocks_pass_the_check():
    get_backend("torch").check(ns.network("regnetx32"), 1)


def test_a_block_that_fits_one_size_of_image_is_checked_there(write):
    text = MIXER.read_text()
    wrong = ns.OwnBlock.of(write(text.replace("params=2 * 2 * width", "params=2 * width")), tokens=16)
    with pytest.raises(OwnBlockError, match=r"params for .* at 4x4 pixels"):
        ns.build(dataclasses.replace(CASES[3][0], own_block=wrong))
