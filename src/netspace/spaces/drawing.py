"""How draws are made: uniform numbers named by a counter, laws and relations, then networks.

Raw draw j is a row of uniform numbers that depends on the space's parameters, the seed and j alone: a counter names
each number, so draws can be made in any order, in any number, on any machine.
"""

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from netspace import values
from netspace.errors import SpaceError
from netspace.networks.complexity import complexity
from netspace.networks.regnet import adjust_widths, linear_widths
from netspace.networks.spec import FloatArray, IntArray, SpecArrays, StageArrays
from netspace.spaces.budget import Budget
from netspace.spaces.laws import draw
from netspace.spaces.parameters import BODY, PER_STAGE, RULE
from netspace.spaces.sample import Draws

if TYPE_CHECKING:
    from netspace.spaces.counting import Estimate
    from netspace.spaces.space import DesignSpace


def draw_range(
    space: "DesignSpace", start: int, stop: int, *, seed: int = 0, coupled_to: "DesignSpace | None" = None
) -> Draws:
    """Return raw draws [start, stop) of a space; see `DesignSpace.draw`."""
    stream = coupled_to or space
    if (stream.parameter_names, stream.num_stages) != (space.parameter_names, space.num_stages):
        raise SpaceError(
            f"{space.name} cannot share draws with {stream.name}: both must have the same parameters and stages, "
            f"not {', '.join(space.parameter_names)} in {space.num_stages} and "
            f"{', '.join(stream.parameter_names)} in {stream.num_stages}"
        )
    # The name and the source change no draw, and the key is looked up by the space itself.
    uniform = _uniform(space, start, stop, _stream_key(replace(stream, name="", source=""), seed))
    drawn: dict[str, FloatArray] = {}
    for position, name in enumerate(space.parameter_names):
        columns = uniform[:, position * space.num_stages : (position + 1) * space.num_stages]
        if name in PER_STAGE:
            stages = space.chain(name).draw(columns)
            drawn.update({f"{name}[{i}]": stages[:, i] for i in range(space.num_stages)})
        else:
            drawn[name] = draw(space.law(name), columns[:, 0])
    return realise(space, np.arange(start, stop), drawn)


def realise(space: "DesignSpace", positions: IntArray, drawn: Mapping[str, FloatArray]) -> Draws:
    """Return the networks that drawn values become: by the RegNet rule, adjusted widths, and the band.

    `drawn` maps every parameter's name, with the stage in brackets where it has one, to a column of shape (n,).
    """
    exists = np.ones(len(positions), dtype=bool)
    stages = {
        name: np.stack([drawn[f"{name}[{i}]"] for i in range(space.num_stages)], axis=1)
        for name in space.parameter_names
        if name in PER_STAGE
    }
    if space.is_linear:
        rule = linear_widths(*(drawn[name] for name in RULE), max_stages=space.num_stages)
        exists = (rule.num_stages == space.num_stages) & ~rule.skipped
        # A draw that is no network still needs some numbers in its row.
        stages["depth"] = np.where(exists[:, None], rule.depths, 1).astype(np.float64)
        stages["width"] = np.where(exists[:, None], rule.widths, 8).astype(np.float64)
    networks = _networks(space, stages)
    if space.band.bands() or space.outside.bands():
        costs = complexity(networks, space.band_resolution)
        exists = exists & space.band.meets(costs)
        for measure, band in space.outside.bands().items():
            exists &= ~Budget(**{measure: band}).meets(costs)
    return Draws(positions=positions, drawn=drawn, networks=networks, exists=exists)


def _uniform(space: "DesignSpace", start: int, stop: int, key: int) -> FloatArray:
    """Return uniform numbers in [0, 1) of shape (stop - start, parameters x stages)."""
    columns = len(space.parameters) * space.num_stages
    # Philox makes four numbers per step of its counter; a row begins at a step of its own.
    steps = -(-columns // 4)
    bits = np.random.Philox(key=key).advance(start * steps)
    # Raw bits are the same in every version of NumPy; what a Generator makes of them need not be.
    raw = bits.random_raw((stop - start) * steps * 4).reshape(stop - start, steps * 4)
    uniform: FloatArray = (raw[:, :columns] >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return uniform


def _networks(space: "DesignSpace", stages: Mapping[str, FloatArray]) -> SpecArrays:
    depths, drawn_widths = (stages[name].astype(np.int64) for name in BODY)
    ratios = stages.get("bottleneck_ratio", np.ones(depths.shape))
    drawn_groups = stages.get("group_width")
    widths, group_widths = adjust_widths(
        drawn_widths, ratios, 1 if drawn_groups is None else drawn_groups.astype(np.int64)
    )
    return SpecArrays(
        stages=tuple(
            StageArrays(
                depth=depths[:, i],
                width=widths[:, i],
                group_width=None if drawn_groups is None else group_widths[:, i],
                bottleneck_ratio=ratios[:, i],
                stride=space.stride,
            )
            for i in range(space.num_stages)
        ),
        **space.frame(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Coupled:
    """A space that takes its raw draws from another space's stream."""

    space: "DesignSpace"
    to: "DesignSpace"

    @property
    def name(self) -> str:
        """What sentences call it."""
        return self.space.name

    def batches(self, start: int, stop: int, *, seed: int = 0) -> tuple[Draws, ...]:
        """Return raw draws [start, stop) in groups that share a frame: one group."""
        return (self.space.draw(start, stop, seed=seed, coupled_to=self.to),)

    def with_budget(self, budget: Budget, resolution: int) -> "tuple[Coupled, Budget]":
        """Return the space without its band and a budget with it, where both speak of one resolution."""
        space, budget = self.space.with_budget(budget, resolution)
        return Coupled(space=space, to=self.to), budget

    def distinct(self) -> "int | Estimate":
        """Return the number of distinct networks."""
        return self.space.distinct()

    def everything(self) -> tuple[Draws, ...] | None:
        """Return every draw once, in groups that share a frame; None where there are too many."""
        return self.space.everything()


@functools.lru_cache(maxsize=256)
def _stream_key(space: "DesignSpace", seed: int) -> int:
    """Return the key of a space's stream of raw draws; classes, channels, stem and band do not change it."""
    parts = (
        [values.digest(parameter) for parameter in space.parameters],
        [values.digest(relation) for relation in space.relations],
        space.num_stages,
        seed,
    )
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:16], "big")
