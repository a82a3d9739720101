"""One network judged once: what goes in (`Trial`) and what comes out (`TrialResult`).

A trial's id is the digest of its parts, so that running it twice is harmless and storing it twice is too.
"""

import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from netspace import values
from netspace.checks import one_of, whole
from netspace.errors import InputError, SpecError
from netspace.machine import MOST_THREADS
from netspace.networks.plan import sides
from netspace.networks.spec import NetworkSpec
from netspace.training.device import CPU, check_device
from netspace.training.recipe import AUTO, TrainingRecipe

KERNELS = ("torch", "blocked", "native", "contiguous")
"""Forms of the operators: the framework's own, two further steps from them, and its own in its default layout."""

Status = Literal["finished", "diverged", "failed"]


class _Identified:
    """Room for the id of a trial beside its fields: a study asks for it often, and it takes long to compute."""

    __slots__ = ("_id",)
    _id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial(_Identified):
    """A network, how it is trained, on which data (the fingerprint), by which backend, from which seed.

    `threads` and `kernels` are part of a trial because sums in another order are other numbers. `kernels` other than
    "torch", the framework's own, are of the backend "torch"; see `netspace.backends.torch_kernels`. So are several
    `processes`, each of which takes an equal part of every batch; see `netspace.backends.torch_distributed`. `device`
    is where it computes; "cuda" is whichever CUDA device the process was given, "cuda:1" that one alone. `former` is
    the id of the trial from whose last weights it begins; empty for one that begins from its own initial weights.
    """

    network: NetworkSpec
    recipe: TrainingRecipe
    data: str
    seed: int = 0
    backend: str = "torch"
    threads: int = 1
    kernels: str = "torch"
    processes: int = 1
    device: str = CPU
    former: str = ""

    def __post_init__(self) -> None:
        check_former(self.former, self.backend)
        check_kernels(self, self.backend)
        check_device(self.device, backend=self.backend, kernels=self.kernels, processes=self.processes)
        check_processes(self.processes, self.backend, self.recipe.batch_size)
        if self.recipe.precision == AUTO:
            raise InputError(f"precision (={AUTO!r}) is measured for a study only; the nearest here is 'float32'")
        whole(self, "threads", InputError, maximum=MOST_THREADS)
        check_small(self.network, self.recipe)

    @property
    def id(self) -> str:
        """The content digest of all parts."""
        try:
            return self._id
        except AttributeError:
            object.__setattr__(self, "_id", values.digest(self))
            return self._id

    def stream_seed(self, purpose: Literal["initialisation", "order", "augmentation", "dropping", "mixing"]) -> int:
        """Return the seed of one stream of random numbers, in [0, 2^63).

        It depends on the network, the seed and the purpose; not on the recipe, so that two recipes see the
        same initial weights and the same order.
        """
        text = f"{self.network.digest}:{self.seed}:{purpose}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def check_small(network: NetworkSpec, recipe: TrainingRecipe) -> None:
    """Check that a recipe's small images leave a network pixels. Raises: InputError."""
    if recipe.small_resolution is not None:
        try:
            sides(network, recipe.small_resolution)
        except SpecError as problem:
            raise InputError(
                f"recipe.small_resolution (={recipe.small_resolution}) leaves no pixels: {problem}"
            ) from None


def check_former(former: str, backend: str) -> None:
    """Check the id of the trial whose weights another begins from. Raises: InputError."""
    if former and not re.fullmatch("[0-9a-f]{32}", former):  # it becomes part of a file's name
        raise InputError(f"former (={former!r}) must be the id of a trial, 32 hexadecimal digits")
    if former and backend != "torch":
        raise InputError(f"former (={former!r}) must be left out for backend {backend!r}; backend 'torch' has it")


def check_kernels(choice: Any, backend: str, allowed: Sequence[str] = KERNELS) -> None:
    """Check the field `kernels` of a trial or a study. Raises: InputError."""
    one_of(choice, "kernels", InputError, allowed)
    if choice.kernels != "torch" and backend != "torch":
        raise InputError(f"kernels (={choice.kernels!r}) must be 'torch' for backend {backend!r}, which has no others")


def check_processes(processes: int, backend: str, batch_size: int) -> None:
    """Check that so many processes can share every batch of a training. Raises: InputError.

    >>> check_processes(3, "torch", 128)
    Traceback (most recent call last):
    netspace.errors.InputError: batch_size (=128) must be a multiple of 3, the number of processes; the nearest is 129
    """
    if processes == 1:
        return
    if processes < 1:
        raise InputError(f"processes (={processes}) must be a whole number of at least 1")
    if backend != "torch":
        raise InputError(
            f"processes (={processes}) must be 1 for backend {backend!r}; backend 'torch' trains by several"
        )
    # A norm needs two images of its part.
    nearest = processes * max(2, round(batch_size / processes))
    if batch_size % processes:
        raise InputError(
            f"batch_size (={batch_size}) must be a multiple of {processes}, the number of processes; the nearest is "
            f"{nearest}"
        )
    if batch_size < 2 * processes:
        raise InputError(
            f"batch_size (={batch_size}) must be at least {nearest}, two images for each of {processes} processes"
        )


OUT_OF_MEMORY = "out of memory"
"""How the reason of a result begins whose training did not fit, as a whole or in parts."""
LOG = "; log: "
"""What stands in the reason of a failure between why it was and where to read more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochRecord:
    """What one epoch left: mean training loss [nats], validation error in [0, 1], its own time [s]."""

    epoch: int
    training_loss: float
    validation_error: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResult:
    """What became of a trial.

    `error` is the validation error at the last epoch, in [0, 1]; None unless finished. A trial that diverged
    (non-finite loss) or failed (`reason` says why) stays in every distribution as mass above all errors. Of one that
    finished, `reason` says what was unlike its trial, such as batches that were taken in parts.
    `seconds` is the wall time; `images` counts training images seen.
    """

    trial_id: str
    status: Status
    error: float | None = None
    curve: tuple[EpochRecord, ...] = ()
    seconds: float = 0.0
    images: int = 0
    reason: str | None = None

    def __post_init__(self) -> None:
        if (self.status == "finished") != (self.error is not None):
            raise InputError(
                f"error (={self.error}) must be given if and only if status (={self.status!r}) is 'finished'"
            )
        if self.error is not None and not 0.0 <= self.error <= 1.0:
            raise InputError(f"error (={self.error}) must be a share of images from 0 to 1")

    @property
    def short_of_memory(self) -> bool:
        """Whether memory ran out while it was found."""
        return (self.reason or "").startswith(OUT_OF_MEMORY)

    @property
    def judged_error(self) -> float:
        """The error as a distribution takes it: infinite where there is none."""
        return math.inf if self.error is None else self.error
