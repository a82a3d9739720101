"""The store of one study: what was asked, which networks were drawn, what became of each.

The contract, the same in a file, in memory and in PostgreSQL:

- A result is committed when `record` returns; results that are recorded together are committed together.
- Ids are content digests. The first result of a trial stands, whatever comes later: every result is kept as an attempt
  with its error, and one that differs from what stands says so in its reason.
- Nothing is ever deleted.
- A store belongs to one study and refuses another. One process writes, any number read. Where the place can, several
  record results of what one has drawn, and nobody draws meanwhile.
- A store of an older schema is upgraded by whoever writes it; one of a newer schema is refused.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, get_args

import sqlalchemy as sa

from netspace import values
from netspace.errors import ExecutionError, StoreError
from netspace.storage import questions
from netspace.storage.address import place_of
from netspace.storage.place import Access, Place, check_shareable, told
from netspace.storage.population import Population
from netspace.storage.records import attempt_row, member_rows, result_row
from netspace.storage.tables import ATTEMPTS, FACTS, MEMBERS, NETWORKS, RESULTS, SAMPLES, SCHEMA, SCHEMA_VERSION
from netspace.storage.upgrades import upgrade
from netspace.training.trial import Status, TrialResult

_OTHER = "another result stands"
_TURN = sa.select(FACTS.c.value).where(FACTS.c.name == "schema").with_for_update()
"""Holds up every other commit until this one is over: so one result is the first, and attempts have numbers in the
order of their commits. SQLite, with its one writer, only reads."""
_AT_ONCE = 1000
"""How many trials one query asks for, since databases limit what it may name; and how many networks are added by one,
since their rows take several times the memory of the networks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What became of a trial, the versions of what computed it, and a traceback where one was left."""

    result: TrialResult
    versions: Mapping[str, str] = field(default_factory=dict)
    detail: str | None = None


class Store:
    """One study's store; make it with `create`, `join` or `open`, end it with `close`."""

    def __init__(self, place: Place, engine: sa.Engine, access: Access) -> None:
        self.place = place
        self._engine = engine
        self._access = access

    @classmethod
    def create(
        cls,
        where: str | Path | Place,
        *,
        study: Mapping[str, Any],
        text: str,
        facts: Mapping[str, Any] | None = None,
        expand: Callable[[dict[str, Any]], dict[str, Any]] = dict,
    ) -> "Store":
        """Open the store of a study for writing, making it where there is none.

        `where` is a path, a URL of PostgreSQL or a place. `study` is all that decides its results, as plain data.
        `text` is the study file, and `facts` are what a report says of it besides; a store that stands keeps its own
        until `describe`. `expand` fills in what a study leaves out, for the sentence that tells two studies apart.
        Raises: StoreError where the place cannot be written, holds no store, belongs to another study (the first
        difference is named), or is being written; ExecutionError where a database cannot be reached.
        """
        place = place_of(where)
        existed = place.exists()
        if existed:
            # Read first: a store that is refused is left as it is, with no lock beside it.
            cls._refuse_other(place, study, expand)
        engine = place.engine("write")
        try:
            if not place.exists():
                place.make(lambda connection: _begin_study(connection, study, text, facts or {}))
            elif not existed:
                cls._refuse_other(place, study, expand)
            store = cls(place, engine, "write")
            version = store._version()
            if version < SCHEMA_VERSION:
                with store._begin() as connection:
                    upgrade(connection, version)
        except BaseException:
            engine.dispose()
            raise
        return store

    @classmethod
    def join(
        cls,
        where: str | Path | Place,
        *,
        study: Mapping[str, Any],
        claim: str = "",
        expand: Callable[[dict[str, Any]], dict[str, Any]] = dict,
    ) -> "Store":
        """Open the store of a study to record results and attempts, while others do the same.

        `claim` names what of the study this process does, and no other at the same time.
        Raises: as `create`, and StoreError where there is none yet, an older one, or the place takes no others;
        StoreInUseError where another process has the same claim.
        """
        place = place_of(where)
        check_shareable(place)
        engine = place.engine("record", claim=claim)
        try:
            cls.open(place).close()
            cls._refuse_other(place, study, expand)
        except BaseException:
            engine.dispose()
            raise
        return cls(place, engine, "record")

    @classmethod
    def open(cls, where: str | Path | Place) -> "Store":
        """Open a store for reading. Raises: StoreError where there is none, or it is no store; ExecutionError."""
        place = place_of(where)
        store = cls(place, place.engine("read"), "read")
        try:
            version = store._version()
            if version < SCHEMA_VERSION:
                whole, store._engine = store._engine, place.copy_to_upgrade(store._engine)
                whole.dispose()
                with told(place), store._engine.begin() as connection:
                    upgrade(connection, version)
        except BaseException:
            store.close()
            raise
        return store

    def close(self) -> None:
        """Let go of the place."""
        self._engine.dispose()

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
    def metric(self) -> str:
        """What the errors are, one of `training.metrics.METRICS`."""
        return str(self.study.get("recipe", {}).get("metric", "error"))

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
                    f"{self.place.name!r} holds"
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
            for first in range(held, len(population), _AT_ONCE):
                members, networks = member_rows(population, trials, first, first + _AT_ONCE)
                new = {digest: row for digest, row in networks.items() if digest not in known}
                if new:
                    connection.execute(NETWORKS.insert(), list(new.values()))
                    known |= new.keys()
                connection.execute(MEMBERS.insert(), members)

    def record(self, *entries: Entry) -> None:
        """Commit what became of trials, all at once; the first result of a trial stands.

        The attempt keeps an entry's `detail` (a traceback, say) where there is one, else the result's reason, behind
        a word about another result that stands.
        """
        if not entries:
            return
        attempts = [
            attempt_row(e.result.trial_id, e.result.status, e.result.error, e.detail or e.result.reason, e.versions)
            for e in entries
        ]
        with self._begin("record") as connection:
            _commit(connection, [entry.result for entry in entries], attempts)

    def take(self, results: Sequence[TrialResult], attempts: Sequence[Mapping[str, Any]]) -> None:
        """Commit another store's results and attempts as they are there; those that are here already are left out."""
        with self._begin() as connection:
            here = {_told(attempt) for attempt in questions.attempts(connection)}
            _commit(connection, results, [_unnumbered(attempt) for attempt in attempts], but=here)

    def record_attempt(self, trial: str, outcome: str, reason: str, versions: Mapping[str, str]) -> None:
        """Commit an attempt that gave no result."""
        with self._begin("record") as connection:
            connection.execute(ATTEMPTS.insert(), attempt_row(trial, outcome, None, reason, versions))

    def attempts(self, outcome: str | None = None) -> list[dict[str, Any]]:
        """Return every attempt, in order: trial, outcome, error, reason, host, ended (UTC), versions.

        With an `outcome`, those that ended so.
        """
        with self._read() as connection:
            return questions.attempts(connection, outcome)

    def finished(self) -> frozenset[str]:
        """Return the ids of all trials that have a result, failures included."""
        with self._read() as connection:
            return frozenset(connection.scalars(sa.select(RESULTS.c.trial)))

    def errors(self) -> dict[str, float | None]:
        """Return the errors of all trials that have a result by their ids, None for failures."""
        with self._read() as connection:
            rows = connection.execute(sa.select(RESULTS.c.trial, RESULTS.c.error))
            return {row.trial: row.error for row in rows}

    def populations(self) -> tuple[Population, ...]:
        """Return every population with the results so far, in the order of the study file."""
        metric = self.metric
        with self._read() as connection:
            return questions.populations(connection, metric)

    def table(self) -> dict[str, list[Any]]:
        """Return one row per network, as columns: all but its spec and its curve, which take far longer to read.

        `space`, `position`, `draw`, `network` (digest), `trial`, flops, params and activations; `status` ("waiting"
        where there is no result), `error`, `seconds`, `images`, `reason`; and a column for whatever was drawn, None
        where a space has no such parameter.
        """
        with self._read() as connection:
            return questions.table(connection)

    def origins(self) -> dict[str, tuple[Any, tuple[str, ...]]]:
        """Return for every space its definition and, in the order of its networks, the trials that judge them."""
        with self._read() as connection:
            return questions.origins(connection)

    def stamp(self) -> tuple[Any, ...]:
        """Return what differs once anything has been committed; it is found in no time."""
        with self._read() as connection:
            return questions.stamp(connection)

    def _fact(self, name: str) -> str:
        with self._read() as connection:
            value = connection.scalar(sa.select(FACTS.c.value).where(FACTS.c.name == name))
        if value is None:
            raise StoreError(f"{self.place.name!r} is a store without its {name}; it is damaged")
        return str(value)

    def _version(self) -> int:
        """Return the version of the schema. Raises: StoreError for a newer one, or none."""
        said = self._fact("schema")
        if not said.isdecimal() or int(said) < 1:
            raise StoreError(f"store {self.place.name!r} has schema {said!r}, which is no version; it is damaged")
        if int(said) > SCHEMA_VERSION:
            raise StoreError(
                f"{self.place.name!r} has schema {said}, made by a newer netspace; this one reads up to "
                f"{SCHEMA_VERSION}"
            )
        return int(said)

    @classmethod
    def _refuse_other(
        cls, place: Place, study: Mapping[str, Any], expand: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> None:
        store = cls(place, place.engine("read"), "read")
        with store:
            store._version()
            difference = values.first_difference(expand(store.study), expand(json.loads(json.dumps(study))))
        if difference is not None:
            field, before, now = difference
            raise StoreError(
                f"store {place.name!r} was written by another study: {field} was {before}, is {now}; "
                f"give this study {place.elsewhere}, or undo the change"
            )

    @contextmanager
    def _begin(self, needed: Access = "write") -> Iterator[sa.Connection]:
        if self._access == "read":
            raise ExecutionError(f"store {self.place.name!r} was opened for reading, and nothing can be recorded")
        if self._access != needed == "write":
            raise ExecutionError(f"store {self.place.name!r} was opened for results, and others may record theirs too")
        with told(self.place), self._engine.begin() as connection:
            connection.execute(_TURN)
            yield connection

    @contextmanager
    def _read(self) -> Iterator[sa.Connection]:
        with told(self.place), self._engine.connect() as connection:
            yield connection


def _described(text: str, facts: Mapping[str, Any]) -> dict[str, str]:
    return {"text": text, "facts": json.dumps(dict(facts))}


def _begin_study(connection: sa.Connection, study: Mapping[str, Any], text: str, facts: Mapping[str, Any]) -> None:
    """Make the tables of a store and say whose it is."""
    SCHEMA.create_all(connection)
    rows = {"schema": str(SCHEMA_VERSION), "study": json.dumps(study, sort_keys=True)} | _described(text, facts)
    connection.execute(FACTS.insert(), [{"name": name, "value": value} for name, value in rows.items()])


def _standing(connection: sa.Connection, trials: Sequence[str]) -> dict[str, tuple[str, float | None]]:
    """Return status and error of those of some trials that have a result."""
    found: dict[str, tuple[str, float | None]] = {}
    for i in range(0, len(trials), _AT_ONCE):
        asked = sa.select(RESULTS.c.trial, RESULTS.c.status, RESULTS.c.error)
        rows = connection.execute(asked.where(RESULTS.c.trial.in_(trials[i : i + _AT_ONCE])))
        found |= {trial: (status, error) for trial, status, error in rows}
    return found


def _commit(
    connection: sa.Connection,
    results: Sequence[TrialResult],
    attempts: Sequence[Mapping[str, Any]],
    but: Collection[str] = (),
) -> None:
    """Keep results of trials that have none, and attempts, each with a word where another result stands."""
    first = {result.trial_id: result for result in reversed(results)}
    standing = _standing(connection, list(first))
    new = [result for trial, result in first.items() if trial not in standing]
    if new:
        connection.execute(RESULTS.insert(), [result_row(result) for result in new])
    standing |= {result.trial_id: (result.status, result.error) for result in new}
    rows = [{**attempt, "reason": _reason(attempt, standing)} for attempt in attempts]
    rows = [row for row in rows if not but or _told(row) not in but]
    if rows:
        connection.execute(ATTEMPTS.insert(), rows)


def _reason(attempt: Mapping[str, Any], standing: Mapping[str, tuple[str, float | None]]) -> str | None:
    """Return the reason of an attempt, behind a word about another result of its trial that stands."""
    reason: str | None = attempt["reason"]
    status, error = stands = standing.get(attempt["trial"], ("", None))
    unknown = attempt["outcome"] == "finished" and attempt["error"] is None  # kept by schema 1
    gave_none = attempt["outcome"] not in get_args(Status) or not status
    if gave_none or unknown or stands == (attempt["outcome"], attempt["error"]) or (reason or "").startswith(_OTHER):
        return reason
    other = status if error is None else f"{status}, error {error!r}"
    return f"{_OTHER} ({other})" + (f"; {reason}" if reason else "")


def _told(attempt: Mapping[str, Any]) -> str:
    """Return what tells an attempt from others, whatever its number."""
    return json.dumps(_unnumbered(attempt), sort_keys=True)


def _unnumbered(attempt: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attempt.items() if name != "number"}
