"""The union of design spaces: a draw comes from one of them, and a network belongs if it belongs to any."""

import hashlib
import itertools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from netspace import values
from netspace.errors import ContradictionError, SpaceError
from netspace.networks.spec import Frame, NetworkSpec
from netspace.spaces.budget import Budget
from netspace.spaces.counting import Estimate
from netspace.spaces.latency import LatencyBand
from netspace.spaces.laws import Choice, law_values
from netspace.spaces.membership import Membership
from netspace.spaces.parameters import Parameter
from netspace.spaces.sample import Draws, Sample, distinct_networks, sample
from netspace.spaces.space import DesignSpace


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceUnion:
    """Spaces side by side; every draw comes from one of them, each with the same probability.

    Members may differ in their frames and numbers of stages: the MLP space is a union over activations. A network
    that several members draw is one network: it comes more often, and is counted once.
    """

    name: str
    members: tuple[DesignSpace, ...]
    source: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "members", tuple(self.members))
        if not self.members:
            raise SpaceError("members (=()) must hold at least one space")
        if len(set(self.members)) < len(self.members):
            raise SpaceError(f"{self.name}: a member of a union can be named once")

    @classmethod
    def of(cls, *spaces: "DesignSpace | SpaceUnion") -> "SpaceUnion":
        """Return the union of spaces and unions."""
        members = dict.fromkeys(
            member for space in spaces for member in (space.members if isinstance(space, SpaceUnion) else (space,))
        )
        return cls(name=" | ".join(space.name for space in spaces), members=tuple(members))

    def __or__(self, other: "DesignSpace | SpaceUnion") -> "SpaceUnion":
        """Return the union with another space."""
        if not isinstance(other, DesignSpace | SpaceUnion):
            return NotImplemented
        return SpaceUnion.of(self, other)

    @property
    def has_own_blocks(self) -> bool:
        """Whether a member's blocks are a user's own."""
        return any(member.has_own_blocks for member in self.members)

    @property
    def digest(self) -> str:
        """The content digest; names and sources are not part of it."""
        return values.digest(replace(self, name="", source="", members=tuple(map(_unnamed, self.members))))

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """The names of the members' parameters."""
        return tuple(dict.fromkeys(name for member in self.members for name in member.parameter_names))

    def framed(self, **fields: Any) -> "SpaceUnion":
        """Return the union with other fields of its members' frames: stem, classes, input channels."""
        return replace(self, members=tuple(member.framed(**fields) for member in self.members))

    def narrow(self, **ranges: Any) -> "SpaceUnion":
        """Return the union of the narrowed members; each range concerns the members that have the parameter."""
        for name in ranges:
            if name not in self.parameter_names:
                self.members[0].law(name)
        narrowed = [
            member.narrow(**{name: given for name, given in ranges.items() if name in member.parameter_names})
            for member in self.members
        ]
        return replace(self, members=tuple(narrowed))

    def within(self, *, resolution: int = 224, **bands: Any) -> "SpaceUnion":
        """Return the union of the members conditioned on bands of complexity. Raises: SpaceError."""
        return replace(self, members=tuple(member.within(resolution=resolution, **bands) for member in self.members))

    def uniform(self) -> "SpaceUnion":
        """Return the union of the members with even laws; members keep the same probability."""
        return replace(self, members=tuple(member.uniform() for member in self.members))

    def free_parameters(self) -> int:
        """Return how many numbers are free, the choice of the member among them."""
        return max(member.free_parameters() for member in self.members) + (len(self.members) > 1)

    def size(self) -> int | Estimate:
        """Return the number of distinct draws, those that members share counted once: inclusion and exclusion.

        Raises: SpaceError where a number of members at once have draws in common that cannot be counted.
        """
        return _total(self.members, None)

    def distinct(self) -> int | Estimate:
        """Return the number of distinct networks; where members share a frame, bounds that are certain."""
        listed = self.everything()
        if listed is not None:
            return len(distinct_networks(listed))
        counts = [member.distinct() for member in self.members]
        bounds = [(c.low, c.value, c.high) if isinstance(c, Estimate) else (c, c, c) for c in counts]
        low, value, high = (sum(column) for column in zip(*bounds, strict=True))
        frames = {(Frame(**m.frame()), m.num_stages, m.stride) for m in self.members}
        if len(frames) < len(self.members):
            low = max(bound[0] for bound in bounds)
            return Estimate(value=(low + high) / 2, low=low, high=high)
        if any(isinstance(count, Estimate) for count in counts):
            return Estimate(value=value, low=low, high=high)
        return int(value)

    def contains(self, spec: NetworkSpec) -> Membership:
        """Return whether a network belongs to a member and, if to none, what it breaks in each."""
        found = [member.contains(spec) for member in self.members]
        if any(found):
            return Membership(inside=True)
        reasons = dict.fromkeys(f"{m.name}: {f.reason}" for m, f in zip(self.members, found, strict=True))
        return Membership(inside=False, reason="; ".join(reasons))

    def batches(self, start: int, stop: int, *, seed: int = 0) -> tuple[Draws, ...]:
        """Return raw draws [start, stop) in groups that share a frame: one per member."""
        bits = np.random.Philox(key=_stream_key(self, seed)).advance(start)
        # One step of the counter makes four numbers; the first decides.
        raw = bits.random_raw((stop - start) * 4)[::4]
        chosen = ((raw >> np.uint64(11)).astype(np.float64) * 2.0**-53 * len(self.members)).astype(np.int64)
        groups = []
        for index, member in enumerate(self.members):
            rows = np.flatnonzero(chosen == index)
            groups.append(member.draw(start, stop, seed=seed).take(rows))
        return tuple(groups)

    def with_budget(self, budget: Budget, resolution: int) -> "tuple[SpaceUnion, Budget]":
        """Return the union as it is: its members may have different bands."""
        return self, budget

    def everything(self) -> tuple[Draws, ...] | None:
        """Return every draw of every member, in groups that share a frame; None where there are too many."""
        listed = [member.everything() for member in self.members]
        return None if None in listed else tuple(itertools.chain.from_iterable(filter(None, listed)))

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
    ) -> Sample:
        """Return the first n distinct networks inside closed bands of complexity at `resolution` [pixels].

        Raises: as `netspace.spaces.sample.sample`.
        """
        budget = Budget(flops=flops, params=params, activations=activations)
        return sample(self, n, seed=seed, resolution=resolution, budget=budget, latency=latency, repeats=repeats)


Space = DesignSpace | SpaceUnion
"""What can be sampled, counted and asked whether it contains a network."""


def _total(spaces: tuple[DesignSpace, ...], common: DesignSpace | None) -> int | Estimate:
    """Return how many draws of `common` (None: of anything) belong to one of the spaces at least.

    Of what the first space adds, what the others have of it is taken away again; where nothing is in common, no further
    combination is looked at.
    """
    total: int | Estimate = 0
    for position, space in enumerate(spaces):
        inside = space if common is None else _intersection(common, space)
        if inside is not None:
            total = _plus(total, inside.size(), 1)
            total = _plus(total, _total(spaces[:position], inside), -1)
    return total


def _plus(one: int | Estimate, other: int | Estimate, sign: int) -> int | Estimate:
    if isinstance(one, int) and isinstance(other, int):
        return one + sign * other
    left, right = (x if isinstance(x, Estimate) else Estimate(value=x, low=x, high=x) for x in (one, other))
    low, high = (right.low, right.high) if sign > 0 else (right.high, right.low)
    return Estimate(value=left.value + sign * right.value, low=left.low + sign * low, high=left.high + sign * high)


def _intersection(first: DesignSpace, other: DesignSpace) -> DesignSpace | None:
    """Return the space of the draws that two spaces have (its weights mean nothing); None where there is none."""
    same_frame = Frame(**first.frame()) == Frame(**other.frame())
    if not same_frame or (first.num_stages, first.stride) != (other.num_stages, other.stride):
        return None
    if sorted(first.parameter_names) != sorted(other.parameter_names):
        return None
    banded = [space for space in (first, other) if space.band.bands() or space.outside.bands()]
    if any(space.outside.bands() for space in banded) or len({space.band_resolution for space in banded}) > 1:
        raise SpaceError(f"{first.name} | {other.name} cannot be counted: their bands differ in kind or in resolution")
    parameters = []
    for name in first.parameter_names:
        common = np.intersect1d(law_values(first.law(name)), law_values(other.law(name)))
        if not len(common):
            return None
        parameters.append(Parameter(name=name, law=Choice(options=tuple(common.tolist()))))
    try:
        return replace(
            first,
            parameters=tuple(parameters),
            relations=tuple(dict.fromkeys((*first.relations, *other.relations))),
            band=first.band.meet(other.band),
            band_resolution=banded[0].band_resolution if banded else first.band_resolution,
        )
    except ContradictionError:
        return None


def _unnamed(space: DesignSpace) -> DesignSpace:
    return replace(space, name="", source="")


def _stream_key(union: SpaceUnion, seed: int) -> int:
    """Return the key of the stream that chooses members."""
    parts = ["union", *(values.digest(_unnamed(member)) for member in union.members), str(seed)]
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:16], "big")
