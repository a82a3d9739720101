"""Where a store is: what the one store class asks of a file, of memory and of a database, and nothing else differs.

A place opens its database, lets one process write at a time and names it to others, and says in one sentence what
went wrong.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa

from netspace.errors import NetspaceError, StoreError


class Place(Protocol):
    """What every place does; two of one place that are equal lead to the same store."""

    @property
    def name(self) -> str:
        """What messages call it: where it is, and never a password."""

    @property
    def elsewhere(self) -> str:
        """What else would be a place of its own, as the object of `give`."""

    @property
    def folder(self) -> Path:
        """Where the page of the store's study goes, unless somebody says otherwise."""

    def exists(self) -> bool:
        """Whether something stands here, be it a store or not. Raises: ExecutionError where that cannot be seen."""

    def engine(self, *, writable: bool) -> sa.Engine:
        """Return the way to the store.

        A writable one holds the store's lock until it is disposed of, and every commit is durable.
        Raises: StoreError where there is no store to read, the place cannot be written or is being written (by whom
        is said); MissingFrameworkError.
        """

    def make(self, fill: Callable[[sa.Connection], None]) -> None:
        """Make a store, so that none is ever seen half made; the caller holds the lock. Raises: StoreError."""

    def copy_to_upgrade(self, engine: sa.Engine) -> sa.Engine:
        """Return a copy of a store with an older schema, for a reader. Raises: StoreError where its writer must."""

    def inside(self, *names: str) -> "Place":
        """Return the place of a store that belongs to this one. Raises: StoreError."""

    def explain(self, problem: sa.exc.DBAPIError) -> NetspaceError:
        """Return what the database said as one sentence: damage is the store's, a lock or a full disk the moment's."""


@contextmanager
def told(place: Place) -> Iterator[None]:
    """Turn whatever a database says in this block into one sentence of ours."""
    try:
        yield
    except sa.exc.DBAPIError as problem:
        raise place.explain(problem) from None
    except (sa.exc.SQLAlchemyError, json.JSONDecodeError, UnicodeDecodeError) as problem:
        raise damaged(place.name, problem) from None


def damaged(name: str, said: object) -> StoreError:
    """Return the error of a store that cannot be read any more."""
    return StoreError(f"store {name!r} is damaged ({said}); take a copy of it from a backup")
