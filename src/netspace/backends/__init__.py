"""From plan to framework: the only folder in which a framework may be imported.

`get_backend` imports one on demand; a missing framework is one sentence with the line that installs it.
"""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager

from netspace.errors import InputError, MissingFrameworkError, did_you_mean
from netspace.training.backend import Backend

BACKENDS = {
    "jax": "netspace.backends.jax_training:JaxBackend",
    "mxnet": "netspace.backends.mxnet_training:MXNetBackend",
    "tensorflow": "netspace.backends.tensorflow_training:TensorFlowBackend",
    "torch": "netspace.backends.torch_training:TorchBackend",
}
"""Where each backend's class stands."""


def get_backend(name: str) -> Backend:
    """Return a backend by name. Raises: InputError for an unknown one, MissingFrameworkError."""
    if not isinstance(name, str) or name not in BACKENDS:
        raise InputError(f"backend {name!r} does not exist{did_you_mean(str(name), BACKENDS)}")
    module, _, attribute = BACKENDS[name].partition(":")
    with needed_by(f"backend {name!r}", extra=name):
        made: type[Backend] = getattr(importlib.import_module(module), attribute)
    return made()


@contextmanager
def needed_by(what: str, *, extra: str) -> Iterator[None]:
    """Tell a package that is missing in this block in one sentence, with the line that installs it.

    Raises: MissingFrameworkError in place of the ModuleNotFoundError of a package that is not ours.
    """
    try:
        yield
    except ModuleNotFoundError as problem:
        if problem.name and problem.name.startswith("netspace"):
            raise
        raise MissingFrameworkError(
            f"{what} needs the package {problem.name!r}; install it with: pip install 'netspace[{extra}]'"
        ) from None
