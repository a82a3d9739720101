"""Values of ours as rows of a store, and back."""

import datetime
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from netspace import values
from netspace.networks.complexity import MEASURES, Complexity
from netspace.networks.spec import NetworkSpec
from netspace.storage.population import Population
from netspace.storage.tables import MEMBERS, NETWORKS, RESULTS
from netspace.training.trial import EpochRecord, TrialResult


def network_rows(population: Population) -> dict[str, dict[str, Any]]:
    """Return a population's networks by their digests, each once."""
    return {
        network.digest: {
            "digest": network.digest,
            "spec": network.to_dict(),
            **{m: int(getattr(population.complexity, m)[i]) for m in MEASURES},
        }
        for i, network in enumerate(population.networks)
    }


def member_rows(population: Population, trials: Sequence[str], *, first: int) -> list[dict[str, Any]]:
    """Return the members of a population from position `first` on."""
    return [
        {
            "space": population.name,
            "position": i,
            "draw": population.positions[i],
            "drawn": dict(population.drawn[i]),
            "network": population.networks[i].digest,
            "trial": trials[i],
        }
        for i in range(first, len(population))
    ]


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
    """Return an attempt that has ended now, on this host."""
    return {
        "trial": trial,
        "outcome": outcome,
        "error": error,
        "reason": storable(reason),
        "host": platform.node(),
        "ended": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": dict(versions),
    }


def storable(text: str | None) -> str | None:
    r"""Return a text with what no database takes, as a traceback may hold it, written out.

    >>> print(storable("\0 and \udcff"))
    \x00 and \udcff
    """
    return None if text is None else text.replace("\0", r"\x00").encode(errors="backslashreplace").decode()


def population_of(sample: Any, rows: Sequence[Any], metric: str) -> Population:
    """Return the population of a sample's row and those of its members, networks and results."""
    return Population(
        name=sample["space"],
        networks=tuple(NetworkSpec.from_dict(row[NETWORKS.c.spec]) for row in rows),
        results=tuple(_result(row) for row in rows),
        drawn=tuple(row[MEMBERS.c.drawn] for row in rows),
        positions=tuple(row[MEMBERS.c.draw] for row in rows),
        complexity=Complexity(**{m: np.array([row[NETWORKS.c[m]] for row in rows], dtype=np.int64) for m in MEASURES}),
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
