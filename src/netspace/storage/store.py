"""The store of one study: what was asked, which networks were drawn, what became of each.

The contract: a result is committed when `record` returns; recording it twice is harmless; ids are content
digests; nothing is ever deleted; a store belongs to one study and refuses another; one process writes, any
number read. SQLite keeps its rollback journal with full synchronisation: its write-ahead log can lose data in
the versions that Python 3.11 often carries.
"""

import datetime
import json
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
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
from netspace.storage.sqlite import sqlite_engine, told
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

SQLITE_HEADER = b"SQLite format 3\x00"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What became of a trial, the versions of what computed it, and a traceback where one was left."""

    result: TrialResult
    versions: Mapping[str, str] = field(default_factory=dict)
    detail: str | None = None


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

        `study` is all that decides its results, as plain data. `text` is the study file, and `facts` are what a
        report says of it besides; a store that stands keeps its own until `describe`. `expand` fills in what a
        study leaves out, for the sentence that tells two studies apart.
        Raises: StoreError where the folder is read-only, the file is no store, it belongs to another study
        (the first difference is named), or another process writes it.
        """
        existed = path.exists()
        if existed:
            # Read first: a store that is refused is left as it is, with no lock beside it.
            cls._refuse_other(path, study, expand)
        lock = WriterLock.acquire(path)
        try:
            if not path.exists():
                _make(path, study, text, facts or {})
            elif not existed:
                cls._refuse_other(path, study, expand)
            store = cls(path, sqlite_engine(path, writable=True), lock)
        except BaseException:
            lock.release()
            raise
        return store

    @classmethod
    def open(cls, path: Path) -> "Store":
        """Open a store for reading. Raises: StoreError where there is none, or it is no store."""
        if not path.is_file():
            raise StoreError(f"store {str(path)!r} does not exist; `netspace run STUDY.toml` makes one")
        with path.open("rb") as file:
            if file.read(len(SQLITE_HEADER)) != SQLITE_HEADER:
                raise StoreError(f"{str(path)!r} is not a netspace store: it is no SQLite file")
        store = cls(path, sqlite_engine(path, writable=False), None)
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

    def describe(self, *, text: str, facts: Mapping[str, Any]) -> None:
        """Commit the study file as it is run now, and what a report says of it besides."""
        with self._begin() as connection:
            for name, value in _described(text, facts).items():
                connection.execute(FACTS.update().where(FACTS.c.name == name), {"value": value})

    def add_population(self, population: Population, *, definition: Any, trials: Sequence[str]) -> None:
        """Record a sample: its networks, what they drew and the trial that judges each.

        Twice is harmless, and a larger sample of the same space appends its new networks.
        Raises: StoreError where the store holds more networks of the space than the sample.
        """
        sample = {"num_draws": population.num_draws, "num_in_band": population.num_in_band}
        with self._begin() as connection:
            count = sa.select(sa.func.count())
            held = connection.scalar(count.select_from(MEMBERS).where(MEMBERS.c.space == population.name)) or 0
            if held > len(population):
                raise StoreError(
                    f"networks (={len(population)}) must be at least {held}, as many of {population.name!r} as "
                    f"{str(self.path)!r} holds"
                )
            if held == len(population):
                return
            if held:
                connection.execute(SAMPLES.update().where(SAMPLES.c.space == population.name), sample)
            else:
                ordinal = connection.scalar(count.select_from(SAMPLES))
                space = {"space": population.name, "ordinal": ordinal, "definition": definition}
                connection.execute(SAMPLES.insert(), space | sample)
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
                    for i in range(held, len(population))
                ],
            )

    def record(self, *entries: Entry) -> None:
        """Commit what became of trials, all at once; a second result of a trial leaves the first as it is.

        The attempt keeps an entry's `detail` (a traceback, say) where there is one, else the result's reason.
        """
        results = {entry.result.trial_id: entry.result for entry in reversed(entries)}
        with self._begin() as connection:
            known = set(connection.scalars(sa.select(RESULTS.c.trial).where(RESULTS.c.trial.in_(results))))
            new = [_result_row(result) for trial, result in results.items() if trial not in known]
            if new:
                connection.execute(RESULTS.insert(), new)
            attempts = [
                _attempt_row(e.result.trial_id, e.result.status, e.detail or e.result.reason, e.versions)
                for e in entries
            ]
            connection.execute(ATTEMPTS.insert(), attempts)

    def record_attempt(self, trial: str, outcome: str, reason: str, versions: Mapping[str, str]) -> None:
        """Commit an attempt that gave no result."""
        with self._begin() as connection:
            connection.execute(ATTEMPTS.insert(), _attempt_row(trial, outcome, reason, versions))

    def attempts(self) -> list[dict[str, Any]]:
        """Return every attempt, in order: trial, outcome, reason, host, ended (UTC), versions."""
        with self._read() as connection:
            rows = connection.execute(sa.select(ATTEMPTS).order_by(ATTEMPTS.c.number))
            return [dict(row) for row in rows.mappings()]

    def finished(self) -> frozenset[str]:
        """Return the ids of all trials that have a result, failures included."""
        with self._read() as connection:
            return frozenset(connection.scalars(sa.select(RESULTS.c.trial)))

    def populations(self) -> tuple[Population, ...]:
        """Return every population with the results so far, in the order of the study file."""
        with self._read() as connection:
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

    def table(self) -> dict[str, list[Any]]:
        """Return one row per network, as columns: all but its spec and its curve, which take far longer to read.

        `space`, `position`, `draw`, `network` (digest), `trial`, flops, params and activations; `status` ("waiting"
        where there is no result), `error`, `seconds`, `images`, `reason`; and a column for whatever was drawn, None
        where a space has no such parameter.
        """
        columns = [
            *(MEMBERS.c[name] for name in ("space", "position", "draw", "network", "trial")),
            *(NETWORKS.c[measure] for measure in MEASURES),
            *(RESULTS.c[name] for name in ("status", "error", "seconds", "images", "reason")),
            sa.type_coerce(MEMBERS.c.drawn, sa.Text),
        ]
        joined = (
            sa.select(*columns)
            .join(NETWORKS, MEMBERS.c.network == NETWORKS.c.digest)
            .join(SAMPLES, MEMBERS.c.space == SAMPLES.c.space)
            .outerjoin(RESULTS, MEMBERS.c.trial == RESULTS.c.trial)
            .order_by(SAMPLES.c.ordinal, MEMBERS.c.position)
        )
        with self._read() as connection:
            rows = connection.execute(joined).all()
        found = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in columns]
        table = {column.name: cells for column, cells in zip(columns[:-1], found, strict=False)}
        table["status"] = [status or "waiting" for status in table["status"]]
        drawn = json.loads(f"[{','.join(found[-1])}]")  # one long text is read faster than many short ones
        for name in dict.fromkeys(name for row in drawn for name in row):
            table[name] = [row.get(name) for row in drawn]
        return table

    def origins(self) -> dict[str, tuple[Any, tuple[str, ...]]]:
        """Return for every space its definition and, in the order of its networks, the trials that judge them."""
        members = sa.select(MEMBERS.c.space, MEMBERS.c.trial).order_by(MEMBERS.c.space, MEMBERS.c.position)
        trials: dict[str, list[str]] = {}
        with self._read() as connection:
            spaces = connection.execute(sa.select(SAMPLES.c.space, SAMPLES.c.definition)).all()
            for space, trial in connection.execute(members):
                trials.setdefault(space, []).append(trial)
        return {space: (definition, tuple(trials.get(space, ()))) for space, definition in spaces}

    def _fact(self, name: str) -> str:
        with self._read() as connection:
            value = connection.scalar(sa.select(FACTS.c.value).where(FACTS.c.name == name))
        if value is None:
            raise StoreError(f"{str(self.path)!r} is a store without its {name}; it is damaged")
        return str(value)

    def _check_schema(self) -> None:
        version = int(self._fact("schema"))
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"{str(self.path)!r} has schema {version}, made by a newer netspace; this one reads up to "
                f"{SCHEMA_VERSION}"
            )

    @classmethod
    def _refuse_other(
        cls, path: Path, study: Mapping[str, Any], expand: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> None:
        with cls.open(path) as stored:
            difference = values.first_difference(expand(stored.study), expand(json.loads(json.dumps(study))))
        if difference is not None:
            field, before, now = difference
            raise StoreError(
                f"store {str(path)!r} was written by another study: {field} was {before}, is {now}; "
                "give this study another output folder, or undo the change"
            )

    @contextmanager
    def _begin(self) -> Iterator[sa.Connection]:
        with told(self.path), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _read(self) -> Iterator[sa.Connection]:
        with told(self.path), self._engine.connect() as connection:
            yield connection


def _described(text: str, facts: Mapping[str, Any]) -> dict[str, str]:
    return {"text": text, "facts": json.dumps(dict(facts))}


def _make(path: Path, study: Mapping[str, Any], text: str, facts: Mapping[str, Any]) -> None:
    """Make an empty store aside and rename it, so that none is ever seen half made."""
    aside = path.with_name(f".{path.name}.part")
    aside.unlink(missing_ok=True)
    engine = sqlite_engine(aside, writable=True)
    with told(path), engine.begin() as connection:
        SCHEMA.create_all(connection)
        rows = {"schema": str(SCHEMA_VERSION), "study": json.dumps(study, sort_keys=True)} | _described(text, facts)
        connection.execute(FACTS.insert(), [{"name": name, "value": value} for name, value in rows.items()])
    engine.dispose()
    aside.replace(path)


def _result_row(result: TrialResult) -> dict[str, Any]:
    told = {name: getattr(result, name) for name in ("status", "error", "seconds", "images", "reason")}
    return {"trial": result.trial_id, **told, "curve": values.to_dict(result.curve)}


def _attempt_row(trial: str, outcome: str, reason: str | None, versions: Mapping[str, str]) -> dict[str, Any]:
    return {
        "trial": trial,
        "outcome": outcome,
        "reason": reason,
        "host": platform.node(),
        "ended": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": dict(versions),
    }


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
