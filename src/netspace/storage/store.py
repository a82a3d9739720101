"""The store of one study: what was asked, which networks were drawn, what became of each.

The contract: a result is committed when `record` returns; recording it twice is harmless; ids are content
digests; nothing is ever deleted; a store belongs to one study and refuses another; one process writes, any
number read. SQLite keeps its rollback journal with full synchronisation: its write-ahead log can lose data in
the versions that Python 3.11 often carries.
"""

import datetime
import json
import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import sqlalchemy as sa

from netspace import values
from netspace.errors import StoreError
from netspace.networks.complexity import MEASURES, Complexity
from netspace.networks.spec import NetworkSpec
from netspace.storage.lock import WriterLock
from netspace.storage.population import Population
from netspace.storage.tables import (
    ATTEMPTS,
    FACTS,
    MEMBERS,
    NETWORKS,
    RESULTS,
    SAMPLES,
    SCHEMA,
    SCHEMA_VERSION,
)
from netspace.training.trial import EpochRecord, TrialResult


class Store:
    """One study's store in one SQLite file; make it with `create` or `open`, end it with `close`."""

    def __init__(self, path: Path, engine: sa.Engine, lock: WriterLock | None) -> None:
        self.path = path
        self._engine = engine
        self._lock = lock

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        study: Mapping[str, Any],
        text: str,
        facts: Mapping[str, Any] | None = None,
        expand: Callable[[dict[str, Any]], dict[str, Any]] = dict,
    ) -> "Store":
        """Open the store of a study for writing, making it where there is none.

        `study` is all that decides its results, as plain data. `text` is the study file as it was last run, and
        `facts` are what a report says of it besides. `expand` fills in what a study leaves out, for the sentence
        that tells two studies apart.
        Raises: StoreError where the folder is read-only, the file is no store, it belongs to another study
        (the first difference is named), or another process writes it.
        """
        lock = WriterLock.acquire(path)
        try:
            store = cls(path, _engine(path, writable=True), lock)
            if path.exists() and path.stat().st_size:
                store._check_schema()
                _refuse_other_study(path, store.study, study, expand)
            else:
                with store._begin() as connection:
                    SCHEMA.create_all(connection)
                    rows = {"schema": str(SCHEMA_VERSION), "study": json.dumps(study, sort_keys=True)}
                    connection.execute(FACTS.insert(), [{"name": n, "value": v} for n, v in rows.items()])
            store._say("text", text)
            store._say("facts", json.dumps(dict(facts or {})))
        except BaseException:
            lock.release()
            raise
        return store

    @classmethod
    def open(cls, path: Path) -> "Store":
        """Open a store for reading. Raises: StoreError where there is none, or it is no store."""
        if not path.is_file():
            raise StoreError(f"store {str(path)!r} does not exist; `netspace run STUDY.toml` makes one")
        store = cls(path, _engine(path, writable=False), None)
        store._check_schema()
        return store

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> "Store":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def study(self) -> dict[str, Any]:
        """All that decides the study's results, as plain data."""
        study: dict[str, Any] = json.loads(self._fact("study"))
        return study

    @property
    def text(self) -> str:
        """The study file as it was last run."""
        return self._fact("text")

    @property
    def facts(self) -> dict[str, Any]:
        """What a report says of the study besides its results, as plain data."""
        facts: dict[str, Any] = json.loads(self._fact("facts"))
        return facts

    def add_population(self, population: Population, *, definition: Any, trials: Sequence[str]) -> None:
        """Record a sample: its networks, what they drew and the trial that judges each; twice is harmless."""
        with self._begin() as connection:
            count = sa.select(sa.func.count())
            if connection.scalar(count.select_from(SAMPLES).where(SAMPLES.c.space == population.name)):
                return
            connection.execute(
                SAMPLES.insert(),
                {
                    "space": population.name,
                    "ordinal": connection.scalar(count.select_from(SAMPLES)),
                    "definition": definition,
                    "num_draws": population.num_draws,
                    "num_in_band": population.num_in_band,
                },
            )
            known = set(connection.scalars(sa.select(NETWORKS.c.digest)))
            digests = [network.digest for network in population.networks]
            rows = {
                digest: {
                    "digest": digest,
                    "spec": network.to_dict(),
                    **{m: int(getattr(population.complexity, m)[i]) for m in MEASURES},
                }
                for i, (digest, network) in enumerate(zip(digests, population.networks, strict=True))
                if digest not in known
            }
            if rows:
                connection.execute(NETWORKS.insert(), list(rows.values()))
            connection.execute(
                MEMBERS.insert(),
                [
                    {
                        "space": population.name,
                        "position": i,
                        "draw": population.positions[i],
                        "drawn": dict(population.drawn[i]),
                        "network": digests[i],
                        "trial": trials[i],
                    }
                    for i in range(len(population))
                ],
            )

    def record(
        self, result: TrialResult, *, versions: Mapping[str, str] | None = None, detail: str | None = None
    ) -> None:
        """Commit what became of a trial; a second result of the same trial leaves the first as it is.

        The attempt keeps `detail` (a traceback, say) where there is one, else the result's reason.
        """
        with self._begin() as connection:
            known = sa.select(RESULTS.c.trial).where(RESULTS.c.trial == result.trial_id)
            if connection.scalar(known) is None:
                connection.execute(
                    RESULTS.insert(),
                    {
                        "trial": result.trial_id,
                        "status": result.status,
                        "error": result.error,
                        "seconds": result.seconds,
                        "images": result.images,
                        "reason": result.reason,
                        "curve": values.to_dict(result.curve),
                    },
                )
            _insert_attempt(connection, result.trial_id, result.status, detail or result.reason, versions or {})

    def record_attempt(self, trial: str, outcome: str, reason: str, versions: Mapping[str, str]) -> None:
        """Commit an attempt that gave no result."""
        with self._begin() as connection:
            _insert_attempt(connection, trial, outcome, reason, versions)

    def attempts(self) -> list[dict[str, Any]]:
        """Return every attempt, in order: trial, outcome, reason, host, ended (UTC), versions."""
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(ATTEMPTS).order_by(ATTEMPTS.c.number))
            return [dict(row) for row in rows.mappings()]

    def finished(self) -> frozenset[str]:
        """Return the ids of all trials that have a result, failures included."""
        with self._engine.connect() as connection:
            return frozenset(connection.scalars(sa.select(RESULTS.c.trial)))

    def populations(self) -> tuple[Population, ...]:
        """Return every population with the results so far, in the order of the study file."""
        with self._engine.connect() as connection:
            samples = connection.execute(sa.select(SAMPLES).order_by(SAMPLES.c.ordinal)).mappings().all()
            joined = (
                sa.select(MEMBERS, NETWORKS, RESULTS)
                .join(NETWORKS, MEMBERS.c.network == NETWORKS.c.digest)
                .outerjoin(RESULTS, MEMBERS.c.trial == RESULTS.c.trial)
                .order_by(MEMBERS.c.space, MEMBERS.c.position)
            )
            rows = connection.execute(joined).all()
        by_space: dict[str, list[Any]] = {sample["space"]: [] for sample in samples}
        for row in rows:
            by_space[row._mapping[MEMBERS.c.space]].append(row._mapping)
        return tuple(_population(sample, by_space[sample["space"]]) for sample in samples)

    def _say(self, name: str, value: str) -> None:
        with self._begin() as connection:
            known = connection.scalar(sa.select(FACTS.c.value).where(FACTS.c.name == name))
            if known is None:
                connection.execute(FACTS.insert(), {"name": name, "value": value})
            elif known != value:
                connection.execute(FACTS.update().where(FACTS.c.name == name), {"value": value})

    def _fact(self, name: str) -> str:
        with self._engine.connect() as connection:
            value = connection.scalar(sa.select(FACTS.c.value).where(FACTS.c.name == name))
        if value is None:
            raise StoreError(f"{str(self.path)!r} is a store without its {name}; it is damaged")
        return str(value)

    def _check_schema(self) -> None:
        try:
            version = int(self._fact("schema"))
        except sa.exc.DatabaseError as problem:
            raise StoreError(f"{str(self.path)!r} is not a netspace store ({problem.orig})") from None
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"{str(self.path)!r} has schema {version}, made by a newer netspace; this one reads up to "
                f"{SCHEMA_VERSION}"
            )

    def _begin(self) -> Any:
        return self._engine.begin()


def _engine(path: Path, *, writable: bool) -> sa.Engine:
    mode = "rwc" if writable else "ro"
    address = f"sqlite:///file:{_quoted(path)}?mode={mode}&uri=true"
    engine = sa.create_engine(address, connect_args={"timeout": 60})

    @sa.event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _: Any) -> None:
        if writable:
            connection.execute("PRAGMA journal_mode=DELETE")
            connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")

    return engine


def _quoted(path: Path) -> str:
    from urllib.parse import quote

    return quote(str(path.absolute()))


def _insert_attempt(
    connection: sa.Connection, trial: str, outcome: str, reason: str | None, versions: Mapping[str, str]
) -> None:
    connection.execute(
        ATTEMPTS.insert(),
        {
            "trial": trial,
            "outcome": outcome,
            "reason": reason,
            "host": platform.node(),
            "ended": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "versions": dict(versions),
        },
    )


def _population(sample: Any, rows: list[Any]) -> Population:
    return Population(
        name=sample["space"],
        networks=tuple(NetworkSpec.from_dict(row[NETWORKS.c.spec]) for row in rows),
        results=tuple(_result(row) for row in rows),
        drawn=tuple(row[MEMBERS.c.drawn] for row in rows),
        positions=tuple(row[MEMBERS.c.draw] for row in rows),
        complexity=Complexity(**{m: np.array([row[NETWORKS.c[m]] for row in rows], dtype=np.int64) for m in MEASURES}),
        num_draws=sample["num_draws"],
        num_in_band=sample["num_in_band"],
    )


def _result(row: Any) -> TrialResult | None:
    if row[RESULTS.c.trial] is None:
        return None
    return TrialResult(
        trial_id=row[RESULTS.c.trial],
        status=row[RESULTS.c.status],
        error=row[RESULTS.c.error],
        curve=tuple(EpochRecord(**epoch) for epoch in row[RESULTS.c.curve]),
        seconds=row[RESULTS.c.seconds],
        images=row[RESULTS.c.images],
        reason=row[RESULTS.c.reason],
    )


def _refuse_other_study(
    path: Path,
    stored: dict[str, Any],
    asked: Mapping[str, Any],
    expand: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    plain = json.loads(json.dumps(asked))
    if stored == plain:
        return
    field, before, now = values.first_difference(expand(stored), expand(plain)) or ("the study", "another", "this")
    raise StoreError(
        f"store {str(path)!r} was written by another study: {field} was {before}, is {now}; "
        "give this study another output folder, or undo the change"
    )
