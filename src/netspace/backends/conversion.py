"""Networks into folders and back, and from one framework into another: weights travel under neutral names."""

from pathlib import Path
from typing import Any

from netspace.backends import BACKENDS, get_backend
from netspace.backends.checkpoints import read_network, write_network
from netspace.backends.record import ImageFormat
from netspace.errors import CheckpointError
from netspace.training.backend import Backend
from netspace.training.recipe import TrainingRecipe
from netspace.training.trial import TrialResult


def backend_of(network: Any) -> Backend:
    """Return the backend that built a network. Raises: CheckpointError where none did."""
    for cls in type(network).__mro__:
        name = cls.__module__.removeprefix("netspace.backends.").removesuffix("_model")
        if name in BACKENDS and hasattr(network, "spec"):  # a part of a network has none
            return get_backend(name)
    raise CheckpointError(f"network (={type(network).__name__}) must be one that `netspace.build` or `load` returned")


def save_network(
    network: Any,
    folder: Path,
    *,
    recipe: TrainingRecipe | None = None,
    result: TrialResult | None = None,
    images: ImageFormat | None = None,
) -> None:
    """Write a network's spec and weights to a folder, how it was trained, and on what. Raises: CheckpointError."""
    tensors = backend_of(network).arrays(network)
    write_network(network.spec, tensors, folder, recipe=recipe, result=result, images=images)


def load_network(folder: Path, backend: str = "torch") -> Any:
    """Return the network of a folder as a module of a framework, in evaluation mode. Raises: CheckpointError."""
    into = get_backend(backend)
    return into.with_arrays(*read_network(folder, into.types))


def convert(network: Any, backend: str) -> Any:
    """Return a copy of a network as a module of another framework, in evaluation mode. Raises: CheckpointError."""
    tensors = backend_of(network).arrays(network)
    return get_backend(backend).with_arrays(network.spec, tensors)
