"""netspace: design network design spaces.

Declare a space of convolutional networks, sample networks under a budget, train them all cheaply, and compare
spaces by the distribution of their errors. Importing this package loads no framework.
"""

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
    "network",
    "regnet",
    "space",
]

_LAZY = {"Study": ("netspace.study", "Study"), "compare": ("netspace.stats", "compare")}


def build(spec: NetworkSpec, *, backend: str = "torch", seed: int = 0) -> Any:
    """Return a network as the framework's own module, initialised from `seed`.

    Raises: MissingFrameworkError, with the line that installs the framework.
    """
    from netspace.backends import get_backend

    return get_backend(backend).build(spec, seed=seed)


def __getattr__(name: str) -> Any:
    """Load what needs SciPy or SQLAlchemy when it is first asked for."""
    if name not in _LAZY:
        raise AttributeError(f"module 'netspace' has no attribute {name!r}")
    import importlib

    module, attribute = _LAZY[name]
    return getattr(importlib.import_module(module), attribute)
