"""How one parameter is tied across stages: each relation draws inside itself and counts itself exactly.

Every relation takes the same (n, stages) uniform numbers, so spaces that refine one another can share them.
"""

import functools
import math
from dataclasses import dataclass

import numpy as np

from netspace.networks.spec import FloatArray
from netspace.spaces.laws import Law, draw, draw_index, law_values, probabilities


@dataclass(frozen=True, slots=True, kw_only=True)
class Independent:
    """Each stage has its own value."""

    parameter: str

    def draw(self, law: Law, uniform: FloatArray) -> FloatArray:
        """Return values of shape (n, stages)."""
        return draw(law, uniform)

    def count(self, law: Law, num_stages: int) -> int:
        """Return the number of distinct draws."""
        size: int = len(law_values(law)) ** num_stages
        return size

    def free(self, num_stages: int) -> int:
        """Return the number of free parameters."""
        return num_stages

    def describe(self) -> str:
        """Return the relation as a person would read it."""
        return f"{self.parameter} is free in every stage"


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One value for all stages."""

    parameter: str

    def draw(self, law: Law, uniform: FloatArray) -> FloatArray:
        """Return values of shape (n, stages), equal along a row."""
        return np.repeat(draw(law, uniform[:, :1]), uniform.shape[1], axis=1)

    def count(self, law: Law, num_stages: int) -> int:
        """Return the number of distinct draws."""
        return len(law_values(law))

    def free(self, num_stages: int) -> int:
        """Return the number of free parameters."""
        return 1

    def describe(self) -> str:
        """Return the relation as a person would read it."""
        return f"{self.parameter} is shared"


@dataclass(frozen=True, slots=True, kw_only=True)
class Increasing:
    """Values that never fall from one stage to the next.

    A draw has the law of independent stages *conditioned* on the order, ties included, and is made directly:
    stage by stage, from the law of its value given the one before.
    """

    parameter: str

    def draw(self, law: Law, uniform: FloatArray) -> FloatArray:
        """Return values of shape (n, stages), rising along each row."""
        tables = _ordered_tables(law, uniform.shape[1])
        columns = np.empty(uniform.shape, dtype=np.int64)
        lowest = np.zeros(len(uniform), dtype=np.int64)
        for stage, cumulative in enumerate(tables):
            below = np.where(lowest > 0, cumulative[lowest - 1], 0.0)
            target = below + uniform[:, stage] * (cumulative[-1] - below)
            lowest = np.maximum(draw_index(cumulative, target / cumulative[-1]), lowest)
            columns[:, stage] = lowest
        return law_values(law)[columns]

    def count(self, law: Law, num_stages: int) -> int:
        """Return the number of distinct draws: multisets of the law's values."""
        return math.comb(len(law_values(law)) + num_stages - 1, num_stages)

    def free(self, num_stages: int) -> int:
        """Return the number of free parameters."""
        return num_stages

    def describe(self) -> str:
        """Return the relation as a person would read it."""
        return f"{self.parameter} never falls"


Relation = Independent | Share | Increasing


@functools.lru_cache(maxsize=256)
def _ordered_tables(law: Law, num_stages: int) -> tuple[FloatArray, ...]:
    """Return, per stage, the running sum over values of (chance of the value) x (chance of a rising rest)."""
    chances = probabilities(law)
    rest = np.ones(len(chances))
    tables = []
    for _ in range(num_stages):
        weight = chances * rest
        tables.append(np.cumsum(weight))
        rest = np.cumsum(weight[::-1])[::-1]
    return tuple(reversed(tables))
