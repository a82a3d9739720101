"""The built module is the plan: parameters, flops and activations counted on it equal our arithmetic."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import netspace as ns
from netspace.backends.torch_model import AnyNet, build
from netspace.errors import InputError
from netspace.networks.complexity import complexity
from netspace.networks.plan import sides
from netspace.networks.spec import NetworkSpec, Stage, Stem
from netspace.networks.zoo import network
from tests.strategies import specs


def biases_and_outputs(spec: NetworkSpec, resolution: int) -> tuple[int, int, torch.Size]:
    """Count the output elements of all convolutions and of the linear layer, and those with a bias."""
    with torch.device("meta"):
        module = AnyNet(spec).eval()
        image = torch.empty(1, spec.in_channels, resolution, resolution)
    outputs, biased = [], []

    def count(layer, _, output):
        outputs.append(output.numel())
        biased.append(output.numel() * (getattr(layer, "bias", None) is not None))

    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.MaxPool2d):
            layer.register_forward_hook(count)
    logits = module(image)
    return sum(biased), sum(outputs), logits.shape


@settings(max_examples=60, deadline=None)
@given(specs, st.integers(25, 41))
def test_counts_on_the_module_equal_the_arithmetic(spec, resolution):
    cost = complexity(spec, resolution)
    with torch.device("meta"):
        module = AnyNet(spec).eval()
        image = torch.empty(1, spec.in_channels, resolution, resolution)
    assert cost.params == sum(p.numel() for p in module.parameters())

    biases, outputs, shape = biases_and_outputs(spec, resolution)
    assert cost.activations == outputs
    assert shape == (1, spec.num_classes)

    with FlopCounterMode(display=False) as counter:
        module(image)
    # PyTorch counts a multiply-add as two, and no biases.
    assert cost.flops == counter.get_total_flops() // 2 + biases


def test_the_chapters_network_has_its_parameters():
    module = ns.build(network("regnetx32"))
    assert sum(p.numel() for p in module.parameters()) == 179_290
    shapes = []
    for part in (module.stem, *module.stages, module.head):
        part.register_forward_hook(lambda _, __, output: shapes.append(tuple(output.shape)))
    module.eval()(torch.zeros(1, 1, 96, 96))
    assert shapes == [(1, 32, 48, 48), (1, 32, 24, 24), (1, 80, 12, 12), (1, 10)]


def test_initialisation_is_the_published_one_and_comes_from_the_seed():
    spec = NetworkSpec(stages=(Stage(depth=2, width=256, group_width=64),), num_classes=100, conv_bias=True)
    module, same, other = build(spec, seed=1), build(spec, seed=1), build(spec, seed=2)
    for name, weight in module.named_parameters():
        assert torch.equal(weight, dict(same.named_parameters())[name])
    conv = module.stages[0][0].branch.b.conv
    assert conv.weight.std().item() == pytest.approx((2 / (9 * 256)) ** 0.5, rel=0.02)
    assert not torch.equal(conv.weight, other.stages[0][0].branch.b.conv.weight)
    assert module.head.linear.weight.std().item() == pytest.approx(0.01, rel=0.02)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.weight.eq(1).all()
            assert layer.running_var.eq(1).all()
            assert layer.running_mean.eq(0).all()
        if isinstance(layer, nn.BatchNorm2d | nn.Conv2d | nn.Linear):
            assert layer.bias is None or layer.bias.eq(0).all()


def test_the_names_of_the_weights_are_a_file_format():
    spec = NetworkSpec(
        stages=(Stage(depth=1, width=8, group_width=4),), stem=Stem(width=8, max_pool=True), se_ratio=0.25, head_width=6
    )
    weights = [name for name in build(spec).state_dict() if name.endswith("weight")]
    block = ["a.conv", "a.norm", "b.conv", "b.norm", "se.reduce", "se.expand", "c.conv", "c.norm"]
    assert weights == [
        "stem.conv.weight",
        "stem.norm.weight",
        *(f"stages.0.0.branch.{name}.weight" for name in block),
        "stages.0.0.projection.conv.weight",
        "stages.0.0.projection.norm.weight",
        "head.convolution.conv.weight",
        "head.convolution.norm.weight",
        "head.linear.weight",
    ]


def test_building_leaves_the_global_generator_alone():
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    build(network("regnetx32"), seed=5)
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_stride_is_in_the_3x3_convolution_and_the_shortcut():
    block = ns.build(network("regnetx32")).stages[0][0]
    assert [layer.conv.stride for layer in block.branch] == [(1, 1), (2, 2), (1, 1)]
    assert block.projection.conv.stride == (2, 2)
    assert block.branch.b.conv.groups == 2
    assert ns.build(network("regnetx32")).stages[0][1].projection is None


@settings(max_examples=25, deadline=None)
@given(specs)
def test_every_network_gives_finite_logits_and_features_of_its_plan(spec):
    module = ns.build(spec, seed=3).eval()
    images = torch.randn(2, spec.in_channels, 33, 33, generator=torch.Generator().manual_seed(0))
    logits, features = module(images), module.features(images)
    assert logits.shape == (2, spec.num_classes)
    assert logits.isfinite().all()
    expected = zip(spec.stages, sides(spec, 33).stages, strict=True)
    assert [tuple(f.shape) for f in features] == [(2, stage.width, side, side) for stage, side in expected]
    assert torch.equal(module.head(features[-1]), logits)


def test_a_spec_says_the_strides_and_widths_of_its_features():
    for name in ("regnetx_200mf", "resnet50", "regnetx32"):
        spec = network(name)
        features = ns.build(spec).eval().features(torch.zeros(1, spec.in_channels, 64, 64))
        assert tuple(f.shape[1] for f in features) == spec.feature_widths
        assert tuple(64 // f.shape[2] for f in features) == spec.feature_strides


def test_a_block_that_begins_at_zero_is_its_shortcut():
    stages = (Stage(depth=2, width=8, group_width=8, stride=1),)
    spec = NetworkSpec(stages=stages, stem=Stem(width=8), zero_init_last=True, in_channels=1)
    block = ns.build(spec).eval().stages[0][1]
    x = torch.randn(2, 8, 5, 5)
    assert torch.equal(block(x), torch.relu(x))


def test_stochastic_depth_drops_whole_branches_and_keeps_their_mean():
    stages = (Stage(depth=2, width=8, group_width=8, stride=1),)
    spec = NetworkSpec(stages=stages, stem=Stem(width=8), stochastic_depth=0.5, activation="silu", block="z")
    first, last = ns.build(spec).stages[0]
    assert (first.drop_rate, last.drop_rate) == (0.0, 0.5)
    x = torch.randn(1, 8, 5, 5).expand(4000, 8, 5, 5)
    branch = last.branch(x)
    added = last(x) - x
    kept = added.flatten(1).any(1)
    assert 0.45 < kept.float().mean() < 0.55
    torch.testing.assert_close(added[kept], 2 * branch[kept])


@torch.no_grad()
def test_stochastic_depth_drops_no_branch_that_nothing_goes_around():
    stages = (Stage(depth=1, width=8, group_width=8), Stage(depth=1, width=16, group_width=8))
    spec = NetworkSpec(block="z", stages=stages, stochastic_depth=0.9, norm_momentum=1.0)
    network = build(spec).train()
    outputs = network.features(torch.rand(64, 3, 32, 32))
    assert all((output.abs().sum((1, 2, 3)) > 0).all() for output in outputs)


@torch.no_grad()
def test_dropout_acts_before_the_linear_layer_and_in_training_only():
    spec = NetworkSpec(stages=(Stage(depth=1, width=16, group_width=8),), dropout=0.5)
    network, image = build(spec), torch.rand(4, 3, 32, 32)
    assert torch.equal(network.eval()(image), network(image))
    first, second = network.train()(image), network(image)
    assert not torch.equal(first, second)
    network.head.linear.weight.fill_(1.0)
    pooled = network.stages(network.stem(image)).mean((2, 3))
    kept = network.head(network.stages(network.stem(image)))[:, 0]
    whole = 2 * pooled.sum(1)
    assert (kept < whole).all()


@pytest.mark.parametrize("shape", [(2, 8, 8, 3), (3, 8, 8)])
def test_images_of_another_layout_are_refused_by_the_module_itself(shape):
    module = build(NetworkSpec(stages=(Stage(depth=1, width=16, group_width=8),), stem=Stem(width=16)))
    for call in (module, module.features):
        with pytest.raises(
            InputError, match=rf"\({', '.join(map(str, shape))}\)\) must be \(batch, channels, height, wid"
        ):
            call(torch.zeros(shape))


def test_the_check_of_the_layout_is_in_nobody_s_way():
    """Symbolic tracing, export with a free batch size and compilation in one graph see the network alone."""
    module = build(NetworkSpec(stages=(Stage(depth=1, width=16, group_width=8),), stem=Stem(width=16))).eval()
    x = torch.randn(2, 3, 9, 9)
    expected = module(x)
    torch.testing.assert_close(torch.fx.symbolic_trace(module)(x), expected)
    free = {"x": {0: torch.export.Dim("batch")}}
    exported = torch.export.export(module, (torch.randn(3, 3, 9, 9),), dynamic_shapes=free)
    torch.testing.assert_close(exported.module()(x), expected)
    torch.testing.assert_close(torch.compile(module, backend="eager", fullgraph=True)(x), expected)


@pytest.mark.parametrize("name", [None, 3, ["x"]])
def test_what_is_no_name_is_no_backend(name):
    network = ns.network("regnetx32")
    for call in (lambda: ns.build(network, backend=name), lambda: ns.convert(ns.build(network), to=name)):
        with pytest.raises(InputError, match=r"^backend .* does not exist; known: jax, mxnet, tensorflow, torch$"):
            call()
