"""All that a step of PyTorch's training changes, as named arrays and back: weights, momentum, generators."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor, nn

from netspace.backends.checkpoints import Arrays
from netspace.backends.torch_sgd import SGD
from netspace.errors import CheckpointError


class TorchState:
    """The state of an optimiser, of generators of random numbers, and of all modules that are given by name.

    An averaged network beside the trained one, say, is one more module. `unsaved` says why a training is not to be gone
    on with, where it has become another than its trial's; None as long as it is that.
    """

    def __init__(
        self,
        optimiser: SGD,
        generators: Mapping[str, torch.Generator],
        *,
        unsaved: Callable[[], str | None] = lambda: None,
        **modules: nn.Module,
    ) -> None:
        self._unsaved = unsaved
        self._optimiser = optimiser
        self._generators = generators
        self._modules = modules

    def arrays(self) -> Arrays:
        """Return the state; the arrays share memory with it. Raises: CheckpointError where it is not to be saved."""
        why = self._unsaved()
        if why is not None:
            raise CheckpointError(why)
        tensors = self._tensors() | self._momenta()
        tensors |= {f"generators/{name}": generator.get_state() for name, generator in self._generators.items()}
        return {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}

    @torch.no_grad()
    def restore(self, given: Mapping[str, npt.NDArray[Any]]) -> None:
        """Set the state. Raises: CheckpointError where the arrays are not those of these modules and generators."""
        tensors, places = self._tensors(), self._places()
        expected = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        expected |= {f"generators/{name}": tuple(g.get_state().shape) for name, g in self._generators.items()}
        momenta = {name: place for name, place in places.items() if name in given}
        expected |= {name: tuple(self._optimiser.parameters[place].shape) for name, place in momenta.items()}
        if expected != {name: array.shape for name, array in given.items()}:
            raise CheckpointError("its tensors are not those of this training")
        for name, tensor in tensors.items():
            tensor.copy_(torch.from_numpy(given[name]))
        for name, generator in self._generators.items():
            generator.set_state(torch.from_numpy(given[f"generators/{name}"]))
        for name, place in momenta.items():
            parameter = self._optimiser.parameters[place]
            self._optimiser.momenta[place] = torch.empty_like(parameter).copy_(torch.from_numpy(given[name]))

    def _tensors(self) -> dict[str, Tensor]:
        """Return weights and statistics, which are set in place, so that their layout stays."""
        return {
            f"{of}/{name}": tensor
            for of, module in self._modules.items()
            for name, tensor in module.state_dict(keep_vars=True).items()
        }

    def _momenta(self) -> dict[str, Tensor]:
        """Return what the optimiser keeps: nothing before its first step, or without momentum."""
        momenta = zip(self._places(), self._optimiser.momenta, strict=True)
        return {name: momentum for name, momentum in momenta if momentum is not None}

    def _places(self) -> dict[str, int]:
        """Return the number of each parameter by the name of its momentum."""
        return {f"optimiser/{i}/momentum_buffer": i for i in range(len(self._optimiser.parameters))}
