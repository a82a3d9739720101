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


def netspace(*words, cwd):
    fresh = {key: value for key, value in os.environ.items() if key not in ("PJRT_NPROC", "TF_NUM_INTRAOP_THREADS")}
    command = [sys.executable, "-m", "netspace", *map(str, words)]
    done = subprocess.run(command, cwd=cwd, env=fresh, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


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
