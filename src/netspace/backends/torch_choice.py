"""Which precision and which kernels are fastest on this machine, for the networks of one study.

A few of the study's own networks, small to large, take a few steps each in every candidate, in turns; what takes the
least time together is chosen. It is measured once, when a study is made, and kept as part of every trial: later, and on
another machine, the same numbers come out, or none.
"""

import dataclasses
import itertools
import math
from collections.abc import Sequence

import torch

from netspace.backends.torch_training import train
from netspace.training.data import Dataset
from netspace.training.device import CPU
from netspace.training.splits import Split
from netspace.training.trial import Trial

NETWORKS = 4
STEPS = 4
CUDA_STEPS = 32
"""Of which the first epoch has as many again, in which they are captured, and which is not timed."""
ROUNDS = 3
GAIN = 1.05
"""How many times as fast as PyTorch's own float32 the best must be, to be taken in its place."""

Candidate = tuple[str, str]
"""Precision and kernels."""


def fastest(trials: Sequence[Trial], data: Dataset, precisions: Sequence[str], kernels: Sequence[str]) -> Candidate:
    """Return the precision and the kernels in which trials take the least time; the first given are the plain ones.

    `trials` are sorted from cheap to dear; a few of them, evenly spread, are timed. A candidate in which one of them
    diverges or fails is left out; where that is so in all, the plain ones are returned.
    """
    chosen = trials[:: max(1, len(trials) // NETWORKS)][:NETWORKS]
    on_cuda = chosen[0].device != CPU
    candidates = [pair for pair in itertools.product(precisions, kernels) if pair != ("float32", "blocked")]
    seconds = dict.fromkeys(candidates, math.inf)
    few = _few(data, chosen[0].recipe.batch_size, CUDA_STEPS if on_cuda else STEPS)
    for _ in range(ROUNDS if len(candidates) > 1 else 0):
        for candidate in candidates:
            spent = sum(_seconds(trial, few, candidate) for trial in chosen)
            seconds[candidate] = min(seconds[candidate], spent)
    best = min(candidates, key=seconds.__getitem__)
    if on_cuda:
        torch.cuda.empty_cache()  # for the workers
    return best if seconds[candidates[0]] >= GAIN * seconds[best] else candidates[0]


def _seconds(trial: Trial, data: Dataset, candidate: Candidate) -> float:
    """Return how long a few steps take [s]; a time is infinite where they are not what a training would be.

    On a CUDA device that is the second epoch, in which steps are replayed.
    """
    on_cuda = trial.device != CPU
    precision, kernels = candidate
    # So few images need not be of every class, which class weights take.
    changes = {"epochs": 2 if on_cuda else 1, "warmup_epochs": 0.0, "precision": precision, "class_weights": "equal"}
    recipe = dataclasses.replace(trial.recipe, **changes)  # type: ignore[arg-type]
    try:
        result = train(dataclasses.replace(trial, recipe=recipe, kernels=kernels), data)
    except (RuntimeError, MemoryError):  # such as an operator that this processor has not
        return math.inf
    # A reason is that it diverged, or that batches were taken in parts for want of memory.
    seconds = result.curve[-1].seconds if on_cuda and result.curve else result.seconds
    return seconds if result.reason is None else math.inf


def _few(data: Dataset, batch_size: int, steps: int = STEPS) -> Dataset:
    """Return the data with images for a few steps, and for one batch of evaluation."""

    def first(split: Split, count: int) -> Split:
        return Split(images=split.images[:count], labels=split.labels[:count])

    training = first(data.training, steps * batch_size)
    return dataclasses.replace(data, training=training, validation=first(data.validation, batch_size))
