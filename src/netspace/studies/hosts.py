"""What a host must have so that its results are those of any other: the same versions, kernels and data."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from netspace import __version__
from netspace.backends import get_backend
from netspace.errors import DataError, ExecutionError, InputError
from netspace.training.data import Dataset
from netspace.training.device import CPU
from netspace.training.packs import open_packed


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """The release of netspace and the versions of a study's driver; its kernels, device and data's fingerprint."""

    versions: dict[str, str]
    kernels: str
    data: str
    device: str = CPU
    netspace: str = __version__


def versions_here(backend: str) -> dict[str, str]:
    """Return the versions of what computes in this process. Raises: MissingFrameworkError."""
    return {"python": platform.python_version(), "numpy": np.__version__, **get_backend(backend).versions()}


def check_host(needed: Needed, versions: Mapping[str, str]) -> None:
    """Check that this host computes as is needed. Raises: ExecutionError, naming the host."""
    host, found = platform.node(), {"netspace": __version__, **versions}
    for name, wanted in {"netspace": needed.netspace, **needed.versions}.items():
        if found.get(name) != wanted:
            raise ExecutionError(
                f"host {host} has {name} {found.get(name, 'not at all')}, and the driver {wanted}; install the same on "
                "both, since others may give other numbers"
            )
    if needed.kernels == "native":
        from netspace.backends.torch_native import missing_operators

        missing = missing_operators()
        if missing is not None:
            raise ExecutionError(f"kernels (='native') cannot be had on host {host}: {missing}")
    if needed.device != CPU:
        from netspace.backends.torch_devices import find_device

        try:
            find_device(needed.device)
        except InputError as problem:
            raise ExecutionError(f"host {host}: {problem}") from None


def data_here(needed: Needed, folder: Path) -> Dataset:
    """Return the packed data, without the test split. Raises: ExecutionError where this host has others, or none."""
    advice = "keep the output folder on a disk that all hosts share, under the same path"
    try:
        data = open_packed(folder, ("training", "validation"))
    except DataError as problem:
        raise ExecutionError(f"host {platform.node()} cannot read the study's data ({problem}); {advice}") from None
    if data.fingerprint != needed.data:
        raise ExecutionError(f"host {platform.node()} has other data than the study's in {folder}; {advice}")
    return data
