"""The RegNet rule: six numbers give a network whose widths grow linearly, quantised into stages.

u_j = w_0 + w_a * j for 0 <= j < d;  s_j = ln(u_j / w_0) / ln(w_m);  w_j = w_0 * w_m^round(s_j), rounded to a
multiple of 8; equal consecutive widths form a stage. Then widths are adjusted so that group widths divide
them. All rounding is half-to-even in float64, which some published networks depend on.
Source: Radosavovic et al. 2020, arXiv 2003.13678, section 3.3, equations 2 to 4, and the released code.
"""

import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt

from netspace.checks import LARGEST
from netspace.errors import SpecError
from netspace.networks.spec import IntArray, NetworkSpec, Stage, Stem

WIDTH_STEP = 8
"""Widths of the rule are multiples of this number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearWidths:
    """The stages that the rule gives for n parameter sets, before any adjustment.

    Shapes: `depths` and `widths` are (n, max_stages), zero behind the last stage; `num_stages` is (n,).
    `skipped` (n,) is true where a power of the multiplier between the first and the last has no block.
    """

    depths: IntArray
    widths: IntArray
    num_stages: IntArray
    skipped: npt.NDArray[np.bool_]


def linear_widths(
    total_depth: npt.ArrayLike,
    initial_width: npt.ArrayLike,
    width_slope: npt.ArrayLike,
    width_multiplier: npt.ArrayLike,
    *,
    max_stages: int,
) -> LinearWidths:
    """Return the stages of the quantised linear rule for n parameter sets; each argument has shape (n,).

    Stages beyond `max_stages` are counted in `num_stages` but not returned.

    >>> stages = linear_widths([13], [24], [36.44], [2.49], max_stages=4)
    >>> stages.depths.tolist(), stages.widths.tolist()
    ([[1, 1, 4, 7]], [[24, 56, 152, 368]])
    """
    depth, first, slope, multiplier = (
        np.atleast_1d(np.asarray(x, dtype=np.float64))
        for x in (total_depth, initial_width, width_slope, width_multiplier)
    )
    block = np.arange(int(depth.max(initial=1)), dtype=np.float64)
    exists = block < depth[:, None]
    continuous = first[:, None] + slope[:, None] * block
    exponents = np.rint(np.log(continuous / first[:, None]) / np.log(multiplier)[:, None])
    unrounded = first[:, None] * np.power(multiplier[:, None], exponents)
    widths = np.rint(unrounded / WIDTH_STEP).astype(np.int64) * WIDTH_STEP
    # Widths never fall along the blocks, so a stage begins wherever the width differs from the one before.
    begins = exists.copy()
    begins[:, 1:] &= widths[:, 1:] != widths[:, :-1]
    position = np.cumsum(begins, axis=1) - 1
    num_stages = begins.sum(axis=1)
    stage_widths = np.zeros((len(depth), max_stages), dtype=np.int64)
    stage_depths = np.zeros_like(stage_widths)
    row, column = np.nonzero(exists & (position < max_stages))
    stage = position[row, column]
    stage_widths[row, stage] = widths[row, column]
    np.add.at(stage_depths, (row, stage), 1)
    powers = np.where(exists, exponents, 0).max(axis=1).astype(np.int64) + 1
    return LinearWidths(
        depths=stage_depths,
        widths=stage_widths,
        num_stages=num_stages.astype(np.int64),
        skipped=powers != num_stages,
    )


def adjust_widths(
    widths: npt.ArrayLike, bottleneck_ratios: npt.ArrayLike, group_widths: npt.ArrayLike
) -> tuple[IntArray, IntArray]:
    """Return (widths, group widths) such that every group width divides its inner width; any one shape.

    With the multiplier m = 1/b: v = int(max(1, w*m)); g = min(g, v); q = lcm(g, m) if m > 1 else g;
    v = max(q, round(v/q) * q); w = int(v/m). This changes networks, so whoever calls it shows what changed.

    >>> adjust_widths([24, 64, 152, 392], 1, 16)
    (array([ 32,  64, 160, 384]), array([16, 16, 16, 16]))
    """
    width, ratio, group = np.broadcast_arrays(
        np.asarray(widths, dtype=np.int64),
        np.asarray(bottleneck_ratios, dtype=np.float64),
        np.asarray(group_widths, dtype=np.int64),
    )
    multiplier = 1.0 / ratio
    inner = np.maximum(1.0, width * multiplier).astype(np.int64)
    group = np.minimum(group, inner)
    step = np.where(multiplier > 1, np.lcm(group, np.maximum(multiplier.astype(np.int64), 1)), group)
    inner = np.maximum(step, np.rint(inner / step).astype(np.int64) * step)
    return (inner / multiplier).astype(np.int64), group


def regnet(
    *,
    total_depth: int,
    initial_width: int,
    width_slope: float,
    width_multiplier: float,
    group_width: int,
    bottleneck_ratio: float = 1.0,
    se_ratio: float | None = None,
    stem: Stem | None = None,
    num_classes: int = 1000,
    in_channels: int = 3,
    conv_bias: bool = False,
) -> NetworkSpec:
    """Return the RegNet of six parameters (RegNetX; RegNetY with an `se_ratio`), widths adjusted to groups.

    Raises: SpecError, naming the parameter, its value and the rule.

    >>> spec = regnet(total_depth=22, initial_width=24, width_slope=24.48, width_multiplier=2.54,
    ...               group_width=16)
    >>> [(stage.depth, stage.width) for stage in spec.stages]
    [(1, 32), (2, 64), (7, 160), (12, 384)]
    """
    check_rule(total_depth, initial_width, width_slope, width_multiplier, group_width, bottleneck_ratio)
    stages = linear_widths([total_depth], [initial_width], [width_slope], [width_multiplier], max_stages=total_depth)
    count = int(stages.num_stages[0])
    widths, group_widths = adjust_widths(stages.widths[0, :count], bottleneck_ratio, group_width)
    return NetworkSpec(
        stages=tuple(
            Stage(depth=int(d), width=int(w), group_width=int(g), bottleneck_ratio=bottleneck_ratio)
            for d, w, g in zip(stages.depths[0, :count], widths, group_widths, strict=True)
        ),
        stem=stem or Stem(),
        num_classes=num_classes,
        in_channels=in_channels,
        conv_bias=conv_bias,
        se_ratio=se_ratio,
    )


def check_rule(
    total_depth: Any,
    initial_width: Any,
    width_slope: Any,
    width_multiplier: Any,
    group_width: Any = 1,
    bottleneck_ratio: Any = 1.0,
) -> None:
    """Check the parameters of a RegNet. Raises: SpecError."""
    for name, given in (("total_depth", total_depth), ("initial_width", initial_width), ("group_width", group_width)):
        if isinstance(given, bool) or not isinstance(given, Integral) or not 1 <= int(given) <= LARGEST:
            raise SpecError(f"{name} (={given!r}) must be a whole number of at least 1 and at most {LARGEST}")
    if initial_width % WIDTH_STEP:
        near = max(WIDTH_STEP, round(initial_width / WIDTH_STEP) * WIDTH_STEP)
        raise SpecError(f"initial_width (={initial_width}) must be a multiple of {WIDTH_STEP}; nearest: {near}")
    for name, given, above in (
        ("width_slope", width_slope, None),
        ("width_multiplier", width_multiplier, 1),
        ("bottleneck_ratio", bottleneck_ratio, 0),
    ):
        if isinstance(given, bool) or not isinstance(given, Real) or not math.isfinite(given):
            raise SpecError(f"{name} (={given!r}) must be a finite number")
        if given < 0 or (above is not None and given <= above):
            raise SpecError(f"{name} (={given}) must be " + ("at least 0" if above is None else f"above {above}"))
        if float(given) > LARGEST:
            raise SpecError(f"{name} (={given}) must be at most {LARGEST}")
