"""What a worker writes to its standard output and error, kept by task where there is anything to keep."""

import contextlib
import datetime
import os
import platform
import tempfile
from pathlib import Path

MOST_BYTES = 1 << 20
"""Of what a task wrote the end is kept, up to this size [bytes]."""


class WorkerLog:
    """The output of one worker since its last task ended; `descriptor` is where the worker writes.

    `folder` gets one file per task that wrote or failed, named by the task's key, to which every attempt is appended.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = tempfile.TemporaryFile()  # noqa: SIM115, for as long as the worker lives
        self.descriptor = self._file.fileno()

    def keep(self, key: str, outcome: str, detail: str = "", *, always: bool) -> str:
        """Append what the worker wrote to its task's log, under a line that says how the task ended; return its name.

        A task that wrote nothing has no log, unless `always`. A log that cannot be written costs no result.
        """
        size = os.fstat(self.descriptor).st_size
        if not size and not always:
            return ""
        first = max(0, size - MOST_BYTES)
        written = os.pread(self.descriptor, MOST_BYTES, first)
        os.ftruncate(self.descriptor, 0)
        os.lseek(self.descriptor, 0, os.SEEK_SET)  # the worker's position too
        ended = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        missing = f"({first:,} bytes before this are left out)\n" if first else ""
        header = f"{ended} on {platform.node()}: {outcome}\n{missing}"
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            with open(self._folder / f"{key}.log", "ab") as file:
                file.write(
                    header.encode(errors="backslashreplace") + written + detail.encode(errors="backslashreplace")
                )
            return f"{self._folder.name}/{key}.log"
        return ""

    def close(self) -> None:
        """Let go of what nobody will ask for."""
        self._file.close()
