"""Values of ours as rows of a store, and back."""

import datetime
import platform
from collections.abc import Mapping, Sequence
from sys import intern
from typing import Any

import numpy as np

from netspace import values
from netspace.networks.complexity import MEASURES, Complexity
from netspace.networks.spec import NetworkSpec
from netspace.storage.population import Population
from netspace.storage.tables import MEMBERS, NETWORKS, RESULTS
from netspace.training.trial import EpochRecord, TrialResult


def member_rows(
    population: Population, trials: Sequence[str], first: int, end: int
) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """Return the members of a population from position `first` to before `end`, and their networks by digest."""
    members, networks = [], {}
    for i in range(first, min(end, len(population))):
        network = population.networks[i]
        digest = network.digest
        costs = {m: int(getattr(population.complexity, m)[i]) for m in MEASURES}
        networks[digest] = {"digest": digest, "spec": network.to_dict(), **costs}
        members.append(
            {
                "space": population.name,
                "position": i,
                "draw": population.positions[i],
                "drawn": dict(population.drawn[i]),
                "network": digest,
                "trial": trials[i],
            }
        )
    return members, networks


def result_row(result: TrialResult) -> dict[str, Any]:
    """Return a trial's result."""
    said = {name: getattr(result, name) for name in ("status", "error", "seconds", "images")}
    return {
        "trial": result.trial_id,
        **said,
        "reason": storable(result.reason),
        "curve": values.to_dict(result.curve),
    }


def attempt_row(
    trial: str, outcome: str, error: float | None, reason: str | None, versions: Mapping[str, str]
) -> dict[str, Any]:
    """Return an attempt that has ended now; here, unless `versions` name a host too."""
    return {
        "trial": trial,
        "outcome": outcome,
        "error": error,
        "reason": storable(reason),
        "host": versions.get("host", platform.node()),
        "ended": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {name: version for name, version in versions.items() if name != "host"},
    }


def storable(text: str | None) -> str | None:
    r"""Return a text with what no database takes, as a traceback may hold it, written out.

    >>> print(storable("\0 and \udcff"))
    \x00 and \udcff
    """
    return None if text is None else text.replace("\0", r"\x00").encode(errors="backslashreplace").decode()


Member = tuple[NetworkSpec, TrialResult | None, dict[str, float], int, tuple[int, ...]]
"""A network of a population, its result, what was drawn for it, the number of its draw, and its `MEASURES`."""


def member_of(row: Any) -> Member:
    """Return the member of a row of members, networks and results."""
    costs = tuple(row[NETWORKS.c[measure]] for measure in MEASURES)
    spec = NetworkSpec.from_dict(row[NETWORKS.c.spec])
    drawn = {intern(name): value for name, value in row[MEMBERS.c.drawn].items()}  # names take more room than numbers
    return spec, _result(row), drawn, row[MEMBERS.c.draw], costs


def population_of(sample: Any, members: Sequence[Member], metric: str) -> Population:
    """Return the population of a sample's row and its members."""
    networks, results, drawn, positions, costs = zip(*members, strict=True) if members else ((),) * 5
    columns = np.ascontiguousarray(np.array(costs, dtype=np.int64).reshape(-1, len(MEASURES)).T)
    return Population(
        name=sample["space"],
        networks=networks,
        results=results,
        drawn=drawn,
        positions=positions,
        complexity=Complexity(**dict(zip(MEASURES, columns, strict=True))),
        num_draws=sample["num_draws"],
        num_in_band=sample["num_in_band"],
        metric=metric,
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
