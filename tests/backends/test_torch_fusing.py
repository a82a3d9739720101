"""A folded network is the same function, with no norm left."""

import copy

import pytest
import torch
from hypothesis import given, settings
from torch import nn

import netspace as ns
from netspace.backends.torch_fusing import fuse
from tests.backends.disturbed import disturbed
from tests.strategies import specs


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-4), (torch.float64, 1e-9)], ids=str)
@settings(max_examples=15, deadline=None)
@given(spec=specs)
def test_folding_changes_no_logit(dtype, bound, spec):
    network = disturbed(spec).to(dtype)
    before = copy.deepcopy(network.state_dict())
    folded = fuse(network)
    image = torch.rand(2, spec.in_channels, 33, 33, generator=torch.Generator().manual_seed(0)).to(dtype)
    with torch.no_grad():
        expected, logits = network(image), folded(image)
    assert (logits - expected).abs().max() <= bound * expected.abs().max()
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in folded.modules())
    assert all(torch.equal(tensor, network.state_dict()[name]) for name, tensor in before.items())


def test_a_folded_network_has_the_arithmetic_of_one_without_norms():
    network = ns.build(ns.network("regnetx32"))
    kept = sum(p.numel() for p in fuse(network).parameters())
    norms = sum(2 * m.num_features for m in network.modules() if isinstance(m, nn.BatchNorm2d))
    assert kept == 179_290 - norms
