"""The union of design spaces: a draw comes from one of them, and a network belongs if it belongs to any."""

import hashlib
import itertools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from netspace import values
from netspace.errors import SpaceError
from netspace.networks.spec import Frame, NetworkSpec
from netspace.spaces.budget import Budget
from netspace.spaces.counting import Estimate
from netspace.spaces.latency import LatencyBand
from netspace.spaces.laws import Choice, law_values
from netspace.spaces.membership import Membership
from netspace.spaces.parameters import Parameter
from netspace.spaces.sample import Draws, Sample, sample
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
        return SpaceUnion.of(self, other)

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

    def uniform(self) -> "SpaceUnion":
        """Return the union of the members with even laws; members keep the same probability."""
        return replace(self, members=tuple(member.uniform() for member in self.members))

    def free_parameters(self) -> int:
        """Return how many numbers are free, the choice of the member among them."""
        return max(member.free_parameters() for member in self.members) + (len(self.members) > 1)

    def size(self) -> int | Estimate:
        """Return the number of distinct draws, those that members share counted once."""
        return self._count(lambda space: space.size())

    def distinct(self) -> int | Estimate:
        """Return the number of distinct networks; where members share a frame, bounds that are certain."""
        counts = [member.distinct() for member in self.members]
        bounds = [(c.low, c.value, c.high) if isinstance(c, Estimate) else (c, c, c) for c in counts]
        low, value, high = (sum(column) for column in zip(*bounds, strict=True))
        frames = {(Frame(**m.frame()), m.num_stages, m.stride) for m in self.members}
        if len(frames) < len(self.members):
            low = max(bound[0] for bound in bounds)
        elif not any(isinstance(count, Estimate) for count in counts):
            return int(value)
        return Estimate(value=value, low=low, high=high)

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

    def _count(self, count: Any) -> int | Estimate:
        """Return the count of the union by inclusion and exclusion."""
        exact, low, high, value = 0, 0.0, 0.0, 0.0
        estimated = False
        for number in range(1, len(self.members) + 1):
            sign = 1 if number % 2 else -1
            for chosen in itertools.combinations(self.members, number):
                common = _intersection(chosen)
                if common is None:
                    continue
                counted = count(common)
                if isinstance(counted, Estimate):
                    estimated = True
                    value += sign * counted.value
                    low += sign * (counted.low if sign > 0 else counted.high)
                    high += sign * (counted.high if sign > 0 else counted.low)
                else:
                    exact += sign * counted
        return Estimate(value=exact + value, low=exact + low, high=exact + high) if estimated else exact


Space = DesignSpace | SpaceUnion
"""What can be sampled, counted and asked whether it contains a network."""


def _intersection(spaces: tuple[DesignSpace, ...]) -> DesignSpace | None:
    """Return the space of the draws that all spaces have (its weights mean nothing); None where there is none."""
    first = spaces[0]
    for other in spaces[1:]:
        same_frame = Frame(**first.frame()) == Frame(**other.frame())
        if not same_frame or (first.num_stages, first.stride) != (other.num_stages, other.stride):
            return None
        if first.band.bands() and other.band.bands() and first.band_resolution != other.band_resolution:
            raise SpaceError(
                f"{first.name} and {other.name} have bands at different resolutions, and their union cannot be counted"
            )
        if sorted(first.parameter_names) != sorted(other.parameter_names):
            return None
        parameters = []
        for name in first.parameter_names:
            common = np.intersect1d(law_values(first.law(name)), law_values(other.law(name)))
            if not len(common):
                return None
            parameters.append(Parameter(name=name, law=Choice(options=tuple(common.tolist()))))
        relations = tuple(dict.fromkeys((*first.relations, *other.relations)))
        try:
            band = first.band.meet(other.band)
            first = replace(first, parameters=tuple(parameters), relations=relations, band=band)
        except SpaceError:  # the relations or the bands contradict each other: nothing in common
            return None
    return first


def _unnamed(space: DesignSpace) -> DesignSpace:
    return replace(space, name="", source="")


def _stream_key(union: SpaceUnion, seed: int) -> int:
    """Return the key of the stream that chooses members."""
    parts = ["union", *(values.digest(_unnamed(member)) for member in union.members), str(seed)]
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:16], "big")
