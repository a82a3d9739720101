"""Where a trial computes: what may be asked for together, which ids it changes, and what a machine without it says."""

import dataclasses

import pytest

from netspace import values
from netspace.backends import torch_devices
from netspace.backends.torch_devices import find_device
from netspace.errors import InputError, StudyFileError
from netspace.networks.spec import NetworkSpec, Stage
from netspace.studies.spec import parse_study
from netspace.studies.study import Study
from netspace.training.recipe import TrainingRecipe
from netspace.training.trial import Trial
from tests.tiny import STUDY

SPEC = NetworkSpec(stages=(Stage(depth=1, width=8, stride=2),), in_channels=1)
TRIAL = Trial(network=SPEC, recipe=TrainingRecipe(), data="0" * 32)


def test_the_processor_is_the_default_and_changes_no_id():
    assert TRIAL.id == "1eead2d7a75bbfea7e44d1ef3d98a6c2"
    assert "device" not in values.to_dict(TRIAL, without_defaults=True)
    assert "device" not in parse_study(STUDY).identity()
    ids = {dataclasses.replace(TRIAL, device=device).id for device in ("cpu", "cuda", "cuda:0", "cuda:1")}
    assert len(ids) == 4
    assert TRIAL.id in ids
    assert parse_study('device = "cuda"\n' + STUDY).identity()["device"] == "cuda"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"device": "gpu"}, r'device \(=\'gpu\'\) must be "cpu", "cuda", or one of several'),
        ({"device": "cuda:"}, r"device \(='cuda:'\) must be"),
        ({"device": "cuda:01"}, r"device \(='cuda:01'\) must be"),
        ({"device": 0}, r"device \(=0\) must be"),
        ({"device": "cuda", "backend": "jax"}, r"device \(='cuda'\) must be 'cpu' for backend 'jax'; backend 'torch'"),
        ({"device": "cuda", "kernels": "native"}, r"kernels \(='native'\) are the processor's, and on device 'cuda'"),
        ({"device": "cuda:1", "processes": 2}, r"device \(='cuda:1'\) must be 'cpu' where 2 processes train one"),
    ],
)
def test_what_cannot_be_is_one_sentence(changes, why):
    with pytest.raises(InputError, match=f"^{why}"):
        dataclasses.replace(TRIAL, **changes)


def test_a_study_says_it_too():
    with pytest.raises(StudyFileError, match=r"device \(='gpu'\) must be"):
        parse_study('device = "gpu"\n' + STUDY)
    assert parse_study('device = "cuda"\nkernels = "auto"\n' + STUDY).unsettled


@pytest.mark.parametrize(
    ("found", "name", "why"),
    [
        (0, "cuda", r"device \(='cuda'\) is not there: PyTorch finds no CUDA device .* nearest is 'cpu'"),
        (1, "cuda:1", r"device \(='cuda:1'\) is not there: PyTorch finds 'cuda:0' only .* nearest is 'cuda:0'"),
        (2, "cuda:7", r"device \(='cuda:7'\) is not there: PyTorch finds 'cuda:0' to 'cuda:1' .* nearest is 'cuda:1'"),
    ],
)
def test_a_device_that_is_not_there_is_one_sentence(monkeypatch, found, name, why):
    monkeypatch.setattr(torch_devices, "found_devices", lambda: found)
    with pytest.raises(InputError, match=f"^{why}$"):
        find_device(name)
    assert str(find_device("cpu")) == "cpu"
    if found:
        assert str(find_device("cuda")) == "cuda:0"


def test_a_host_that_cannot_honour_a_study_refuses_to_train_it(monkeypatch, tmp_path):
    monkeypatch.setattr(torch_devices, "found_devices", lambda: 0)
    path = tmp_path / "tiny.toml"
    path.write_text('device = "cuda"\n' + STUDY)
    study = Study.open(path, output=tmp_path / "out")
    study.draw()  # its workers may be elsewhere
    with pytest.raises(InputError, match=r"^device \(='cuda'\) is not there"):
        study.run()
    assert not (tmp_path / "out").exists()
