"""A weights file from elsewhere as named tensors: safetensors, or PyTorch's own format without any code.

Either may be hostile: nothing in it is run, and sizes that it claims but does not hold are refused.
"""

import mmap
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors.torch import load_file
from torch import Tensor

from netspace.backends.checkpoints import read_tensors
from netspace.errors import CheckpointError

WRAPPERS = ("state_dict", "model", "model_state")
"""Under which keys a training checkpoint holds its tensors."""


def read_published(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file, or of a PyTorch file of plain data. Raises: CheckpointError."""
    if path.exists() and not path.is_file():
        raise CheckpointError(f"{path}: must be a file; a folder that `save` wrote is for `load`")
    tensors = read_tensors(path, load_file) if path.suffix == ".safetensors" else _named_tensors(_unpickled(path), path)
    # A view can claim any size, and many names can share one memory; what a file holds is never larger than the file.
    if sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()) > path.stat().st_size:
        raise CheckpointError(f"{path}: the tensors are larger than the file")
    if all(name.startswith("module.") for name in tensors):  # as DataParallel names them
        tensors = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    return tensors


def _unpickled(path: Path) -> Any:
    """Return what PyTorch's reader of plain data, which runs no code, finds in a file. Raises: CheckpointError."""
    try:
        file = path.open("rb")
    except OSError as problem:
        raise CheckpointError(f"{path}: cannot be read ({problem.strerror})") from None
    with file:
        try:
            if file.read(4) == b"PK\x03\x04" and _inflates(file, path.stat().st_size):
                raise CheckpointError(f"{path}: a compressed archive, which PyTorch never writes")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                if (
                    content.find(b"bytearray") >= 0
                ):  # the one plain type whose size a pickle can claim without holding it
                    raise CheckpointError(f"{path}: holds a bytearray, which no weights file needs")
            file.seek(0)
            return torch.load(file, map_location="cpu", weights_only=True)
        except CheckpointError:
            raise
        except pickle.UnpicklingError:
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


def _named_tensors(loaded: Any, path: Path) -> dict[str, Tensor]:
    """Return the tensors of plain data, out of their wrapper. Raises: CheckpointError."""
    if isinstance(loaded, Mapping):
        loaded = next((loaded[key] for key in WRAPPERS if isinstance(loaded.get(key), Mapping)), loaded)
    if not isinstance(loaded, Mapping):
        raise CheckpointError(f"{path}: holds a {type(loaded).__name__} instead of named tensors")
    for name, value in loaded.items():
        plain = isinstance(value, Tensor) and value.layout is torch.strided and value.device.type == "cpu"
        if not isinstance(name, str) or not plain:
            raise CheckpointError(f"{path}: {name!r} must be the name of a plain tensor")
    return {name: tensor.detach() for name, tensor in loaded.items()}
