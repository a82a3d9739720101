"""What the backends other than PyTorch's have in common: neutral weights in and out, and no blocks of a user's own."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from netspace.backends.checkpoints import Arrays, TensorType, planned_types
from netspace.errors import InputError
from netspace.networks.spec import NetworkSpec
from netspace.networks.tensors import initial_tensors
from netspace.training.checkpoint import Checkpoint
from netspace.training.data import Dataset
from netspace.training.epochs import check_images, check_training
from netspace.training.recipe import PRECISIONS, TrainingRecipe
from netspace.training.trial import EpochRecord, Trial, TrialResult

ONLY_TORCH = ("average_epochs", "mixup", "cutmix", "small_resolution")
"""The fields of a recipe that these backends do not have."""


class TranslatedBackend(ABC):
    """A backend that gives its module, and carries arrays into it and out of it; see `Backend` for the contract."""

    name: ClassVar[str]
    precisions: ClassVar[tuple[str, ...]] = PRECISIONS

    @abstractmethod
    def module(self, spec: NetworkSpec, dtype: np.dtype[Any]) -> Any:
        """Return the framework's own module, in training mode where it has modes; its weights are of no account."""

    @abstractmethod
    def assign(self, network: Any, given: Mapping[str, npt.NDArray[Any]]) -> None:
        """Set all weights and running statistics of a network to arrays of the neutral names and layouts."""

    @abstractmethod
    def arrays(self, network: Any) -> Arrays:
        """Return a network's tensors as `netspace.networks.tensors` names them and lays them out."""

    @abstractmethod
    def dtype(self, network: Any) -> np.dtype[Any]:
        """Return the type of a network's weights."""

    @abstractmethod
    def evaluated(self, network: Any, images: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the logits (batch, classes) of at least one normalised image (batch, height, width, channels)."""

    @abstractmethod
    def take_threads(self, threads: int) -> None:
        """Have this process compute with so many threads. Raises: InputError."""

    @abstractmethod
    def train(
        self,
        trial: Trial,
        data: Dataset,
        *,
        on_epoch: Callable[[EpochRecord], None] | None = None,
        network: Any = None,
        checkpoint: Checkpoint | None = None,
    ) -> TrialResult:
        """Train one trial; see the contract. None of these backends goes on by a checkpoint: they begin again."""

    @abstractmethod
    def versions(self) -> dict[str, str]:
        """Return the versions of what computes."""

    def logits(self, network: Any, images: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the logits (batch, classes) of normalised images (batch, height, width, channels)."""
        check_images(network.spec, images, self.dtype(network))
        if not len(images):
            return np.empty((0, network.spec.num_classes), images.dtype)
        return self.evaluated(network, images)

    def to_train(self, network: Any, trial: Trial, data: Dataset) -> Any:
        """Return the network of a trial: what is given, if it can be trained, or a new one. Raises: InputError."""
        self.check_recipe(trial.recipe)
        if network is None:
            network = self.build(trial.network, seed=trial.stream_seed("initialisation"))
        check_training(trial, data, network.spec, self.dtype(network))
        return network

    def evaluation(self, network: Any) -> Any:
        """Return the network in evaluation mode, where modules of this framework have modes."""
        return network

    def build(self, spec: NetworkSpec, *, seed: int = 0) -> Any:
        """Return the framework's own module; the same seed gives the same weights in each of these backends."""
        self.check(spec)
        network = self.module(spec, np.dtype(np.float32))
        self.assign(network, initial_tensors(spec, seed))
        return network

    def with_arrays(self, spec: NetworkSpec, given: Mapping[str, npt.NDArray[Any]]) -> Any:
        """Return the network that has these tensors, with their type of numbers, in evaluation mode."""
        self.check(spec)
        network = self.module(spec, given["stem.conv.weight"].dtype)
        self.assign(network, given)
        return self.evaluation(network)

    def types(self, spec: NetworkSpec, dtype: np.dtype[Any]) -> dict[str, TensorType]:
        """Return what a network's file must hold."""
        self.check(spec)
        return planned_types(spec, dtype)

    def check(self, spec: NetworkSpec, resolution: int | None = None) -> None:
        """Refuse a network that this backend cannot build. Raises: InputError."""
        if spec.own_block is not None:
            raise InputError(
                f"backend {self.name!r} has no blocks of a user's own, and own block {spec.own_block.file!r} builds "
                "modules of PyTorch; use backend 'torch'"
            )

    def check_recipe(self, recipe: TrainingRecipe) -> None:
        """Refuse a precision that this backend does not have, and what PyTorch's alone has. Raises: InputError."""
        for field in ONLY_TORCH:
            given, default = getattr(recipe, field), getattr(TrainingRecipe(), field)
            if given != default:
                raise InputError(
                    f"{field} (={given}) must be left out for backend {self.name!r}, which has none; backend 'torch' "
                    "has it"
                )
        if recipe.precision not in self.precisions:
            raise InputError(
                f"precision (={recipe.precision!r}) must be {self.precisions[0]!r} for backend {self.name!r}; "
                "backend 'torch' has it"
            )


def check_threads(threads: int, running: int, *, what: str, variable: str) -> None:
    """Check that a framework which takes its number of threads once has taken this one. Raises: InputError."""
    if running != threads:
        raise InputError(
            f"threads (={threads}) must be {running}, with which {what} has started in this process; or start Python "
            f"with {variable}={threads}"
        )
