"""`netspace train` as a user meets it: a curve, a network in a folder, one sentence for every wrong word."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

import netspace as ns
from netspace.backends.torch_devices import found_devices
from netspace.cli import main
from netspace.machine import usable_cores
from netspace.networks.spec import NetworkSpec, Stage, Stem
from netspace.training import decoding_shards
from tests.command_line import netspace

SPEC = NetworkSpec(stages=(Stage(depth=1, width=16, group_width=8),), stem=Stem(width=16, stride=1))
WORDS = ("mine.json", "--data", "digits", "--epochs", "2", "--batch-size", "50", "--lr", "0.1", "--threads", "1")
CORES = usable_cores()
MOST = 4 * CORES


def train(*words, cwd, check=0):
    return netspace("train", *words, cwd=cwd, check=check)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mine.json").write_text(json.dumps(SPEC.to_dict()))
    return tmp_path


def test_a_network_is_trained_judged_once_and_saved(folder):
    first, *epochs, last = train(*WORDS, "--output", "best", "--test", cwd=folder).stdout.splitlines()
    assert first == "mine.json by torch on digits: 1,000 training images of 1x8x8 in 10 classes"
    assert [line.split(":")[0] for line in epochs] == ["epoch 1/2", "epoch 2/2"]
    assert last.startswith("validation error ")
    assert ", test error " in last
    assert last.endswith("; the network is in best")
    network, record = ns.load(folder / "best"), ns.load_record(folder / "best")
    assert (network.spec.num_classes, network.spec.in_channels) == (10, 1)
    assert f"{100 * record.result.error:.2f} %" in last
    assert record.recipe.learning_rate == 0.1

    again = train(*WORDS, "--output", "best", "--test", cwd=folder).stdout.splitlines()
    assert again[1:] == [
        f"nothing is left to train in best: {last.partition(' after ')[0]}; the test split was touched before, and is "
        "not again"
    ]


def test_json_is_the_whole_answer_and_the_same_each_time(folder):
    first, again = (json.loads(train(*WORDS, "--json", "--test", cwd=folder).stdout) for _ in range(2))
    assert first["result"]["error"] == again["result"]["error"] == first["result"]["curve"][-1]["validation_error"]
    assert first["test_error"] == again["test_error"]
    # The saved network is the one that was judged: another test error would show in one image of 297.
    assert round(first["test_error"] * 297) == pytest.approx(first["test_error"] * 297)


def test_the_chapter_s_recipe_is_its_own_and_what_is_said_replaces_parts_of_it(folder):
    words = ("mine.json", "--data", "digits", "--recipe", "chapter", "--epochs", "1", "--threads", "1", "--json")
    recipe = json.loads(train(*words, "--momentum", "0.5", cwd=folder).stdout)["trial"]["recipe"]
    assert (recipe["schedule"], recipe["learning_rate"], recipe["weight_decay"]) == ("constant", 0.05, 0.0)
    assert (recipe["epochs"], recipe["momentum"]) == (1, 0.5)


def test_an_array_file_judged_by_the_balanced_error(folder):
    images = np.random.default_rng(0).integers(0, 256, (200, 8, 8)).astype(np.uint8)
    np.savez(folder / "mine.npz", images=images, labels=np.repeat([0, 1], (160, 40)))
    words = ("mine.json", "--data", "npz:mine.npz", "--metric", "balanced_error", "--class-weights", "balanced")
    first, epoch, last = train(
        *words, "--epochs", "1", "--batch-size", "50", "--threads", "1", "--test", cwd=folder
    ).stdout.splitlines()
    assert first == "mine.json by torch on npz:mine.npz: 139 training images of 1x8x8 in 2 classes"
    assert ", balanced validation error " in epoch
    assert last.startswith("balanced validation error ")
    assert ", balanced test error " in last


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--backend", "troch"), "backend 'troch' does not exist; did you mean 'torch'?"),
        (("--data", "digit"), "name (='digit') is no data set; did you mean 'digits'?"),
        (("--batch-size", "5000"), "batch_size (=5000) must be at most the number of training images (=1000)"),
        (
            ("--resolution", "1"),
            "stages[0] has stride 2 but its input is 1x1 at resolution 1; the least resolution for these strides is 2, "
            "or give it stride 1",
        ),
        (("--shift", "8"), "shift (=8) must be below the resolution (=8) [pixels]; the nearest is 7"),
        (
            ("--small-resolution", "8"),
            "small_resolution (=8) must be below the resolution (=8) [pixels]; the nearest is 7",
        ),
        (
            ("--small-resolution", "1"),
            "recipe.small_resolution (=1) leaves no pixels: stages[0] has stride 2 but its input is 1x1 at resolution "
            "1; the least resolution for these strides is 2, or give it stride 1",
        ),
        (("--recipe", "capter"), "recipe 'capter' does not exist; did you mean 'chapter'?"),
        (("--mixup", "-1"), "mixup (=-1.0) must be at least 0 and at most 1000"),
        (
            ("--metric", "balanced"),
            "metric (='balanced') must be one of error, balanced_error; did you mean 'balanced_error'?",
        ),
        (("--class-weights", "even"), "class_weights (='even') must be one of equal, balanced"),
        (("--data", "npz:no.npz"), "npz:no.npz: {}/no.npz is not a file"),
        (("--epochs", "0"), "epochs (=0) must be a whole number of at least 1"),
        (
            ("--threads", "0"),
            f"--threads (=0) must be from 1 to {MOST} on this machine of {CORES} cores; the nearest is 1",
        ),
        (
            ("--threads", "100000"),
            f"--threads (=100000) must be from 1 to {MOST} on this machine of {CORES} cores; the nearest is {MOST}",
        ),
        (
            ("--device", "gpu"),
            'device (=\'gpu\') must be "cpu", "cuda", or one of several by its number, such as "cuda:0"',
        ),
        pytest.param(
            ("--device", "cuda:1"),
            "device (='cuda:1') is not there: PyTorch finds no CUDA device on this machine; the nearest is 'cpu'",
            marks=pytest.mark.skipif(found_devices() > 0, reason="tells what happens without a CUDA device"),
        ),
        (("--output", "mine.json"), "--output 'mine.json' cannot be made a folder (File exists)"),
    ],
)
def test_wrong_words_are_one_sentence(folder, words, sentence, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["netspace", "train", *WORDS, "--output", "best", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code, capsys.readouterr().err) == (2, f"netspace: {sentence.format(folder)}\n")
    assert not (folder / "best").exists()


def test_a_network_that_diverges_fails_and_is_not_saved(folder):
    done = train(*WORDS, "--lr", "1e12", "--output", "best", cwd=folder, check=1)
    assert "mine.json has no result: the training loss was" in done.stderr
    assert sorted(path.name for path in (folder / "best").iterdir()) == ["curves.html", "training.json"]


def test_images_beyond_memory_are_decoded_once_and_kept(folder, monkeypatch, capsys):
    for name, shade in (("a", 50), ("b", 150)):
        (folder / "set" / name).mkdir(parents=True)
        for number in range(18):
            Image.new("RGB", (8, 8), (shade, number, 0)).save(folder / "set" / name / f"{number}.png")
    monkeypatch.setattr(decoding_shards, "MEMORY_SHARE", 0.0)
    monkeypatch.chdir(folder)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["netspace", "train", *WORDS, "--data", "folder:set", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, *capsys.readouterr()

    words = ("--resolution", "8", "--batch-size", "5")
    code, said, told = run(*words, "--packed", "pack")
    assert (code, told) == (0, "")
    first, second, *_ = said.splitlines()
    assert first.startswith("decoded 36 of 36 images after ")
    assert second == "mine.json by torch on folder:set: 25 training images of 3x8x8 in 2 classes"
    code, again, _ = run(*words, "--packed", "pack")
    assert (code, again.splitlines()[0]) == (0, second)

    code, said, told = run("--resolution", "9", "--packed", "pack")
    assert (code, said) == (2, "")
    assert told == "netspace: --packed 'pack' holds 'folder:set' read in another way; choose another folder\n"
    code, said, told = run(*words)
    assert (code, said) == (2, "")
    assert told.startswith("netspace: resolution (=8): 36 images of that side take 0 GiB, more than the 0 GiB that are")
