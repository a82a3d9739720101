"""A design space: parameters with laws, relations across stages, and what all its networks have in common.

Raw draw j is a row of uniform numbers that depends on the space's parameters, the seed and j alone: a counter
names each number, so draws can be made in any order, in any number, on any machine.
"""

import functools
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from netspace import values
from netspace.errors import SpaceError, did_you_mean
from netspace.networks.regnet import adjust_widths, linear_widths
from netspace.networks.spec import FloatArray, Frame, SpecArrays, StageArrays
from netspace.spaces.budget import Budget
from netspace.spaces.laws import Law, as_range, draw
from netspace.spaces.relations import Increasing, Independent, Relation, Share
from netspace.spaces.sample import Draws, Sample, sample

PER_STAGE = ("depth", "width", "bottleneck_ratio", "group_width")
"""The parameters that each stage of an AnyNet has."""

RULE = ("total_depth", "initial_width", "width_slope", "width_multiplier")
"""The parameters from which the RegNet rule derives every depth and width."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter by name, and the law of its values."""

    name: str
    law: Law


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignSpace(Frame):
    """A distribution over networks.

    `parameters` are those of every stage (`depth`, `width`, `bottleneck_ratio`, `group_width`) or, where the
    RegNet rule gives depths and widths, `total_depth`, `initial_width`, `width_slope` and `width_multiplier`
    instead of the first two. `relations` tie a parameter across stages; one without is independent.
    `source` says who described the space.
    """

    name: str
    parameters: tuple[Parameter, ...]
    relations: tuple[Relation, ...] = ()
    num_stages: int = 4
    source: str = ""

    def __post_init__(self) -> None:
        Frame.__post_init__(self)
        names = self.parameter_names
        expected = (*RULE, *PER_STAGE[2:]) if self.is_linear else PER_STAGE
        if sorted(names) != sorted(expected):
            raise SpaceError(f"parameters (={', '.join(names)}) must be {', '.join(expected)}")
        if not (isinstance(self.num_stages, int) and 1 <= self.num_stages <= 8):
            raise SpaceError(f"num_stages (={self.num_stages}) must be a whole number from 1 to 8")
        tied = [relation.parameter for relation in self.relations]
        for name in tied:
            if name not in PER_STAGE or name not in names:
                stages = [n for n in PER_STAGE if n in names]
                raise SpaceError(f"relation on {name!r}: no such parameter{did_you_mean(name, stages)}")
            if tied.count(name) > 1:
                raise SpaceError(f"relations on {name!r}: a parameter can have one, this has {tied.count(name)}")

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """The names of the parameters, in order."""
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def is_linear(self) -> bool:
        """Whether the RegNet rule gives depths and widths."""
        return RULE[0] in self.parameter_names

    @property
    def digest(self) -> str:
        """The content digest; the name and the source are not part of it."""
        return values.digest(replace(self, name="", source=""))

    def law(self, name: str) -> Law:
        """Return the law of a parameter. Raises: SpaceError with the nearest name."""
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter.law
        raise SpaceError(f"{name}: {self.name} has no such parameter{did_you_mean(name, self.parameter_names)}")

    def relation(self, name: str) -> Relation:
        """Return how a per-stage parameter is tied across stages."""
        for relation in self.relations:
            if relation.parameter == name:
                return relation
        return Independent(parameter=name)

    def share(self, name: str) -> "DesignSpace":
        """Return the space refined by one value of a parameter for all stages."""
        return self._tie(Share(parameter=name))

    def increasing(self, name: str) -> "DesignSpace":
        """Return the space refined by values of a parameter that never fall along the stages."""
        return self._tie(Increasing(parameter=name))

    def narrow(self, **ranges: Any) -> "DesignSpace":
        """Return the space conditioned on closed ranges: `narrow(depth=(1, 6), bottleneck_ratio=1)`.

        Raises: SpaceError, naming the parameter, the range and what it must lie in.
        """
        laws = {parameter.name: parameter.law for parameter in self.parameters}
        for name, given in ranges.items():
            law = self.law(name)
            try:
                laws[name] = law.narrow(*as_range(given))
            except SpaceError as problem:
                raise SpaceError(f"{name}: {problem}") from None
        return replace(self, parameters=tuple(Parameter(name=n, law=law) for n, law in laws.items()))

    def size(self) -> int | None:
        """Return the exact number of distinct draws; None where the RegNet rule decides which exist."""
        if self.is_linear:
            return None
        return math.prod(self.relation(name).count(self.law(name), self.num_stages) for name in self.parameter_names)

    def free_parameters(self) -> int:
        """Return how many numbers are free."""
        return sum(
            self.relation(name).free(self.num_stages) if name in PER_STAGE else 1 for name in self.parameter_names
        )

    def draw(self, start: int, stop: int, *, seed: int = 0) -> Draws:
        """Return raw draws [start, stop) as columns; no draw depends on which others are asked for."""
        uniform = self._uniform(start, stop, seed)
        drawn: dict[str, FloatArray] = {}
        stages: dict[str, FloatArray] = {}
        for position, name in enumerate(self.parameter_names):
            columns = uniform[:, position * self.num_stages : (position + 1) * self.num_stages]
            if name not in PER_STAGE:
                drawn[name] = draw(self.law(name), columns[:, 0])
                continue
            stages[name] = self.relation(name).draw(self.law(name), columns)
            drawn.update({f"{name}[{i}]": stages[name][:, i] for i in range(self.num_stages)})
        exists = np.ones(stop - start, dtype=bool)
        if self.is_linear:
            rule = linear_widths(*(drawn[name] for name in RULE), max_stages=self.num_stages)
            exists = (rule.num_stages == self.num_stages) & ~rule.skipped
            # A draw that is no network still needs some numbers in its row.
            stages["depth"] = np.where(exists[:, None], rule.depths, 1).astype(np.float64)
            stages["width"] = np.where(exists[:, None], rule.widths, 8).astype(np.float64)
        return Draws(start=start, drawn=drawn, networks=self._networks(stages), exists=exists)

    def sample(
        self,
        n: int,
        *,
        seed: int = 0,
        resolution: int = 224,
        flops: tuple[float, float] | None = None,
        params: tuple[float, float] | None = None,
        activations: tuple[float, float] | None = None,
    ) -> Sample:
        """Return the first n distinct networks inside closed bands of complexity at `resolution` [pixels].

        Raises: as `netspace.spaces.sample.sample`.

        >>> from netspace.spaces.catalog import space
        >>> taken = space("anynetx_e").sample(2, flops=(360e6, 400e6))
        >>> len(taken.networks), bool((taken.complexity.flops <= 400e6).all())
        (2, True)
        """
        budget = Budget(flops=flops, params=params, activations=activations)
        return sample(self, n, seed=seed, resolution=resolution, budget=budget)

    def _tie(self, relation: Relation) -> "DesignSpace":
        return replace(self, relations=(*self.relations, relation))

    def _uniform(self, start: int, stop: int, seed: int) -> FloatArray:
        """Return uniform numbers in [0, 1) of shape (stop - start, parameters x stages)."""
        columns = len(self.parameters) * self.num_stages
        # Philox makes four numbers per step of its counter; a row begins at a step of its own.
        steps = -(-columns // 4)
        bits = np.random.Philox(key=_stream_key(replace(self, name="", source=""), seed)).advance(start * steps)
        # Raw bits are the same in every version of NumPy; what a Generator makes of them need not be.
        raw = bits.random_raw((stop - start) * steps * 4).reshape(stop - start, steps * 4)
        uniform: FloatArray = (raw[:, :columns] >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return uniform

    def _networks(self, stages: Mapping[str, FloatArray]) -> SpecArrays:
        widths, group_widths = adjust_widths(
            stages["width"].astype(np.int64),
            stages["bottleneck_ratio"],
            stages["group_width"].astype(np.int64),
        )
        return SpecArrays(
            stages=tuple(
                StageArrays(
                    depth=stages["depth"][:, i].astype(np.int64),
                    width=widths[:, i],
                    group_width=group_widths[:, i],
                    bottleneck_ratio=stages["bottleneck_ratio"][:, i],
                )
                for i in range(self.num_stages)
            ),
            **self.frame(),
        )


@functools.lru_cache(maxsize=256)
def _stream_key(space: DesignSpace, seed: int) -> int:
    """Return the key of a space's stream of raw draws; classes, channels and stem do not change it."""
    parts = (
        [values.digest(parameter) for parameter in space.parameters],
        [values.digest(relation) for relation in space.relations],
        space.num_stages,
        seed,
    )
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:16], "big")
