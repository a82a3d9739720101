"""`netspace bench step` runs real steps, of the way and the shapes asked for, and says where their time goes."""

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from netspace.backends.torch_native import missing_operators
from netspace.backends.torch_sgd import SGD
from netspace.backends.torch_step import measure
from netspace.cli.main import app
from netspace.networks.complexity import complexity
from netspace.networks.spec import NetworkSpec, Stage, Stem
from netspace.training.recipe import TrainingRecipe
from netspace.training.trial import Trial

SPEC = NetworkSpec(
    in_channels=1, stem=Stem(width=8, stride=1), stages=(Stage(depth=1, width=16, group_width=4),), num_classes=5
)
WORDS = ("bench", "step", "mine.json", "--batch-size", "4", "--resolution", "8", "--steps", "2")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.json").write_text(json.dumps(SPEC.to_dict()))


def trial(**changes: str) -> Trial:
    return Trial(network=SPEC, recipe=TrainingRecipe(batch_size=4), data="none", **changes)


def test_it_prints_json() -> None:
    done = CliRunner().invoke(app, [*WORDS, "--in-channels", "2", "--ways", "float32 torch", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["flops"] > complexity(SPEC, 8).flops  # of two channels
    (row,) = told["figures"]
    assert row["way"] == "float32 torch"
    assert row["images_per_second"] * row["median_ms"] == pytest.approx(4 * 1e3)
    assert 0 < row["share_of_peak"] < 1
    operators = row["operators"]
    assert {"convolution forward", "convolution backward", "batch_norm backward", "SGD step"} <= operators.keys()
    assert list(operators.values()) == sorted(operators.values(), reverse=True)
    # In the same unit; other work on the machine hits a step or its operators.
    assert 0.01 * row["median_ms"] < sum(operators.values()) < 100 * row["median_ms"]


def test_a_table_has_a_column_for_each_way_and_others_last() -> None:
    done = CliRunner().invoke(app, [*WORDS, "--ways", "float32 torch,bfloat16 torch"])
    assert done.exit_code == 0, done.output
    ways, operators = done.stdout.split("\n\n")
    assert ways.startswith(f"mine.json at 8x8: {complexity(SPEC, 8).flops:,} flops, batch 4; ")
    assert [line.split("  ")[0] for line in ways.splitlines()[2:]] == ["float32 torch", "bfloat16 torch"]
    lines = operators.splitlines()
    assert lines[1].split() == ["operator", "float32", "torch", "ms", "share", "bfloat16", "torch", "ms", "share"]
    assert lines[-2].startswith("others (")
    assert lines[-1].split()[0] == "all"
    assert lines[-1].split()[2:4] == ["100.00", "%"]


def test_shapes_are_those_of_each_convolution_forward_and_backward() -> None:
    (found,) = measure([trial()], 8, steps=1, shapes=True)
    # The stem; the block's 1x1, grouped and 1x1 convolutions, and its projection.
    for direction in ("forward", "backward"):
        assert {name.removeprefix(f"convolution {direction} ") for name in found.operators if direction in name} >= {
            "4x1x8x8 * 8x1x3x3",
            "4x8x8x8 * 16x8x1x1",
            "4x16x8x8 * 16x4x3x3",
            "4x16x4x4 * 16x16x1x1",
        }
    assert "convolution forward" not in found.operators


@pytest.mark.skipif(missing_operators() is not None, reason="no C++ compiler")
def test_our_own_operators_have_names_and_shapes() -> None:
    way = Trial(network=SPEC, recipe=TrainingRecipe(batch_size=4, precision="bfloat16"), data="none", kernels="native")
    (found,) = measure([way], 8, steps=1, shapes=True)
    assert {"norm_add_relu forward", "norm_add_relu backward", "SGD step"} <= found.operators.keys()
    assert not any("batch_norm" in name for name in found.operators)
    grouped = "grouped" if hasattr(torch.ops.netspace, "grouped") else "convolution"
    assert {f"{grouped} {way} 4x16x8x8 * 16x4x3x3" for way in ("forward", "backward")} <= found.operators.keys()


def test_the_steps_are_those_of_training_and_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    step = SGD.step
    monkeypatch.setattr(SGD, "step", lambda optimiser: (seen.append(optimiser), step(optimiser)))
    measure([trial(), trial()], 8, steps=3)
    assert all(one.momentum == 0.9 for one in seen)
    first, second = dict.fromkeys(seen)
    # Two untimed and three timed rounds in turns, then each under the profiler.
    assert seen == [first, second] * 5 + [first] * 3 + [second] * 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--ways", "usual"), "--ways (='usual') must be of 'float32 torch', 'float32 native'"),
        (("--ways", ""), "--ways (='') must be of"),
        (("--steps", "0"), "--steps (=0) must be a whole number of at least 1"),
        (("--batch-size", "1"), "batch_size (=1) must be a whole number of at least 2"),
        (("--threads", "0"), "threads (=0) must be a whole number of at least 1"),
        (("--in-channels", "0"), "in_channels (=0) must be a whole number of at least 1"),
        (("--resolution", "0"), "resolution (=0) must be"),
        (("--batch-size", "16000000", "--resolution", "32768"), "at resolution 32768 does not fit in memory"),
    ],
)
def test_nonsense_gets_a_sentence(words: tuple[str, ...], said: str) -> None:
    done = CliRunner().invoke(app, [*WORDS, *words])
    assert done.exit_code
    assert said in f"{done.output} {done.exception}"
