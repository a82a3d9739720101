"""One writing process per store file, by a lock file that the operating system frees when its owner dies."""

import fcntl
import os
import platform
from pathlib import Path
from typing import IO

from netspace.errors import StoreError, StoreInUseError


class WriterLock:
    """Held while a store is written; made by `acquire`."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    @classmethod
    def acquire(cls, store: Path) -> "WriterLock":
        """Take the lock of a store, making its folder.

        Raises: StoreError where the folder cannot be written or another process holds the lock (it is named).
        """
        try:
            store.parent.mkdir(parents=True, exist_ok=True)
            aim = Path(os.path.realpath(store))  # a link to a store has the store's lock
            file = aim.with_name(aim.name + ".lock").open("a+", encoding="utf-8")
        except (OSError, ValueError) as problem:  # ValueError: a path with a null byte
            raise unwritable(store, problem) from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip()
            file.close()
            raise being_written(str(store), holder) from None
        try:
            file.truncate(0)
            os.write(file.fileno(), f"{this_process()}\n".encode())
        except OSError as problem:
            file.close()
            raise unwritable(store, problem) from None
        return cls(file)

    def release(self) -> None:
        """Free the lock; the file stays, so that no two processes lock different ones."""
        self._file.close()


def this_process() -> str:
    """Return what others are told of this process while it writes."""
    return f"process {os.getpid()} on {platform.node()}"


def being_written(name: str, holder: str, what: str = "") -> StoreInUseError:
    """Return the error of a store, or `what` of it, that another process writes."""
    written = f"{what} of store" if what else "store"
    return StoreInUseError(
        f"{written} {name!r} is being written by {holder or 'another process'}; wait for it or stop it"
    )


def unwritable(store: Path, problem: Exception) -> StoreError:
    """Return the error of a folder in which no store can be made or written."""
    reason = getattr(problem, "strerror", None) or problem
    return StoreError(f"store {str(store)!r} cannot be written ({reason}); give another output folder")
