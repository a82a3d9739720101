"""A folded network is the same function, with no norm left, and for inference only."""

import copy
import itertools

import pytest
import torch
from hypothesis import given, settings
from torch import nn

import netspace as ns
from netspace.errors import CheckpointError, InputError
from netspace.networks.spec import BLOCKS, GROUPED, NetworkSpec, Stage, Stem
from tests.backends.disturbed import disturbed
from tests.strategies import specs

PRECISIONS = pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-4), (torch.float64, 1e-9)], ids=str)
STEMS = (
    Stem(width=8),
    Stem(width=8, stride=1),
    Stem(width=8, kernel_size=7, max_pool=True),
    Stem(width=8, kernel_size=4, stride=4, patchify=True),
)
SPEC = NetworkSpec(stages=(Stage(depth=2, width=16, group_width=8),), num_classes=5)


def check_folding(spec, dtype, bound):
    network = disturbed(spec).to(dtype)
    before = copy.deepcopy(network.state_dict())
    folded = ns.fuse(network)
    image = torch.rand(2, spec.in_channels, 33, 33, generator=torch.Generator().manual_seed(0)).to(dtype)
    with torch.no_grad():
        expected, logits = network(image), folded(image)
    assert (logits - expected).abs().max() <= bound * expected.abs().max()
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in folded.modules())
    assert all(torch.equal(tensor, network.state_dict()[name]) for name, tensor in before.items())


@PRECISIONS
@settings(max_examples=15, deadline=None)
@given(spec=specs)
def test_folding_changes_no_logit(dtype, bound, spec):
    check_folding(spec, dtype, bound)


@PRECISIONS
@pytest.mark.parametrize("block", BLOCKS)
def test_folding_changes_no_logit_of_any_block_stem_and_head(dtype, bound, block):
    grouped = block in GROUPED
    stage = Stage(depth=2, width=16, group_width=4 if grouped else None)
    for stem, head_width, conv_bias, se in itertools.product(STEMS, (None, 12), (False, True), (None, 0.25)):
        if se is None or grouped:
            spec = NetworkSpec(
                stages=(stage, stage),
                block=block,
                stem=stem,
                head_width=head_width,
                conv_bias=conv_bias,
                se_ratio=se,
                activation="silu" if block == "z" else "relu",
                num_classes=7,
            )
            check_folding(spec, dtype, bound)


def test_the_check_of_folding_sees_a_wrong_running_variance():
    network = disturbed(SPEC)
    folded = ns.fuse(network)
    network.stages[0][0].branch[0].norm.running_var.mul_(1.01)
    image = torch.rand(2, 3, 33, 33)
    with torch.no_grad():
        expected, logits = network(image), folded(image)
    assert (logits - expected).abs().max() > 1e-4 * expected.abs().max()


def test_a_folded_network_has_the_arithmetic_of_one_without_norms():
    network = ns.build(ns.network("regnetx32"))
    kept = sum(p.numel() for p in ns.fuse(network).parameters())
    norms = sum(2 * m.num_features for m in network.modules() if isinstance(m, nn.BatchNorm2d))
    assert kept == 179_290 - norms


def test_a_folded_network_answers_only():
    folded = ns.fuse(ns.build(SPEC).train())
    assert not any(layer.training for layer in folded.modules())
    assert not any(parameter.requires_grad for parameter in folded.parameters())
    assert folded.stem.conv.conv.weight.is_contiguous(memory_format=torch.channels_last)
    assert [tuple(one.shape) for one in folded.features(torch.rand(1, 3, 32, 32))] == [(1, 16, 8, 8)]
    with pytest.raises(InputError, match="folded and cannot be trained"):
        folded.train()


@torch.no_grad()
def test_weights_that_were_laid_out_follow_every_change():
    network = disturbed(SPEC)
    folded = ns.fuse(network)
    image = torch.rand(2, 3, 32, 32)
    before = folded(image)
    again = copy.deepcopy(folded)
    assert torch.equal(again(image), before)
    again.stem.conv.conv.weight.mul_(2)
    assert not torch.equal(again(image), before)
    again.load_state_dict(folded.state_dict())
    assert torch.equal(again(image), before)
    coarse = folded.to(torch.bfloat16)(image.bfloat16())
    assert coarse.dtype == torch.bfloat16
    assert (coarse.float() - before).abs().max() < 0.1 * before.abs().max()
    assert (folded.double()(image.double()) - before).abs().max() < 0.1 * before.abs().max()


@torch.inference_mode()
def test_other_weights_are_taken_however_they_are_loaded():
    other = ns.fuse(disturbed(SPEC, seed=5))
    image = torch.rand(2, 3, 32, 32)
    for assign in (False, True):
        folded = ns.fuse(disturbed(SPEC))
        assert not torch.equal(folded(image), other(image))
        folded.load_state_dict(other.state_dict(), assign=assign)
        assert torch.equal(folded(image), other(image))


@torch.inference_mode()
def test_images_of_other_sizes_may_take_turns():
    network = disturbed(SPEC)
    folded = ns.fuse(network)
    for shape in ((1, 3, 32, 32), (4, 3, 32, 32), (1, 3, 32, 32), (2, 3, 17, 25)):
        image = torch.rand(shape)
        assert (folded(image) - network(image)).abs().max() < 1e-4 * network(image).abs().max()


def test_images_have_gradients_through_a_folded_network():
    network = disturbed(SPEC)
    grads = []
    for one in (network, ns.fuse(network)):
        image = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)).requires_grad_()
        one(image).sum().backward()
        grads.append(image.grad)
    assert (grads[0] - grads[1]).abs().max() < 1e-4 * grads[0].abs().max()


def test_a_folded_network_is_not_saved(tmp_path):
    with pytest.raises(CheckpointError, match="save the network that was given to `fuse`"):
        ns.save(ns.fuse(ns.build(SPEC)), tmp_path / "folded")
    assert list(tmp_path.iterdir()) == []


def test_folding_twice_is_folding_once():
    once = ns.fuse(disturbed(SPEC))
    twice = ns.fuse(once)
    assert twice is not once
    assert once.state_dict().keys() == twice.state_dict().keys()
    assert all(torch.equal(tensor, twice.state_dict()[name]) for name, tensor in once.state_dict().items())


@pytest.mark.parametrize("other", [SPEC, nn.Linear(2, 2), None], ids=lambda other: type(other).__name__)
def test_only_networks_of_ours_are_folded(other):
    with pytest.raises(InputError, match=f"network \\(={type(other).__name__}\\) must be one that"):
        ns.fuse(other)
