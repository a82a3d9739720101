"""A population: the networks of one space, and what became of each."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from netspace.networks.complexity import Complexity
from netspace.networks.spec import NetworkSpec
from netspace.training.trial import TrialResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """The sampled networks of one space in the order of their draws, each with its result.

    `results[i]` is None while network i has not been trained. `drawn[i]` holds the values that were drawn
    for network i, before widths were adjusted to group widths (RegNet's w_0, w_a and w_m among them), and
    `positions[i]` the number of its raw draw.
    `complexity` holds arrays of shape (n,). `num_draws` raw draws were needed, of which `num_in_band` met
    the budget, duplicates included. `metric` is the recipe's, of which the results' errors are.
    """

    name: str
    networks: tuple[NetworkSpec, ...]
    results: tuple[TrialResult | None, ...]
    drawn: tuple[Mapping[str, float], ...]
    positions: tuple[int, ...]
    complexity: Complexity
    num_draws: int
    num_in_band: int
    metric: str = "error"

    def __len__(self) -> int:
        return len(self.networks)

    @property
    def trained(self) -> tuple[int, ...]:
        """The positions of the networks that have a result, failures included."""
        return tuple(i for i, result in enumerate(self.results) if result is not None)

    @property
    def errors(self) -> npt.NDArray[np.float64]:
        """Errors in [0, 1] of the networks that have a result, infinite for failures; shape (trained,)."""
        return np.array([r.judged_error for r in self.results if r is not None], dtype=np.float64)

    @property
    def leading_errors(self) -> npt.NDArray[np.float64]:
        """`errors` of the first networks, up to the first one without a result; shape (leading,)."""
        missing = (i for i, result in enumerate(self.results) if result is None)
        return self.errors[: next(missing, None)]

    def count(self, status: str) -> int:
        """Return how many results have a status ("finished", "diverged", "failed")."""
        return sum(r is not None and r.status == status for r in self.results)

    @property
    def acceptance(self) -> float:
        """The share of raw draws that met the budget."""
        return self.num_in_band / self.num_draws if self.num_draws else 0.0
