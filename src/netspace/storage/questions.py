"""What a store is asked: its populations, its table, its attempts, as one query each where that can be."""

import json
from typing import Any

import sqlalchemy as sa

from netspace.networks.complexity import MEASURES
from netspace.storage.population import Population
from netspace.storage.records import Member, member_of, population_of
from netspace.storage.tables import ATTEMPTS, FACTS, MEMBERS, NETWORKS, RESULTS, SAMPLES


def populations(connection: sa.Connection, metric: str) -> tuple[Population, ...]:
    """Return every population with its results, errors by `metric`, in the order of the study file."""
    samples = connection.execute(sa.select(SAMPLES).order_by(SAMPLES.c.ordinal)).mappings().all()
    joined = (
        sa.select(MEMBERS, NETWORKS, RESULTS)
        .join(NETWORKS, MEMBERS.c.network == NETWORKS.c.digest)
        .outerjoin(RESULTS, MEMBERS.c.trial == RESULTS.c.trial)
        .order_by(MEMBERS.c.space, MEMBERS.c.position)
    )
    by_space: dict[str, list[Member]] = {sample["space"]: [] for sample in samples}
    # Rows hold several times the memory of what is made of them, so that few are held at once.
    for row in connection.execute(joined.execution_options(yield_per=1000)):
        by_space[row._mapping[MEMBERS.c.space]].append(member_of(row._mapping))
    return tuple(population_of(sample, by_space[sample["space"]], metric) for sample in samples)


def table(connection: sa.Connection) -> dict[str, list[Any]]:
    """Return the columns of `Store.table`."""
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
    rows = connection.execute(joined).all()
    found = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in columns]
    told = {column.name: cells for column, cells in zip(columns[:-1], found, strict=False)}
    told["status"] = [status or "waiting" for status in told["status"]]
    drawn = json.loads(f"[{','.join(found[-1])}]")  # one long text is read faster than many short ones
    for name in dict.fromkeys(name for row in drawn for name in row):
        told[name] = [row.get(name) for row in drawn]
    return told


def attempts(connection: sa.Connection, outcome: str | None = None) -> list[dict[str, Any]]:
    """Return every attempt in order, or those of an outcome."""
    asked = sa.select(ATTEMPTS).order_by(ATTEMPTS.c.number)
    rows = connection.execute(asked if outcome is None else asked.where(ATTEMPTS.c.outcome == outcome))
    return [dict(row) for row in rows.mappings()]


def origins(connection: sa.Connection) -> dict[str, tuple[Any, tuple[str, ...]]]:
    """Return for every space its definition and the trials of its networks in their order."""
    members = sa.select(MEMBERS.c.space, MEMBERS.c.trial).order_by(MEMBERS.c.space, MEMBERS.c.position)
    trials: dict[str, list[str]] = {}
    for space, trial in connection.execute(members):
        trials.setdefault(space, []).append(trial)
    spaces = connection.execute(sa.select(SAMPLES.c.space, SAMPLES.c.definition)).all()
    return {space: (definition, tuple(trials.get(space, ()))) for space, definition in spaces}


def stamp(connection: sa.Connection) -> tuple[Any, ...]:
    """Return what differs once anything has been committed."""
    drawn = sa.select(sa.func.sum(SAMPLES.c.num_draws)).scalar_subquery()
    last = sa.select(sa.func.max(ATTEMPTS.c.number)).scalar_subquery()
    told = connection.scalars(sa.select(FACTS.c.value).order_by(FACTS.c.name)).all()
    return (*connection.execute(sa.select(drawn, last)).one(), *told)
