"""How a command names a network: by the zoo, by a spec, by a saved folder, by a file of published weights."""

import json
from pathlib import Path
from typing import Any

from netspace.backends import needed_by
from netspace.errors import InputError, SpecError
from netspace.networks.spec import NetworkSpec
from netspace.networks.zoo import NETWORKS, network

SOURCES = "A name of `netspace zoo`, a spec in a .json file, a folder of `netspace.save`, or a published checkpoint."

WEIGHTS = (".safetensors", ".pth", ".pt", ".pyth")
"""How the names of published files end; any other file is tried as well."""


def find_spec(name: str) -> NetworkSpec:
    """Return the spec of whatever names a network. Raises: InputError."""
    if name in NETWORKS:
        return network(name)
    path = Path(name)
    if path.is_dir():
        path = path / "network.json"
    if path.suffix == ".json":
        return read_spec(path)
    if path.is_file() or path.suffix in WEIGHTS or path.name != name:
        spec: NetworkSpec = read_network(path).spec
        return spec
    return network(name)


def read_network(path: Path) -> Any:
    """Return the network of a folder or a published file; a name has no trained weights. Raises: InputError."""
    if not path.exists():
        if str(path) in NETWORKS:
            raise InputError(
                f"network {str(path)!r} is a name, and its weights would be random; "
                "give a folder that netspace.save wrote, or a published checkpoint"
            )
        raise InputError(f"network {str(path)!r}: there is no such folder or file")
    with needed_by("reading weights", extra="torch"):
        from netspace.backends.conversion import load_network
        from netspace.backends.published import load_checkpoint

    return load_network(path) if path.is_dir() else load_checkpoint(path)


def read_spec(path: Path) -> NetworkSpec:
    """Return the spec of a JSON file. Raises: InputError, SpecError."""
    try:
        return NetworkSpec.from_dict(json.loads(path.read_text(encoding="utf-8"))).found(path.parent)
    except OSError as problem:
        raise InputError(f"network file {str(path)!r} cannot be read ({problem.strerror})") from None
    except ValueError as problem:
        raise SpecError(f"network file {str(path)!r}: {problem}") from None
