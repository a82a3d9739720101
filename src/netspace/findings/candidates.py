"""The networks among which one is picked: each once, with its error, the limits of that, its costs, and its rank."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from netspace.findings.readings import FloatArray
from netspace.networks.complexity import MEASURES, Complexity
from netspace.networks.spec import NetworkSpec
from netspace.spaces.latency import Latency
from netspace.stats import SeedNoise, error_limits, expected_again, may_be_best, pareto_front
from netspace.storage.population import Population
from netspace.training.trial import TrialResult

LATENCY = "latency"
AXES = (*MEASURES, LATENCY)
"""What a front of errors may be against."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A network, the spaces that drew it, and its result where it has one."""

    spaces: tuple[str, ...]
    network: NetworkSpec
    complexity: Complexity
    result: TrialResult | None

    @property
    def error(self) -> float:
        """The validation error, infinite for a failure or what has no result."""
        return math.inf if self.result is None else self.result.judged_error


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A trained network inside a budget; `rank` 1 has the lowest error.

    `error`, `limits` and `expected` are shares in [0, 1]: the validation error, the limits of the true error of a
    network chosen beforehand, and what another seed is expected to give. `again` are errors of trainings from other
    seeds, None for a failure; `latency` is (median, noise) [ms]. What is not known is None. A failed network has a
    status, a reason, and neither rank nor error.
    """

    rank: int | None
    spaces: tuple[str, ...]
    network: NetworkSpec
    digest: str
    status: str
    reason: str | None
    error: float | None
    limits: tuple[float, float] | None
    expected: float | None
    again: tuple[float | None, ...]
    complexity: Complexity
    latency: Latency | None
    on_front: bool
    may_be_best: bool

    def cost(self, axis: str) -> float:
        """Return what the network costs by one of `AXES`; NaN for a latency that was not measured."""
        if axis == LATENCY:
            return math.nan if self.latency is None else self.latency[0]
        return float(getattr(self.complexity, axis))


def members(populations: Sequence[Population]) -> tuple[Member, ...]:
    """Return every network of some populations once."""
    found: dict[str, Member] = {}
    for population in populations:
        for i, (network, result) in enumerate(zip(population.networks, population.results, strict=True)):
            before = found.get(network.digest)
            found[network.digest] = Member(
                spaces=(*(before.spaces if before else ()), population.name),
                network=network,
                complexity=Complexity(**{m: int(getattr(population.complexity, m)[i]) for m in MEASURES}),
                result=result,
            )
    return tuple(found.values())


def errors_again(repeats: Iterable[Sequence[Population]]) -> dict[str, tuple[float | None, ...]]:
    """Return the errors from other seeds by a network's digest, None for a failure; a population set per seed."""
    found: dict[str, tuple[float | None, ...]] = {}
    for populations in repeats:
        # A network that several spaces drew was trained once.
        once = {one.network.digest: one.result for one in members(populations)}
        for digest, result in once.items():
            if result is not None:
                found[digest] = (*found.get(digest, ()), result.error)
    return found


def candidates(
    inside: Sequence[Member],
    *,
    against: str,
    latencies: Mapping[str, Latency],
    again: Mapping[str, tuple[float | None, ...]],
    noise: SeedNoise | None,
    images: int | None,
    level: float,
) -> tuple[Candidate, ...]:
    """Return trained networks inside a budget as candidates, by rank, the failed ones last.

    Of equal errors the network that costs least `against` is first; `latencies` and `again` are by digest. Without
    `images` nothing has limits, and without `noise` between seeds besides none is told apart from the best.
    Raises: InputError where all failed.
    """
    errors = np.array([one.error for one in inside], dtype=np.float64)
    costs = np.array([_cost(one, against, latencies) for one in inside], dtype=np.float64)
    on_front = pareto_front(errors, costs)
    best = np.isfinite(errors)
    if noise is not None or images is not None:
        best = may_be_best(errors, noise=noise, images=images, level=level)
    limits: tuple[FloatArray, FloatArray] | None = None if images is None else error_limits(errors, images, level=level)
    expected = None if noise is None else expected_again(errors, noise)
    order = sorted(range(len(inside)), key=lambda i: (errors[i], costs[i], inside[i].network.digest))
    found = []
    for rank, i in enumerate(order, start=1):
        one, digest, finished = inside[i], inside[i].network.digest, bool(np.isfinite(errors[i]))
        found.append(
            Candidate(
                rank=rank if finished else None,
                spaces=one.spaces,
                network=one.network,
                digest=digest,
                status="" if one.result is None else one.result.status,
                reason=None if one.result is None else one.result.reason,
                error=float(errors[i]) if finished else None,
                limits=(float(limits[0][i]), float(limits[1][i])) if finished and limits is not None else None,
                expected=float(expected[i]) if finished and expected is not None else None,
                again=again.get(digest, ()),
                complexity=one.complexity,
                latency=latencies.get(digest),
                on_front=bool(on_front[i]),
                may_be_best=bool(best[i]),
            )
        )
    return tuple(found)


def _cost(one: Member, against: str, latencies: Mapping[str, Latency]) -> float:
    return latencies[one.network.digest][0] if against == LATENCY else float(getattr(one.complexity, against))
