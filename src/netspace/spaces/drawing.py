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
from netspace.networks.regnet import WIDTH_STEP, adjust_widths, linear_widths
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
    columns = {key: np.asarray(column) for key, column in drawn.items()}
    if space.is_linear:
        rule = linear_widths(*(drawn[name] for name in RULE), max_stages=space.num_stages)
        exists = (rule.num_stages == space.num_stages) & ~rule.skipped
        for i in range(space.num_stages):
            # A draw that is no network still needs some numbers in its row.
            columns[f"depth[{i}]"] = np.where(exists, rule.depths[:, i], 1)
            columns[f"width[{i}]"] = np.where(exists, rule.widths[:, i], WIDTH_STEP)
    stages = tuple(_stage(space, columns, i) for i in range(space.num_stages))
    networks = SpecArrays(stages=stages, **space.frame())
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
    # Column by column in memory, for that is how laws read them.
    bits_53 = np.right_shift(raw[:, :columns].T, np.uint64(11), order="C")
    uniform: FloatArray = bits_53.astype(np.float64)
    uniform *= 2.0**-53
    return uniform.T


def _stage(space: "DesignSpace", columns: Mapping[str, FloatArray | IntArray], i: int) -> StageArrays:
    """Return stage i of all draws, its width adjusted to its group width."""
    depth, width = (columns[f"{name}[{i}]"].astype(np.int64) for name in BODY)
    ratio = columns.get(f"bottleneck_ratio[{i}]")
    ratio = np.ones(len(depth)) if ratio is None else ratio.astype(np.float64)
    group = columns.get(f"group_width[{i}]")
    width, group_width = adjust_widths(width, ratio, 1 if group is None else group.astype(np.int64))
    return StageArrays(
        depth=depth,
        width=width,
        group_width=None if group is None else group_width,
        bottleneck_ratio=ratio,
        stride=space.stride,
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
