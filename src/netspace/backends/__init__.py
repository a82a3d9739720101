"""From plan to framework: the only folder in which a framework may be imported.

`get_backend` imports one on demand; a missing framework is one sentence with the line that installs it.
"""

import importlib

from netspace.errors import InputError, MissingFrameworkError, did_you_mean
from netspace.training.backend import Backend

BACKENDS = {"torch": "netspace.backends.torch_training:TorchBackend"}
"""Where each backend's class stands."""


def get_backend(name: str) -> Backend:
    """Return a backend by name. Raises: InputError for an unknown one, MissingFrameworkError."""
    if name not in BACKENDS:
        raise InputError(f"backend {name!r} does not exist{did_you_mean(name, BACKENDS)}")
    module, _, attribute = BACKENDS[name].partition(":")
    try:
        backend: Backend = getattr(importlib.import_module(module), attribute)()
    except ModuleNotFoundError as problem:
        if problem.name and problem.name.startswith("netspace"):
            raise
        raise MissingFrameworkError(
            f"backend {name!r} needs the package {problem.name!r}; install it with: pip install 'netspace[{name}]'"
        ) from None
    return backend
