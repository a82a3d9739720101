"""A network for the Hub is the same two files as a saved one; all of it offline, against folders and a cache."""

import dataclasses
import subprocess
import sys

import pytest
import torch

import netspace as ns
from netspace.errors import CheckpointError
from netspace.networks.spec import NetworkSpec, Stage
from tests.backends.disturbed import disturbed

SPEC = NetworkSpec(stages=(Stage(depth=2, width=16, group_width=8),), num_classes=5, se_ratio=0.25)
IMAGES = torch.rand(2, 3, 33, 33, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # where it was imported before


def test_what_would_be_uploaded_is_what_save_writes_and_a_card(tmp_path):
    network = disturbed(SPEC)
    # `push_to_hub` uploads, as it is, the folder that `save_pretrained` fills.
    ns.HubNetwork.of(network).save_pretrained(tmp_path / "pushed")
    ns.save(network, tmp_path / "saved")
    pushed, saved = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("pushed", "saved")
    )
    card = pushed.pop("README.md").decode()
    assert pushed == saved
    assert "library_name: netspace" in card
    assert "ns.HubNetwork.from_pretrained(" in card


def test_each_side_reads_what_the_other_wrote(tmp_path):
    network = disturbed(SPEC)
    ns.HubNetwork.of(network).save_pretrained(tmp_path / "pushed")
    ns.save(network, tmp_path / "saved")
    loaded = ns.load(tmp_path / "pushed")
    fetched = ns.HubNetwork.from_pretrained(tmp_path / "saved")
    assert loaded.spec == fetched.spec == SPEC
    assert not fetched.training
    assert torch.equal(loaded(IMAGES), network(IMAGES))
    assert torch.equal(fetched(IMAGES), network(IMAGES))


def test_a_network_is_found_in_the_cache_of_the_hub(tmp_path):
    repository = tmp_path / "models--owner--name"  # the layout of the Hub's cache
    ns.save(disturbed(SPEC), repository / "snapshots" / ("c" * 40))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("c" * 40)
    fetched = ns.HubNetwork.from_pretrained("owner/name", cache_dir=tmp_path)
    assert torch.equal(fetched(IMAGES), disturbed(SPEC)(IMAGES))
    with pytest.raises(FileNotFoundError, match="outgoing traffic has been disabled"):
        ns.HubNetwork.from_pretrained("owner/other", cache_dir=tmp_path)


def test_a_trained_network_saves_its_new_numbers_over_another(tmp_path):
    ns.save(ns.build(dataclasses.replace(SPEC, num_classes=7)), tmp_path)
    network = ns.HubNetwork.of(ns.build(SPEC))
    assert network.training
    network(IMAGES).sum().backward()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter -= 0.1 * parameter.grad
    network.save_pretrained(tmp_path)
    assert torch.equal(ns.load(tmp_path)(IMAGES), network.eval()(IMAGES))


def test_a_damaged_folder_is_one_sentence(tmp_path):
    ns.HubNetwork.of(ns.build(SPEC)).save_pretrained(tmp_path)
    (tmp_path / "network.json").write_text("{")
    with pytest.raises(CheckpointError, match="not valid JSON"):
        ns.HubNetwork.from_pretrained(tmp_path)


def test_without_its_package_one_sentence_says_what_to_install():
    code = """
import sys
sys.modules["huggingface_hub"] = None  # as on a machine without it
import netspace as ns
try:
    ns.HubNetwork
except ImportError as problem:
    print(type(problem).__name__, problem)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == (
        "MissingFrameworkError HubNetwork needs the package 'huggingface_hub'; "
        "install it with: pip install 'netspace[hub]'\n"
    )
