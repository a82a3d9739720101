"""How a study's networks are trained: what its workers are told, where and how many they are, what each may take."""

import functools
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from netspace.backends import get_backend
from netspace.errors import InputError
from netspace.execution.choice import ExecutionChoice
from netspace.execution.executor import Executor, Limits, Work
from netspace.execution.processes import ProcessExecutor
from netspace.execution.ray_executor import RayExecutor
from netspace.machine import usable_cores
from netspace.networks.complexity import complexity
from netspace.networks.spec import NetworkSpec
from netspace.studies.hosts import Needed, versions_here
from netspace.studies.ladder import leaves_weights
from netspace.studies.parts import WHOLE, Part
from netspace.studies.running import train_here
from netspace.studies.spec import StudySpec
from netspace.training.device import CPU
from netspace.training.trial import Trial

TO_IMPORT = {"torch": ("netspace.backends.torch_training", "netspace.studies.running")}
"""What a backend's workers may import before they are set up; others ask the environment at their first import."""

SEEN = "CUDA_VISIBLE_DEVICES"
"""The variable of the environment that says which devices CUDA shows to a process, and in which order."""

PER_DEVICE = 4
"""How many workers share a CUDA device where their number is "auto": small networks leave most of it idle."""

LAST = 16
"""How many trials of a run, and at most a quarter, begin in the order of their size."""


def trial_of(spec: StudySpec, network: NetworkSpec, data: str, former: str = "") -> Trial:
    """Return what judges a network in a study, on data of this fingerprint; see `Trial` for `former`."""
    return Trial(
        network=network,
        recipe=spec.recipe,
        data=data,
        seed=spec.trained_from,
        backend=spec.backend,
        threads=spec.threads,
        kernels=spec.kernels,
        device=spec.device,
        former=former,
    )


def worker_setup(
    spec: StudySpec, trials: Iterable[Trial], *, pack_folder: Path, checkpoints: Path, weights: Path
) -> Callable[[], Work]:
    """Return what sets up a worker for some trials of a study, which keeps their weights where the next rung asks."""
    blocks = dict.fromkeys(trial.network.own_block for trial in trials)
    data = next((trial.data for trial in trials), "")
    return functools.partial(
        train_here,
        str(pack_folder.absolute()),
        spec.backend,
        Needed(versions=versions_here(spec.backend), kernels=spec.kernels, data=data, device=spec.device),
        tuple(filter(None, blocks)),
        str(checkpoints.absolute()),
        60.0 * spec.limits.checkpoint_minutes,
        weights=str(weights.absolute()),
        keeping=leaves_weights(spec.rungs),
    )


def study_workers(
    spec: StudySpec,
    where: Executor | ExecutionChoice | None,
    logs: Path,
    workers: int | str | None,
    grace: float,
    *,
    soon: bool,
) -> AbstractContextManager[Executor]:
    """Return the workers of a study where its file says, unless `where` does; otherwise as `local_workers`."""
    if where is not None and not isinstance(where, ExecutionChoice):
        return nullcontext(where)
    chosen = where or spec.execution
    if chosen.executor != "ray":
        return local_workers(spec, logs, workers, grace, soon=soon)
    if (spec.device != CPU) != (chosen.gpus > 0):
        raise InputError(
            f"execution.gpus (={chosen.gpus:g}) and device (={spec.device!r}) go together: a share of a GPU for each "
            'network with device = "cuda", and none without'
        )
    asked = spec.workers if workers is None else workers
    return RayExecutor(
        None if asked == "auto" else number_of_workers(spec, asked),
        choice=chosen,
        cpus=spec.threads,
        limits=limits_of(spec, grace),
        logs=logs,
        modules=TO_IMPORT.get(spec.backend, ()),
    )


def local_workers(
    spec: StudySpec, logs: Path, workers: int | str | None, grace: float, *, soon: bool
) -> ProcessExecutor:
    """Return processes on this machine under a study's limits; as many as the study says, unless `workers` does.

    Where they are needed `soon`, they begin at once with what takes them long, beside what is to be done before.
    Raises: InputError for a number of workers that cannot be.
    """
    asked = spec.workers if workers is None else workers
    executor = ProcessExecutor(
        number_of_workers(spec, asked),
        limits=limits_of(spec, grace),
        logs=logs,
        environments=[{SEEN: device} for device in devices_of(spec)] or [{}],
    )
    if soon:
        executor.prepare(*TO_IMPORT.get(spec.backend, ()))
    return executor


def limits_of(spec: StudySpec, grace: float) -> Limits:
    """Return what a study lets each of its trials take."""
    minutes, memory = spec.limits.minutes, spec.limits.memory_gib
    return Limits(
        seconds=None if minutes is None else 60.0 * minutes,
        memory=None if memory is None else int(memory * 2**30),
        grace=grace,
    )


def number_of_workers(spec: StudySpec, asked: int | str) -> int:
    """Return how many workers are asked for: "auto" is one for every so many cores as a trial has threads.

    On CUDA devices "auto" is `PER_DEVICE` for each, and no more than there are cores for. Raises: InputError.
    """
    if asked == "auto":
        most = max(1, usable_cores() // spec.threads)
        devices = len(devices_of(spec))
        return min(max(most, devices), PER_DEVICE * devices) if devices else most
    if isinstance(asked, str) or asked < 1:
        raise InputError(f'workers (={asked!r}) must be "auto" or a whole number of at least 1')
    return asked


def devices_of(spec: StudySpec) -> list[str]:
    """Return the CUDA devices over which a study's workers are spread, each as what shows it to a worker.

    "cuda" is every device that this process sees, "cuda:1" the second of them. Raises: InputError.
    """
    if spec.device == CPU:
        return []
    get_backend("torch")  # a missing framework is one sentence
    from netspace.backends.torch_devices import find_device, found_devices

    find_device(spec.device)
    told = [name.strip() for name in os.environ.get(SEEN, "").split(",") if name.strip()]
    found = told or [str(number) for number in range(found_devices())]
    return [",".join(found)] if ":" in spec.device else found  # of all, a worker takes the one of that number


def in_order(trials: Iterable[Sequence[Trial]]) -> list[Trial]:
    """Return network i of every space in turn, each trial once, so that a part of them has compared like with like."""
    return list({trial.id: trial for turn in zip(*trials, strict=True) for trial in turn}.values())


def in_turn(trials: Iterable[Sequence[Trial]], resolution: int, part: Part = WHOLE) -> list[Trial]:
    """Return those trials in order that are a part's, as a run that may be stopped begins them.

    The last ones go from large to small, so that no worker is left alone with a large one at the end; time goes with
    activations more than with flops.
    """
    turns = part.among(in_order(trials))
    begin = len(turns) - min(LAST, len(turns) // 4)
    last = sorted(turns[begin:], key=lambda trial: -complexity(trial.network, resolution).activations)
    return [*turns[:begin], *last]
