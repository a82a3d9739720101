"""The exponential moving average of a network's weights in training, and its place in the network while it is judged.

The running statistics of norms belong to the weights that computed them. In a short training weights move so fast that
an average of statistics fits no network, so the average's own are computed, from some training images, each time that
it takes its place (as Izmailov et al. 2018, arXiv 1803.05407, section 3.2, do for an average of weights).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from netspace.training.epochs import EVALUATION_BATCH
from netspace.training.splits import IndexArray


class Average:
    """The average of a network's parameters, `tensors` in their order: all that a training has to remember of it.

    `forward` takes some training images through the network, in whatever mode it is.
    """

    def __init__(self, network: nn.Module, forward: Callable[[], object]) -> None:
        self._network, self._forward = network, forward
        self._parameters = [parameter.detach() for parameter in network.parameters()]
        self.tensors = [parameter.clone() for parameter in self._parameters]

    @property
    def module(self) -> nn.ParameterList:
        """The same tensors as a module."""
        return nn.ParameterList(self.tensors)

    @torch.no_grad()
    def update(self, weight: float | Tensor) -> None:
        """Move the average towards the network's parameters, by `weight` of the way: in [0, 1].

        A tensor's value is not asked for, so that nothing waits for a device.
        """
        if isinstance(weight, Tensor):
            way = torch._foreach_sub(self._parameters, self.tensors)
            torch._foreach_mul_(way, weight)
            torch._foreach_add_(self.tensors, way)
        else:
            torch._foreach_lerp_(self.tensors, self._parameters, weight)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Have the network be its average until the end of the block."""
        statistics = [(buffer, buffer.clone()) for norm in self._norms() for buffer in norm.buffers()]
        try:
            self.take_place()
            yield
        finally:
            self._swap()
            for buffer, value in statistics:
                buffer.copy_(value)

    @torch.no_grad()
    def take_place(self) -> None:
        """Make the network its average, with running statistics of its own; and leave it in evaluation mode."""
        self._swap()
        self._network.eval()
        norms = self._norms()
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.train()
            norm.momentum = 1.0  # what these images say, and nothing of before
        self._forward()
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.eval()
            norm.momentum = momentum

    def _swap(self) -> None:
        kept = [parameter.clone() for parameter in self._parameters]
        torch._foreach_copy_(self._parameters, self.tensors)
        torch._foreach_copy_(self.tensors, kept)

    def _norms(self) -> list[_BatchNorm]:
        found = (module for module in self._network.modules() if isinstance(module, _BatchNorm))
        return [norm for norm in found if norm.running_mean is not None]


def evenly(count: int) -> IndexArray:
    """Return which of so many images, evenly spaced, running statistics are computed from."""
    return np.linspace(0, count - 1, min(count, EVALUATION_BATCH)).astype(np.int64)
