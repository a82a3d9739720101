"""A design space: parameters with laws, relations across stages, and what all its networks have in common.

A space is refined by methods that can be read aloud: `space("anynetx_a").share("group_width").increasing("width")`. How
draws are made of it, how it is counted, and whether it contains a network stand in `drawing`, `counting`, `membership`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from netspace import values
from netspace.checks import one_of
from netspace.errors import SpaceError, did_you_mean
from netspace.networks.complexity import MEASURES, check_resolution
from netspace.networks.spec import GROUPED, OWN, Frame, NetworkSpec
from netspace.spaces.budget import Budget
from netspace.spaces.chains import Chain, chain
from netspace.spaces.counting import Estimate, distinct, everything, size
from netspace.spaces.drawing import Coupled, draw_range
from netspace.spaces.latency import LatencyBand
from netspace.spaces.laws import Law, LogUniform, Uniform, as_range, law_values
from netspace.spaces.membership import Membership, contains
from netspace.spaces.parameters import BODY, INNER, PER_STAGE, RULE, WHOLE, Parameter
from netspace.spaces.relations import (
    Constant,
    Decreasing,
    Different,
    Fixed,
    Increasing,
    Ratio,
    Relation,
    Share,
    Total,
    complement,
    opposite,
)
from netspace.spaces.sample import Draws, Sample, sample

if TYPE_CHECKING:
    from netspace.spaces.union import SpaceUnion

MAX_STAGES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignSpace(Frame):
    """A distribution over networks.

    `parameters` are those of every stage (`depth`, `width` and, for X, Z and own blocks, `bottleneck_ratio` and
    `group_width`) or, where the RegNet rule gives depths and widths, `total_depth`, `initial_width`, `width_slope`
    and `width_multiplier` instead of the first two. `relations` tie a parameter across stages: draws have the law of
    independent stages conditioned on all of them. `stride` is that of every stage's first block. `band` keeps the
    networks whose complexity at `band_resolution` [pixels] lies in all its bands, `outside` those that lie in none of
    its own. `source` says who described the space.
    """

    name: str
    parameters: tuple[Parameter, ...]
    relations: tuple[Relation, ...] = ()
    num_stages: int = 4
    stride: int = 2
    band: Budget = Budget()
    outside: Budget = Budget()
    band_resolution: int = 224
    source: str = ""

    def __post_init__(self) -> None:
        Frame.__post_init__(self)
        if not (isinstance(self.num_stages, int) and 1 <= self.num_stages <= MAX_STAGES):
            raise SpaceError(f"num_stages (={self.num_stages}) must be a whole number from 1 to {MAX_STAGES}")
        one_of(self, "stride", SpaceError, (1, 2))
        check_resolution(self.band_resolution)
        names = self.parameter_names
        needed = RULE if self.is_linear else BODY
        allowed = (*needed, *(INNER if self.block in (*GROUPED, OWN) else ()))
        if len(set(names)) != len(names) or not set(needed) <= set(names) <= set(allowed):
            optional = [name for name in allowed if name not in needed]
            more = (
                f"; there may be {' and '.join(optional)}" if optional else f", and no other with {self.block!r} blocks"
            )
            raise SpaceError(f"parameters (={', '.join(names)}) must be {', '.join(needed)}{more}")
        for parameter in self.parameters:
            if parameter.name in WHOLE and not all(map(float.is_integer, law_values(parameter.law).tolist())):
                raise SpaceError(
                    f"{parameter.name}: its values must be whole numbers, and {parameter.law.describe()} has others"
                )
        for relation in self.relations:
            name = relation.parameter
            if name not in PER_STAGE or name not in names:
                stages = [n for n in PER_STAGE if n in names]
                raise SpaceError(f"relation on {name!r}: no such parameter{did_you_mean(name, stages)}")
            relation.check(self.num_stages)
        for name in dict.fromkeys(relation.parameter for relation in self.relations):
            self.chain(name)

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """The names of the parameters, in order."""
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def is_linear(self) -> bool:
        """Whether the RegNet rule gives depths and widths."""
        return any(parameter.name in RULE for parameter in self.parameters)

    @property
    def has_own_blocks(self) -> bool:
        """Whether its blocks are a user's own."""
        return self.own_block is not None

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

    def relations_of(self, name: str) -> tuple[Relation, ...]:
        """Return the relations on a parameter."""
        return tuple(relation for relation in self.relations if relation.parameter == name)

    def chain(self, name: str) -> Chain:
        """Return the values that a parameter of the stages can take along them. Raises: SpaceError where none can."""
        return chain(self.law(name), self.relations_of(name), self.num_stages)

    def refine(self, *relations: Relation) -> "DesignSpace":
        """Return the space conditioned on more relations. Raises: SpaceError where they contradict each other."""
        return replace(self, relations=(*self.relations, *relations))

    def share(self, name: str) -> "DesignSpace":
        """Return the space refined by one value of a parameter for all stages, drawn once by its law."""
        return self.refine(Share(parameter=name))

    def constant(self, name: str) -> "DesignSpace":
        """Return the space conditioned on equal values of a parameter in all stages."""
        return self.refine(Constant(parameter=name))

    def different(self, name: str) -> "DesignSpace":
        """Return the space refined by values of a parameter that differ from stage to stage."""
        return self.refine(Different(parameter=name))

    def increasing(self, name: str, *, strict: bool = False) -> "DesignSpace":
        """Return the space refined by values of a parameter that never fall (`strict`: rise) along the stages."""
        return self.refine(Increasing(parameter=name, strict=strict))

    def decreasing(self, name: str, *, strict: bool = False) -> "DesignSpace":
        """Return the space refined by values of a parameter that never rise (`strict`: fall) along the stages."""
        return self.refine(Decreasing(parameter=name, strict=strict))

    def ratio(self, name: str, low: float, high: float) -> "DesignSpace":
        """Return the space refined by values that are `low` to `high` times those of the stage before."""
        return self.refine(Ratio(parameter=name, low=low, high=high))

    def total(self, name: str, low: float, high: float) -> "DesignSpace":
        """Return the space refined by a sum over the stages in [low, high]: the total depth, say."""
        return self.refine(Total(parameter=name, low=low, high=high))

    def fix(self, **given: float | tuple[float, ...]) -> "DesignSpace":
        """Return the space with a parameter's value given, for all stages or one by one: `fix(depth=(1, 2, 6, 2))`."""
        space = self
        for name, value in given.items():
            if isinstance(value, tuple | list):
                space = space.refine(Fixed(parameter=name, values=tuple(value)))
            else:
                space = space.narrow(**{name: value})
        return space

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

    def within(self, *, resolution: int = 224, **bands: Any) -> "DesignSpace":
        """Return the space conditioned on bands of complexity: `within(flops=(360e6, 400e6))`. Raises: SpaceError."""
        for name in bands:
            if name not in MEASURES:
                raise SpaceError(f"{name}: no such band{did_you_mean(name, MEASURES)}")
        if (self.band.bands() or self.outside.bands()) and resolution != self.band_resolution:
            raise SpaceError(
                f"resolution (={resolution}) must be {self.band_resolution}, where {self.name} has its bands already"
            )
        return replace(self, band=self.band.meet(Budget(**bands)), band_resolution=resolution)

    def violate(self, relation: str | Relation) -> "DesignSpace":
        """Return the space with one relation replaced by its complement, all others kept.

        `relation` may be a parameter's name where it has one relation, or the name of a band (`flops`): the networks
        outside it. Raises: SpaceError.

        >>> from netspace.spaces.catalog import space
        >>> a, b = space("anynetx_a"), space("anynetx_b")
        >>> b.violate("bottleneck_ratio").size() == a.size() - b.size()
        True
        """
        if relation in self.band.bands():
            bands = self.band.bands()
            outside = self.outside.bands() | {str(relation): bands.pop(str(relation))}
            return replace(self, band=Budget(**bands), outside=Budget(**outside))
        return self._exchange(relation, complement)

    def reverse(self, relation: str | Relation) -> "DesignSpace":
        """Return the space with one relation replaced by its strict opposite: what never falls falls in every stage.

        `relation` may be a parameter's name where it has one relation. Raises: SpaceError.
        """
        return self._exchange(relation, opposite)

    def _exchange(self, relation: str | Relation, change: Callable[[Relation], Relation]) -> "DesignSpace":
        if isinstance(relation, str):
            candidates = self.relations_of(relation)
            if len(candidates) != 1:
                self.law(relation)
                which = ", ".join(repr(r.describe()) for r in candidates) or "none"
                raise SpaceError(f"{relation}: {self.name} must have one relation on it, and has {which}")
            relation = candidates[0]
        if relation not in self.relations:
            has = "; ".join(r.describe() for r in self.relations) or "none"
            raise SpaceError(f"{relation.describe()!r} is no relation of {self.name}, whose relations are: {has}")
        return replace(self, relations=tuple(change(r) if r == relation else r for r in self.relations))

    def uniform(self) -> "DesignSpace":
        """Return the space in which every draw has the same probability: the same values, relations and band."""
        even = []
        for parameter in self.parameters:
            law = parameter.law
            if isinstance(law, LogUniform):
                law = Uniform(low=law.low, high=law.high, step=law.step)
            even.append(Parameter(name=parameter.name, law=law))
        return replace(self, parameters=tuple(even))

    def framed(self, **fields: Any) -> "DesignSpace":
        """Return the space with other fields of its frame: stem, classes, input channels."""
        return replace(self, **fields)

    def __or__(self, other: "DesignSpace | SpaceUnion") -> "SpaceUnion":
        """Return the union of two spaces."""
        from netspace.spaces.union import SpaceUnion

        if not isinstance(other, DesignSpace | SpaceUnion):
            return NotImplemented
        return SpaceUnion.of(self, other)

    def size(self) -> int | Estimate:
        """Return the exact number of distinct draws; where the RegNet rule or a band decides, an estimate."""
        return size(self)

    def distinct(self) -> int | Estimate:
        """Return the number of distinct networks after widths are adjusted: exact where it can be counted."""
        return distinct(self)

    def contains(self, spec: NetworkSpec) -> Membership:
        """Return whether some draw is adjusted to a network and, if none is, what it breaks."""
        return contains(self, spec)

    def num_draws(self) -> int:
        """Return the exact number of distinct draws before the RegNet rule or a band leaves some out."""
        return math.prod(
            self.chain(name).count() if name in PER_STAGE else len(law_values(self.law(name)))
            for name in self.parameter_names
        )

    def free_parameters(self) -> int:
        """Return how many numbers are free."""
        return sum(
            min((r.free(self.num_stages) for r in self.relations_of(name)), default=self.num_stages)
            if name in PER_STAGE
            else 1
            for name in self.parameter_names
            if len(law_values(self.law(name))) > 1
        )

    def draw(self, start: int, stop: int, *, seed: int = 0, coupled_to: "DesignSpace | None" = None) -> Draws:
        """Return raw draws [start, stop) as columns; no draw depends on which others are asked for.

        `coupled_to` names a space whose uniform numbers are used: two spaces with the same parameters, coupled to
        the same one, differ only by their laws and relations. Raises: SpaceError where the parameters differ.
        """
        return draw_range(self, start, stop, seed=seed, coupled_to=coupled_to)

    def batches(self, start: int, stop: int, *, seed: int = 0) -> tuple[Draws, ...]:
        """Return raw draws [start, stop) in groups that share a frame: one group."""
        return (self.draw(start, stop, seed=seed),)

    def sample(
        self,
        n: int,
        *,
        seed: int = 0,
        resolution: int = 224,
        flops: tuple[float, float] | None = None,
        params: tuple[float, float] | None = None,
        activations: tuple[float, float] | None = None,
        latency: LatencyBand | None = None,
        repeats: bool = False,
        coupled_to: "DesignSpace | None" = None,
    ) -> Sample:
        """Return the first n distinct networks inside closed bands of complexity at `resolution` [pixels].

        `latency` is a band that decides by measuring. `repeats` lets a network come again. `coupled_to` names a space
        whose raw draws are shared (see `draw`): such samples are not independent of each other, so no verdict may be
        made of them.

        Raises: as `netspace.spaces.sample.sample`.

        >>> from netspace.spaces.catalog import space
        >>> taken = space("anynetx_e").sample(2, flops=(360e6, 400e6))
        >>> len(taken.networks), bool((taken.complexity.flops <= 400e6).all())
        (2, True)
        """
        budget = Budget(flops=flops, params=params, activations=activations)
        source = self if coupled_to is None else Coupled(space=self, to=coupled_to)
        return sample(source, n, seed=seed, resolution=resolution, budget=budget, latency=latency, repeats=repeats)

    def with_budget(self, budget: Budget, resolution: int) -> "tuple[DesignSpace, Budget]":
        """Return the space without its band and a budget with it, where both speak of one resolution.

        The networks are the same; whoever draws them can say how many the band left out.
        """
        if resolution != self.band_resolution:
            return self, budget
        return replace(self, band=Budget()), self.band.meet(budget)

    def everything(self) -> tuple[Draws, ...] | None:
        """Return every draw once, in groups that share a frame; None where there are too many."""
        listed = everything(self)
        return None if listed is None else (listed,)
