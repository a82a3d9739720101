"""The first n distinct networks of a space that meet a budget, in the order of their raw draws."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from netspace.errors import SpaceError
from netspace.networks.complexity import Complexity, check_resolution, complexity
from netspace.networks.plan import sides
from netspace.networks.spec import FloatArray, NetworkSpec, SpecArrays
from netspace.spaces.budget import Budget, show_band

BATCH = 16_384
"""Raw draws made at once; it changes speed and memory, never a sample."""

MAX_DRAWS = 2_000_000
"""Raw draws after which a search gives up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """Raw draws [start, start + n) of a space.

    `drawn` maps parameter names (`depth[0]`, `total_depth`) to columns of shape (n,). `networks` holds what
    they become after the width adjustment; `exists` (n,) is false where a draw is no network of the space.
    """

    start: int
    drawn: Mapping[str, FloatArray]
    networks: SpecArrays
    exists: npt.NDArray[np.bool_]


class Source(Protocol):
    """What can be sampled: raw draws by number, none of which depends on the others."""

    @property
    def name(self) -> str:
        """What sentences call it."""
        ...

    def draw(self, start: int, stop: int, *, seed: int = 0) -> Draws:
        """Return raw draws [start, stop)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Distinct networks of a space inside a budget, in the order of their raw draws.

    `positions[i]` is the number j of the raw draw that gave network i, `drawn[i]` what it drew before widths
    were adjusted to group widths. `draws` raw draws were made up to the last network; `in_band` of them met
    the budget, `duplicates` of which repeated a network. `complexity` holds arrays of shape (n,).
    """

    name: str
    seed: int
    budget: Budget
    networks: tuple[NetworkSpec, ...]
    drawn: tuple[Mapping[str, float], ...]
    positions: tuple[int, ...]
    complexity: Complexity
    draws: int
    in_band: int

    @property
    def acceptance(self) -> float:
        """The share of raw draws that met the budget."""
        return self.in_band / self.draws if self.draws else 0.0

    @property
    def duplicates(self) -> int:
        """Draws that met the budget but repeated a network."""
        return self.in_band - len(self.networks)


def sample(
    source: Source,
    n: int,
    *,
    seed: int = 0,
    resolution: int = 224,
    budget: Budget | None = None,
    max_draws: int = MAX_DRAWS,
) -> Sample:
    """Return the first n distinct networks whose complexity at `resolution` [pixels] meets the budget.

    A larger n only appends. Raises: SpaceError where `max_draws` draws do not hold n such networks, with the
    acceptance seen and the complexities next to the band; SpecError where the resolution is too small.
    """
    if not isinstance(n, int) or n < 1:
        raise SpaceError(f"n (={n!r}) must be a whole number of networks, at least 1")
    if n > max_draws:
        raise SpaceError(f"n (={n:,}) must be at most {max_draws:,}, the number of draws after which a search ends")
    budget = budget or Budget()
    # Strides are the same in every network of a space, so the first draw tells whether the image suffices.
    sides(source.draw(0, 1, seed=seed).networks, check_resolution(resolution))
    networks: list[NetworkSpec] = []
    drawn: list[Mapping[str, float]] = []
    positions: list[int] = []
    costs: list[Complexity] = []
    seen: set[bytes] = set()
    neighbours = _Neighbours(budget)
    in_band = 0
    for start in range(0, max_draws, BATCH):
        draws = source.draw(start, min(start + BATCH, max_draws), seed=seed)
        cost = complexity(draws.networks, resolution)
        neighbours.see(cost, draws.exists)
        table = draws.networks.table()
        for row in np.flatnonzero(draws.exists & budget.meets(cost)).tolist():
            in_band += 1
            key = table[row].tobytes()
            if key in seen:
                continue
            seen.add(key)
            networks.append(draws.networks[row])
            drawn.append({name: float(column[row]) for name, column in draws.drawn.items()})
            positions.append(start + row)
            costs.append(_row(cost, row))
            if len(networks) == n:
                return Sample(
                    name=source.name,
                    seed=seed,
                    budget=budget,
                    networks=tuple(networks),
                    drawn=tuple(drawn),
                    positions=tuple(positions),
                    complexity=_stack(costs),
                    draws=positions[-1] + 1,
                    in_band=in_band,
                )
    raise SpaceError(
        f"{source.name}: {max_draws:,} draws gave {len(networks)} of {n} distinct networks with "
        f"{budget.describe()} at resolution {resolution} (acceptance {in_band / max_draws:.2g}); "
        + ("the space holds few others there" if in_band else neighbours.describe())
    )


class _Neighbours:
    """What a space reached beside each band, for the sentence that says a band cannot be met."""

    def __init__(self, budget: Budget) -> None:
        self._bands = budget.bands()
        self._below = dict.fromkeys(self._bands, -np.inf)
        self._above = dict.fromkeys(self._bands, np.inf)
        self._range = dict.fromkeys(self._bands, (np.inf, -np.inf))

    def see(self, cost: Complexity, exists: npt.NDArray[np.bool_]) -> None:
        for measure, (low, high) in self._bands.items():
            value = getattr(cost, measure)[exists].astype(np.float64)
            self._below[measure] = max(self._below[measure], np.max(value[value < low], initial=-np.inf))
            self._above[measure] = min(self._above[measure], np.min(value[value > high], initial=np.inf))
            least, most = self._range[measure]
            self._range[measure] = (np.min(value, initial=least), np.max(value, initial=most))

    def describe(self) -> str:
        sentences = []
        for measure in self._bands:
            least, most = self._range[measure]
            if least > most:
                return "no draw was a network of the space at all"
            near = [
                f"{value:,.0f} {side}"
                for value, side in ((self._below[measure], "below"), (self._above[measure], "above"))
                if np.isfinite(value)
            ]
            sentences.append(
                f"the draws reach {measure} of {show_band(least, most)}"
                + (f", next to the band {' and '.join(near)}" if near else "")
            )
        return "; ".join(sentences) or "the space holds no more"


def _row(cost: Complexity, row: int) -> Complexity:
    return Complexity(flops=int(cost.flops[row]), params=int(cost.params[row]), activations=int(cost.activations[row]))


def _stack(costs: list[Complexity]) -> Complexity:
    return Complexity(
        flops=np.array([cost.flops for cost in costs], dtype=np.int64),
        params=np.array([cost.params for cost in costs], dtype=np.int64),
        activations=np.array([cost.activations for cost in costs], dtype=np.int64),
    )
