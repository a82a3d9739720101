"""Writing files so that no reader ever meets half of one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from netspace.faults import passing


@contextmanager
def written_aside(path: Path) -> Iterator[BinaryIO]:
    """Open a file beside `path` for writing that takes its place, whole and on disk, when the block ends.

    When the block fails nothing is left behind. The name holds the process id, so that two processes never
    write into one file.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
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
