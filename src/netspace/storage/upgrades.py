"""From the schema of an older netspace to this one's, a step for each version; nothing that stands is changed.

The writer of a store upgrades it, in one transaction; a reader of a file upgrades a copy in memory.
"""

from collections.abc import Callable

import sqlalchemy as sa

from netspace.storage.tables import ATTEMPTS, FACTS, SCHEMA_VERSION


def upgrade(connection: sa.Connection, version: int) -> None:
    """Bring a store from a version to this netspace's."""
    for step in range(version, SCHEMA_VERSION):
        _STEPS[step](connection)
    connection.execute(FACTS.update().where(FACTS.c.name == "schema"), {"value": str(SCHEMA_VERSION)})


def _attempts_know_their_error(connection: sa.Connection) -> None:
    """Add the error of an attempt, which nobody kept before: None for those that stand."""
    connection.exec_driver_sql(f"ALTER TABLE {full_name(connection, ATTEMPTS)} ADD COLUMN error FLOAT")


def full_name(connection: sa.Connection, table: sa.Table) -> str:
    """Return a table's name with that of its schema, where it has one, as the database writes them."""
    quote = connection.dialect.identifier_preparer.quote
    return ".".join(quote(name) for name in (connection.schema_for_object(table), table.name) if name)


_STEPS: dict[int, Callable[[sa.Connection], None]] = {1: _attempts_know_their_error}
"""What leads from each version to the next."""
