"""`netspace bench train` trains the same networks every way, for real, and says how fast."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from netspace.cli.main import app
from tests.test_settling import STUDY

Words = tuple[str, ...]


@pytest.fixture
def study_file(tmp_path: Path) -> Path:
    path = tmp_path / "speed.toml"
    path.write_text(STUDY)
    return path


def test_every_way_trains_the_same_networks(study_file: Path) -> None:
    words = ("bench", "train", str(study_file), "--networks", "2", "--rounds", "1", "--json")
    done = CliRunner().invoke(app, [*words, "--ways", "usual,bfloat16 blocked"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    usual, ours = told["figures"]
    assert (usual["way"], usual["ratio"]) == ("usual", 1.0)
    assert ours["ratio"] == pytest.approx(usual["seconds"] / ours["seconds"])
    assert ours["images_per_second"] * ours["seconds"] == pytest.approx(2 * 200)  # 2 networks x 1 epoch of 200 images
    assert 0 < ours["share_of_peak"] < 1
    assert abs(ours["mean_error"] - usual["mean_error"]) < 0.5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--ways", "usual,fastest"), "--ways (='fastest') must be of 'usual', 'float32 torch'"),
        (("--networks", "0"), "--networks (=0) must be a whole number of at least 1"),
        (("--rounds", "0"), "--rounds (=0) must be a whole number of at least 1"),
        (("--epochs", "0"), "epochs (=0) must be a whole number of at least 1"),
    ],
)
def test_nonsense_gets_a_sentence(study_file: Path, words: Words, said: str) -> None:
    done = CliRunner().invoke(app, ["bench", "train", str(study_file), *words])
    assert done.exit_code
    assert said in f"{done.output} {done.exception}"


def test_the_data_s_folder_is_the_one_that_is_named(study_file: Path) -> None:
    study_file.write_text(STUDY.replace('name = "digits"', 'name = "fashion_mnist"'))
    done = CliRunner().invoke(app, ["bench", "train", str(study_file), "--data-dir", "nowhere"])
    assert done.exit_code
    assert "nowhere" in f"{done.output} {done.exception}"


def test_an_ended_measurement_leaves_nothing_behind(study_file: Path, tmp_path: Path) -> None:
    """Neither a training that goes on nor the folder of its stores."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    words = ("bench", "train", str(study_file), "--epochs", "500", "--ways", "float32 torch")
    measuring = subprocess.Popen(
        [sys.executable, "-m", "netspace", *words], env={**os.environ, "TMPDIR": str(folder)}, stderr=subprocess.PIPE
    )
    wait_until(lambda: any(folder.rglob("study.db")))
    assert processes_about(folder)
    measuring.send_signal(signal.SIGTERM)
    _, said = measuring.communicate(timeout=30)
    assert measuring.returncode == 1
    assert said.decode().splitlines()[-1] == "netspace: interrupted"
    wait_until(lambda: not processes_about(folder))
    assert not any(folder.iterdir())


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def processes_about(folder: Path) -> list[bytes]:
    """Return an entry for each process whose folder for temporary files this is."""
    mine = f"TMPDIR={folder}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found += [one for one in (process / "environ").read_bytes().split(b"\0") if one == mine]
    return found
