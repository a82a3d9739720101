"""One writing process per store, by a lock file that the operating system frees when its owner dies."""

import fcntl
import os
import platform
from pathlib import Path
from typing import IO

from netspace.errors import StoreError


class WriterLock:
    """Held while a store is written; made by `acquire`."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    @classmethod
    def acquire(cls, store: Path) -> "WriterLock":
        """Take the lock of a store, making its folder.

        Raises: StoreError where the folder cannot be written or another process holds the lock (it is named).
        """
        path = store.with_name(store.name + ".lock")
        try:
            store.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("a+", encoding="utf-8")
        except (OSError, ValueError) as problem:  # ValueError: a path with a null byte
            reason = getattr(problem, "strerror", None) or problem
            raise StoreError(f"store {str(store)!r} cannot be written ({reason}); give another output folder") from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            owner = file.read().strip() or "another process"
            file.close()
            raise StoreError(f"store {str(store)!r} is being written by {owner}; wait for it or stop it") from None
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()} on {platform.node()}\n")
        file.flush()
        return cls(file)

    def release(self) -> None:
        """Free the lock; the file stays, so that no two processes lock different ones."""
        self._file.close()
