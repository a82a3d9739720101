"""The first n distinct networks of a space that meet a budget, in the order of their raw draws."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from netspace import values
from netspace.errors import SpaceError
from netspace.networks.complexity import MEASURES, Complexity, check_resolution, complexity
from netspace.networks.plan import sides
from netspace.networks.spec import FloatArray, Frame, IntArray, NetworkSpec, SpecArrays
from netspace.spaces.budget import Budget, show_band
from netspace.spaces.latency import Latency, LatencyBand

BATCH = 16_384
"""Raw draws made at once; it changes speed and memory, never a sample."""

NOT_DRAWN = -1
"""The position of a network that no draw gave."""

MAX_DRAWS = 2_000_000
"""Raw draws after which a search gives up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """n raw draws whose networks share a frame.

    `positions` are their numbers. `drawn` maps parameter names (`depth[0]`, `total_depth`) to columns of shape (n,).
    `networks` holds what they become after the width adjustment; `exists` (n,) is false where a draw is no network of
    the space.
    """

    positions: IntArray
    drawn: Mapping[str, FloatArray]
    networks: SpecArrays
    exists: npt.NDArray[np.bool_]

    def take(self, rows: IntArray) -> "Draws":
        """Return some of the draws."""
        return Draws(
            positions=self.positions[rows],
            drawn={name: column[rows] for name, column in self.drawn.items()},
            networks=self.networks.take(rows),
            exists=self.exists[rows],
        )


class Source(Protocol):
    """What can be sampled: raw draws by number, none of which depends on the others."""

    @property
    def name(self) -> str:
        """What sentences call it."""
        ...

    def batches(self, start: int, stop: int, *, seed: int = 0) -> "Sequence[Draws]":
        """Return raw draws [start, stop) in groups that share a frame."""
        ...

    def with_budget(self, budget: Budget, resolution: int) -> "tuple[Source, Budget]":
        """Return the source without a band that the budget then has."""
        ...

    def distinct(self) -> Any:
        """Return the number of distinct networks, an integer where it is known exactly."""
        ...

    def everything(self) -> "Sequence[Draws] | None":
        """Return every draw once, in such groups; None where there are too many."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Networks of a space inside a budget, in the order of their raw draws; distinct unless repeats were asked for.

    `positions[i]` is the number j of the raw draw that gave network i (NOT_DRAWN for one that was listed because it is
    too improbable to be drawn), `drawn[i]` the values before widths were adjusted to group widths. `draws` raw draws
    were made up to the last network; `in_band` of them met what was `asked`, in words: the budget, the space's own
    band, a band of latency; `duplicates` of these repeated a network. `complexity` holds arrays of shape (n,).
    `exhausted` says that the space holds no other network there, so that fewer were given than were asked for.
    `latencies` are the (median, noise) [ms] of the networks where a band of latency was asked for.
    """

    name: str
    seed: int
    budget: Budget
    resolution: int
    networks: tuple[NetworkSpec, ...]
    drawn: tuple[Mapping[str, float], ...]
    positions: tuple[int, ...]
    complexity: Complexity
    draws: int
    in_band: int
    asked: str
    exhausted: bool = False
    latencies: tuple[Latency, ...] = ()

    @property
    def acceptance(self) -> float:
        """The share of raw draws that met the budget."""
        return self.in_band / self.draws if self.draws else 0.0

    @property
    def acceptance_interval(self) -> tuple[float, float]:
        """The 95 % interval of the acceptance. Source: Wilson 1927, JASA 22, 209-212."""
        return wilson_interval(self.in_band, self.draws)

    @property
    def duplicates(self) -> int:
        """Draws that met the budget but repeated a network."""
        drawn = {network for network, j in zip(self.networks, self.positions, strict=True) if j != NOT_DRAWN}
        return self.in_band - len(drawn)


def sample(
    source: Source,
    n: int,
    *,
    seed: int = 0,
    resolution: int = 224,
    budget: Budget | None = None,
    latency: LatencyBand | None = None,
    repeats: bool = False,
    max_draws: int = MAX_DRAWS,
) -> Sample:
    """Return the first n distinct networks whose complexity at `resolution` [pixels] meets the budget.

    A larger n only appends. A space that holds fewer gives all of them, and `exhausted` says so. A band of `latency`
    decides after the budget, by measuring. With `repeats` the first n draws count, whatever they repeat.

    Raises: SpaceError where `max_draws` draws do not hold n such networks, with the acceptance seen and the
    complexities next to the band; SpecError where the resolution is too small.
    """
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise SpaceError(f"n (={n!r}) must be a whole number of networks, at least 1")
    if n > max_draws:
        raise SpaceError(f"n (={n:,}) must be at most {max_draws:,}, the number of draws after which a search ends")
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**63:
        raise SpaceError(f"seed (={seed!r}) must be a whole number from 0 to 2^63 - 1")
    # Strides are the same in every network of a frame, so the first draws tell whether the image suffices.
    for draws in source.batches(0, 64, seed=seed):
        sides(draws.networks, check_resolution(resolution))
    source, budget = source.with_budget(budget or Budget(), resolution)
    asked = " and ".join([budget.describe(), *([latency.describe()] if latency else [])])
    neighbours = _Neighbours(budget)
    listed = None if repeats or latency else _listed(source, budget, resolution, neighbours)
    if listed == []:
        raise SpaceError(f"{source.name}: no network has {asked} at resolution {resolution}; {neighbours.describe()}")
    target = n if listed is None else min(n, len(listed))
    found: list[_Found] = []
    seen: set[tuple[str, bytes]] = set()
    clock = _Clock(latency, n)
    in_band = made = 0
    while len(found) < target and made < max_draws:
        start, made = made, min(made + BATCH, max_draws)
        for one in _accepted(source.batches(start, made, seed=seed), budget, resolution, neighbours):
            if latency is not None and not latency.holds(clock(one)):
                continue
            in_band += 1
            if one.key in seen and not repeats:
                continue
            seen.add(one.key)
            found.append(one)
            if len(found) == target:
                made = one.position + 1
                break
    if listed is not None:
        # What so many draws have not met is too improbable to wait for.
        found += [replace(one, position=NOT_DRAWN) for one in listed if one.key not in seen][: target - len(found)]
    exhausted = len(found) < n
    if not found or (exhausted and listed is None and (budget.bands() or latency or source.distinct() != len(found))):
        raise SpaceError(
            f"{source.name}: {made:,} draws gave {len(found)} of {n} distinct networks with {asked} at resolution "
            f"{resolution} (acceptance {in_band / made:.2g}); "
            + ("the space holds few others there" if in_band else neighbours.describe())
        )
    costs = [one.cost() for one in found]
    return Sample(
        name=source.name,
        seed=seed,
        budget=budget,
        resolution=resolution,
        networks=tuple(one.network() for one in found),
        drawn=tuple(one.drawn() for one in found),
        positions=tuple(one.position for one in found),
        complexity=Complexity(
            **{m: np.array([getattr(cost, m) for cost in costs], dtype=np.int64) for m in MEASURES},
        ),
        draws=made,
        in_band=in_band,
        asked=asked,
        exhausted=exhausted,
        latencies=tuple(clock(one) for one in found) if latency else (),
    )


def wilson_interval(hits: int, draws: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the interval of a share of which `hits` among `draws` were seen; 95 % by default.

    >>> low, high = wilson_interval(0, 100)
    >>> round(low, 3), round(high, 3)
    (0.0, 0.037)
    """
    if not draws:
        return 0.0, 1.0
    share = hits / draws
    centre = share + z * z / (2 * draws)
    spread = z * math.sqrt(share * (1 - share) / draws + z * z / (4 * draws * draws))
    scale = 1 + z * z / draws
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """One accepted draw: a row of a group."""

    position: int
    row: int
    key: tuple[str, bytes]
    draws: Draws
    costs: Complexity

    def network(self) -> NetworkSpec:
        return self.draws.networks[self.row]

    def drawn(self) -> dict[str, float]:
        return {name: float(column[self.row]) for name, column in self.draws.drawn.items()}

    def cost(self) -> Complexity:
        return Complexity(**{m: int(getattr(self.costs, m)[self.row]) for m in MEASURES})


def _accepted(
    groups: Sequence[Draws], budget: Budget, resolution: int, neighbours: "_Neighbours | None" = None
) -> list[_Found]:
    """Return the draws that are networks inside the budget, in the order of their numbers."""
    found = []
    for draws in groups:
        costs = complexity(draws.networks, resolution)
        if neighbours is not None:
            neighbours.see(costs, draws.exists)
        rows = np.flatnonzero(draws.exists & budget.meets(costs))
        found += [
            _Found(position=position, row=row, key=key, draws=draws, costs=costs)
            for position, row, key in zip(
                draws.positions[rows].tolist(), rows.tolist(), _keys(draws, rows), strict=True
            )
        ]
    return found if len(groups) == 1 else sorted(found, key=lambda one: one.position)


class _Clock:
    """Measures the latency of accepted draws, each network once, and gives up after a stated number."""

    def __init__(self, band: LatencyBand | None, n: int) -> None:
        self._band, self._n = band, n
        self._seen: dict[tuple[str, bytes], Latency] = {}

    def __call__(self, one: _Found) -> Latency:
        assert self._band is not None
        if one.key not in self._seen:
            if len(self._seen) == self._band.most:
                medians = [median for median, _ in self._seen.values()]
                inside = sum(self._band.holds(latency) for latency in self._seen.values())
                raise SpaceError(
                    f"{self._band.describe()}: of {len(self._seen):,} networks that were measured {inside} of "
                    f"{self._n} lie there; they took {min(medians):.3g} to {max(medians):.3g} ms"
                )
            self._seen[one.key] = self._band.measure(one.network())
        return self._seen[one.key]


def _listed(source: Source, budget: Budget, resolution: int, neighbours: "_Neighbours") -> list[_Found] | None:
    """Return the distinct networks inside the budget that a space holds; None where it is too large to look."""
    groups = source.everything()
    if groups is None:
        return None
    return list({one.key: one for one in _accepted(groups, budget, resolution, neighbours)}.values())


def distinct_networks(groups: Sequence[Draws]) -> set[tuple[str, bytes]]:
    """Return what tells the networks of draws apart, once each."""
    return {key for draws in groups for key in _keys(draws, np.flatnonzero(draws.exists))}


def _keys(draws: Draws, rows: IntArray) -> list[tuple[str, bytes]]:
    frame = values.digest(Frame(**draws.networks.frame())) + str(len(draws.networks.stages))
    return [(frame, row.tobytes()) for row in draws.networks.table()[rows]]


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
