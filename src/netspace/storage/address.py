"""Which place somebody means: a path is a file or the folder of one, a URL is a schema in PostgreSQL."""

from pathlib import Path

from netspace.storage.place import Place
from netspace.storage.sqlite import STORE_NAME, SqliteFile


def is_url(where: object) -> bool:
    """Whether words name a database by a URL.

    >>> is_url("postgresql://host/studies"), is_url("runs/digits")
    (True, False)
    """
    return isinstance(where, str) and "://" in where


def place_of(where: str | Path | Place) -> Place:
    """Return the place of a store: a file, the file in a folder, a schema. Raises: StoreError for a wrong URL."""
    if not isinstance(where, str | Path):
        return where
    if isinstance(where, str) and is_url(where):
        from netspace.storage.postgresql import PostgresSchema

        return PostgresSchema.named(where)
    path = Path(where)
    return SqliteFile(path=path / STORE_NAME if path.is_dir() else path)
