"""What a study leaves to the machine is measured once, kept in its store, and never measured again."""

import dataclasses
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from netspace.backends import torch_choice, torch_native
from netspace.errors import FallbackWarning, StoreError, StudyFileError
from netspace.execution.executor import InlineExecutor
from netspace.storage.store import Store
from netspace.studies.study import Study

needs_compiler = pytest.mark.skipif(shutil.which("c++") is None, reason="there is no C++ compiler")

STUDY = """
name = "settled"
networks = 2
num_stages = 2
stem = { width = 8, stride = 1 }
kernels = "auto"
workers = 1

[data]
name = "digits"
training_share = 0.2

[budget]
flops = "20k..300k"

[recipe]
epochs = 1
batch_size = 50
precision = "auto"

[ranges]
depth = [1, 2]
width = [8, 32]

[[spaces]]
space = "anynetx_a"
"""


def study(folder: Path, **changes: str) -> Study:
    text = STUDY
    for old, new in changes.items():
        assert f'{old} = "auto"' in text
        text = text.replace(f'{old} = "auto"', new)
    path = folder / "settled.toml"
    path.write_text(text)
    return Study.open(path, output=folder / "out")


few = torch_choice._few


def choices(found: Study) -> tuple[str, str]:
    return found.spec.recipe.precision, found.spec.kernels


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Have the machine find float32 slow and the blocked kernels fast; return what was asked in which order."""
    asked: list[tuple[str, str]] = []

    def seconds(trial: object, data: object, candidate: tuple[str, str]) -> float:
        asked.append(candidate)
        return {("bfloat16", "blocked"): 0.5}.get(candidate, 1.0)

    monkeypatch.setattr(torch_choice, "_seconds", seconds)
    return asked


class TestAuto:
    def test_is_kept_in_the_store_and_in_every_trial(self, tmp_path: Path, measured: list[tuple[str, str]]) -> None:
        first = study(tmp_path)
        first.run()
        assert choices(first) == ("bfloat16", "blocked")
        trials = [trial for drawn in first.draw().trials.values() for trial in drawn]
        assert {(trial.recipe.precision, trial.kernels) for trial in trials} == {("bfloat16", "blocked")}
        with Store.open(tmp_path / "out") as store:
            assert (store.study["recipe"]["precision"], store.study["kernels"]) == ("bfloat16", "blocked")
            assert store.finished() == {trial.id for trial in trials}
        measured.clear()
        again = study(tmp_path)
        assert again.run().trained == 0
        assert choices(again) == choices(Study.open(tmp_path / "out")) == ("bfloat16", "blocked")
        assert not measured
        assert "block-diagonal" in str(Study.open(tmp_path / "out").findings().facts)

    def test_that_is_written_out_is_the_same_study(self, tmp_path: Path, measured: list[tuple[str, str]]) -> None:
        study(tmp_path).run()
        assert study(tmp_path, precision='precision = "bfloat16"', kernels='kernels = "blocked"').run().trained == 0
        with pytest.raises(StoreError, match='kernels was "blocked", is "torch"'):
            study(tmp_path, precision='precision = "bfloat16"', kernels='kernels = "torch"').run()

    def test_keeps_to_what_is_written(self, tmp_path: Path, measured: list[tuple[str, str]]) -> None:
        found = study(tmp_path, precision='precision = "float32"')
        found.draw()
        assert choices(found) == ("float32", "torch")
        assert {precision for precision, _ in measured} == {"float32"}

    def test_needs_a_gain(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        times = {("float32", "torch"): 1.0, ("bfloat16", "torch"): 0.97}
        monkeypatch.setattr(torch_choice, "_seconds", lambda trial, data, candidate: times.get(candidate, 2.0))
        found = study(tmp_path)
        found.draw()
        assert choices(found) == ("float32", "torch")

    def test_measures_for_real(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """On fewer images than there are classes, too, where every class has its weight."""
        monkeypatch.setattr(torch_choice, "_few", lambda data, size, steps: few(data, 2))
        found = study(tmp_path, kernels='kernels = "torch"')
        recipe = dataclasses.replace(found.spec.recipe, class_weights="balanced", batch_size=5)
        found.spec = dataclasses.replace(found.spec, recipe=recipe)
        found.draw()
        assert choices(found) in {("float32", "torch"), ("bfloat16", "torch")}

    def test_is_the_checks_too(self, tmp_path: Path, measured: list[tuple[str, str]]) -> None:
        path = tmp_path / "checked.toml"
        path.write_text(STUDY + "\n[checks]\nshare = 1.0\nseeds = 1\n")
        whole = Study.open(path, output=tmp_path / "out")
        checks = whole.checks()  # as the command takes them: before anything is settled
        whole.run()
        checks["seed_1"].run()
        assert choices(checks["seed_1"]) == ("bfloat16", "blocked")

    def test_is_for_pytorch(self, tmp_path: Path) -> None:
        found = study(tmp_path, kernels='backend = "torch"')
        found.spec = dataclasses.replace(found.spec, backend="jax")
        with pytest.raises(StudyFileError, match='"auto" is measured for backend "torch" only'):
            found._settle((), None)  # type: ignore[arg-type]


def test_a_candidate_that_diverges_or_fails_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For real: without the native operators, and at a rate at which nothing trains, no time is a short one."""
    drawn = study(tmp_path, kernels='kernels = "torch"', precision='precision = "float32"').draw()
    (trial, *_), few = drawn.trials["anynetx_a"], torch_choice._few(drawn.data, 50)
    assert 0 < torch_choice._seconds(trial, few, ("float32", "torch")) < math.inf
    hot = dataclasses.replace(trial, recipe=dataclasses.replace(trial.recipe, learning_rate=1e30))
    assert torch_choice._seconds(hot, few, ("float32", "torch")) == math.inf
    monkeypatch.setenv("CXX", "no-such-compiler")
    torch_native.load_operators.cache_clear()
    assert torch_choice._seconds(trial, few, ("float32", "native")) == math.inf
    assert torch_choice.fastest([hot], drawn.data, ("float32", "bfloat16"), ("torch",)) == ("float32", "torch")


def broken(folder: Path) -> str:
    """Return a compiler that refuses every file."""
    path = folder / "broken-c++"
    path.write_text(
        '#!/bin/sh\ncase "$1" in --version) echo broken 1;; *) echo "error: no licence" >&2; exit 1;; esac\n'
    )
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("compiler", "why"),
    [
        (lambda folder: "no-such-compiler", "there is no C++ compiler (CXX=no-such-compiler)"),
        (broken, "cannot compile the native operators: error: no licence"),
    ],
)
def test_a_broken_compiler_is_told_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    measured: list[tuple[str, str]],
    compiler: Callable[[Path], str],
    why: str,
) -> None:
    monkeypatch.setenv("CXX", compiler(tmp_path))
    torch_native.load_operators.cache_clear()
    first = study(tmp_path)
    with pytest.warns(FallbackWarning) as told:
        first.run(executor=InlineExecutor())
    (warned,) = told
    assert str(warned.message).startswith("kernels (=\"auto\"): 'blocked' were taken, for 'native' cannot be had on")
    assert str(warned.message).endswith(why)
    assert choices(first) == ("bfloat16", "blocked")
    assert {kernels for _, kernels in measured} == {"torch", "blocked"}
    again = study(tmp_path)  # says nothing more: a warning would be an error here; its page still does
    assert again.run().trained == 0
    assert str(warned.message) in Study.open(tmp_path / "out").findings().notes
    with pytest.raises(StudyFileError, match=r"kernels \(='native'\) cannot be had on this machine: .*"):
        study(tmp_path, kernels='kernels = "native"').draw()


def test_kernels_that_this_machine_lacks_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_native, "missing_operators", lambda: "there is no C++ compiler (c++)")
    with pytest.raises(StudyFileError, match=r"kernels \(='native'\) cannot be had .* the nearest are 'blocked'"):
        study(tmp_path, kernels='kernels = "native"', precision='precision = "float32"').run()
    assert not (tmp_path / "out").exists()


@needs_compiler
def test_native_kernels_train_in_workers(tmp_path: Path) -> None:
    found = study(tmp_path, kernels='kernels = "native"', precision='precision = "float32"')
    assert found.run().trained == 2
    assert found.run().trained == 0
