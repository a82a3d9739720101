"""How a store's file is opened by SQLite, and what SQLite then says, in one sentence of ours.

The rollback journal is kept, with full synchronisation: the write-ahead log can lose data in the versions that Python
3.11 often carries.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from netspace.errors import ExecutionError, StoreError

PATIENCE = 600.0
"""How long a writer waits for a reader, and a reader for a writer [s]."""


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn what the database says into one sentence: damage is the store's, a lock or a full disk the moment's."""
    try:
        yield
    except sa.exc.OperationalError as problem:
        if "no such table" in str(problem.orig):
            raise StoreError(f"{str(path)!r} is not a netspace store ({problem.orig})") from None
        raise ExecutionError(f"store {str(path)!r} cannot be used now ({problem.orig}); try again later") from None
    except (sa.exc.SQLAlchemyError, json.JSONDecodeError, UnicodeDecodeError) as problem:
        said = getattr(problem, "orig", problem)
        raise StoreError(f"store {str(path)!r} is damaged ({said}); take a copy of it from a backup") from None


def sqlite_engine(path: Path, *, writable: bool) -> sa.Engine:
    """Return the way to a file: its rollback journal kept, every commit synchronised; read-only unless `writable`."""
    mode = "rwc" if writable else "ro"
    address = f"sqlite:///file:{_quoted(path)}?mode={mode}&uri=true"
    engine = sa.create_engine(address, connect_args={"timeout": PATIENCE})

    @sa.event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _: Any) -> None:
        if writable:
            connection.execute("PRAGMA journal_mode=DELETE")
            connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")

    return engine


def _quoted(path: Path) -> str:
    return quote(str(path.absolute()))
