"""A trial that was stopped goes on to the very numbers of one that was not; what is damaged is never gone on with."""

import dataclasses
import shutil

import pytest

from netspace.backends import get_backend
from netspace.backends.torch_memory import MicroBatches
from netspace.errors import Stopped
from netspace.networks.spec import NetworkSpec, Stage, Stem
from netspace.training.checkpoint import Checkpoint
from netspace.training.data import DataChoice, load
from netspace.training.recipe import TrainingRecipe
from netspace.training.trial import Trial

DROPPING = NetworkSpec(
    stages=(Stage(depth=2, width=8, group_width=4), Stage(depth=1, width=16, group_width=8)),
    stem=Stem(width=8, stride=1),
    num_classes=10,
    in_channels=1,
    dropout=0.3,
    stochastic_depth=0.3,
)
RECIPE = TrainingRecipe(epochs=5, batch_size=50, learning_rate=0.1, flip=True, shift=1)
VERSIONS = {"torch": "1", "numpy": "2"}


@pytest.fixture(scope="module")
def digits():
    return load(DataChoice(name="digits", training_share=0.2))


RECIPES = [
    {},
    {"momentum": 0.0, "average_epochs": 0.5, "mixup": 0.4, "small_resolution": 6},
    {"precision": "bfloat16", "kernels": "blocked"},
    pytest.param(
        {"precision": "bfloat16", "kernels": "native"},
        marks=pytest.mark.skipif(shutil.which("c++") is None, reason="there is no C++ compiler"),
    ),
]


@pytest.fixture(scope="module", params=RECIPES, ids=str)
def trial(request, digits):
    kernels = request.param.get("kernels", "torch")
    recipe = dataclasses.replace(
        RECIPE, **{field: request.param[field] for field in request.param if field != "kernels"}
    )
    return Trial(network=DROPPING, recipe=recipe, data=digits.fingerprint, kernels=kernels)


@pytest.fixture(scope="module")
def undisturbed(trial, digits):
    network = get_backend("torch").build(trial.network, seed=trial.stream_seed("initialisation"))
    return numbers(get_backend("torch").train(trial, digits, network=network)), weights(network)


def numbers(result):
    return result.status, result.error, result.images, [dataclasses.replace(r, seconds=0.0) for r in result.curve]


def weights(network):
    return {name: array.tobytes() for name, array in get_backend("torch").arrays(network).items()}


def train(trial, data, checkpoint, *, epochs=None):
    """Train until so many epochs are done in all, when the trial is asked to stop; return numbers and weights."""

    def on_epoch(record):
        checkpoint.stop = record.epoch == epochs

    network = get_backend("torch").build(trial.network, seed=trial.stream_seed("initialisation"))
    result = get_backend("torch").train(trial, data, on_epoch=on_epoch, network=network, checkpoint=checkpoint)
    return numbers(result), weights(network)


def stop_after(epochs, trial, data, folder):
    with pytest.raises(Stopped):
        train(trial, data, Checkpoint(folder, trial, VERSIONS), epochs=epochs)


def test_a_trial_that_was_stopped_twice_has_the_numbers_of_one_that_was_not(
    trial, digits, undisturbed, tmp_path, capsys
):
    stop_after(1, trial, digits, tmp_path)
    stop_after(3, trial, digits, tmp_path)
    assert train(trial, digits, Checkpoint(tmp_path, trial, VERSIONS)) == undisturbed
    said = capsys.readouterr().err
    assert "goes on after epoch 1" in said
    assert "goes on after epoch 3" in said


def of_digits(digits):
    return Trial(network=DROPPING, recipe=RECIPE, data=digits.fingerprint)


def kept(folder):
    return sorted(path.name[:12] for path in folder.glob("*.safetensors"))


def test_a_long_trial_is_saved_as_often_as_asked_and_the_last_two_are_kept(digits, tmp_path, capsys):
    trial = of_digits(digits)
    train(trial, digits, Checkpoint(tmp_path / "never", trial, VERSIONS))
    assert not (tmp_path / "never").exists()
    plain = train(trial, digits, Checkpoint(tmp_path / "often", trial, VERSIONS, every=0.0))
    assert kept(tmp_path / "often") == ["epoch-000003", "epoch-000004"]
    assert train(trial, digits, Checkpoint(tmp_path / "often", trial, VERSIONS)) == plain
    assert "goes on after epoch 4" in capsys.readouterr().err


def truncated(path):
    path.write_bytes(path.read_bytes()[:-5])


def changed(path):
    content = bytearray(path.read_bytes())
    content[-1000] ^= 1
    path.write_bytes(content)


def emptied(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [truncated, changed, emptied])
def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_it_taken(digits, tmp_path, capsys, damage):
    trial = of_digits(digits)
    plain = train(trial, digits, Checkpoint(tmp_path, trial, VERSIONS, every=0.0))
    damage(tmp_path / next(path.name for path in tmp_path.iterdir() if "000004" in path.name))
    assert train(trial, digits, Checkpoint(tmp_path, trial, VERSIONS)) == plain
    said = capsys.readouterr().err
    assert "is set aside: its content is not what was written (torn or changed)" in said
    assert "goes on after epoch 3" in said
    assert kept(tmp_path) == ["epoch-000003"]


def test_a_checkpoint_of_another_trial_or_other_versions_is_not_gone_on_with(digits, tmp_path, capsys):
    trial = of_digits(digits)
    stop_after(2, trial, digits, tmp_path)
    other = dataclasses.replace(trial, seed=1)
    train(other, digits, Checkpoint(tmp_path, other, VERSIONS))
    assert f"its trial is {trial.id}, and this is {other.id}" in capsys.readouterr().err
    stop_after(2, trial, digits, tmp_path)
    plain = train(trial, digits, Checkpoint(tmp_path / "none", trial, VERSIONS))
    assert train(trial, digits, Checkpoint(tmp_path, trial, VERSIONS | {"torch": "9"})) == plain
    said = capsys.readouterr().err
    assert "its versions is {'torch': '1', 'numpy': '2'}, and this is" in said
    assert "goes on" not in said


def test_a_checkpoint_that_cannot_be_written_costs_nothing(digits, tmp_path, capsys):
    trial = of_digits(digits)
    (tmp_path / "file").write_text("")
    plain = train(trial, digits, Checkpoint(tmp_path / "none", trial, VERSIONS))
    assert train(trial, digits, Checkpoint(tmp_path / "file", trial, VERSIONS, every=0.0)) == plain
    assert "no checkpoint could be written" in capsys.readouterr().err


def test_a_training_that_has_become_another_is_not_saved_but_begun_again(digits, tmp_path, capsys, monkeypatch):
    trial = of_digits(digits)
    plain = train(trial, digits, Checkpoint(tmp_path, trial, VERSIONS))
    monkeypatch.setattr(MicroBatches, "note", "out of memory: batches were taken in parts")
    stop_after(2, trial, digits, tmp_path)
    assert kept(tmp_path) == []
    assert "no checkpoint is written (out of memory: batches were taken in parts)" in capsys.readouterr().err
    monkeypatch.undo()
    assert train(trial, digits, Checkpoint(tmp_path, trial, VERSIONS)) == plain
