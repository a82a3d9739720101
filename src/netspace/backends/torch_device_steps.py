"""Steps whose every input lies where they compute: an epoch's choices go there at once, and a counter takes the next.

So a step is a function without arguments, and the host does nothing between two of them but start the next. Where a
split does not fit on the device, its bytes alone are copied step by step.
"""

import functools
from collections.abc import Callable, Iterable, Mapping

import numpy as np
import torch
from torch import Tensor

from netspace.backends.torch_augmentation import Draws
from netspace.backends.torch_graph import Replayed
from netspace.backends.torch_images import Pixels
from netspace.backends.torch_update import TrainingStep
from netspace.training.splits import IndexArray

Terms = tuple[Draws, int, float, float]
"""What is known of a step before it: draws, the side of its images, learning rate, weight in the average."""


class DeviceSteps:
    """Takes the steps of an epoch on a device, by `capture` as CUDA graphs: one for each size of its images."""

    def __init__(
        self,
        take: TrainingStep,
        pixels: Pixels,
        labels: Tensor,
        terms: Callable[[int], Terms],
        *,
        capture: bool,
    ) -> None:
        self._take, self._pixels, self._labels, self._terms, self._capture = take, pixels, labels, terms, capture
        self._counter = torch.zeros(1, dtype=torch.int64, device=labels.device)
        self._stacks: dict[str, Tensor] = {}
        self._bytes = torch.empty(0)
        self._steps: dict[int, Replayed] = {}

    def __call__(self, done: int, steps: int, batches: Iterable[IndexArray]) -> None:
        """Take the steps after the first `done`, as many as there are batches of images by their indices."""
        terms = [self._terms(step) for step in range(done, done + steps)]
        self._put(
            {name: torch.stack([draws[name] for draws, *_ in terms]) for name in terms[0][0]}
            | {"rate": torch.tensor([rate for *_, rate, _ in terms], dtype=torch.float32)}
            | {"weight": torch.tensor([weight for *_, weight in terms], dtype=torch.float32)}
        )
        self._counter.zero_()
        if self._pixels.there is not None:
            batches = list(batches)
            self._put({"chosen": torch.from_numpy(np.stack(batches))})
        for number, (chosen, (_, side, _, _)) in enumerate(zip(batches, terms, strict=True)):
            if self._pixels.there is None:
                self._copy(number, steps, chosen)
            if side not in self._steps:
                self._steps[side] = Replayed(self._labels.device, capture=self._capture)
            self._steps[side](functools.partial(self._step, side))

    def _put(self, stacks: Mapping[str, Tensor]) -> None:
        """Set what lies on the device for each step of an epoch: in place after the first, for graphs know where."""
        for name, stack in stacks.items():
            if name in self._stacks:
                self._stacks[name].copy_(stack)
            else:
                self._stacks[name] = stack.to(self._labels.device)

    def _copy(self, number: int, steps: int, chosen: IndexArray) -> None:
        """Copy what one step takes of images that stay on the host, while the device is busy with those before."""
        places, images = torch.from_numpy(chosen), torch.as_tensor(self._pixels(chosen))
        if "chosen" not in self._stacks:
            self._put({"chosen": places.new_empty((steps, len(places)))})
            self._bytes = images.to(self._labels.device)
        if self._labels.is_cuda:
            places, images = places.pin_memory(), images.pin_memory()
        self._stacks["chosen"][number].copy_(places, non_blocking=True)
        self._bytes.copy_(images, non_blocking=True)

    def _step(self, side: int) -> None:
        """Take the next step, on images of a side [pixels]: by the counter, which it moves on."""
        draws = {name: stack.index_select(0, self._counter).squeeze(0) for name, stack in self._stacks.items()}
        chosen, rate, weight = (draws.pop(name) for name in ("chosen", "rate", "weight"))
        there = self._pixels.there
        images = self._bytes if there is None else there.index_select(0, chosen)
        labels = self._labels.index_select(0, chosen)
        self._take(images, labels, draws, side=side, rate=rate, weight=weight)
        self._counter.add_(1)
