"""Training by two processes that torchrun starts, held to what is said of it: every number, on real processes."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

import netspace as ns
from netspace.backends.torch_augmentation import augment
from netspace.backends.torch_distributed import Ranks
from netspace.backends.torch_evaluation import error
from netspace.backends.torch_images import Normalise
from netspace.backends.torch_loss import mean_loss
from netspace.backends.torch_model import arrays, build
from netspace.backends.torch_training import train
from netspace.errors import InputError
from netspace.networks.spec import NetworkSpec, Stage, Stem
from netspace.single import fitted
from netspace.training.data import DataChoice, load
from netspace.training.metrics import class_weights
from netspace.training.rank import Rank
from netspace.training.trial import Trial
from tests.backends.one_rank import RECIPE, WORDS

SPEC = NetworkSpec(stages=(Stage(depth=1, width=16, group_width=8),), stem=Stem(width=16, stride=1))


def prepare(folder):
    """Put a network into a folder, and 576 images of two classes, of which 400 are for training."""
    (folder / "mine.json").write_text(json.dumps(SPEC.to_dict()))
    random = np.random.default_rng(0)
    labels = (random.random(576) < 0.3).astype(np.int64)
    images = random.integers(0, 200, (576, 8, 8)) + 40 * labels[:, None, None]
    np.savez(folder / "mine.npz", images=images.astype(np.uint8), labels=labels)
    return folder


@pytest.fixture
def folder(tmp_path):
    return prepare(tmp_path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder in which two processes have trained, and what they said."""
    folder = prepare(tmp_path_factory.mktemp("trained"))
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "tests.backends.one_rank"]
    return folder, subprocess.run([*launch, str(folder), "0"], capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def data(trained):
    return load(DataChoice(name=f"npz:{trained[0] / 'mine.npz'}"))


def by_hand(data):
    """Return the network after RECIPE's epoch: two copies, each with half of every batch, moved by the mean gradient.

    Also the mean loss, and the trial.
    """
    trial = Trial(network=fitted(SPEC, data), recipe=RECIPE, data=data.fingerprint, processes=2)
    torch.set_num_threads(trial.threads)  # sums depend on it
    copies = [build(trial.network, seed=trial.stream_seed("initialisation")) for _ in range(2)]
    copies = [copy.to(memory_format=torch.channels_last).train() for copy in copies]
    draws = [torch.Generator().manual_seed(trial.stream_seed("augmentation") + number) for number in range(2)]
    steps = [
        torch.optim.SGD(copy.parameters(), momentum=RECIPE.momentum, weight_decay=RECIPE.weight_decay)
        for copy in copies
    ]
    order = np.random.Philox(key=trial.stream_seed("order")).random_raw(400)
    weights = torch.from_numpy(class_weights("balanced", data.training.labels, data.class_names))
    losses = []
    for step, batch in enumerate(np.split(np.argsort(order, kind="stable"), 20)):
        for half, copy, draw in zip(np.split(batch, 2), copies, draws, strict=True):
            images = augment(Normalise(data)(data.training.images[half]), RECIPE, draw)
            loss = mean_loss(copy(images), torch.tensor(data.training.labels[half]), 0.0, weights)
            copy.zero_grad()
            loss.backward()
            losses.append(loss.item())
        for one, other in zip(*(copy.parameters() for copy in copies), strict=True):
            one.grad = other.grad = one.grad / 2 + other.grad / 2
        for each in steps:
            each.param_groups[0]["lr"] = RECIPE.rate(step, 20)
            each.step()
    for one, other in zip(*(copy.buffers() for copy in copies), strict=True):
        if one.is_floating_point():
            one.copy_((one + other) / 2)
    return copies[0], float(np.mean(losses)), trial


@pytest.mark.slow
def test_two_processes_train_what_two_halves_of_each_batch_train(trained, data):
    folder, said = trained
    assert said.returncode == 0, said.stderr
    first, epoch, last = said.stdout.splitlines()
    assert first.endswith("400 training images of 1x8x8 in 2 classes, by 2 processes")
    assert epoch.startswith("epoch 1/1: training loss ")
    assert last.endswith("; the network is in best")
    assert "Warning" not in said.stderr

    network, loss, trial = by_hand(data)
    expected = arrays(network)
    for name in ("rank0", "rank1", "best"):
        found = arrays(ns.load(folder / name))
        assert found.keys() == expected.keys()
        assert all(np.array_equal(found[key], expected[key]) for key in expected), name
        result = ns.load_record(folder / name).result
        assert result.trial_id == trial.id
        assert result.error == error(network, data.validation, Normalise(data), RECIPE)
        assert result.curve[0].training_loss == pytest.approx(loss, rel=1e-6)
        assert result.images == 400
    judged = error(network, data.test, Normalise(data), RECIPE)
    assert f", test error {100 * judged:.2f} % " in last


@pytest.mark.slow
def test_a_process_that_dies_ends_the_others_with_a_sentence(folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.backends.one_rank", str(folder), "1"],
            env={**os.environ, **place, "RANK": str(number)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    told = [process.communicate(timeout=120)[1] for process in started]
    assert [process.returncode for process in started] == [1, 3]
    assert (
        told[0]
        .splitlines()[-1]
        .endswith(
            "process 0 of 2 has lost another, and the training has ended; see what that one said, and start again"
        )
    )
    assert not (folder / "rank0").exists()


@pytest.mark.parametrize(
    ("environment", "words", "sentence"),
    [
        (
            "2",
            ("--batch-size", "51"),
            "batch_size (=51) must be a multiple of 2, the number of processes; the nearest is 52",
        ),
        ("32", ("--batch-size", "32"), "batch_size (=32) must be at least 64, two images for each of 32 processes"),
        ("2", ("--backend", "jax"), "processes (=2) must be 1 for backend 'jax'; backend 'torch' trains by"),
        ("2", (), "the other processes cannot be found (Error initializing torch.distributed using env:// rendezvous"),
        ("two", (), "RANK, WORLD_SIZE and LOCAL_WORLD_SIZE (=['0', 'two', 'two']) are not those of a process that"),
    ],
)
def test_wrong_words_are_one_sentence(folder, environment, words, sentence, monkeypatch, capsys):
    from netspace.cli import main

    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", environment)
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["netspace", "train", *WORDS, *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    told = capsys.readouterr()
    assert told.err.startswith(f"netspace: {sentence}")
    assert told.out == ""


def test_processes_that_have_not_joined():
    trial = Trial(network=SPEC, recipe=RECIPE, data="", processes=2)
    with pytest.raises(InputError, match=r"^processes \(=2\) must be as many as train together, and there are 1"):
        train(trial, None)


def test_processes_are_part_of_a_trial_and_one_leaves_its_id():
    trial = Trial(network=SPEC, recipe=RECIPE, data="")
    assert replace(trial, processes=1).id == trial.id != replace(trial, processes=2).id


def test_parts_of_a_batch_are_all_of_it_and_none_twice():
    parts = [Ranks(number=number, of=3).part(12) for number in range(3)]
    assert [image for part in parts for image in range(12)[part]] == list(range(12))
    assert (Ranks().part(12), Rank().of) == (slice(0, 12), 1)
