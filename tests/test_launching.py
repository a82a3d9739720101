"""In which order the trials of a run begin, and over which devices its workers are spread."""

from collections import Counter
from pathlib import Path

import pytest

from netspace.backends import torch_devices
from netspace.errors import InputError
from netspace.execution.choice import ExecutionChoice
from netspace.networks.complexity import complexity
from netspace.networks.spec import NetworkSpec, Stage
from netspace.studies import launching
from netspace.studies.launching import PER_DEVICE, devices_of, in_turn, number_of_workers, study_workers
from netspace.studies.spec import StudySpec, parse_study
from netspace.training.recipe import TrainingRecipe
from netspace.training.trial import Trial
from tests.tiny import STUDY


def trial(width: int) -> Trial:
    spec = NetworkSpec(stages=(Stage(depth=1, width=width, stride=2),), in_channels=1)
    return Trial(network=spec, recipe=TrainingRecipe(), data="0" * 32)


def test_spaces_take_turns_and_the_last_quarter_goes_from_large_to_small() -> None:
    spaces = [tuple(trial(8 * (1 + 3 * i + space)) for i in range(4)) for space in range(3)]
    order = in_turn(spaces, 16)
    assert order[:9] == [space[i] for i in range(3) for space in spaces]
    sizes = [complexity(one.network, 16).activations for one in order[9:]]
    assert sizes == sorted(sizes, reverse=True) != sorted(sizes)
    assert Counter(one.id for one in order) == Counter(one.id for space in spaces for one in space)


def test_few_trials_stay_in_turn() -> None:
    spaces = [(trial(8),), (trial(64),)]
    assert in_turn(spaces, 16) == [trial(8), trial(64)]
    assert in_turn([], 16) == []


def study(device: str) -> StudySpec:
    return parse_study(f"device = {device!r}\n" + STUDY)


@pytest.mark.parametrize(
    ("found", "seen", "device", "expected"),
    [
        (0, None, "cpu", []),
        (2, None, "cuda", ["0", "1"]),
        (2, "3, 5", "cuda", ["3", "5"]),
        (2, "3,5", "cuda:1", ["3,5"]),
        (2, None, "cuda:1", ["0,1"]),
    ],
)
def test_workers_are_spread_over_the_devices_that_are_seen(
    monkeypatch: pytest.MonkeyPatch, found: int, seen: str | None, device: str, expected: list[str]
) -> None:
    monkeypatch.setattr(torch_devices, "found_devices", lambda: found)
    monkeypatch.delenv(launching.SEEN, raising=False)
    if seen is not None:
        monkeypatch.setenv(launching.SEEN, seen)
    assert devices_of(study(device)) == expected


@pytest.mark.parametrize(("device", "gpus"), [("cuda", 0.0), ("cpu", 0.25)])
def test_a_share_of_a_gpu_and_a_device_go_together(device: str, gpus: float) -> None:
    where = ExecutionChoice(executor="ray", gpus=gpus)
    with pytest.raises(InputError, match=r"execution.gpus \(=.*\) and device \(='.*'\) go together"):
        study_workers(study(device), where, Path("logs"), None, 0.0, soon=False)


@pytest.mark.parametrize(
    ("cores", "found", "expected"), [(16, 1, PER_DEVICE), (16, 2, 2 * PER_DEVICE), (2, 1, 2), (1, 3, 3)]
)
def test_auto_is_a_few_workers_for_every_device(
    monkeypatch: pytest.MonkeyPatch, cores: int, found: int, expected: int
) -> None:
    monkeypatch.setattr(torch_devices, "found_devices", lambda: found)
    monkeypatch.setattr(launching, "usable_cores", lambda: cores)
    monkeypatch.delenv(launching.SEEN, raising=False)
    assert number_of_workers(study("cuda"), "auto") == expected
    assert number_of_workers(study("cuda"), 7) == 7
    assert number_of_workers(study("cpu"), "auto") == cores
