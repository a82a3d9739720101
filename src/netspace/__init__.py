"""netspace: design network design spaces.

Declare a space of convolutional networks, sample networks under a budget, train them all cheaply, and compare
spaces by the distribution of their errors. Importing this package loads no framework.
"""

from pathlib import Path
from typing import Any

from netspace.errors import SpecError
from netspace.networks.complexity import Complexity, complexity
from netspace.networks.fitting import fit_regnet
from netspace.networks.own_block import OwnBlock
from netspace.networks.regnet import regnet
from netspace.networks.scaling import scale
from netspace.networks.spec import NetworkSpec, Stage, Stem, check_spec
from netspace.networks.zoo import network
from netspace.spaces.catalog import space
from netspace.spaces.laws import Choice, LogUniform, PowersOfTwo, Uniform
from netspace.spaces.parameters import Parameter
from netspace.spaces.space import DesignSpace
from netspace.training.recipe import TrainingRecipe
from netspace.training.trial import TrialResult

__version__ = "0.1.0"

__all__ = [
    "Choice",
    "Complexity",
    "DesignSpace",
    "LogUniform",
    "NetworkSpec",
    "OwnBlock",
    "Parameter",
    "PowersOfTwo",
    "Stage",
    "Stem",
    "Study",
    "TrainingRecipe",
    "Uniform",
    "build",
    "compare",
    "complexity",
    "convert",
    "fit_regnet",
    "fuse",
    "load",
    "load_checkpoint",
    "load_record",
    "network",
    "pick",
    "regnet",
    "save",
    "scale",
    "space",
]

_LAZY = {
    "HubNetwork": ("netspace.backends.torch_hub", "HubNetwork"),  # needs an extra: not in `import *`
    "Study": ("netspace.studies.study", "Study"),
    "compare": ("netspace.stats", "compare"),
    "load_record": ("netspace.backends.record", "load_record"),
    "pick": ("netspace.studies.picking", "pick"),
}


def build(spec: NetworkSpec, *, backend: str = "torch", seed: int = 0) -> Any:
    """Return a network as the framework's own module, initialised from `seed`.

    Raises: MissingFrameworkError, with the line that installs the framework.
    """
    from netspace.backends import get_backend

    check_spec(spec)
    if not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise SpecError(f"seed (={seed!r}) must be a whole number from 0 to 2^63 - 1")
    return get_backend(backend).build(spec, seed=seed)


def save(
    network: Any,
    folder: str | Path,
    *,
    recipe: TrainingRecipe | None = None,
    result: TrialResult | None = None,
) -> None:
    """Write a network of any backend to a folder: `network.json` (its spec) and `model.safetensors` (its weights).

    `recipe.json` and `result.json` stand beside them where they are given; `load_record` reads them. What an older
    network left in the folder is replaced as a whole.

    Raises: CheckpointError where the folder cannot be written.
    """
    from netspace.backends.conversion import save_network

    save_network(network, Path(folder), recipe=recipe, result=result)


def load(folder: str | Path, *, backend: str = "torch") -> Any:
    """Return the network that `save` wrote, whatever its backend was, as a module of `backend` in evaluation mode.

    Raises: CheckpointError, which lists the tensors that are missing, unknown, misshapen or not finite.
    """
    from netspace.backends.conversion import load_network

    return load_network(Path(folder), backend)


def convert(network: Any, *, to: str) -> Any:
    """Return a copy of a network as a module of another backend, in evaluation mode: the same weights and logits.

    >>> import netspace as ns
    >>> again = ns.convert(ns.build(ns.network("regnetx32")), to="torch")
    >>> again.training
    False

    Raises: InputError where that backend cannot build it, CheckpointError for anything but a network of netspace's.
    """
    from netspace.backends.conversion import convert as converted

    return converted(network, to)


def fuse(network: Any) -> Any:
    """Return a copy of a network for inference: the same logits, its batch norms folded into its convolutions.

    The copy stays in evaluation mode and is not saved; fold again after loading.

    Raises: InputError for anything but a network that netspace built.
    """
    from netspace.backends.torch_fusing import fuse as fold

    return fold(network)


def load_checkpoint(
    path: str | Path, *, num_classes: int | None = None, in_channels: int | None = None, seed: int = 0
) -> Any:
    """Return the RegNet of a weights file of torchvision, timm or pycls as a PyTorch module, in evaluation mode.

    Another `num_classes` than the file's gives a fresh head, drawn from `seed`; `in_channels` other than the file's
    adapts the stem (see `netspace.backends.published`). The network's `spec` is derived from the tensors.

    Raises: CheckpointError, which lists what is missing, unknown, misshapen, of another type or not finite;
    MissingFrameworkError.
    """
    from netspace.backends import needed_by

    with needed_by("load_checkpoint", extra="torch"):
        from netspace.backends.published import load_checkpoint as load_published
    return load_published(Path(path), num_classes=num_classes, in_channels=in_channels, seed=seed)


def __getattr__(name: str) -> Any:
    """Load what needs more than NumPy when it is first asked for."""
    if name not in _LAZY:
        raise AttributeError(f"module 'netspace' has no attribute {name!r}")
    import importlib

    module, attribute = _LAZY[name]
    return getattr(importlib.import_module(module), attribute)
