"""A found design taken to another budget: depth, width and resolution together, by one factor.

Flops of a convolutional network go with d w^2 r^2. Scaling flops by s with the shares e_d + e_w + e_r = 1 multiplies
depths by s^e_d, widths by s^(e_w / 2) and the resolution by s^(e_r / 2); then params go with s^(e_d + e_w) and
activations, which decide run time, with s^(e_d + e_w / 2 + e_r). Width alone raises activations least; the paper's
fast compound rule dWr gives it 0.8 of the whole: activations go with s^0.6, where the uniform rule dwr has s^(5/6).
Source: Dollar, Singh, Girshick 2021, arXiv 2103.06877, sections 3 and 4; rounding as in the released code.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from netspace.checks import number
from netspace.errors import SpecError
from netspace.networks.complexity import Complexity, check_resolution, complexity
from netspace.networks.regnet import adjust_widths
from netspace.networks.spec import GROUPED, OWN, NetworkSpec, Stage, check_spec

ALPHA = 0.8
"""The share of the width in the fast compound rules."""

WIDTH_STEP = 8
"""New widths are multiples of this number."""

SIDE_STEP = 4
"""New resolutions are multiples of this number [pixels]."""

TOLERANCE = 0.05
"""By which share the flops may miss what was asked for."""

REACH, STEP = 4.0, 1.002
"""How far around the goal factors are tried, and the ratio of neighbours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingRule:
    """The shares of depth, width and resolution in the growth of flops; they sum to 1."""

    depth: float = 0.0
    width: float = 0.0
    resolution: float = 0.0

    def __post_init__(self) -> None:
        for field in ("depth", "width", "resolution"):
            number(self, field, SpecError, maximum=1.0)
        total = self.depth + self.width + self.resolution
        if not math.isclose(total, 1.0, abs_tol=1e-9):
            raise SpecError(f"depth, width and resolution (={total:g} together) must be shares that sum to 1")

    def factors(self, flops: float) -> tuple[float, float, float]:
        """Return by what depth, width and resolution grow when flops grow by a factor.

        >>> [round(factor, 2) for factor in RULES["dWr"].factors(16.0)]
        [1.32, 3.03, 1.15]
        """
        return flops**self.depth, flops ** (self.width / 2.0), flops ** (self.resolution / 2.0)


RULES = {
    "d": ScalingRule(depth=1.0),
    "w": ScalingRule(width=1.0),
    "r": ScalingRule(resolution=1.0),
    "dw": ScalingRule(depth=1 / 2, width=1 / 2),
    "dr": ScalingRule(depth=1 / 2, resolution=1 / 2),
    "wr": ScalingRule(width=1 / 2, resolution=1 / 2),
    "dwr": ScalingRule(depth=1 / 3, width=1 / 3, resolution=1 / 3),
    "dW": ScalingRule(depth=1 - ALPHA, width=ALPHA),
    "dWr": ScalingRule(depth=(1 - ALPHA) / 2, width=ALPHA, resolution=(1 - ALPHA) / 2),
}
"""Rules by name: small letters share alike, a large W has `ALPHA` and the others the rest."""


def scaling_rule(name: str, alpha: float | None = None) -> ScalingRule:
    """Return a rule by name; `alpha` is another share of the width for dW and dWr. Raises: SpecError.

    >>> scaling_rule("dWr", alpha=0.5)
    ScalingRule(depth=0.25, width=0.5, resolution=0.25)
    """
    if name not in RULES:
        raise SpecError(f"rule (={name!r}) must be one of {', '.join(RULES)}")
    if alpha is None:
        return RULES[name]
    if "W" not in name:
        raise SpecError(f"alpha (={alpha:g}) is for the rules dW and dWr; leave it out for {name!r}")
    if not 0.0 <= alpha <= 1.0:
        raise SpecError(f"alpha (={alpha!r}) must be at least 0 and at most 1")
    rest = (1.0 - alpha) / (len(name) - 1)
    return ScalingRule(depth=rest, width=alpha, resolution=rest if "r" in name else 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One number of a network before, as the rule alone gives it, and after rounding and adjusting."""

    what: str
    before: int
    by_rule: float
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """A network at another budget.

    `factor` is the s of the rule, chosen so that the flops are nearest to `asked`; `resolution` [pixels] is that of
    `network` and `complexity`, where `before` is that of the original at its own. `changes` are all numbers that the
    rule touches, in the order of the network.
    """

    network: NetworkSpec
    resolution: int
    complexity: Complexity
    before: Complexity
    asked: float
    factor: float
    rule: ScalingRule
    changes: tuple[Change, ...]


def scale(
    spec: NetworkSpec,
    *,
    flops: float,
    resolution: int = 224,
    rule: str | ScalingRule = "dWr",
    tolerance: float = TOLERANCE,
) -> Scaled:
    """Return a network scaled to `flops` [multiply-adds] from what it costs at `resolution` [pixels].

    Depths are rounded to whole numbers, widths to multiples of 8 and the resolution to multiples of 4; group widths
    grow as widths do, to 1, 2, 4 or a multiple of 8, and then widths are made divisible by them (`adjust_widths`).
    What stays the same to the nearest whole number is kept as it is. The stem keeps its width. The factor is
    searched by exact complexity.
    Raises: SpecError where no factor gives flops within `tolerance`, with the nearest that one does give.

    >>> from netspace.networks.zoo import network
    >>> found = scale(network("regnety_400mf"), flops=4e9)
    >>> found.resolution, [(stage.depth, stage.width) for stage in found.network.stages]
    (252, [(1, 128), (4, 256), (8, 544), (8, 1120)])
    """
    check_spec(spec)
    check_resolution(resolution)
    used = scaling_rule(rule) if isinstance(rule, str) else rule
    if not 0.0 < flops < math.inf:
        raise SpecError(f"flops (={flops!r}) must be a finite number above 0")
    if not 0.0 < tolerance < 1.0:
        raise SpecError(f"tolerance (={tolerance!r}) must lie between 0 and 1, such as {TOLERANCE}")
    before = complexity(spec, resolution)
    network, side, cost, factor = _nearest(spec, resolution, used, before, flops)
    if abs(cost.flops / flops - 1.0) > tolerance:
        raise SpecError(
            f"flops (={flops:.4g}) cannot be met within {100 * tolerance:g} %, for depths and widths go in steps; the "
            f"nearest that this rule gives is {cost.flops}"
        )
    return Scaled(
        network=network,
        resolution=side,
        complexity=cost,
        before=before,
        asked=float(flops),
        factor=factor,
        rule=used,
        changes=tuple(_changes(spec, network, resolution, side, used.factors(factor))),
    )


def scaled_by(spec: NetworkSpec, resolution: int, rule: ScalingRule, factor: float) -> tuple[NetworkSpec, int]:
    """Return a network and its resolution [pixels] with flops grown by about a factor.

    Raises: SpecError where widths cannot be made to fit their ratios.
    """
    deeper, wider, finer = rule.factors(factor)
    stages = tuple(_stage(spec, stage, deeper, wider) for stage in spec.stages)
    head = None if spec.head_width is None else _multiple(spec.head_width, wider, WIDTH_STEP)
    side = _multiple(resolution, finer, spec.stem.kernel_size if spec.stem.patchify else SIDE_STEP)
    return replace(spec, stages=stages, head_width=head), side


def _nearest(
    spec: NetworkSpec, resolution: int, rule: ScalingRule, before: Complexity, flops: float
) -> tuple[NetworkSpec, int, Complexity, float]:
    """Return the scaled network whose flops are nearest to the goal, its side, its complexity and its factor.

    Of equally near ones it is that of the factor nearest to the goal's. Raises: SpecError where none can exist.
    """
    found: dict[tuple[NetworkSpec, int], float] = {}
    problem = None
    steps = round(math.log(REACH) / math.log(STEP))
    for step in sorted(range(-steps, steps + 1), key=abs):
        factor = flops / before.flops * STEP**step
        try:
            found.setdefault(scaled_by(spec, resolution, rule, factor), factor)
        except SpecError as refused:
            problem = problem or refused
    best = None
    for (network, side), factor in found.items():
        try:
            cost = complexity(network, side)
        except SpecError as refused:
            problem = problem or refused
            continue
        if best is None or abs(cost.flops - flops) < abs(best[2].flops - flops):
            best = network, side, cost, factor
    if best is None:
        raise problem or SpecError(f"flops (={flops:.4g}) cannot be met")
    return best


def _stage(spec: NetworkSpec, stage: Stage, deeper: float, wider: float) -> Stage:
    depth = max(1, round(stage.depth * deeper))
    width = _multiple(stage.width, wider, WIDTH_STEP)
    group = None if stage.group_width is None else _group(stage.group_width, wider)
    if spec.block not in (*GROUPED, OWN) or (width, group) == (stage.width, stage.group_width):
        return replace(stage, depth=depth, width=width)
    widths, groups = adjust_widths([width], stage.bottleneck_ratio, group or 1)
    return replace(stage, depth=depth, width=int(widths[0]), group_width=None if group is None else int(groups[0]))


def _multiple(before: int, factor: float, step: int) -> int:
    """Return a number grown by a factor: the nearest positive multiple, or as it is where it hardly grows.

    >>> _multiple(20, 1.02, 8), _multiple(20, 1.5, 8), _multiple(64, 0.01, 8)
    (20, 32, 8)
    """
    if round(before * factor) == before:
        return before
    return max(1, round(before * factor / step)) * step


def _group(before: int, factor: float) -> int:
    """Return a group width grown by a factor: as it is where it hardly grows, else 1, 2, 4 or a multiple of 8.

    >>> _group(16, 1.4), _group(2, 1.6), _group(1, 1.4), _group(12, 1.0)
    (24, 4, 1, 12)
    """
    near = max(1, round(before * factor))
    if near == before or near <= 2:
        return near
    return 4 if near <= 5 else round(near / 8) * 8


def _changes(
    spec: NetworkSpec, network: NetworkSpec, resolution: int, side: int, factors: tuple[float, float, float]
) -> Iterator[Change]:
    """Yield every number that a rule touches, as it was, as the rule alone gives it, and as it is."""
    deeper, wider, finer = factors
    yield Change(what="resolution", before=resolution, by_rule=resolution * finer, after=side)
    for position, (old, new) in enumerate(zip(spec.stages, network.stages, strict=True), start=1):
        where = f"stage {position}"
        yield Change(what=f"{where}, depth", before=old.depth, by_rule=old.depth * deeper, after=new.depth)
        yield Change(what=f"{where}, width", before=old.width, by_rule=old.width * wider, after=new.width)
        if old.group_width is not None and new.group_width is not None:
            group = old.group_width
            yield Change(what=f"{where}, group width", before=group, by_rule=group * wider, after=new.group_width)
    if spec.head_width is not None and network.head_width is not None:
        head = spec.head_width
        yield Change(what="head width", before=head, by_rule=head * wider, after=network.head_width)
