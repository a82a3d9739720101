"""Files that a command writes at the end: checked before anything is done, then a network's spec, or bytes."""

import json
from pathlib import Path

from netspace.errors import InputError
from netspace.files import written_aside
from netspace.networks.spec import NetworkSpec


def check_file(option: str, path: Path | None, suffixes: tuple[str, ...]) -> None:
    """Check that a file may be written, before anything is read or measured. Raises: InputError."""
    if path is None:
        return
    if path.suffix not in suffixes:
        nearest = path.with_suffix(suffixes[0]).name
        raise InputError(f"{option} (={str(path)!r}) must end in {' or '.join(suffixes)}; nearest: {nearest!r}")
    if not path.parent.is_dir():
        raise InputError(f"{option} (={str(path)!r}): the folder {str(path.parent)!r} does not exist")


def write_network(spec: NetworkSpec, path: Path) -> None:
    """Write a network's spec to a file that other commands take. Raises: InputError."""
    write_bytes((json.dumps(spec.to_dict(), indent=2) + "\n").encode(), path)


def write_bytes(content: bytes, path: Path) -> None:
    """Write a file as a whole, in place of what stood there. Raises: InputError."""
    try:
        with written_aside(path) as file:
            file.write(content)
    except OSError as problem:
        raise InputError(f"{str(path)!r} cannot be written ({problem.strerror})") from None
