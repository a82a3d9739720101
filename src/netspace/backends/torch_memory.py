"""A training step that does not fit in memory: taken again with its batch in halves, and never without a word.

Learning rate, steps and the gradient's meaning stay: it is that of the mean loss over the whole batch, added up part by
part. What changes is what several processes change, too (`torch_distributed.py`): norms normalise a part by itself,
running statistics are the mean over the parts, and dropping draws part by part. That is another training, so a result
keeps a note of it.
"""

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from netspace.backends.torch_devices import dropping_generator
from netspace.errors import NetspaceError
from netspace.training.trial import OUT_OF_MEMORY

SMALLEST = 2
"""The images that a part has at least: a norm needs two."""

SIGNS = (
    "can't allocate memory",
    "out of memory",
    "bad_alloc",
    "STATUS_ALLOC_FAILED",  # cuDNN and cuBLAS
    "could not create a",  # oneDNN says no more than these
    "could not execute a primitive",
)
"""What PyTorch and its libraries say where memory is short."""


class MicroBatches:
    """Takes the batches of a trial whole until one does not fit, and from then on in twice as many parts, and so on.

    `may_halve` is false where several processes take their steps together.
    """

    def __init__(self, network: nn.Module, *, may_halve: bool = True) -> None:
        self.parts = 1
        self._network = network
        self._may_halve = may_halve
        self._buffers = list(network.buffers())
        self._before = [buffer.clone() for buffer in self._buffers]
        self._device = next(network.parameters()).device
        self._step = 0
        self._trained: list[str] = []
        self._judging_parts = 1
        self._judged: list[str] = []

    @property
    def note(self) -> str | None:
        """What was unlike the trial's own batches, in words; None where nothing was."""
        said = []
        if self._trained:
            said.append(f"batches were taken in parts, each with norms of its own: {', '.join(self._trained)}")
        if self._judged:
            said.append(f"images were judged in smaller batches, of {self._judged[-1]}")
        return f"{OUT_OF_MEMORY}: {'; '.join(said)}" if said else None

    def gradient(self, images: int, loss: Callable[[slice], Tensor]) -> Tensor:
        """Leave the gradient of a batch's mean loss in the network's parameters, and return the loss.

        `loss` gives the mean loss of the images in a part of the batch. While a CUDA graph is captured, a batch is
        taken as before, and a shortage is the capture's. Raises: MemoryError where none fits.
        """
        if self._device.type == "cuda" and torch.cuda.is_current_stream_capturing():
            if self.parts > 1:
                torch._foreach_copy_(self._before, self._buffers)  # each replay goes back to where it began
            return self._added_up(images, loss)
        self._step += 1
        dropping = dropping_generator(self._device)
        generator = dropping.get_state()
        torch._foreach_copy_(self._before, self._buffers)
        while True:
            try:
                return self._added_up(images, loss)
            except (MemoryError, RuntimeError) as problem:
                why = shortage(problem)
                if why is None:
                    raise
                if not self._may_halve or images // (2 * self.parts) < SMALLEST:
                    at_last = max(map(_length, parts_of(images, self.parts)))
                    raise MemoryError(
                        f"step {self._step} does not fit with {at_last} of its {images} images at a time ({why})"
                    ) from None
            # Only here is the problem gone, and with it all that its frames held.
            self.parts *= 2
            largest = max(map(_length, parts_of(images, self.parts)))
            self._trained.append(f"{largest} of {images} images from step {self._step} on")
            dropping.set_state(generator)
            self._restore(self._before)

    def judged(self, images: int, judge: Callable[[slice], Tensor]) -> Tensor:
        """Return what `judge` says of each image of a batch; in evaluation, where norms do not see who is beside it.

        Raises: MemoryError or RuntimeError where one image does not fit.
        """
        while True:
            try:
                return torch.cat([judge(part) for part in parts_of(images, self._judging_parts)])
            except (MemoryError, RuntimeError) as problem:
                if shortage(problem) is None or 2 * self._judging_parts > images:
                    raise
            self._judging_parts *= 2
            largest = max(map(_length, parts_of(images, self._judging_parts)))
            self._judged.append(f"{largest} in place of {images}")

    def _added_up(self, images: int, loss: Callable[[slice], Tensor]) -> Tensor:
        self._network.zero_grad()
        total = torch.zeros((), device=self._device)
        parts = parts_of(images, self.parts)
        means = [torch.zeros_like(buffer) for buffer in self._buffers] if len(parts) > 1 else []
        for part in parts:
            if means:
                self._restore(self._before)
            share = _length(part) / images
            found = loss(part) * share
            found.backward()  # type: ignore[no-untyped-call]
            total += found.detach()
            for mean, buffer in zip(means, self._buffers, strict=False):
                mean.copy_(torch.add(mean, buffer, alpha=share) if buffer.is_floating_point() else buffer)
        if means:
            self._restore(means)
        return total

    @torch.no_grad()
    def _restore(self, buffers: Sequence[Tensor]) -> None:
        torch._foreach_copy_(self._buffers, list(buffers))


def shortage(problem: BaseException) -> str | None:
    """Return what an error says of memory that is short, in one line; None where it is about something else.

    >>> shortage(RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes. Error code 12\\nat ..."))
    "DefaultCPUAllocator: can't allocate memory: 9 bytes. Error code 12"
    >>> shortage(RuntimeError("shapes differ")) is None
    True
    """
    words = str(problem)
    known = isinstance(problem, MemoryError | torch.OutOfMemoryError) or any(sign in words for sign in SIGNS)
    if not known or isinstance(problem, NetspaceError):
        return None
    return (words.splitlines() or ["no memory"])[0]


def parts_of(images: int, parts: int) -> list[slice]:
    """Return the places in a batch of so many parts, in sizes that differ by one at most, none of them empty.

    >>> parts_of(5, 2)
    [slice(0, 2, None), slice(2, 5, None)]
    """
    parts = min(parts, images)
    bounds = [images * i // parts for i in range(parts + 1)]
    return [slice(begin, end) for begin, end in itertools.pairwise(bounds)]


def _length(part: slice) -> int:
    return int(part.stop - part.start)
