"""Stores in SQLite: a file with one writing process, the default; and memory, for what need not outlive its process.

The rollback journal is kept, with full synchronisation: the write-ahead log can lose data in the versions that Python
3.11 often carries. Readers open the file for writing where they may, and are kept from it by `query_only`: so what a
killed writer left half written is rolled back by whoever comes first.
"""

import os
import sqlite3
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import sqlalchemy as sa

from netspace.errors import ExecutionError, NetspaceError, StoreError
from netspace.storage.lock import WriterLock, being_written, this_process, unwritable
from netspace.storage.network_disks import network_disk
from netspace.storage.place import Access, damaged, told

PATIENCE = 600.0
"""How long a writer waits for a reader, and a reader for a writer [s]."""

HEADER = b"SQLite format 3\x00"
"""How a file begins, before two bytes with the size of its pages."""
STORE_NAME = "study.db"
"""The name of a store in its study's output folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteFile:
    """A store in one file."""

    path: Path
    shareable: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """The path as it was given."""
        return str(self.path)

    @property
    def elsewhere(self) -> str:
        """Another folder."""
        return "another output folder"

    @property
    def folder(self) -> Path:
        """The file's own."""
        return self.path.parent

    def exists(self) -> bool:
        """Whether there is a file, or anything else of this name."""
        return self.path.exists()

    def engine(self, access: Access, *, claim: str = "") -> sa.Engine:
        """Return the way to the file; see `Place.engine`."""
        if access == "read":
            self._check()
            return _engine(self.path, writable=False)
        kind = network_disk(self.path)
        if kind is not None:
            raise StoreError(
                f"store {self.name!r} is on a network file system ({kind}), where SQLite can lose results; give an "
                "output folder on a disk of this machine, or a store in PostgreSQL (--store)"
            )
        lock = WriterLock.acquire(self.path)
        engine = _engine(self.path, writable=True)
        sa.event.listen(engine, "engine_disposed", lambda _: lock.release(), once=True)
        return engine

    def make(self, fill: Callable[[sa.Connection], None]) -> None:
        """Make a store aside and rename it."""
        aside = self.path.with_name(f".{self.path.name}.part")
        engine = _engine(aside, writable=True)
        try:
            aside.unlink(missing_ok=True)
            with told(self), engine.begin() as connection:
                fill(connection)
            engine.dispose()
            aside.replace(self.path)
        except OSError as problem:
            raise unwritable(self.path, problem) from None
        finally:
            engine.dispose()
            aside.unlink(missing_ok=True)

    def copy_to_upgrade(self, engine: sa.Engine) -> sa.Engine:
        """Return a copy in memory: the file may be older than this netspace for as long as nobody writes it."""
        copy = sqlite3.connect(":memory:", check_same_thread=False)
        with told(self), engine.connect() as connection:
            source: Any = connection.connection.driver_connection
            source.backup(copy)
        return _engine_of(copy, closing=True)

    def inside(self, *names: str) -> "SqliteFile":
        """Return a store in a folder below this one's."""
        return SqliteFile(path=self.path.parent.joinpath(*names, STORE_NAME))

    def explain(self, problem: sa.exc.DBAPIError) -> NetspaceError:
        """Return one sentence for what SQLite said."""
        return _explain(self.name, problem)

    def _check(self) -> None:
        if not self.path.is_file():
            raise StoreError(f"store {self.name!r} does not exist; `netspace run STUDY.toml` makes one")
        try:
            journal = self.path.with_name(f"{self.path.name}-journal").exists()
            with self.path.open("rb") as file:
                header = file.read(len(HEADER) + 2)
                size = file.seek(0, os.SEEK_END)
        except OSError as problem:
            raise StoreError(f"store {self.name!r} cannot be read ({problem.strerror})") from None
        if not header.startswith(HEADER):
            what = "is no SQLite file" if header else "is empty, as a copy that was cut short is"
            raise StoreError(f"{self.name!r} is not a netspace store: it {what}")
        # SQLite would take zeros for what is missing of a page; with a journal it takes back what was half written.
        if size % max(int.from_bytes(header[len(HEADER) :], "big"), 512) and not journal:
            raise damaged(self.name, "it ends within a page, as a copy that was cut short does")


class Memory:
    """A store that ends with its process; for one thread at a time."""

    name = "memory"
    elsewhere = "another Memory()"
    folder = Path("runs", "memory")
    shareable = False

    def __init__(self) -> None:
        self._connection = sqlite3.connect(":memory:", check_same_thread=False)
        self._written = threading.Lock()
        self._stores_inside: dict[tuple[str, ...], Memory] = {}
        weakref.finalize(self, self._connection.close)

    def exists(self) -> bool:
        """Whether a store was made here."""
        return bool(self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])

    def engine(self, access: Access, *, claim: str = "") -> sa.Engine:
        """Return the way to this memory; see `Place.engine`."""
        writable = access != "read"
        if not writable and not self.exists():
            raise StoreError("this memory holds no store; Study.run makes one")
        if writable and not self._written.acquire(blocking=False):
            raise being_written(self.name, this_process())
        engine = _engine_of(self._connection, closing=False)
        if writable:
            sa.event.listen(engine, "engine_disposed", lambda _: self._written.release(), once=True)
        return engine

    def make(self, fill: Callable[[sa.Connection], None]) -> None:
        """Make a store, which no other process sees."""
        engine = _engine_of(self._connection, closing=False)
        with told(self), engine.begin() as connection:
            fill(connection)

    def copy_to_upgrade(self, engine: sa.Engine) -> sa.Engine:
        """Return the store itself: nothing in memory is older than its process."""
        return engine

    def inside(self, *names: str) -> "Memory":
        """Return another memory, the same for the same names."""
        return self._stores_inside.setdefault(names, Memory())

    def explain(self, problem: sa.exc.DBAPIError) -> NetspaceError:
        """Return one sentence for what SQLite said."""
        return _explain(self.name, problem)


def _engine(path: Path, *, writable: bool) -> sa.Engine:
    """Return the way to a file: its rollback journal kept, every commit synchronised; read-only unless `writable`."""
    # By its bytes, which may be no text in this locale, and past SQLAlchemy, which would take them for some.
    address = f"file:{quote(os.fsencode(path.absolute()))}?mode={'rwc' if writable else 'rw'}"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(address, uri=True, timeout=PATIENCE, check_same_thread=False)

    engine = sa.create_engine("sqlite://", creator=connect, poolclass=sa.QueuePool)

    @sa.event.listens_for(engine, "connect")
    def _pragmas(connection: sqlite3.Connection, _: Any) -> None:
        if writable:
            connection.execute("PRAGMA journal_mode=DELETE")
            connection.execute("PRAGMA synchronous=FULL")
        else:
            connection.execute("PRAGMA query_only=ON")

    return _with_transactions(engine)


def _engine_of(connection: sqlite3.Connection, *, closing: bool) -> sa.Engine:
    """Return the way to a database in memory, which is closed with it or stays."""
    pool = sa.StaticPool if closing else _Kept
    return _with_transactions(sa.create_engine("sqlite://", creator=lambda: connection, poolclass=pool))


class _Kept(sa.StaticPool):
    """A pool whose end is not that of its connection."""

    def dispose(self) -> None:
        """Leave the connection open."""


def _with_transactions(engine: sa.Engine) -> sa.Engine:
    """Let transactions begin where SQLAlchemy begins them: Python's module leaves out readings and changes of tables.

    So a reading of several queries is of one moment, and an upgrade happens as a whole or not at all.
    """

    @sa.event.listens_for(engine, "connect")
    def _leave_transactions_to_us(connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys=ON")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


_MOMENTARY = {
    "SQLITE_BUSY": "another process keeps it locked; try again later",
    "SQLITE_FULL": "the disk is full; free some space and run the study again: what was committed is kept",
    "SQLITE_IOERR": "the disk fails or is full; look at it and run the study again: what was committed is kept",
    "SQLITE_CANTOPEN": "its file or folder cannot be opened; look at their permissions",
    "SQLITE_READONLY": "it may only be read; look at the permissions of its file and folder",
}
"""What ails the moment and not the store, with what to do, by the beginning of SQLite's name for it."""


def _explain(name: str, problem: sa.exc.DBAPIError) -> NetspaceError:
    said = problem.orig
    code = str(getattr(said, "sqlite_errorname", ""))
    if "no such table" in str(said):
        return StoreError(f"{name!r} is not a netspace store ({said})")
    for beginning, sentence in _MOMENTARY.items():
        if code.startswith(beginning):
            return ExecutionError(f"store {name!r} cannot be used now ({said}): {sentence}")
    if isinstance(problem, sa.exc.OperationalError):
        return ExecutionError(f"store {name!r} cannot be used now ({said}); try again later")
    return damaged(name, said)
