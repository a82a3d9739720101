"""`netspace bench` as a user meets it: a line per setting, JSON, one sentence for every wrong word."""

import json
import subprocess
import sys

import pytest

import netspace as ns
from netspace.networks.spec import NetworkSpec, Stage
from tests.command_line import netspace

SPEC = NetworkSpec(stages=(Stage(depth=1, width=16, group_width=8),), num_classes=5)
WITHOUT_TORCH = """
import sys

class NoTorch:  # as on a machine without PyTorch
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")

sys.meta_path.insert(0, NoTorch())
from netspace.cli import main
main()
"""


def bench(*words, cwd, check):
    return netspace("bench", *words, cwd=cwd, check=check)


@pytest.fixture
def folder(tmp_path):
    ns.save(ns.build(SPEC), tmp_path / "saved")
    (tmp_path / "mine.json").write_text(json.dumps(SPEC.to_dict()))
    return tmp_path


def test_infer_prints_a_line_per_setting(folder):
    words = ("--batch-sizes", "2", "--threads", "1", "--resolution", 16, "--rounds", 1, "--channels-last")
    done = bench("infer", "mine.json", *words, cwd=folder, check=0)
    title, header, *rows = done.stdout.splitlines()
    assert title.startswith("mine.json at 16x16: ")
    assert " ".join(header.split()) == "batch threads precision layout norms median ms p95 ms images/s peak MiB"
    assert [row.split()[:5] for row in rows] == [["2", "1", "float32", "channels-last", n] for n in ("kept", "folded")]
    assert done.stderr == "measuring mine.json in 2 settings, 1 turns each\n"


def test_infer_prints_json(folder):
    words = ("--batch-sizes", "1", "--precisions", "bfloat16", "--resolution", 16, "--rounds", 1, "--threads", 1)
    done = bench("infer", "saved", *words, "--fused", "--no-channels-last", "--json", cwd=folder, check=0)
    told = json.loads(done.stdout)
    assert told["digest"] == SPEC.digest
    assert told["flops"] == ns.complexity(SPEC, 16).flops
    (row,) = told["figures"]
    assert (row["precision"], row["fused"], row["channels_last"]) == ("bfloat16", True, False)
    assert 0 < row["median_ms"] <= row["p95_ms"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("regnetx_400m",), "did you mean 'regnetx_400mf'"),
        (("none.json",), "cannot be read"),
        (("./nowhere",), "network 'nowhere': there is no such folder or file"),
        ((".",), "network.json' cannot be read"),
        (("regnetx32", "--batch-sizes", "0"), "batch_size (=0) must be a whole number of at least 1"),
        (("regnetx32", "--batch-sizes", "-8"), "batch_size (=-8) must be"),
        (("regnetx32", "--batch-sizes", "1,x"), "--batch-sizes (='1,x') must be whole numbers"),
        (("regnetx32", "--batch-sizes", ""), "--batch-sizes (='') must be whole numbers"),
        (("regnetx32", "--threads", "0"), "threads (=0) must be"),
        (("regnetx32", "--threads", ""), "--threads (='') must be whole numbers"),
        (("regnetx32", "--precisions", "float32,bfloat"), "did you mean 'bfloat16'"),
        (("regnetx32", "--device", "gpu"), "device (='gpu') must be one of cpu, cuda"),
        (("regnetx_400mf", "--resolution", "8"), "the least resolution for these strides is 17"),
        (("regnetx32", "--resolution", "0"), "resolution (=0) must be"),
        (("regnetx32", "--rounds", "0"), "--rounds (=0) must be"),
        (("regnetx32",), "pip install 'netspace[torch]'"),
    ],
    ids=str,
)
def test_wrong_words_are_one_sentence_before_a_framework_is_loaded(tmp_path, words, sentence):
    command = [sys.executable, "-c", WITHOUT_TORCH, "bench", "infer", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_help_has_an_example(tmp_path):
    assert "infer" in bench("--help", cwd=tmp_path, check=0).stdout
    assert "Example: netspace bench infer" in bench("infer", "--help", cwd=tmp_path, check=0).stdout
