"""Which draws become a given network: whether a space contains it, and if not, which relation it breaks.

Widths and group widths are adjusted to each other after they are drawn, so a network is read backwards: a stage is a
letter that several (ratio, width, group width) are adjusted to, and a network belongs to a space if some choice of
them satisfies all relations at once. Counting those choices answers everything.
"""

import dataclasses
import functools
import itertools
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from netspace.networks.complexity import Complexity, complexity
from netspace.networks.regnet import WIDTH_STEP, adjust_widths, linear_widths
from netspace.networks.spec import FloatArray, Frame, IntArray, NetworkSpec, Stage, check_spec
from netspace.spaces.budget import show_band
from netspace.spaces.chains import DEAD, Chain, chain
from netspace.spaces.laws import Choice, law_values

if TYPE_CHECKING:
    from netspace.spaces.space import DesignSpace

_NO_CHOICE = Choice(options=(1.0,))
"""The law of a ratio or a group width in a space that has none: no bottleneck, nothing to adjust to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """Whether a network belongs to a space; `reason` says, where it does not, what it breaks."""

    inside: bool
    reason: str = ""

    def __bool__(self) -> bool:
        return self.inside


def contains(space: "DesignSpace", spec: NetworkSpec) -> Membership:
    """Return whether some draw of a space is adjusted to a network.

    >>> from netspace.spaces.catalog import space
    >>> from netspace.networks.zoo import network
    >>> space("anynetx_e").contains(network("regnetx_400mf"))
    Membership(inside=True, reason='')
    >>> space("anynetx_a").contains(network("regnety_400mf")).reason
    'se_ratio is 0.25, and absent in anynetx_a'
    """
    check_spec(spec)
    reason = _frame_difference(space, spec) or _stage_difference(space, spec)
    if not reason and not count_draws(space, spec):
        reason = _broken_relation(space, spec)
    if not reason and (space.band.bands() or space.outside.bands()):
        reason = _band_difference(space, complexity(spec, space.band_resolution))
    return Membership(inside=not reason, reason=reason)


def count_draws(space: "DesignSpace", spec: NetworkSpec) -> int:
    """Return the number of draws that are adjusted to a network of the space's frame and number of stages."""
    if space.is_linear:
        return _count_linear_draws(space, spec)
    depths = space.chain("depth")
    if not depths.reads([stage.depth for stage in spec.stages]):
        return 0
    machine = adjusted(space)
    ways: Counter[tuple[int, ...]] = Counter({(0, 0, 0): 1})
    for position, stage in enumerate(spec.stages):
        after: Counter[tuple[int, ...]] = Counter()
        choices = machine.choices(stage)
        for states, count in ways.items():
            for choice in choices:
                reached = machine.read(position, states, choice)
                if DEAD not in reached:
                    after[reached] += count
        ways = after
    return sum(ways.values())


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Adjusted:
    """The automaton that reads stages after their widths were adjusted.

    `chains` are those of ratio, width and group width. `letters` (ratios, widths, group widths) numbers what every
    choice of the three becomes; `becomes` names it: (ratio, width, group width).
    """

    chains: tuple[Chain, Chain, Chain]
    letters: IntArray
    becomes: dict[tuple[float, int, int | None], int]
    grouped: bool

    @property
    def num_stages(self) -> int:
        """The number of stages."""
        return len(self.chains[0].steps)

    def choices(self, stage: Stage) -> list[tuple[int, ...]]:
        """Return the choices, as indices of ratio, width and group width, that are adjusted to a stage."""
        group = stage.group_width if self.grouped else None
        letter = self.becomes.get((stage.bottleneck_ratio, stage.width, group))
        if letter is None or (stage.group_width is None) == self.grouped:
            return []
        return [tuple(row) for row in np.argwhere(self.letters == letter).tolist()]

    def read(self, stage: int, states: tuple[int, ...], choice: tuple[int, ...]) -> tuple[int, ...]:
        """Return the three chains' states after a choice, DEAD where one forbids it."""
        return tuple(
            int(chain.steps[stage][state, index])
            for chain, state, index in zip(self.chains, states, choice, strict=True)
        )

    def read_all(self, stage: int, states: IntArray) -> Iterator[bytes]:
        """Yield, for every letter that can be read, the set of states after it (as the bytes of its sorted numbers).

        A number stands for the states of the three chains. After the last stage all sets are one.
        """
        steps = [chain.steps[stage] for chain in self.chains]
        sizes = [len(step) for step in steps]
        before = np.unravel_index(states, sizes)
        ratio, width, group = (step[state] for step, state in zip(steps, before, strict=True))
        shape = (len(states), *self.letters.shape)
        ratio, width, group = ratio[:, :, None, None], width[:, None, :, None], group[:, None, None, :]
        alive = (ratio != DEAD) & (width != DEAD) & (group != DEAD)
        letters = np.broadcast_to(self.letters, shape)[alive]
        if stage + 1 == self.num_stages:
            yield from itertools.repeat(b"", len(np.unique(letters)))
            return
        _, widths, groups = (len(chain.steps[stage + 1]) for chain in self.chains)
        after = (ratio * widths + width) * groups + group
        pairs = np.unique(np.stack([letters, after[alive]], axis=1), axis=0)
        for rows in np.split(pairs[:, 1], np.flatnonzero(np.diff(pairs[:, 0])) + 1):
            yield np.ascontiguousarray(rows).tobytes()


@functools.lru_cache(maxsize=64)
def adjusted(space: "DesignSpace") -> Adjusted:
    """Return the automaton of a space's ratios, widths and group widths (no RegNet rule)."""
    names = space.parameter_names
    ratios, widths, groups = (
        space.chain(name) if name in names else chain(_NO_CHOICE, (), space.num_stages)
        for name in ("bottleneck_ratio", "width", "group_width")
    )
    grid = np.meshgrid(ratios.values, widths.values, groups.values, indexing="ij")
    real_widths, real_groups = adjust_widths(grid[1].astype(np.int64), grid[0], grid[2].astype(np.int64))
    grouped = "group_width" in names
    rows = np.stack([grid[0], real_widths, real_groups if grouped else np.zeros_like(real_groups)], axis=-1)
    distinct, letters = np.unique(rows.reshape(-1, 3), axis=0, return_inverse=True)
    becomes = {
        (float(ratio), int(width), int(group) if grouped else None): letter
        for letter, (ratio, width, group) in enumerate(distinct.tolist())
    }
    return Adjusted(
        chains=(ratios, widths, groups), letters=letters.reshape(grid[0].shape), becomes=becomes, grouped=grouped
    )


def _count_linear_draws(space: "DesignSpace", spec: NetworkSpec) -> int:
    """Return the number of draws of the RegNet rule's parameters, ratios and group widths that become a network."""
    names = space.parameter_names
    ratios = [stage.bottleneck_ratio for stage in spec.stages]
    if "bottleneck_ratio" in names and not space.chain("bottleneck_ratio").reads(ratios):
        return 0
    if "group_width" not in names:
        sequences = np.ones((1, space.num_stages))
    else:
        sequences = _readable(space.chain("group_width"), spec)
    total = 0
    for groups in sequences:
        widths = [
            _drawn_widths(stage, int(group), grouped="group_width" in names)
            for stage, group in zip(spec.stages, groups, strict=True)
        ]
        total += len(rule_parameters(space, [stage.depth for stage in spec.stages], widths))
    return total


def _drawn_widths(stage: Stage, group: int, *, grouped: bool) -> IntArray:
    """Return the rule's widths that are adjusted, for a drawn group width, to those of a stage."""
    grid = np.arange(WIDTH_STEP, 2 * stage.width + 4 * group + WIDTH_STEP, WIDTH_STEP)
    widths, groups = adjust_widths(grid, stage.bottleneck_ratio, group)
    same = (widths == stage.width) & (groups == stage.group_width if grouped else stage.group_width is None)
    chosen: IntArray = grid[same]
    return chosen


def _readable(groups: Chain, spec: NetworkSpec) -> FloatArray:
    """Return the sequences of drawn group widths that may become a network's; shape (n, stages)."""
    # A drawn group width is only ever made smaller, to the inner width.
    return groups.sequences(
        [
            groups.values >= (stage.group_width or 0) if stage.group_width is not None else groups.values < 0
            for stage in spec.stages
        ]
    )


def rule_parameters(space: "DesignSpace", depths: list[int], widths: list[IntArray]) -> FloatArray:
    """Return all (total depth, w_0, w_a, w_m) of a space whose rule gives these depths, and widths among `widths`.

    Shape (n, 4). The first block has w_0; the multiplier is found by the widths, the slope by the blocks at which
    stages begin and end; what is left is tried with the rule itself.
    """
    total = sum(depths)
    found = []
    multipliers, slopes = law_values(space.law("width_multiplier")), law_values(space.law("width_slope"))
    if total not in law_values(space.law("total_depth")):
        return np.empty((0, 4))
    ends = np.cumsum(depths)
    for first in np.intersect1d(widths[0], law_values(space.law("initial_width"))):
        fits = np.ones(len(multipliers), dtype=bool)
        for power, options in enumerate(widths):
            stage_width = np.rint(first * np.power(multipliers, power) / WIDTH_STEP) * WIDTH_STEP
            fits &= np.isin(stage_width, options)
        for multiplier in multipliers[fits]:
            low, high = 0.0, math.inf
            for power, (begin, end) in enumerate(zip(ends - depths, ends, strict=True)):
                if begin:
                    low = max(low, first * (multiplier ** (power - 0.5) - 1) / begin)
                if end > 1:
                    high = min(high, first * (multiplier ** (power + 0.5) - 1) / (end - 1))
            # Generous bounds: the rule decides.
            near = slopes[(slopes >= low * (1 - 1e-9) - 1e-9) & (slopes <= high * (1 + 1e-9) + 1e-9)]
            found.append(np.column_stack(np.broadcast_arrays(total, first, near, multiplier)))
    if not found:
        return np.empty((0, 4))
    rows = np.concatenate(found).astype(np.float64)
    if not len(rows):
        return rows
    rule = linear_widths(*rows.T, max_stages=len(depths))
    same = (rule.num_stages == len(depths)) & ~rule.skipped & (rule.depths == depths).all(axis=1)
    for position, options in enumerate(widths):
        same &= np.isin(rule.widths[:, position], options)
    chosen: FloatArray = rows[same]
    return chosen


def _band_difference(space: "DesignSpace", cost: Complexity) -> str:
    for measure, (low, high) in space.band.bands().items():
        if not low <= getattr(cost, measure) <= high:
            return f"{measure} (={getattr(cost, measure):,}) is outside {show_band(low, high)}"
    for measure, (low, high) in space.outside.bands().items():
        if low <= getattr(cost, measure) <= high:
            return f"{measure} (={getattr(cost, measure):,}) is inside {show_band(low, high)}"
    return ""


def _frame_difference(space: "DesignSpace", spec: NetworkSpec) -> str:
    for field in dataclasses.fields(Frame):
        here, there = getattr(spec, field.name), getattr(space, field.name)
        if here != there:
            return f"{field.name} is {_shown(here)}, and {_shown(there)} in {space.name}"
    return ""


def _shown(value: object) -> str:
    return "absent" if value is None else str(value)


def _stage_difference(space: "DesignSpace", spec: NetworkSpec) -> str:
    if len(spec.stages) != space.num_stages:
        return f"it has {len(spec.stages)} stages, and {space.num_stages} in {space.name}"
    for position, stage in enumerate(spec.stages):
        where = f"stages[{position}]"
        if stage.stride != space.stride:
            return f"{where}.stride is {stage.stride}, and {space.stride} in {space.name}"
        for name in ("depth", "bottleneck_ratio"):
            value = getattr(stage, name)
            if name in space.parameter_names:
                if value not in law_values(space.law(name)):
                    return f"{where}.{name} (={value:g}) is not among {space.law(name).describe()}"
            elif name == "bottleneck_ratio" and value != 1:
                return f"{where}.{name} is {value:g}, and 1 in {space.name}"
        if (stage.group_width is None) == ("group_width" in space.parameter_names):
            return f"{where}.group_width is {_shown(stage.group_width)}, against the blocks of {space.name}"
        if not _can_be_drawn(space, stage):
            groups = "" if stage.group_width is None else f" and group_width {stage.group_width}"
            return f"{where}: no draw of {space.name} is adjusted to width {stage.width}{groups}"
    return ""


def _can_be_drawn(space: "DesignSpace", stage: Stage) -> bool:
    """Return whether some width and group width are adjusted to those of a stage."""
    if not space.is_linear:
        return bool(adjusted(space).choices(stage))
    grouped = "group_width" in space.parameter_names
    drawn = law_values(space.law("group_width")).astype(int).tolist() if grouped else [1]
    return any(len(_drawn_widths(stage, group, grouped=grouped)) for group in drawn)


def _broken_relation(space: "DesignSpace", spec: NetworkSpec) -> str:
    if space.is_linear and not count_draws(replace(space, relations=()), spec):
        return f"no parameters of {space.name} give these depths and widths by the RegNet rule"
    for relation in space.relations:
        if not count_draws(replace(space, relations=(relation,)), spec):
            return f"it breaks: {relation.describe()}"
    return f"it breaks, taken together: {'; '.join(relation.describe() for relation in space.relations)}"
