"""netspace: design network design spaces.

Declare a space of convolutional networks, sample networks under a budget, train them all cheaply, and compare
spaces by the distribution of their errors. Importing this package loads no framework.
"""

from pathlib import Path
from typing import Any

from netspace.networks.complexity import Complexity, complexity
from netspace.networks.regnet import regnet
from netspace.networks.spec import NetworkSpec, Stage, Stem
from netspace.networks.zoo import network
from netspace.spaces.catalog import space
from netspace.spaces.space import DesignSpace

__version__ = "0.1.0"

__all__ = [
    "Complexity",
    "DesignSpace",
    "NetworkSpec",
    "Stage",
    "Stem",
    "Study",
    "build",
    "compare",
    "complexity",
    "load",
    "network",
    "regnet",
    "save",
    "space",
]

_LAZY = {"Study": ("netspace.study", "Study"), "compare": ("netspace.stats", "compare")}


def build(spec: NetworkSpec, *, backend: str = "torch", seed: int = 0) -> Any:
    """Return a network as the framework's own module, initialised from `seed`.

    Raises: MissingFrameworkError, with the line that installs the framework.
    """
    from netspace.backends import get_backend

    return get_backend(backend).build(spec, seed=seed)


def save(network: Any, folder: str | Path, *, backend: str = "torch") -> None:
    """Write a network to a folder: `network.json` (its spec) and `model.safetensors` (its weights).

    Raises: CheckpointError where the folder cannot be written.
    """
    from netspace.backends import get_backend

    get_backend(backend).save(network, Path(folder))


def load(folder: str | Path, *, backend: str = "torch") -> Any:
    """Return the network that `save` wrote, in evaluation mode.

    Raises: CheckpointError, which lists the tensors that are missing, unknown, misshapen or not finite.
    """
    from netspace.backends import get_backend

    return get_backend(backend).load(Path(folder))


def __getattr__(name: str) -> Any:
    """Load what needs SciPy or SQLAlchemy when it is first asked for."""
    if name not in _LAZY:
        raise AttributeError(f"module 'netspace' has no attribute {name!r}")
    import importlib

    module, attribute = _LAZY[name]
    return getattr(importlib.import_module(module), attribute)
