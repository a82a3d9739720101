"""A saved network comes back bit for bit; a damaged or foreign file is one sentence that names what is wrong."""

import dataclasses
import json
import os
import pickle
import platform

import pytest
import torch
from hypothesis import given, settings
from safetensors.torch import load_file, save_file

import netspace as ns
from netspace.errors import CheckpointError
from netspace.networks.spec import NetworkSpec, Stage
from netspace.training.recipe import TrainingRecipe
from netspace.training.trial import EpochRecord, TrialResult
from tests.backends.disturbed import disturbed
from tests.strategies import specs

SPEC = NetworkSpec(stages=(Stage(depth=2, width=16, group_width=8),), num_classes=5, in_channels=1)
RECIPE = TrainingRecipe(epochs=2, learning_rate=0.1, flip=True)
RESULT = TrialResult(
    trial_id="a" * 32,
    status="finished",
    error=0.1,
    curve=(EpochRecord(epoch=1, training_loss=1 / 3, validation_error=0.1, seconds=0.5),),
    seconds=0.7,
    images=100,
)


@settings(max_examples=20, deadline=None)
@given(spec=specs)
def test_a_network_comes_back_bit_for_bit(tmp_path_factory, spec):
    folder = tmp_path_factory.mktemp("saved")
    network = disturbed(spec)
    ns.save(network, folder)
    again = ns.load(folder)
    assert again.spec == spec
    assert not again.training
    image = torch.rand(1, spec.in_channels, 33, 33, generator=torch.Generator().manual_seed(0))
    assert torch.equal(again(image), network(image))
    assert sorted(path.name for path in folder.iterdir()) == ["model.safetensors", "network.json"]


@pytest.fixture
def folder(tmp_path):
    ns.save(disturbed(SPEC), tmp_path)
    return tmp_path


def change(folder, edit):
    tensors = load_file(folder / "model.safetensors")
    edit(tensors)
    save_file(tensors, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (lambda t: t.pop("stem.conv.weight"), "missing: stem.conv.weight"),
        (lambda t: t.update(extra=torch.ones(1)), "unknown: extra"),
        (
            lambda t: t.update({"head.linear.bias": torch.ones(7)}),
            r"misshapen: head.linear.bias \(7,\) instead of \(5,\)",
        ),
        (lambda t: t["head.linear.bias"].fill_(float("nan")), "not finite: head.linear.bias"),
        (lambda t: t.update({"head.linear.bias": torch.ones(5).double()}), "float64 instead of float32"),
        (lambda t: t.clear(), "and 37 more"),
    ],
)
def test_other_tensors_are_listed_by_name(folder, edit, sentence):
    change(folder, edit)
    with pytest.raises(CheckpointError, match=sentence):
        ns.load(folder)


def test_damaged_and_missing_files(folder, tmp_path):
    with pytest.raises(CheckpointError, match=r"no such folder"):
        ns.load(tmp_path / "nowhere")
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    for damaged in (whole[:100], b"", (2**60).to_bytes(8, "little") + whole[8:], pickle.dumps({"a": 1})):
        weights.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="not a safetensors file"):
            ns.load(folder)
    weights.unlink()
    with pytest.raises(CheckpointError, match="cannot be read"):
        ns.load(folder)
    (folder / "network.json").write_text(json.dumps(SPEC.to_dict() | {"stages": []}))
    with pytest.raises(CheckpointError, match="must hold at least one stage"):
        ns.load(folder)
    (folder / "network.json").write_text("{")
    with pytest.raises(CheckpointError, match="not valid JSON"):
        ns.load(folder)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot be written"):
        ns.save(ns.build(SPEC), tmp_path / "file" / "x")


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_type_of_the_numbers_comes_back_too(tmp_path, dtype):
    network = disturbed(SPEC).to(dtype)
    ns.save(network, tmp_path)
    again = ns.load(tmp_path).state_dict()
    assert again["stem.conv.weight"].dtype == dtype
    assert all(torch.equal(tensor, again[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("given", [{}, {"recipe": RECIPE}, {"result": RESULT}, {"recipe": RECIPE, "result": RESULT}])
def test_a_record_comes_back_and_an_older_one_goes(tmp_path, given):
    ns.save(
        ns.build(SPEC, seed=1), tmp_path, recipe=TrainingRecipe(), result=TrialResult(trial_id="b", status="diverged")
    )
    ns.save(disturbed(SPEC), tmp_path, **given)
    record = ns.load_record(tmp_path)
    assert {"recipe": record.recipe, "result": record.result} == {"recipe": None, "result": None} | given
    expected = {"model.safetensors", "network.json"} | {f"{name}.json" for name in given}
    assert {path.name for path in tmp_path.iterdir()} == expected
    assert torch.equal(ns.load(tmp_path).head.linear.bias, disturbed(SPEC).head.linear.bias)


def test_a_save_that_fails_leaves_no_mixture_of_two_networks(folder):
    other = dataclasses.replace(SPEC, num_classes=7)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    # A folder stands where the last file would be written aside, and nothing has been touched yet.
    blocked = folder / f".network.json.{platform.node()}.{os.getpid()}.part"
    blocked.mkdir()
    with pytest.raises(CheckpointError, match="cannot be written"):
        ns.save(ns.build(other), folder, result=RESULT)
    blocked.rmdir()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    # The weights cannot take their place: the older spec and record are gone by then.
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").mkdir()
    with pytest.raises(CheckpointError, match="cannot be written"):
        ns.save(ns.build(other), folder, result=RESULT)
    with pytest.raises(CheckpointError, match=r"network.json: cannot be read"):
        ns.load(folder)
    assert [path.name for path in folder.iterdir()] == ["model.safetensors"]


def test_a_damaged_record_is_one_sentence(folder):
    with pytest.raises(CheckpointError, match=r"nowhere' does not exist"):
        ns.load_record(folder / "nowhere")
    (folder / "recipe.json").write_text(json.dumps({"epoch": 3}))
    with pytest.raises(CheckpointError, match=r"recipe.json.epoch: unknown key; did you mean 'epochs'\?"):
        ns.load_record(folder)
    (folder / "recipe.json").unlink()
    (folder / "result.json").write_text("[")
    with pytest.raises(CheckpointError, match=r"result.json: not valid JSON"):
        ns.load_record(folder)


def rewritten(folder, **fields):
    path = folder / "network.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"activation": "silu"}, "not the network that the weights were saved with; its digest must be"),
        ({"stages": [{"depth": 1, "width": 2**24, "group_width": 8}]}, "misshapen"),
        ({"stages": [{"depth": 3000, "width": 16, "group_width": 8}]}, r"too few for the 3,000 blocks of network.json"),
    ],
)
def test_another_network_s_spec_is_refused_before_memory_is_taken(folder, fields, sentence):
    rewritten(folder, **fields)
    with pytest.raises(CheckpointError, match=sentence):
        ns.load(folder)


def test_a_spec_without_end_and_a_negative_variance_are_refused(folder):
    change(folder, lambda tensors: tensors["stem.norm.running_var"].neg_())
    with pytest.raises(CheckpointError, match=r"negative: stem.norm.running_var"):
        ns.load(folder)
    (folder / "network.json").write_text("[" * 100_000)
    with pytest.raises(CheckpointError, match="not valid JSON"):
        ns.load(folder)
    with pytest.raises(CheckpointError, match="no such folder"):
        ns.load(folder / "network.json")
