"""How fast a space is sampled on this machine: draws, draws held against a budget, distinct networks."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from netspace.errors import InputError
from netspace.networks.complexity import complexity
from netspace.spaces.budget import Budget
from netspace.spaces.sample import BATCH, Source, sample

DRAWS = 8 * BATCH


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingSpeed:
    """How fast a space is sampled; medians over the rounds.

    `draws` are raw draws a second; `checked` [1/s] are draws with their complexities, held against the budget;
    `networks` [1/s] are distinct networks inside it, and `seconds` is how long the first `found` of them took, from
    nothing. `acceptance` is the share of raw draws that met the budget, in [0, 1].
    """

    draws: float
    checked: float
    networks: float
    found: int
    seconds: float
    acceptance: float


def sampling_speed(
    source: Source, n: int, *, budget: Budget, resolution: int = 224, rounds: int = 5, draws: int = DRAWS
) -> SamplingSpeed:
    """Return how fast `draws` raw draws of a space are made, and its first n distinct networks inside a budget.

    A space that holds fewer networks there gives all of them. Raises: SpaceError where they cannot be found.
    """
    if rounds < 1:
        raise InputError(f"rounds (={rounds}) must be a whole number of at least 1")
    taken = sample(source, n, budget=budget, resolution=resolution)  # the tables of its laws are made once
    raw, bands = source.with_budget(budget, resolution)

    def draw() -> None:
        for start in range(0, draws, BATCH):
            raw.batches(start, min(start + BATCH, draws))

    def check() -> None:
        for start in range(0, draws, BATCH):
            for drawn in raw.batches(start, min(start + BATCH, draws)):
                bands.meets(complexity(drawn.networks, resolution))

    works = (draw, check, lambda: sample(source, n, budget=budget, resolution=resolution))
    seconds = [[_timed(work) for work in works] for _ in range(rounds)]
    drawing, checking, sampling = map(statistics.median, zip(*seconds, strict=True))
    return SamplingSpeed(
        draws=draws / drawing,
        checked=draws / checking,
        networks=len(taken.networks) / sampling,
        found=len(taken.networks),
        seconds=sampling,
        acceptance=taken.acceptance,
    )


def _timed(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
