"""A network as a folder of two files: `network.json` (its spec) and `model.safetensors` (its weights).

Nothing is ever unpickled: safetensors holds numbers and names, and no code.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from netspace.backends.torch_model import AnyNet, build
from netspace.errors import CheckpointError, SpecError
from netspace.files import written_aside
from netspace.networks.spec import NetworkSpec

SPEC_FILE = "network.json"
WEIGHTS_FILE = "model.safetensors"


def save_network(network: AnyNet, folder: Path) -> None:
    """Write a network's spec and weights, each aside first and then renamed.

    Raises: CheckpointError where the folder cannot be written.
    """
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with written_aside(folder / WEIGHTS_FILE) as file:
            file.write(save(tensors, metadata={"network": network.spec.digest}))
        with written_aside(folder / SPEC_FILE) as file:
            file.write((json.dumps(network.spec.to_dict(), indent=2) + "\n").encode())
    except OSError as problem:
        raise CheckpointError(f"folder {str(folder)!r} cannot be written ({problem.strerror})") from None


def load_network(folder: Path) -> AnyNet:
    """Return the network that `save_network` wrote, in evaluation mode.

    Raises: CheckpointError where a file is missing, damaged, or holds other tensors than the network has; they are
    listed by name.
    """
    try:
        spec = NetworkSpec.from_dict(json.loads((folder / SPEC_FILE).read_text(encoding="utf-8")))
    except OSError as problem:
        raise CheckpointError(f"{folder / SPEC_FILE}: cannot be read ({problem.strerror})") from None
    except SpecError as problem:
        raise CheckpointError(f"{folder / SPEC_FILE}: {problem}") from None
    except ValueError as problem:
        raise CheckpointError(f"{folder / SPEC_FILE}: not valid JSON ({problem})") from None
    network = build(spec)
    tensors = read_tensors(folder / WEIGHTS_FILE)
    check_tensors(tensors, network.state_dict(), source=folder / WEIGHTS_FILE)
    network.load_state_dict(tensors)
    return network.eval()


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file. Raises: CheckpointError."""
    try:
        return load_file(path)
    except OSError as problem:
        reason = problem.strerror or "no such file"
        raise CheckpointError(f"{path}: cannot be read ({reason})") from None
    except SafetensorError as problem:
        raise CheckpointError(f"{path}: not a safetensors file ({problem})") from None


def check_tensors(given: Mapping[str, Tensor], expected: Mapping[str, Tensor], *, source: Path) -> None:
    """Check that a file holds exactly the tensors of a network, with their shapes, types and finite numbers.

    Raises: CheckpointError, which lists what is missing, unknown, misshapen, of another type, or not finite.
    """
    both = [name for name in expected if name in given]
    wrong = {
        "missing": [name for name in expected if name not in given],
        "unknown": [name for name in given if name not in expected],
        "misshapen": [
            f"{name} {tuple(given[name].shape)} instead of {tuple(expected[name].shape)}"
            for name in both
            if given[name].shape != expected[name].shape
        ],
        "of another type": [
            f"{name} {given[name].dtype} instead of {expected[name].dtype}"
            for name in both
            if given[name].dtype != expected[name].dtype
        ],
        "not finite": [name for name in both if not torch.isfinite(given[name]).all()],
    }
    found = [f"{what}: {_listed(names)}" for what, names in wrong.items() if names]
    if found:
        raise CheckpointError(f"{source}: the tensors are not the network's: {'; '.join(found)}")


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
