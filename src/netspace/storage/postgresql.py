"""Stores in PostgreSQL: one study in each schema of a database, named by `postgresql://HOST/DATABASE?schema=NAME`.

Whoever writes holds an advisory lock in the session that writes, alone or together with others that only record
results, so that a lost connection is a lost lock; readers are free. Everything else that libpq knows (a password file,
TLS, a service) may stand in the URL or in its variables.
"""

import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import sqlalchemy as sa

from netspace.errors import ExecutionError, MissingFrameworkError, NetspaceError, StoreError
from netspace.storage.lock import being_written, this_process
from netspace.storage.place import Access, told

if TYPE_CHECKING:
    import psycopg

DEFAULT_SCHEMA = "netspace"
EXAMPLE = "postgresql://USER@HOST/DATABASE?schema=NAME"

PATIENCE = {"connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
"""How long a server may be silent [s, and times] before a connection counts as lost; the URL may say otherwise."""

_LEAVING = 2.0
"""How long a session that has ended may still hold its lock [s]."""

_MARK = "netspace "
_NAMES_KEPT = ("host", "port", "service")
_SECRETS = ("password", "sslpassword")
_LONGEST = 63
"""The letters of a name in PostgreSQL, which cuts longer ones short without a word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresSchema:
    """A store in one schema of a database; made by `named`."""

    url: sa.URL = field(repr=False)
    schema: str = DEFAULT_SCHEMA
    shareable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not re.fullmatch(r"(?!pg_)\w[\w-]*(/\w[\w-]*)*", self.schema, re.ASCII) or len(self.schema) > _LONGEST:
            raise StoreError(
                f"schema (={self.schema!r}) of a store's URL must be of letters, digits, - and _, not begin with pg_, "
                f"and have {_LONGEST} letters at most; such as {DEFAULT_SCHEMA!r}"
            )

    @classmethod
    def named(cls, text: str) -> "PostgresSchema":
        """Return the place that a URL names; what is wrong with one is said without showing it. Raises: StoreError."""
        try:
            url = sa.make_url(text)
        except (sa.exc.ArgumentError, ValueError):
            raise StoreError(f"the URL of the store cannot be read; it is of the form {EXAMPLE}") from None
        if url.drivername not in ("postgresql", "postgres"):
            raise StoreError(
                f"the URL of the store begins with {url.drivername + '://'!r}; a store is in PostgreSQL ({EXAMPLE}), "
                "or in a file that is named by its path"
            )
        schema = url.query.get("schema", DEFAULT_SCHEMA)
        if not isinstance(schema, str):
            raise StoreError(f"schema (={list(schema)}) stands in the URL of the store more than once; give one")
        return cls(url=url.difference_update_query(["schema"]), schema=schema)

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """The URL without password, and without options, in which there may be another."""
        shown = {key: value for key, value in self.url.query.items() if key in _NAMES_KEPT} | {"schema": self.schema}
        url = sa.URL.create(
            "postgresql", self.url.username, None, self.url.host, self.url.port, self.url.database, query=shown
        )
        return url.render_as_string().replace("%2F", "/")

    def address(self) -> str:
        """Return the whole URL, as another process may be given it. Raises: StoreError where it holds a password."""
        if self.url.password is not None or any(name in self.url.query for name in _SECRETS):
            raise StoreError(
                f"the URL of store {self.name!r} holds a password, which would stand in files and lists of processes; "
                "leave it out, and give it by a password file (~/.pgpass), PGPASSWORD or a service (?service=NAME)"
            )
        return self.url.update_query_dict({"schema": self.schema}).render_as_string()

    @property
    def elsewhere(self) -> str:
        """Another schema."""
        return "another schema (?schema=NAME at the end of the URL)"

    @property
    def folder(self) -> Path:
        """One with the name of the schema, below `runs`."""
        return Path("runs", self.schema)

    def exists(self) -> bool:
        """Whether the schema holds a store. Raises: ExecutionError where the server cannot be reached."""
        engine = self._engine()
        try:
            with told(self):
                return sa.inspect(engine).has_table("facts", schema=self.schema)
        finally:
            engine.dispose()

    def engine(self, access: Access, *, claim: str = "") -> sa.Engine:
        """Return the way to the schema; see `Place.engine`."""
        if access == "read":
            # A reading of several queries is of one moment.
            return self._engine(postgresql_readonly=True, isolation_level="REPEATABLE READ")
        # What is asked after waiting for one's turn sees what the others committed, whatever the server's default.
        engine = self._engine(isolation_level="READ COMMITTED")
        sa.event.listen(engine, "connect", lambda connection, _: self._lock(connection, access == "record", claim))
        try:
            with told(self):
                engine.connect().close()
        except BaseException:
            engine.dispose()
            raise
        return engine

    def make(self, fill: Callable[[sa.Connection], None]) -> None:
        """Make the tables in one transaction, and the schema where it is missing."""
        engine = self._engine()
        try:
            with told(self), engine.begin() as connection:
                if not sa.inspect(connection).has_schema(self.schema):
                    connection.execute(sa.schema.CreateSchema(self.schema))
                fill(connection)
        finally:
            engine.dispose()

    def copy_to_upgrade(self, engine: sa.Engine) -> sa.Engine:
        """Refuse: a database is shared, and its writer upgrades it for all."""
        raise StoreError(f"store {self.name!r} was made by an older netspace; `netspace run` of its study upgrades it")

    def inside(self, *names: str) -> "PostgresSchema":
        """Return a store in a schema whose name begins with this one's."""
        return replace(self, schema="/".join((self.schema, *names)))

    def explain(self, problem: sa.exc.DBAPIError) -> NetspaceError:
        """Return one sentence for what PostgreSQL or the way to it said."""
        state = getattr(problem.orig, "sqlstate", None) or ""
        diagnosis = getattr(problem.orig, "diag", None)
        said = getattr(diagnosis, "message_primary", None) or next(iter(str(problem.orig).splitlines()), "no answer")
        if state in ("42P01", "3F000"):  # no such table, no such schema
            return StoreError(f"store {self.name!r} does not exist; `netspace run STUDY.toml --store URL` makes one")
        if state == "42501":
            return StoreError(f"store {self.name!r} cannot be used ({said}); ask for rights on this schema")
        lost = isinstance(problem, sa.exc.OperationalError) and (not state or state[:2] in ("08", "57"))
        if lost or problem.connection_invalidated:
            return ExecutionError(
                f"store {self.name!r} cannot be reached ({said}); look at the server and run the study again: what was "
                "committed is kept"
            )
        if isinstance(problem, sa.exc.OperationalError | sa.exc.InternalError):
            return ExecutionError(f"store {self.name!r} cannot be used now ({said}); try again later")
        return StoreError(f"store {self.name!r} was refused ({said})")

    def _engine(self, **options: Any) -> sa.Engine:
        """Return a way of one connection, which is tried before it is used and made again where it is lost."""
        known = {name: value for name, value in PATIENCE.items() if name not in self.url.query}
        try:
            return sa.create_engine(
                self.url.set(drivername="postgresql+psycopg"),
                connect_args=known | {"application_name": f"{_MARK}{this_process()}"[:_LONGEST]},
                execution_options={"schema_translate_map": {None: self.schema}} | options,
                pool_size=1,
                max_overflow=0,
                pool_pre_ping=True,
            )
        except ImportError:  # psycopg itself, or the library of PostgreSQL that it loads
            raise MissingFrameworkError(
                "a store in PostgreSQL needs the package 'psycopg' with its library; install it with: "
                "pip install 'netspace[postgresql]'"
            ) from None

    def _lock(self, connection: "psycopg.Connection[Any]", shared: bool, claim: str) -> None:
        """Take the locks of a writer for as long as a connection lasts."""
        try:
            # The server notices a writer whose machine is gone as soon as its connection is known to be lost.
            for name in ("idle", "interval", "count"):
                connection.execute(f"SET tcp_keepalives_{name} = {PATIENCE[f'keepalives_{name}']}".encode())
            if connection.execute("SHOW synchronous_commit").fetchone() == ("off",):  # committed is to mean durable
                connection.execute("SET synchronous_commit = on")
            self._take(connection, shared=shared)
            if claim:
                self._take(connection, claim)
            connection.commit()
        except BaseException:
            connection.close()
            raise

    def _take(self, connection: "psycopg.Connection[Any]", what: str = "", *, shared: bool = False) -> None:
        """Take the lock of the schema, or `what` of it, alone or with others, or name who has it."""
        words = f"netspace {self.schema}" + f" {what}" * bool(what)
        key = int.from_bytes(hashlib.sha256(words.encode()).digest()[:8], "big", signed=True)
        attempt = f"SELECT pg_try_advisory_lock{'_shared' * shared}(%s)".encode()
        until = time.monotonic() + _LEAVING
        while connection.execute(attempt, [key]).fetchone() != (True,):
            if time.monotonic() > until:
                holders = [name.removeprefix(_MARK) for (name,) in connection.execute(_HOLDERS, [key]).fetchall()]
                others = f" and {len(holders) - 1} more" * (len(holders) > 1)
                raise being_written(self.name, holders[0] + others if holders else "", what)
            time.sleep(0.05)


_HOLDERS = """
SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND (classid::bigint << 32 | objid::bigint) = %s
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY backend_start
"""
"""Who holds an advisory lock: all may see what a session calls itself."""
