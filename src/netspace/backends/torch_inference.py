"""How fast a network answers, and in how much memory: alternatives timed in turns, memory in fresh processes.

All alternatives take turns in one process, so that whatever else the machine does hits them alike; medians are
reported. Latency is what a caller waits for: from giving a batch until its logits are there.

Peak memory on the CPU is that of a fresh process per alternative: the largest resident memory while batches run
(Linux's VmHWM, reset after the network was made) less what the process held after a tiny network had run the same
way. It counts weights, images, activations and the library's buffers, but not the library.

On CUDA every call ends with a synchronisation, and memory is PyTorch's own count (`max_memory_allocated`), weights
included; "float32" convolutions use TF32 where PyTorch's settings allow it, which they do by default. None of this
has been measured on a device yet.
"""

import dataclasses
import functools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from netspace import values
from netspace.backends.conversion import load_network
from netspace.backends.inference import InferenceFigures, InferenceSetting
from netspace.backends.torch_devices import find_device
from netspace.backends.torch_fusing import fuse
from netspace.backends.torch_model import AnyNet, build
from netspace.errors import ExecutionError, InputError
from netspace.networks.spec import NetworkSpec, Stage

WARM_UP = 3
"""Untimed calls of each alternative at the beginning; each turn begins with one more."""

TURN_SECONDS = 0.05
"""How long a turn of one alternative lasts, unless a single call takes longer."""

MOST_CALLS_PER_TURN = 20

TINY = NetworkSpec(stages=(Stage(depth=1, width=16, group_width=8),))

STATUS, RESET_PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")

Source = NetworkSpec | Path
"""A network: its spec, weights as initialised from seed 0; or a folder that `netspace.save` wrote."""


def measure(source: Source, settings: Sequence[InferenceSetting], *, rounds: int = 20) -> tuple[InferenceFigures, ...]:
    """Return the figures of a network in each of several settings, timed in turns over `rounds` rounds.

    Raises: InputError where the device is not there, CheckpointError, ExecutionError where a batch does not fit.
    """
    if rounds < 1:
        raise InputError(f"rounds (={rounds}) must be a whole number of at least 1")
    for setting in settings:
        find_device(setting.device)
    if isinstance(source, Path):
        load_network(source)  # what is wrong with a folder is told at once
    # Memory first: a batch that does not fit ends a process of its own.
    peaks = [fresh_peak_memory(source, setting) for setting in settings]
    return tuple(
        InferenceFigures(
            median_ms=1e3 * float(np.median(times)),
            p95_ms=1e3 * float(np.percentile(times, 95)),
            images_per_second=setting.batch_size / float(np.median(times)),
            peak_mib=peak,
        )
        for setting, times, peak in zip(settings, latencies(source, settings, rounds=rounds), peaks, strict=True)
    )


@torch.inference_mode()
def latencies(source: Source, settings: Sequence[InferenceSetting], *, rounds: int) -> list[list[float]]:
    """Return the times of all calls [s], one list per setting; settings take turns, `rounds` times."""
    network_for = functools.cache(functools.partial(ready_network, source))
    # Settings that differ only in batch size and threads share one network.
    networks = [network_for(dataclasses.replace(setting, batch_size=1, threads=1)) for setting in settings]
    alternatives = [(s, functools.partial(n, random_images(n, s))) for s, n in zip(settings, networks, strict=True)]
    calls_per_turn = []
    for setting, call in alternatives:
        with _threads(setting.threads):
            seconds = min(_timed(call, setting.device) for _ in range(WARM_UP))
        calls_per_turn.append(min(max(round(TURN_SECONDS / seconds), 1), MOST_CALLS_PER_TURN))
    times: list[list[float]] = [[] for _ in settings]
    for _ in range(rounds):
        for (setting, call), calls, seen in zip(alternatives, calls_per_turn, times, strict=True):
            with _threads(setting.threads):
                call()  # after another alternative, caches are cold and threads may be new
                seen.extend(_timed(call, setting.device) for _ in range(calls))
    return times


def ready_network(source: Source, setting: InferenceSetting) -> AnyNet:
    """Return a network folded, placed, converted and laid out as a setting says, in evaluation mode."""
    network = load_network(source) if isinstance(source, Path) else build(source).eval()
    ready: AnyNet = (fuse(network) if setting.fused else network).to(**_placed(setting))
    return ready


def random_images(network: AnyNet, setting: InferenceSetting) -> Tensor:
    """Return a batch for a network, placed as a setting says."""
    side = setting.resolution
    return torch.rand(setting.batch_size, network.spec.in_channels, side, side).to(**_placed(setting))


def _placed(setting: InferenceSetting) -> dict[str, Any]:
    return {
        "device": setting.device,
        "dtype": getattr(torch, setting.precision),
        "memory_format": torch.channels_last if setting.channels_last else torch.contiguous_format,
    }


def fresh_peak_memory(source: Source, setting: InferenceSetting) -> float | None:
    """Return the peak memory [MiB] of running batches in a process of its own; None where the system tells none.

    Raises: ExecutionError where a batch does not fit.
    """
    network = str(source) if isinstance(source, Path) else source.to_dict()
    asked = json.dumps({"network": network, "setting": values.to_dict(setting)})
    command = [sys.executable, "-m", "netspace.backends.torch_inference"]
    # glibc: large blocks go back to the system when they are freed, so that what is resident is what is in use.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "131072"}
    done = subprocess.run(command, input=asked, env=environment, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["killed"])[-1]
        why = "does not fit in memory" if "memory" in said or said == "killed" else f"could not be run: {said}"
        raise ExecutionError(f"batch_size (={setting.batch_size}) at resolution {setting.resolution} {why}")
    peak: float | None = json.loads(done.stdout)
    return peak


def versions(device: str) -> str:
    """Return what computes: PyTorch and its instruction set, or the device's name. Raises: InputError."""
    find_device(device)
    name = torch.cuda.get_device_name() if device == "cuda" else torch.backends.cpu.get_cpu_capability()
    return f"torch {torch.__version__} ({name})"


def _timed(call: Callable[[], Tensor], device: str) -> float:
    _finish(device)
    begun = time.perf_counter()
    call()
    _finish(device)
    return time.perf_counter() - begun


def _finish(device: str) -> None:
    """Wait until a device has done what it was given; a CPU always has."""
    if device == "cuda":
        torch.cuda.synchronize()


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _answer() -> None:
    """Read a network and a setting from standard input, write the peak memory [MiB] to standard output."""
    asked = json.load(sys.stdin)
    network = asked["network"]
    source = Path(network) if isinstance(network, str) else NetworkSpec.from_dict(network)
    print(json.dumps(peak_memory(source, InferenceSetting(**asked["setting"]))))


@torch.inference_mode()
def peak_memory(source: Source, setting: InferenceSetting) -> float | None:
    """Return the peak memory [MiB] of running batches in this process, which must be a fresh one.

    None on a system without Linux's /proc, unless the device is CUDA.
    """
    torch.set_num_threads(setting.threads)
    if setting.device == "cuda":
        _run(source, setting)
        return float(torch.cuda.max_memory_allocated()) / 2**20
    # What the library needs for itself is there before the measurement begins.
    _run(TINY, dataclasses.replace(setting, batch_size=min(setting.batch_size, 2), resolution=32))
    before = _kibibytes("VmRSS")
    _run(source, setting)
    after = _kibibytes("VmHWM")
    return None if before is None or after is None else (after - before) / 2**10


def _run(source: Source, setting: InferenceSetting) -> None:
    """Run a few batches; from here on, the device's peak is that of running, not of building and folding."""
    network = ready_network(source, setting)
    images = random_images(network, setting)
    if setting.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    elif RESET_PEAK.exists():
        RESET_PEAK.write_text("5")  # Linux: VmHWM becomes VmRSS
    for _ in range(WARM_UP):
        network(images)
    _finish(setting.device)


def _kibibytes(field: str) -> int | None:
    """Return a size that Linux tells of this process [KiB]."""
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


if __name__ == "__main__":
    _answer()
