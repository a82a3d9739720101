"""The files of a named data set: looked for in one folder, fetched where that is asked for, kept only if right."""

import hashlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from netspace.errors import DataError
from netspace.files import written_aside

_TIMEOUT = 30.0  # [s]


def named_folder(name: str, folder: Path | None, file: str) -> Path:
    """Return the folder of a named data set's files. Raises: DataError where none is set."""
    if folder is None:
        raise DataError(
            f"{name}: no data folder is set; name the one that holds (or with --download, shall "
            f"hold) {file} with --data-dir or NETSPACE_DATA"
        )
    return folder


def missing(name: str, files: str, folder: Path) -> DataError:
    """Return the error of files that are not in their folder."""
    return DataError(
        f"{name}: {files} is not in {folder}; name its folder with --data-dir or NETSPACE_DATA, or fetch it with "
        "--download"
    )


def download(
    address: str,
    path: Path,
    *,
    name: str,
    sha256: str,
    largest: int,
    of: str = "its bytes",
    content: Callable[[bytes], bytes | None] = lambda packed: packed,
) -> None:
    """Fetch a file of which `content` has the given SHA-256; `of` says in words what that is.

    No more than `largest` [bytes] are read, so that a broken server cannot fill the memory.
    Raises: DataError where it cannot be fetched, is another file, or cannot be written; then nothing is left
    behind.
    """
    try:
        with urllib.request.urlopen(address, timeout=_TIMEOUT) as response:
            packed = response.read(largest)
    except (OSError, http.client.HTTPException, ValueError) as problem:
        if isinstance(problem, urllib.error.HTTPError):
            problem.close()
        raise DataError(
            f"{name}: {address} cannot be fetched ({problem}); put {path.name} into {path.parent} by other means"
        ) from None
    plain = content(packed)
    found = "no gzip file" if plain is None else hashlib.sha256(plain).hexdigest()
    if found != sha256:
        raise DataError(
            f"{name}: {address} is not the file it should be (SHA-256 of {of}: {found}, not {sha256}); nothing was kept"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_aside(path) as file:
            file.write(packed)
    except OSError as problem:
        raise DataError(f"{name}: {path} cannot be written ({problem.strerror})") from None
