"""The chapter's network in each framework, as a reader runs it: its layer summary as printed, and it learns."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from netspace.backends import BACKENDS, get_backend
from netspace.errors import MissingFrameworkError

CHAPTER = Path(__file__).parents[2] / "examples" / "chapter"
CHANNELS_FIRST = ("(1, 32, 48, 48)", "(1, 32, 24, 24)", "(1, 80, 12, 12)", "(1, 10)")
CHANNELS_LAST = ("(1, 48, 48, 32)", "(1, 24, 24, 32)", "(1, 12, 12, 80)", "(1, 10)")
SHAPES = {
    "torch": CHANNELS_FIRST,
    "jax": CHANNELS_LAST,
    "tensorflow": CHANNELS_LAST,
    "mxnet": (*CHANNELS_FIRST[:3], "(1, 80, 1, 1)", "(1, 10)"),  # the chapter's, too, names the pooling
}


@pytest.mark.parametrize("name", BACKENDS)
def test_the_summary_is_the_chapter_s_and_the_network_trains(name):
    try:
        get_backend(name)
    except MissingFrameworkError as missing:
        pytest.skip(str(missing))
    command = [sys.executable, CHAPTER / f"regnetx32_{name}.py", "--data", "digits", "--resolution", "8"]
    done = subprocess.run([*command, "--epochs", "1", "--share", "0.3"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    found = [line.partition(" output shape: ")[2] for line in lines if " output shape: " in line]
    assert found == list(SHAPES[name])
    assert lines[len(found)] == "179,290 parameters"
    assert re.search(r"val(idation|)[ _]accuracy:? 0\.\d+", done.stdout)


@pytest.mark.parametrize("name", BACKENDS)
def test_an_example_fits_on_a_page(name):
    assert len((CHAPTER / f"regnetx32_{name}.py").read_text().splitlines()) <= 40


@pytest.mark.parametrize("name", BACKENDS)
def test_all_four_train_by_the_chapter_s_recipe_on_the_data_that_their_network_is_for(name):
    text = (CHAPTER / f"regnetx32_{name}.py").read_text()
    assert "mean, std = 255 * data.mean[0], 255 * data.std[0]\n" in text
    assert text.count("0.05") == 1
    assert not re.search("momentum|decay|Cosine|folder:", text)
