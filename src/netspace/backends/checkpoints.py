"""A network as a folder: `network.json` (its spec), `model.safetensors` (its weights), and its record beside them.

The weights are named and laid out as `netspace.networks.tensors` says, whichever backend they come from. Nothing that
netspace writes is ever unpickled: safetensors holds numbers and names, and no code. Weights from elsewhere may be in
PyTorch's own format, of which `read_plain` alone takes plain data. A network of own blocks names the file of its block,
which is run if its content is still the same.
"""

import mmap
import os
import zipfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save

from netspace.backends.record import IMAGES_FILE, RECIPE_FILE, RESULT_FILE, ImageFormat, as_json, read_json
from netspace.errors import CheckpointError, SpecError
from netspace.files import written_aside
from netspace.networks.spec import NetworkSpec
from netspace.networks.tensors import tensors as planned_tensors
from netspace.training.recipe import TrainingRecipe
from netspace.training.trial import TrialResult

SPEC_FILE = "network.json"
WEIGHTS_FILE = "model.safetensors"
COUNTER = ".num_batches_tracked"
"""How PyTorch's counters of batches end, which a file may hold and nothing uses."""

FLOATS = ("float16", "bfloat16", "float32", "float64")
"""The types of numbers that a network's file may have."""

Arrays = dict[str, npt.NDArray[Any]]
"""A network's tensors by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorType:
    """What is known of a tensor before it is there."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def planned_types(spec: NetworkSpec, dtype: np.dtype[Any]) -> dict[str, TensorType]:
    """Return what a network's file must hold, if its numbers are floats of this type; float32 where they are none."""
    dtype = dtype if dtype.name in FLOATS else np.dtype(np.float32)
    return {tensor.name: TensorType(shape=tensor.shape, dtype=dtype) for tensor in planned_tensors(spec)}


def write_network(
    spec: NetworkSpec,
    tensors: Arrays,
    folder: Path,
    *,
    recipe: TrainingRecipe | None = None,
    result: TrialResult | None = None,
    images: ImageFormat | None = None,
) -> None:
    """Write a network's spec and weights, and what is given of its record.

    All files are written aside before the first of an older network is touched. The older spec and record go first
    and the new spec comes last, so that a save cut short leaves no network rather than a mixture of two.

    Raises: CheckpointError where the folder cannot be written.
    """
    whole = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    contents = {WEIGHTS_FILE: save(whole, metadata={"network": spec.digest})}
    record = {RECIPE_FILE: recipe, RESULT_FILE: result, IMAGES_FILE: images}
    contents |= {name: as_json(value) for name, value in record.items() if value is not None}
    contents[SPEC_FILE] = as_json(spec)
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


def read_network(
    folder: Path, expected: Callable[[NetworkSpec, np.dtype[Any]], Mapping[str, TensorType]] = planned_types
) -> tuple[NetworkSpec, Arrays]:
    """Return the spec and the tensors that `write_network` wrote; `expected` says what a network must have.

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
    tensors: Arrays = read_tensors(weights, load_file)
    blocks = sum(stage.depth for stage in spec.stages)
    if blocks > max(1000, len(tensors)):  # even their names would take minutes
        raise CheckpointError(f"{weights}: {len(tensors)} tensors are too few for the {blocks:,} blocks of {SPEC_FILE}")
    stem = tensors.get("stem.conv.weight")
    known = expected(spec, np.dtype(np.float32) if stem is None else stem.dtype)
    tensors = {name: tensor for name, tensor in tensors.items() if name in known or not name.endswith(COUNTER)}
    check_tensors(tensors, known, source=weights)
    with safe_open(weights, framework="np") as file:
        digest = (file.metadata() or {}).get("network", spec.digest)
    if digest != spec.digest:
        raise CheckpointError(
            f"{folder / SPEC_FILE}: not the network that the weights were saved with; its digest must be {digest}"
        )
    return spec, tensors


def read_tensors(path: Path, load: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    """Return the tensors of a safetensors file as `load` gives them. Raises: CheckpointError."""
    try:
        return load(path)
    except OSError as problem:
        reason = problem.strerror or "no such file"
        raise CheckpointError(f"{path}: cannot be read ({reason})") from None
    except SafetensorError as problem:
        raise CheckpointError(f"{path}: not a safetensors file ({problem})") from None
    except AttributeError:  # safetensors asks NumPy for a type by a name that it does not have
        raise CheckpointError(
            f"{path}: holds numbers of a type, such as float8, that is none of {', '.join(FLOATS)}"
        ) from None


def read_plain(path: Path) -> Any:
    """Return the plain data of a file in PyTorch's format; no code in it is run, and it claims no more than it holds.

    This is the one place where that format is read. Raises: CheckpointError.
    """
    from pickle import UnpicklingError

    import torch  # all else here is for every framework

    try:
        file = path.open("rb")
    except OSError as problem:
        raise CheckpointError(f"{path}: cannot be read ({problem.strerror})") from None
    with file:
        try:
            if file.read(4) == b"PK\x03\x04" and _inflates(file, path.stat().st_size):
                raise CheckpointError(f"{path}: a compressed archive, which PyTorch never writes")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                # The one plain type whose size a pickle can claim without holding it.
                if content.find(b"bytearray") >= 0:
                    raise CheckpointError(f"{path}: holds a bytearray, which no weights file needs")
            file.seek(0)
            return torch.load(file, map_location="cpu", weights_only=True)
        except CheckpointError:
            raise
        except UnpicklingError:
            raise CheckpointError(
                f"{path}: holds more than tensors and plain data, and no code in it was run; "
                "save the state dict alone: torch.save(model.state_dict(), path)"
            ) from None
        except Exception as problem:  # a damaged pickle can raise anything
            raise CheckpointError(
                f"{path}: not a PyTorch file of plain data ({type(problem).__name__}); no code in it was run"
            ) from None


def _inflates(file: BinaryIO, size: int) -> bool:
    with zipfile.ZipFile(file) as archive:
        return sum(entry.file_size for entry in archive.infolist()) > size


def check_tensors(given: Mapping[str, Any], expected: Mapping[str, Any], *, source: str | Path) -> None:
    """Check that a file holds exactly the tensors of a network, with their shapes, types and finite numbers.

    Both are arrays of NumPy or tensors of PyTorch; of what is expected, only shape and type are looked at.

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
        "not finite": [name for name in alike if not np.isfinite(np.asarray(given[name])).all()],
        "negative": [name for name in alike if name.endswith("running_var") and (np.asarray(given[name]) < 0).any()],
    }
    found = [f"{what}: {_listed(names)}" for what, names in wrong.items() if names]
    if found:
        raise CheckpointError(f"{source}: the tensors are not the network's: {'; '.join(found)}")


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
