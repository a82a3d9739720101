"""How a study's networks are trained here: what its workers are told, how many there are, and what each may take."""

import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from netspace.errors import InputError
from netspace.execution.executor import Limits, Work
from netspace.execution.processes import ProcessExecutor
from netspace.machine import usable_cores
from netspace.networks.complexity import complexity
from netspace.running import train_here
from netspace.study_file import StudySpec
from netspace.training.trial import Trial

TO_IMPORT = {"torch": ("netspace.backends.torch_training",)}
"""What a backend's workers may import before they are set up; others ask the environment at their first import."""

LAST = 16
"""How many trials of a run, and at most a quarter, begin in the order of their size."""


def worker_setup(
    spec: StudySpec, trials: Iterable[Trial], *, pack_folder: Path, checkpoints: Path
) -> Callable[[], Work]:
    """Return what sets up a worker for some trials of a study."""
    blocks = dict.fromkeys(trial.network.own_block for trial in trials)
    return functools.partial(
        train_here,
        str(pack_folder),
        spec.backend,
        tuple(filter(None, blocks)),
        str(checkpoints),
        60.0 * spec.limits.checkpoint_minutes,
    )


def local_workers(
    spec: StudySpec, logs: Path, workers: int | str | None, grace: float, *, soon: bool
) -> ProcessExecutor:
    """Return processes on this machine under a study's limits; as many as the study says, unless `workers` does.

    Where they are needed `soon`, they begin at once with what takes them long, beside what is to be done before.
    Raises: InputError for a number of workers that cannot be.
    """
    asked = spec.workers if workers is None else workers
    minutes, memory = spec.limits.minutes, spec.limits.memory_gib
    executor = ProcessExecutor(
        number_of_workers(spec, asked),
        limits=Limits(
            seconds=None if minutes is None else 60.0 * minutes,
            memory=None if memory is None else int(memory * 2**30),
            grace=grace,
        ),
        logs=logs,
    )
    if soon:
        executor.prepare(*TO_IMPORT.get(spec.backend, ()))
    return executor


def number_of_workers(spec: StudySpec, asked: int | str) -> int:
    """Return how many workers are asked for: "auto" is one for every so many cores as a trial has threads.

    Raises: InputError.
    """
    if asked == "auto":
        return max(1, usable_cores() // spec.threads)
    if isinstance(asked, str) or asked < 1:
        raise InputError(f'workers (={asked!r}) must be "auto" or a whole number of at least 1')
    return asked


def in_turn(trials: Iterable[Sequence[Trial]], resolution: int) -> list[Trial]:
    """Return network i of every space in turn, so that a run that is stopped has compared like with like.

    The last ones go from large to small, so that no worker is left alone with a large one at the end; time goes with
    activations more than with flops.
    """
    turns = [trial for turn in zip(*trials, strict=True) for trial in turn]
    begin = len(turns) - min(LAST, len(turns) // 4)
    return turns[:begin] + sorted(turns[begin:], key=lambda trial: -complexity(trial.network, resolution).activations)
