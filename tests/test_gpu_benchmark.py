"""The benchmark of CUDA devices goes all its ways on the processor, and says in a sentence where there is no device."""

import json
import runpy
import sys
import threading
from importlib.util import find_spec

import pytest
import torch

from tests.tiny import STUDY

BENCHMARK = "benchmarks/gpu.py"


def run(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", [BENCHMARK, *words])
    runpy.run_path(BENCHMARK, run_name="__main__")


def test_all_ways_run_on_the_processor(tmp_path, monkeypatch, capsys):
    study = tmp_path / "tiny.toml"
    study.write_text(STUDY)
    words = "--device cpu --networks 1 --processes 1 --precisions float32 --kernels torch --loaders 0 --rounds 1"
    short = "--steps 1 --large-resolution 32 --large-batch 2 --json"
    run(monkeypatch, str(study), *words.split(), *short.split())
    found = json.loads(capsys.readouterr().out)
    plain, *ours = found["population"]
    assert (plain["loaders"], plain["of_plain"]) == (0, 1)
    assert [(row["captured"], row["processes"]) for row in ours] == [(False, 1), (True, 1)]
    assert all(row["networks_per_hour"] > 0 for row in found["population"])
    assert 0 < ours[0]["mean_error"] == ours[1]["mean_error"] < 1  # ways differ in time, not in numbers
    assert [row["captured"] for row in found["steps"]] == [False, True]
    for row in found["steps"]:
        assert row["kinds"]["convolution, matrix product"] > 0
        assert row["bound"] in ("launch", "memory", "convolutions")
    assert [row["whose"] for row in found["large"]] == ["ours"] * 2 + ["timm"] * (find_spec("timm") is not None)
    assert all(row["images_per_second"] > 0 for row in found["large"])


def test_each_network_is_given_to_one_worker_that_is_free():
    population = runpy.run_path(BENCHMARK)["population"]
    both = threading.Barrier(2, timeout=10)

    def worker(*, network):
        both.wait()  # passed by two at once only
        return network / 10

    seconds, errors = population([worker, worker], [1, 2, 3, 4])
    assert sorted(errors) == [0.1, 0.2, 0.3, 0.4]
    assert seconds > 0


def test_the_tables_have_a_line_for_every_way(capsys):
    names = runpy.run_path(BENCHMARK)
    ways = [{"loaders": 0}, {"precision": "bfloat16", "kernels": "torch", "captured": True, "processes": 8}]
    rows = names["in_turns"](3, ways, lambda way: {"networks_per_hour": len(way), "utilisation": None})
    names["show"]("title", rows, {"rate": names["shown"]("networks_per_hour", ".1f")})
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[3:]]
    assert lines == [["plain", "loop,", "0", "loaders", "1.0"], ["bfloat16", "torch", "graph", "x8", "4.0"]]
    step = {"step_ms": 1.0, "busy_ms": 0.4, "kinds": {"norm": 0.3, "others": 0.1}}
    assert names["bound_of"](step) == "launch"
    assert names["bound_of"](step | {"step_ms": 0.5}) == "memory"


@pytest.mark.skipif(torch.cuda.is_available(), reason="tells what happens without a CUDA device")
def test_without_a_device_it_is_one_sentence(monkeypatch, capsys):
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, "examples/digits.toml")
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (2, "")
    assert said.err.startswith("gpu.py: device (='cuda') is not there: PyTorch finds no CUDA device on this machine; ")
    assert said.err.count("\n") == 1
