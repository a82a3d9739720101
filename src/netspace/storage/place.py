"""Where a store is: what the one store class asks of a file, of memory and of a database, and nothing else differs.

A place opens its database, lets one process write at a time, or several record results where it can, names them to
others, and says in one sentence what went wrong.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Protocol

import sqlalchemy as sa

from netspace.errors import NetspaceError, StoreError

Access = Literal["read", "record", "write"]
"""What a store is opened for: any number read; several `record` results of trials that stand; one alone writes."""


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

    @property
    def shareable(self) -> bool:
        """Whether several processes may record results at once."""

    def exists(self) -> bool:
        """Whether something stands here, be it a store or not. Raises: ExecutionError where that cannot be seen."""

    def engine(self, access: Access, *, claim: str = "") -> sa.Engine:
        """Return the way to the store.

        One that is not for reading holds the store's lock until it is disposed of, alone or with others that record,
        of which none has the same `claim`; and every commit is durable.
        Raises: StoreError where there is no store to read, or the place cannot be written; StoreInUseError, which
        says by whom it is being written; MissingFrameworkError.
        """

    def make(self, fill: Callable[[sa.Connection], None]) -> None:
        """Make a store, so that none is ever seen half made; the caller holds the lock. Raises: StoreError."""

    def copy_to_upgrade(self, engine: sa.Engine) -> sa.Engine:
        """Return a copy of a store with an older schema, for a reader. Raises: StoreError where its writer must."""

    def inside(self, *names: str) -> "Place":
        """Return the place of a store that belongs to this one. Raises: StoreError."""

    def explain(self, problem: sa.exc.DBAPIError) -> NetspaceError:
        """Return what the database said as one sentence: damage is the store's, a lock or a full disk the moment's."""


def check_shareable(place: Place) -> None:
    """Check that several processes may record their results at once. Raises: StoreError."""
    if not place.shareable:
        raise StoreError(
            f"store {place.name!r} is written by one process at a time; parts of a study need a store in PostgreSQL "
            "(--store postgresql://USER@HOST/DATABASE?schema=NAME)"
        )


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
