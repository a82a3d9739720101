"""The commands in each framework: a study that names one, and a network trained there, saved, and judged by PyTorch."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import netspace as ns
from netspace.backends import BACKENDS, get_backend
from netspace.errors import MissingFrameworkError
from netspace.machine import usable_cores
from netspace.networks.spec import NetworkSpec, Stage, Stem
from netspace.storage.store import Store
from netspace.training.data import DataChoice, load
from netspace.training.epochs import Batches, share_wrong
from netspace.training.trial import Trial
from tests.tiny import A_AND_E, study_of

SPEC = NetworkSpec(stages=(Stage(depth=1, width=16, group_width=8),), stem=Stem(width=16, stride=1))


@pytest.fixture(params=sorted(set(BACKENDS) - {"torch"}))
def name(request):
    try:
        get_backend(request.param)
    except MissingFrameworkError as missing:
        pytest.skip(str(missing))
    return request.param


def netspace(*words, cwd, refused=False, **environment):
    """What a command says, of which no framework's environment variable but what is given tells the threads."""
    fresh = {key: value for key, value in os.environ.items() if key not in ("PJRT_NPROC", "TF_NUM_INTRAOP_THREADS")}
    command = [sys.executable, "-m", "netspace", *map(str, words)]
    done = subprocess.run(command, cwd=cwd, env=fresh | environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == (2 if refused else 0), done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr if refused else done.stdout


def test_a_study_may_name_it(name, tmp_path):
    text = study_of(A_AND_E, networks=1, workers=1, flops="20k..200k", epochs=1)
    (tmp_path / "study.toml").write_text(f'backend = "{name}"\n{text}')
    netspace("run", "study.toml", "--output", "out", cwd=tmp_path)
    with Store.open(tmp_path / "out" / "study.db") as store:
        assert set(store.table()["status"]) == {"finished"}
        assert all(name in attempt["versions"] for attempt in store.attempts())


def test_one_network_is_trained_there_saved_and_judged_by_pytorch(name, tmp_path):
    (tmp_path / "mine.json").write_text(json.dumps(SPEC.to_dict()))
    words = ("mine.json", "--data", "digits", "--backend", name, "--epochs", 2, "--batch-size", 50, "--threads", 1)
    told = json.loads(netspace("train", *words, "--lr", 0.1, "--output", "best", "--json", cwd=tmp_path))
    network, torch, digits = ns.load(tmp_path / "best"), get_backend("torch"), load(DataChoice(name="digits"))
    batches = Batches(Trial(network=network.spec, recipe=ns.load_record(tmp_path / "best").recipe, data=""), digits)
    images, labels = digits.validation.images, digits.validation.labels
    found = share_wrong(lambda some: torch.logits(network, batches.normalised(some).astype(np.float32)), images, labels)
    assert found < 0.75  # chance is 0.9
    assert found == pytest.approx(told["result"]["error"], abs=1 / len(labels))


def test_bfloat16_is_refused_before_anything_is_read_or_written_where_there_is_none(name, tmp_path):
    if name != "mxnet":
        pytest.skip(f"{name} has bfloat16")
    text = study_of(A_AND_E, networks=1, workers=1, flops="20k..200k", epochs=1).replace(
        "[recipe]", "[recipe]\nprecision = 'bfloat16'"
    )
    (tmp_path / "study.toml").write_text(f'backend = "{name}"\n{text}')
    sentence = "precision (='bfloat16') must be 'float32' for backend 'mxnet'; backend 'torch' has it"
    assert f"recipe.{sentence}" in netspace("run", "study.toml", "--output", "out", cwd=tmp_path, refused=True)
    assert not (tmp_path / "out").exists()
    words = ("train", "regnetx32", "--backend", name, "--precision", "bfloat16", "--data", "folder:nowhere")
    assert sentence in netspace(*words, cwd=tmp_path, refused=True)


@pytest.mark.slow
def test_keras_on_jax_takes_the_threads_of_a_trial(name, tmp_path):
    """On a machine of one core, JAX would take as many threads by itself: two are one more."""
    if name != "tensorflow":
        pytest.skip("Keras is the backend 'tensorflow'")
    pytest.importorskip("jax", reason="JAX is not installed")
    (tmp_path / "mine.json").write_text(json.dumps(SPEC.to_dict()))
    threads = 1 if usable_cores() > 1 else 2
    words = ("mine.json", "--data", "digits", "--backend", name, "--epochs", 1, "--batch-size", 500)
    told = netspace("train", *words, "--threads", threads, "--json", cwd=tmp_path, KERAS_BACKEND="jax")
    assert json.loads(told)["result"]["status"] == "finished"


@pytest.mark.slow
def test_what_keras_cannot_train_on_is_refused(name, tmp_path):
    if name != "tensorflow":
        pytest.skip("Keras is the backend 'tensorflow'")
    words = ("train", "regnetx32", "--data", "digits", "--backend", name)
    assert netspace(*words, cwd=tmp_path, refused=True, KERAS_BACKEND="nonsense").endswith(
        "KERAS_BACKEND (='nonsense') in the environment must be one of tensorflow, jax, torch\n"
    )
