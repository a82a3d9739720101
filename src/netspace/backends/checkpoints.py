"""A network as a folder: `network.json` (its spec), `model.safetensors` (its weights), and its record beside them.

Nothing is ever unpickled: safetensors holds numbers and names, and no code. A network of own blocks names the file
of its block, which is run if its content is still the same.
"""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from netspace.backends.record import RECIPE_FILE, RESULT_FILE, as_json, read_json
from netspace.backends.torch_fusing import FoldedNet
from netspace.backends.torch_model import AnyNet, build
from netspace.errors import CheckpointError, SpecError
from netspace.files import written_aside
from netspace.networks.spec import NetworkSpec
from netspace.training.recipe import TrainingRecipe
from netspace.training.trial import TrialResult

SPEC_FILE = "network.json"
WEIGHTS_FILE = "model.safetensors"


def save_network(
    network: AnyNet, folder: Path, *, recipe: TrainingRecipe | None = None, result: TrialResult | None = None
) -> None:
    """Write a network's spec and weights, and what is given of its record.

    All files are written aside before the first of an older network is touched. The older spec and record go first
    and the new spec comes last, so that a save cut short leaves no network rather than a mixture of two.

    Raises: CheckpointError where the folder cannot be written, or the network is folded.
    """
    if not isinstance(network, AnyNet):
        raise CheckpointError(
            f"network (={type(network).__name__}) must be one that `netspace.build` or `load` returned"
        )
    refuse_folded(network)
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    contents = {WEIGHTS_FILE: save(tensors, metadata={"network": network.spec.digest})}
    record = {RECIPE_FILE: recipe, RESULT_FILE: result}
    contents |= {name: as_json(value) for name, value in record.items() if value is not None}
    contents[SPEC_FILE] = as_json(network.spec)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            for name, content in reversed(contents.items()):  # the last that is opened is the first to be renamed
                file = stack.enter_context(written_aside(folder / name))
                file.write(content)
                file.flush()
                os.fsync(file.fileno())  # now, so that hardly any time is left between the old network and the new
            for name in (SPEC_FILE, *record):
                (folder / name).unlink(missing_ok=True)
    except OSError as problem:
        raise CheckpointError(f"folder {str(folder)!r} cannot be written ({problem.strerror})") from None


def refuse_folded(network: AnyNet) -> None:
    """Raise CheckpointError for a folded network, whose tensors no file format of ours or of others holds."""
    if isinstance(network, FoldedNet):
        raise CheckpointError("network is folded and no file holds it; save the network that was given to `fuse`")


def load_network(folder: Path) -> AnyNet:
    """Return the network that `save_network` wrote, in evaluation mode.

    Raises: CheckpointError where a file is missing, damaged, or holds other tensors than the network has; they are
    listed by name. Nothing is allocated before that is known.
    """
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such folder; `load_checkpoint` reads files of other libraries")
    try:
        spec = NetworkSpec.from_dict(read_json(folder / SPEC_FILE)).found(folder)
    except SpecError as problem:
        raise CheckpointError(f"{folder / SPEC_FILE}: {problem}") from None
    weights = folder / WEIGHTS_FILE
    tensors = read_tensors(weights)
    blocks = sum(stage.depth for stage in spec.stages)
    if blocks > max(1000, len(tensors)):  # even their names would take minutes
        raise CheckpointError(f"{weights}: {len(tensors)} tensors are too few for the {blocks:,} blocks of {SPEC_FILE}")
    stem = tensors.get("stem.conv.weight")
    check_tensors(tensors, expected_tensors(spec, torch.float32 if stem is None else stem.dtype), source=weights)
    with safe_open(weights, framework="pt") as file:
        digest = (file.metadata() or {}).get("network", spec.digest)
    if digest != spec.digest:
        raise CheckpointError(
            f"{folder / SPEC_FILE}: not the network that the weights were saved with; its digest must be {digest}"
        )
    network = build(spec).to(next(tensor.dtype for tensor in tensors.values() if tensor.is_floating_point()))
    network.load_state_dict(tensors)
    return network.eval()


def expected_tensors(spec: NetworkSpec, dtype: torch.dtype) -> dict[str, Tensor]:
    """Return the tensors of a network without their memory, so that any spec can be compared before it is built."""
    with torch.device("meta"):
        return AnyNet(spec).to(dtype if dtype.is_floating_point else torch.float32).state_dict()


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file. Raises: CheckpointError."""
    try:
        return load_file(path)
    except OSError as problem:
        reason = problem.strerror or "no such file"
        raise CheckpointError(f"{path}: cannot be read ({reason})") from None
    except SafetensorError as problem:
        raise CheckpointError(f"{path}: not a safetensors file ({problem})") from None


def check_tensors(given: Mapping[str, Tensor], expected: Mapping[str, Tensor], *, source: str | Path) -> None:
    """Check that a file holds exactly the tensors of a network, with their shapes, types and finite numbers.

    Raises: CheckpointError, which lists what is missing, unknown, misshapen, of another type, not finite, or a negative
    variance.
    """
    both = [name for name in expected if name in given]
    alike = [name for name in both if given[name].dtype == expected[name].dtype]
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
        "not finite": [name for name in alike if not torch.isfinite(given[name]).all()],
        "negative": [name for name in alike if name.endswith("running_var") and (given[name] < 0).any()],
    }
    found = [f"{what}: {_listed(names)}" for what, names in wrong.items() if names]
    if found:
        raise CheckpointError(f"{source}: the tensors are not the network's: {'; '.join(found)}")


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
