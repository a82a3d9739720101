"""Where the time of one training step goes: whole steps timed in turns, then operator by operator by the profiler.

The step is the one that trains (`torch_update.take_step`), on random images. An operator's time is that of what is
called from Python, or by autograd, with all that it calls: the convolution with the cast of its weights, a backward
operator with its sums. What Python itself takes between operators is in the time of a whole step only; what the
profiler takes is in those of the operators only, most where there are many small ones.
"""

import os
import re
import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from netspace.backends.torch_kernels import use_kernels
from netspace.backends.torch_memory import MicroBatches
from netspace.backends.torch_model import build
from netspace.backends.torch_update import new_optimiser, take_step
from netspace.errors import ExecutionError
from netspace.training.trial import Trial

WARM_UP = 2
"""Untimed steps of each trial at the beginning."""

NAMES = {
    "conv2d": "convolution",
    "native_batch_norm": "batch_norm",
    "to": "copy",
    "to_copy": "copy",
    "addmm": "linear",
}
"""What operators are called here whose forward and backward have different names, or long ones."""

CONVOLUTIONS = ("convolution", "pointwise", "grouped")

ENGINE = "autograd::engine::evaluate_function: "


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFigures:
    """What a training step takes: the median time of a whole one, and that of each operator in it [ms].

    `operators` are means over the steps while the profiler watches, the longest first.
    """

    median_ms: float
    images_per_second: float
    operators: Mapping[str, float]


def measure(trials: Sequence[Trial], resolution: int, *, steps: int, shapes: bool = False) -> tuple[StepFigures, ...]:
    """Return the figures of several trainings on images of `resolution` [pixels], timed in turns over `steps` steps.

    With `shapes`, convolutions of different shapes are operators of their own. Sets PyTorch's number of threads in this
    process to the first trial's, for all. Raises: ExecutionError where kernels cannot be had, or a step does not fit.
    """
    torch.set_num_threads(trials[0].threads)
    with ExitStack() as stack:
        try:
            calls = [_ready(trial, resolution, stack) for trial in trials]
            for call in calls * WARM_UP:
                call()
            seconds = [[_timed(call) for call in calls] for _ in range(steps)]
            operators = [_operators(call, steps, shapes) for call in calls]
        except RuntimeError as problem:
            if "memory" not in str(problem):
                raise
            batch_size = trials[0].recipe.batch_size
            raise ExecutionError(
                f"batch_size (={batch_size}) at resolution {resolution} does not fit in memory"
            ) from None
    medians = [statistics.median(each) for each in zip(*seconds, strict=True)]
    return tuple(
        StepFigures(median_ms=1e3 * median, images_per_second=trial.recipe.batch_size / median, operators=spent)
        for trial, median, spent in zip(trials, medians, operators, strict=True)
    )


def _ready(trial: Trial, resolution: int, stack: ExitStack) -> Callable[[], Any]:
    """Return what takes a step of a trial on random images, by the trial's kernels until the end of the block."""
    network = build(trial.network).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    stack.enter_context(use_kernels(network, trial.kernels))
    optimiser = new_optimiser(network, trial.recipe, trial.kernels)
    torch.manual_seed(0)
    batch = trial.recipe.batch_size
    images = torch.randn(batch, trial.network.in_channels, resolution, resolution)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(trial.network.num_classes, (batch,))
    micro = MicroBatches(network)
    return lambda: take_step(network, optimiser, micro, images, labels, trial.recipe)


def _timed(call: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def _operators(call: Callable[[], Any], steps: int, shapes: bool) -> dict[str, float]:
    """Return the time of each operator [ms per step], the longest first."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # else it writes to the terminal when it begins and ends
    with profile(activities=[ProfilerActivity.CPU], record_shapes=shapes) as watched:
        for _ in range(steps):
            call()
    events: Any = watched.events()
    # Autograd knows the forward operator of each backward one by its number; the shapes are told forward only.
    shown = {
        event.sequence_nr: _shapes(event)
        for event in events
        if shapes and not event.name.startswith(ENGINE) and operator_name(event.name).split()[0] in CONVOLUTIONS
    }
    spent: Counter[str] = Counter()
    for event in events:
        if event.cpu_parent is None:
            name = operator_name(event.name)
            if shapes and name.split()[0] in CONVOLUTIONS:
                name = f"{name} {_shapes(event) or shown.get(event.sequence_nr, '')}"
            spent[name.rstrip()] += event.cpu_time_total / 1e3 / steps
    return dict(spent.most_common())


def operator_name(event: str) -> str:
    """Return a short name for what the profiler calls an event.

    >>> operator_name("aten::conv2d"), operator_name("autograd::engine::evaluate_function: ConvolutionBackward0")
    ('convolution forward', 'convolution backward')
    >>> operator_name("autograd::engine::evaluate_function: torch::autograd::CppNode<(anonymous namespace)::Pointwise>")
    'pointwise backward'
    >>> operator_name("aten::relu_"), operator_name("Optimizer.step#SGD.step")
    ('relu forward', 'SGD step')
    """
    if event.startswith("Optimizer."):
        return event.partition("#")[2].replace(".", " ")
    backward = event.startswith(ENGINE)
    name = event.removeprefix(ENGINE).rpartition("::")[2].strip("_>")
    if backward:  # the name of a class, such as NativeBatchNormBackward0
        name = re.sub(r"Backward\d*$", "", name)
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
    return f"{NAMES.get(name, name)} {'backward' if backward else 'forward'}"


def _shapes(event: Any) -> str:
    """Return the shapes of a convolution's input and weight; nothing where they are not told."""
    known = [shape for shape in event.input_shapes or () if shape][:2]
    return " * ".join("x".join(map(str, shape)) for shape in known) if len(known) == 2 else ""
