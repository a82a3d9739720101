"""A study of a user's own block: named in the study file, checked before anything is written, trained by workers."""

import json
import shutil
import subprocess
import sys

import pytest

from netspace.errors import ExecutionError, OwnBlockError, StoreError, StudyFileError
from netspace.execution.executor import InlineExecutor
from netspace.execution.processes import ProcessExecutor
from netspace.networks.own_block import load
from netspace.studies.study import Study
from tests.own_blocks import EXAMPLES, SMALL, changed

STUDY = """
name = "own"
networks = 2
num_stages = 2
stem = { width = 8, stride = 1 }
[data]
name = "digits"
training_share = 0.2
[recipe]
epochs = 1
batch_size = 50
[[spaces]]
name = "mine"
frame = { block = "own", own_block = { file = "block.py", options = { kernel_size = 3 } } }
parameters.depth = { options = [1, 2] }
parameters.width = { options = [8, 16, 24] }
"""


@pytest.fixture
def make(tmp_path):
    def study(block=SMALL, text=STUDY):
        load.cache_clear()
        (tmp_path / "block.py").write_text(block)
        (tmp_path / "own.toml").write_text(text)
        return Study.open(tmp_path / "own.toml", output=tmp_path / "out")

    return study


def test_workers_train_own_blocks_and_agree_with_this_process(make, tmp_path):
    study = make()
    assert study.run(executor=ProcessExecutor(2)).failures == 0
    results = [result.error for result in study.populations()[0].results]
    assert all(0 <= error < 0.95 for error in results)
    assert study.run(executor=InlineExecutor()).trained == 0
    inline = Study.open(tmp_path / "own.toml", output=tmp_path / "inline")
    inline.run(executor=InlineExecutor(raise_errors=True))
    assert [result.error for result in inline.populations()[0].results] == results
    # The store alone is enough to look at the results, not to train more of them.
    (tmp_path / "block.py").unlink()
    load.cache_clear()
    stored = Study.open(tmp_path / "out")
    assert [result.error for result in stored.populations()[0].results] == results
    json.dumps(stored.results())
    with pytest.raises(OwnBlockError, match=r"own_block\.digest: missing; .* running a study from its TOML file"):
        stored.run()
    with pytest.raises(OwnBlockError, match=r"does not hold the file of its own block .*; name the study's TOML file"):
        stored.censuses()


def test_an_edited_block_is_another_study_and_a_moved_one_is_not(make, tmp_path):
    study = make()
    study.run(executor=InlineExecutor())
    identity = study.spec.identity()
    with pytest.raises(StoreError, match=r"spaces\[0\]\.frame\.own_block\.digest was"):
        make(block=SMALL + "# edited\n").run(executor=InlineExecutor())
    (tmp_path / "blocks").mkdir()
    (tmp_path / "blocks" / "moved.py").write_text(SMALL)
    moved = make(text=STUDY.replace('"block.py"', '"blocks/moved.py"'))
    assert moved.spec.identity() == identity
    assert moved.run(executor=InlineExecutor()).trained == 0


@pytest.mark.parametrize(
    ("block", "text", "sentence"),
    [
        (changed("+ 2 * width", ""), STUDY, r"block.py': cost says .* params .* built module has"),
        (changed("    return Block()", "    return 1 / 0"), STUDY, r"block.py', line 27: build failed with ZeroDiv"),
        ("def cost(", STUDY, r"own.toml: spaces\[0\].frame.own_block: own block '.*', line 1: reading failed with Syn"),
        (SMALL, STUDY.replace("block.py", "blok.py"), r"own.toml: spaces\[0\].frame.own_block: own block .* cannot be"),
        (SMALL, STUDY.replace("kernel_size", "kernel"), r"cost has no option 'kernel'; did you mean 'kernel_size'"),
        (SMALL, STUDY.replace("options = { kernel_size = 3 }", "digest = '0'"), "its digest must be 0, and is"),
        (SMALL, STUDY.replace('block = "own", ', ""), r"own.toml: spaces\[0\].frame: own_block must be left out for"),
    ],
    ids=range(7),
)
def test_what_is_wrong_is_found_before_anything_is_written(make, tmp_path, block, text, sentence):
    with pytest.raises((StudyFileError, OwnBlockError), match=sentence):
        make(block, text).run(executor=InlineExecutor())
    assert not (tmp_path / "out").exists()


def test_a_file_that_changes_while_a_study_runs_ends_the_run_and_fails_no_network(make, tmp_path):
    study = make()
    (tmp_path / "block.py").write_text(SMALL + "# edited\n")
    with pytest.raises(ExecutionError, match=r"could not be set up: OwnBlockError: own block .* has changed"):
        study.run(executor=ProcessExecutor(1))
    assert study.populations()[0].trained == ()
    make()
    assert study.run(executor=ProcessExecutor(1)).trained == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["convnext", "mixer"])
def test_the_examples_run(name, tmp_path):
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    command = [sys.executable, "-m", "netspace", "run", f"examples/{name}.toml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "0 failed)" in done.stdout
