"""Parity: a library's own RegNet and ours give the same logits, and each library loads what we export, strictly.

Every weight, bias, scale, shift and running statistic is drawn: a fresh network of timm ends its branches in zeros.
"""

import dataclasses
import re

import pytest
import torch
from safetensors.torch import save_file

import netspace as ns
from netspace.backends import published
from netspace.errors import CheckpointError
from netspace.networks import plan
from netspace.networks.zoo import name_of
from tests.parity.originals import ABSENT, ZOO_NAMES, drawn, original, without_memory

pytestmark = pytest.mark.skipif(
    bool(ABSENT), reason=f"{', '.join(ABSENT)} not installed; `make test-parity` installs them and runs these tests"
)

CASES = [
    ("timm", "regnetx_002"),
    ("timm", "regnetx_004"),
    ("timm", "regnety_002"),
    ("timm", "regnety_008"),
    ("timm", "regnetx_004_tv"),
    ("timm", "regnety_008_tv"),
    ("timm", "regnety_080_tv"),
    ("torchvision", "regnet_x_400mf"),
    ("torchvision", "regnet_x_1_6gf"),
    ("torchvision", "regnet_y_400mf"),
    ("torchvision", "regnet_y_800mf"),
    ("torchvision", "regnet_y_8gf"),
    ("pycls", "regnetx_200mf"),
    ("pycls", "regnety_400mf"),
    ("pycls", "regnety_800mf"),
]
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-9}
"""Of the largest logit."""


def saved(library, network, folder):
    """Return a file of a network as its library writes it."""
    if library == "timm":
        save_file(network.state_dict(), folder / "model.safetensors")
        return folder / "model.safetensors"
    weights = network.state_dict()
    torch.save({"model_state": weights, "epoch": 100} if library == "pycls" else weights, folder / "model.pyth")
    return folder / "model.pyth"


@torch.no_grad()
def difference(library, theirs, ours):
    """Return the largest difference of logits, as a share of the largest logit."""
    dtype = next(theirs.parameters()).dtype
    images = torch.randn(2, 3, 64, 64, dtype=dtype, generator=torch.Generator().manual_seed(4))
    wanted = theirs(images.flip(1) if library == "pycls" else images)
    return ((ours(images) - wanted).abs().max() / wanted.abs().max()).item()


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize(("library", "name"), CASES)
def test_logits_are_equal_and_the_export_is_theirs_bit_for_bit(library, name, dtype, tmp_path):
    theirs = drawn(library, name, dtype)
    ours = ns.load_checkpoint(saved(library, theirs, tmp_path))
    assert name_of(ours.spec) == ZOO_NAMES[library][name]
    assert difference(library, theirs, ours) <= TOLERANCE[dtype]
    again = original(library, name).to(dtype)
    again.load_state_dict(published.published_tensors(ours, library), strict=True)
    wanted = theirs.state_dict()
    assert all(torch.equal(tensor, wanted[key]) for key, tensor in again.state_dict().items())


@pytest.mark.parametrize(("library", "name"), [(library, name) for library in ZOO_NAMES for name in ZOO_NAMES[library]])
def test_the_zoo_knows_every_published_network(library, name, monkeypatch):
    tensors = without_memory(library, name, monkeypatch).state_dict()
    assert name_of(published.spec_of(tensors, library, source=name)) == ZOO_NAMES[library][name]


SMALL = {"timm": "regnety_002", "torchvision": "regnet_y_400mf", "pycls": "regnety_400mf"}
"""Networks that pass above, and in which a stage's first and shortcut convolutions have one shape."""


def a_mistake_shows(library, folder):
    theirs = drawn(library, SMALL[library], torch.float32)
    return difference(library, theirs, ns.load_checkpoint(saved(library, theirs, folder))) > 0.01


@pytest.mark.parametrize("library", SMALL)
def test_a_swapped_shortcut_shows(library, tmp_path, monkeypatch):
    inner = published.their_name

    def their_name(ours, style):
        # Only a stage's first block has a shortcut convolution; it has the shape of the first one.
        if found := re.fullmatch(r"(stages\.\d+\.0\.)(branch\.a|projection)(\.conv\.weight)", ours):
            other = "projection" if found[2] == "branch.a" else "branch.a"
            return inner(found[1] + other + found[3], style)
        return inner(ours, style)

    monkeypatch.setattr(published, "their_name", their_name)
    assert a_mistake_shows(library, tmp_path)


def test_blue_first_shows(tmp_path, monkeypatch):
    monkeypatch.setattr(published, "READS_BGR", ())
    assert a_mistake_shows("pycls", tmp_path)


@pytest.mark.parametrize("library", SMALL)
def test_the_stride_in_the_first_convolution_shows(library, tmp_path, monkeypatch):
    inner = plan._convolutions

    def strides_first(*args, **kw):
        a, b, c = inner(*args, **kw)
        return dataclasses.replace(a, stride=b.stride), dataclasses.replace(b, stride=1), c

    monkeypatch.setattr(plan, "_convolutions", strides_first)
    assert a_mistake_shows(library, tmp_path)


@pytest.mark.parametrize("library", SMALL)
def test_a_reduced_width_from_the_inner_width_shows(library, tmp_path, monkeypatch):
    inner = plan._squeeze_excitation
    monkeypatch.setattr(plan, "_squeeze_excitation", lambda _, width, ratio: inner(width, width, ratio))
    with pytest.raises(CheckpointError, match=r"misshapen: .*se"):
        a_mistake_shows(library, tmp_path)
