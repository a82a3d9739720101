"""A final network goes on after a kill to the very same weights, touches the test split once, and says what it is."""

import dataclasses
import json
import os
import signal
import threading
import time

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import netspace as ns
from netspace import final, single
from netspace.backends.given_weights import beginning, read_given
from netspace.errors import CheckpointError, Stopped
from netspace.final import train_final
from netspace.networks.spec import NetworkSpec, Stage, Stem
from netspace.training.data import DataChoice, load
from netspace.training.recipe import PRESETS, TrainingRecipe
from tests.command_line import netspace

SPEC = NetworkSpec(stages=(Stage(depth=1, width=16, group_width=8),), stem=Stem(width=16, stride=1))
RECIPE = TrainingRecipe(epochs=4, batch_size=50, learning_rate=0.1, average_epochs=0.5, shift=1)
WORDS = ("mine.json", "--data", "digits", "--epochs", "2", "--batch-size", "50", "--lr", "0.1", "--threads", "1")
NAMES = ("zero", "one", "two")


def trained(folder, data, spec=SPEC, *, recipe=RECIPE, seed=0, **options):
    return train_final(folder, single.trial_of(spec, data, recipe=recipe, seed=seed), data, **options)


@pytest.fixture(scope="module")
def digits():
    return load(DataChoice(name="digits", training_share=0.2))


@pytest.fixture(scope="module")
def undisturbed(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("final") / "best"
    return folder, trained(folder, digits, test=True)


@pytest.fixture(scope="module")
def folder_of_images(tmp_path_factory):
    """Return a folder of some digits, with the command's network beside it."""
    root = tmp_path_factory.mktemp("images")
    found = load_digits()
    for number, (pixels, label) in enumerate(zip(found.images, found.target, strict=True)):
        if label < len(NAMES) and number < 300:
            place = root / "images" / NAMES[label]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray((pixels * 255 / 16).astype(np.uint8)).save(place / f"{number:04}.png")
    (root / "mine.json").write_text(json.dumps(SPEC.to_dict()))
    return root


def counted(monkeypatch):
    """Count how often the test split is judged."""
    times = []
    judge = single.judge
    monkeypatch.setattr(single, "judge", lambda *given: times.append(1) or judge(*given))
    return times


def test_a_killed_training_goes_on_to_the_very_same_weights(digits, undisturbed, tmp_path, monkeypatch):
    folder, done = undisturbed
    times, again = counted(monkeypatch), tmp_path / "best"

    def killed(record):
        if record.epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(again, digits, test=True, on_epoch=killed, every=0.0)
    assert not (again / "network.json").exists()
    seen = []
    resumed = trained(again, digits, test=True, on_epoch=lambda r: seen.append(r.epoch))
    assert seen == [3, 4]
    assert (again / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    assert (resumed.result.error, resumed.test) == (done.result.error, done.test)
    assert not (again / "checkpoints").exists()
    page = (again / "curves.html").read_text()
    assert "4 of 4" in page
    assert 'http-equiv="refresh"' not in page
    assert page.count('<tr><th scope="row">') == 4

    before = {path.name: path.stat().st_mtime_ns for path in again.iterdir()}
    read = trained(again, digits, test=True, on_epoch=killed)
    assert (read.before, read.test_before, read.result) == (True, True, resumed.result)
    assert {path.name: path.stat().st_mtime_ns for path in again.iterdir()} == before
    assert times == [1]


def test_a_wish_to_stop_saves_the_epoch_and_the_page_waits(digits, tmp_path):
    with pytest.raises(Stopped, match=r"^stopped after epoch 1$"):
        trained(tmp_path, digits, should_stop=lambda: True)
    assert len(list((tmp_path / "checkpoints").iterdir())) == 1
    assert 'http-equiv="refresh"' in (tmp_path / "curves.html").read_text()
    with pytest.raises(CheckpointError, match=r"holds another training: seed was 0 and is 1; say the same, or choose"):
        trained(tmp_path, digits, seed=1)


def test_another_training_is_refused_by_the_first_difference(digits, undisturbed):
    folder, _ = undisturbed
    longer = dataclasses.replace(RECIPE, epochs=5)
    with pytest.raises(CheckpointError, match=r"another training: recipe.epochs was 4 and is 5; say the same"):
        trained(folder, digits, recipe=longer)
    fewer = load(DataChoice(name="digits", training_share=0.1))
    with pytest.raises(CheckpointError, match=r"another training: images.training_share was 0.2 and is 0.1"):
        trained(folder, fewer)
    wider = dataclasses.replace(SPEC, stages=(Stage(depth=1, width=24, group_width=8),))
    with pytest.raises(CheckpointError, match=r"another training: network.stages\[0\].width was 16 and is 24"):
        trained(folder, digits, wider)
    with final._held(folder), pytest.raises(CheckpointError, match="is being written by another command"):
        trained(folder, digits)


def test_the_test_split_may_be_asked_for_later_and_only_once(digits, tmp_path, monkeypatch):
    times, short = counted(monkeypatch), dataclasses.replace(RECIPE, epochs=1)
    assert trained(tmp_path, digits, recipe=short).test is None
    assert "The test images were not touched." in (tmp_path / "card.md").read_text()
    later = trained(tmp_path, digits, recipe=short, test=True)
    assert (later.before, later.test_before, sum(later.test.images)) == (True, False, 297)
    assert "The test images were judged once" in (tmp_path / "card.md").read_text()
    # Even where all but what it said is lost.
    (tmp_path / "network.json").unlink()
    again = trained(tmp_path, digits, recipe=short, test=True)
    assert (again.before, again.test_before, again.test) == (False, True, later.test)
    assert times == [1]


def test_the_card_says_what_the_network_is_and_is_worth(digits, undisturbed):
    folder, done = undisturbed
    told, text = json.loads((folder / "card.json").read_text()), (folder / "card.md").read_text()
    assert told["network"]["flops"] == ns.complexity(done.network.spec, 8).flops
    assert told["data"]["images"] == {"training": 200, "validation": 500, "test": 297}
    assert told["data"]["fingerprint"] == digits.fingerprint
    test = told["test"]
    assert test["error"] == done.test_error
    assert test["low"] < test["error"] < test["high"]
    assert [one["images"] for one in test["classes"]] == np.bincount(digits.test.labels).tolist()
    assert sum(one["wrong"] for one in test["classes"]) == round(297 * test["error"])
    assert f"| test error | {100 * test['error']:.2f} % | {100 * test['low']:.2f} to {100 * test['high']:.2f} %" in text
    assert told["versions"].keys() == {"netspace", "python", "numpy", "torch"}
    assert told["latency"]["median_ms"] > 0
    for limit in told["limitations"]:
        assert f"- {limit}" in text
    assert str(folder.parent) not in text + json.dumps(told)
    assert os.uname().nodename not in text + json.dumps(told)


def test_the_folder_has_what_it_takes_to_use_the_network(digits, undisturbed, folder_of_images):
    folder, _ = undisturbed
    images = ns.load_record(folder).images
    assert (images.mean, images.std, images.resolution) == (digits.mean, digits.std, 8)
    assert images.class_names == digits.class_names
    # Files that hold the very pixels of the data set give the network's own answers.
    paths = sorted((folder_of_images / "images").rglob("*.png"))[:70]
    rows = json.loads(netspace("predict", folder, *paths, "--json", cwd=folder).stdout)
    split = dataclasses.replace(digits, test=None)
    found = load_digits().images[[int(path.stem) for path in paths]]
    pixels = (found * 255 / 16).astype(np.uint8)[..., None]
    logits = ns.load(folder).eval()
    expected = single.get_backend("torch").logits(
        logits, ((pixels / 255 - np.array(split.mean)) / np.array(split.std)).astype(np.float32)
    )
    for row, of in zip(rows, np.exp(expected) / np.exp(expected).sum(1, keepdims=True), strict=True):
        assert list(row["classes"].values()) == pytest.approx(of.tolist(), abs=1e-6)

    (line,) = netspace("predict", folder, paths[0], "--top", "2", cwd=folder).stdout.splitlines()
    assert line.startswith(f"{paths[0]}: ")
    assert line.count(" %") == 2


def test_what_cannot_be_predicted_is_one_sentence(undisturbed, tmp_path):
    folder, done = undisturbed
    (tmp_path / "no.png").write_bytes(b"none")
    said = netspace("predict", folder, "no.png", cwd=tmp_path, check=2).stderr
    assert said == "netspace: no.png (no image that pillow knows): cannot be read; leave it out\n"
    ns.save(done.network, tmp_path / "old")
    assert ns.load_record(tmp_path / "old").images is None
    said = netspace("predict", "old", "no.png", cwd=tmp_path, check=2).stderr
    assert said.startswith("netspace: old: there is no images.json that says which images the network takes")


def test_fine_tuning_begins_better_than_anew_and_is_the_same_each_time(undisturbed, folder_of_images):
    folder, _ = undisturbed
    words = ("train", "mine.json", "--data", "folder:images", "--resolution", "8", "--batch-size", "16")
    words += ("--recipe", "fine-tune", "--epochs", "1", "--lr", "0.02", "--threads", "1", "--json")
    anew = json.loads(netspace(*words, cwd=folder_of_images).stdout)
    tuned, again = (
        json.loads(netspace(*words, "--weights", folder, *out, cwd=folder_of_images).stdout)
        for out in ((), ("--output", "tuned"))
    )
    assert tuned["result"]["error"] == again["result"]["error"]
    assert tuned["result"]["curve"][0]["training_loss"] == again["result"]["curve"][0]["training_loss"]
    assert tuned["result"]["error"] < anew["result"]["error"]
    card = (folder_of_images / "tuned" / "card.md").read_text()
    assert "The classifier is new, for the classes are others: 3 here, 10 there." in card
    assert "The stem's weights are fitted from 1 to 3 channels." in card
    assert ns.load_record(folder_of_images / "tuned").images.class_names == tuple(sorted(NAMES))
    said = netspace(*words, "--output", "tuned", cwd=folder_of_images, check=2).stderr
    assert "another training: the digest of the weights that it begins from was " in said


def test_given_weights_are_kept_where_classes_are_the_same_and_refused_where_the_network_is_another(
    digits, undisturbed, tmp_path
):
    folder, done = undisturbed
    given = read_given(folder)
    begun = beginning(given, done.trial, digits.class_names)
    assert not any("classifier" in note for note in begun.notes)
    assert all(np.array_equal(begun.arrays[name], given.arrays[name]) for name in given.arrays)
    ns.save(done.network, tmp_path)  # whose classes have no names
    assert any(
        "theirs are not named" in n for n in beginning(read_given(tmp_path), done.trial, digits.class_names).notes
    )
    swapped = beginning(given, done.trial, digits.class_names[::-1])
    assert "the classifier is new, for the classes are others: 10 here, others by name there" in swapped.notes
    other = single.trial_of(dataclasses.replace(SPEC, se_ratio=0.25), digits, recipe=RECIPE)
    with pytest.raises(CheckpointError, match=r"weights of another network: se_ratio is absent there and 0.25 here"):
        beginning(given, other, digits.class_names)


def test_published_weights_are_a_beginning(tmp_path, digits):
    published = NetworkSpec(
        stages=tuple(Stage(depth=1, width=8 * i, group_width=8) for i in (1, 2, 3, 4)),
        stem=Stem(width=8),
        num_classes=7,
    )
    ns.save(ns.build(published), tmp_path / "net")
    netspace("export", "net", "--to", "timm", "-o", "timm.safetensors", "--resolution", "32", cwd=tmp_path)
    given = read_given(tmp_path / "timm.safetensors")
    large = dataclasses.replace(published, stem=Stem(width=8, stride=1), num_classes=10, in_channels=1)
    with pytest.raises(CheckpointError, match=r"stem.stride is 2 there and 1 here"):
        beginning(given, single.Trial(network=large, recipe=RECIPE, data=""), digits.class_names)
    wanted = dataclasses.replace(published, num_classes=10, in_channels=1)
    begun = beginning(given, single.Trial(network=wanted, recipe=RECIPE, data=""), digits.class_names)
    stem = ns.load_checkpoint(tmp_path / "timm.safetensors", in_channels=1).stem.conv.weight
    assert begun.arrays["stem.conv.weight"] == pytest.approx(stem.detach().numpy(), abs=1e-6)


def test_a_signal_ends_the_command_and_it_goes_on(tmp_path):
    (tmp_path / "mine.json").write_text(json.dumps(SPEC.to_dict()))
    long = (*WORDS, "--epochs", "40")

    def stopped(*words):
        def stop():
            while not (tmp_path / "best" / "training.json").exists():
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGUSR1)

        stopper = threading.Thread(target=stop)
        stopper.start()
        said = netspace("train", *long, "--output", "best", *words, cwd=tmp_path, check=1)
        stopper.join()
        return said.stderr.splitlines()

    assert stopped("--grace", "0") == [
        "netspace: stopped in the middle of an epoch; the same command goes on after the last one that was saved"
    ]
    (tmp_path / "best" / "training.json").unlink()
    (told,) = stopped()
    epoch = int(told.removeprefix("netspace: stopped after epoch ").removesuffix("; the same command goes on with it"))
    on = netspace("train", *long, "--output", "best", cwd=tmp_path)
    assert [line.split(":")[0] for line in on.stdout.splitlines()[1:-1]] == [
        f"epoch {k}/40" for k in range(epoch + 1, 41)
    ]


def test_the_chapter_s_command_has_every_word_that_it_takes(tmp_path):
    said = netspace(
        *("train", "regnetx32", "--data", "digits", "--resolution", "96", "--batch-size", "128", "--lr", "0.05"),
        *("--epochs", "10", "--recipe", "chapter", "--threads", "0"),
        cwd=tmp_path,
        check=2,
    )
    assert said.stderr.startswith("netspace: --threads (=0) must be from 1 to")
    assert dataclasses.replace(PRESETS["chapter"], epochs=10, batch_size=128, learning_rate=0.05) == PRESETS["chapter"]
