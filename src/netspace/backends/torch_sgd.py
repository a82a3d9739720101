"""Stochastic gradient descent by the function that computes PyTorch's, without the class around it.

The class, `torch.optim.SGD`, imports PyTorch's compiler when it is made, which takes longer than a short training does.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.profiler import record_function
from torch.optim.sgd import sgd


class SGD:
    """Momentum and decay of weights as `torch.optim.SGD` has them (Sutskever et al. 2013); its numbers, bit for bit.

    `rate` is the learning rate, a tensor where it changes on the device. `fused` is one call for all tensors, in
    another order of operations, which on CUDA reads the rate there. `momenta` are None before a parameter's first step.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], *, rate: float, momentum: float, weight_decay: float, fused: bool
    ) -> None:
        self.parameters = list(parameters)
        self.momenta: list[Tensor | None] = [None] * len(self.parameters)
        self.rate: float | Tensor = rate
        self.momentum, self.weight_decay, self._fused = momentum, weight_decay, fused

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter that has a gradient; one without neither moves nor decays."""
        with record_function("Optimizer.step#SGD.step"):  # as profilers know it
            moved = [i for i, parameter in enumerate(self.parameters) if parameter.grad is not None]
            first = [i for i in moved if self.momenta[i] is None]
            for chosen in (first, [i for i in moved if i not in first]) if first else (moved,):
                self._move(chosen)

    def _move(self, chosen: list[int]) -> None:
        """Move parameters of which all have been moved before, or none has; a fused call takes no others."""
        momenta = [self.momenta[i] for i in chosen]
        parameters = [self.parameters[i] for i in chosen]
        gradients: list[Any] = [parameter.grad for parameter in parameters]
        rate: Any = self.rate
        sgd(
            parameters,  # type: ignore[arg-type]
            gradients,
            momenta,
            lr=rate,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            dampening=0.0,
            nesterov=False,
            maximize=False,
            foreach=False,
            fused=self._fused,
        )
        for i, momentum in zip(chosen, momenta, strict=True):
            self.momenta[i] = momentum
