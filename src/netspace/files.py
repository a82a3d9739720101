"""Writing files so that no reader ever meets half of one."""

import contextlib
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from netspace.faults import passing

ABANDONED = 3600.0
"""How long [s] a file that is written aside must rest before it counts as left by a process that was killed."""


@contextmanager
def written_aside(path: Path) -> Iterator[BinaryIO]:
    """Open a file beside `path` for writing that takes its place, whole and on disk, when the block ends.

    When the block fails nothing is left behind.
    """
    aside = aside_of(path)
    try:
        with open(aside, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        passing("written")
        os.replace(aside, path)
        passing("renamed")
    finally:
        aside.unlink(missing_ok=True)


def aside_of(path: Path) -> Path:
    """Return where a process writes what is to take the place of `path`: its name holds the host and the process."""
    return path.with_name(f".{path.name}.{platform.node()}.{os.getpid()}.part")


def remove_abandoned(folder: Path) -> None:
    """Remove what killed processes left half written in a folder, and nothing that another may be writing now."""
    for path in folder.glob(".*.part"):
        with contextlib.suppress(OSError):
            if _is_over(path) or time.time() - path.stat().st_mtime > ABANDONED:
                path.unlink()


def _is_over(aside: Path) -> bool:
    """Whether the process that wrote a file aside was one of this host, and is no more."""
    before, _, process = aside.stem.rpartition(".")
    if not before.endswith(f".{platform.node()}") or not process.isdecimal():
        return False
    try:
        os.kill(int(process), 0)  # sends nothing
    except ProcessLookupError:
        return True
    except OSError:  # another user's
        return False
    return False
