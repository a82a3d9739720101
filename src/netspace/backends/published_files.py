"""A weights file from elsewhere as named tensors: safetensors, or PyTorch's own format without any code.

Either may be hostile: nothing in it is run, and sizes that it claims but does not hold are refused.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from netspace.backends.checkpoints import read_plain, read_tensors
from netspace.errors import CheckpointError

WRAPPERS = ("state_dict", "model", "model_state")
"""Under which keys a training checkpoint holds its tensors."""


def read_published(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file, or of a PyTorch file of plain data. Raises: CheckpointError."""
    if path.exists() and not path.is_file():
        raise CheckpointError(f"{path}: must be a file; a folder that `save` wrote is for `load`")
    tensors = read_tensors(path, load_file) if path.suffix == ".safetensors" else _named_tensors(read_plain(path), path)
    # A view can claim any size, and many names can share one memory; what a file holds is never larger than the file.
    if sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()) > path.stat().st_size:
        raise CheckpointError(f"{path}: the tensors are larger than the file")
    if all(name.startswith("module.") for name in tensors):  # as DataParallel names them
        tensors = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    return tensors


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
