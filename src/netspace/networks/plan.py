"""Every number that follows from a spec, derived once: inner widths, groups, strides, paddings, biases.

A plan is a tree of convolutions. Complexity walks it; a backend translates it; neither derives a width. All
blocks of a stage but the first are alike, so a stage is its first block, one other, and a depth: that is what
lets the same code plan one network (`NetworkSpec`, integers) and a million (`SpecArrays`, arrays).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from netspace.errors import SpecError
from netspace.networks.spec import NetworkSpec, SpecArrays, Stage, StageArrays, inner_width, nearest_integers


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution:
    """A convolution with padding kernel_size // 2; widths and groups are integers or arrays of shape (n,).

    A linear layer is a 1x1 convolution of a 1x1 image, and is planned as one.
    """

    in_width: Any
    out_width: Any
    kernel_size: int = 1
    stride: int = 1
    num_groups: Any = 1
    bias: bool = False
    norm: bool = True
    activation: bool = True

    @property
    def padding(self) -> int:
        """Pixels of zeros on each side."""
        return self.kernel_size // 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SqueezeExcitation:
    """Global average pool, `reduce`, activation, `expand`, sigmoid; then a product with the input."""

    reduce: Convolution
    expand: Convolution


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockPlan:
    """An X block: three convolutions, SE before the last one where asked, and a shortcut around them.

    `projection` is the shortcut's convolution (None: the identity). `has_projection` is 1 or 0, per network
    where arrays are planned.
    """

    convolutions: tuple[Convolution, ...]
    se: SqueezeExcitation | None
    projection: Convolution | None
    has_projection: Any = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePlan:
    """`first` once, then `rest` depth - 1 times."""

    first: BlockPlan
    rest: BlockPlan
    depth: Any
    stride: int

    def blocks(self) -> Iterator[BlockPlan]:
        """Yield the blocks of one network's stage in order."""
        yield self.first
        for _ in range(self.depth - 1):
            yield self.rest


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPlan:
    """Stem convolution, stages, and the linear layer after global average pooling."""

    in_channels: int
    stem: Convolution
    stages: tuple[StagePlan, ...]
    head: Convolution


def plan(spec: NetworkSpec | SpecArrays) -> NetworkPlan:
    """Return every number that follows from a spec.

    >>> from netspace.networks.spec import NetworkSpec, Stage
    >>> plan(NetworkSpec(stages=(Stage(depth=2, width=32, group_width=16),))).stages[0].first.convolutions[1]
    Convolution(in_width=32, out_width=32, kernel_size=3, stride=2, num_groups=2, bias=False, norm=True, \
activation=True)
    """
    stem = Convolution(
        in_width=spec.in_channels,
        out_width=spec.stem.width,
        kernel_size=spec.stem.kernel_size,
        stride=spec.stem.stride,
        bias=spec.conv_bias,
    )
    stages = []
    in_width: Any = spec.stem.width
    for stage in spec.stages:
        stages.append(
            StagePlan(
                first=_block(spec, stage, in_width=in_width, stride=stage.stride),
                rest=_block(spec, stage, in_width=stage.width, stride=1),
                depth=stage.depth,
                stride=stage.stride,
            )
        )
        in_width = stage.width
    head = Convolution(in_width=in_width, out_width=spec.num_classes, bias=True, norm=False, activation=False)
    return NetworkPlan(in_channels=spec.in_channels, stem=stem, stages=tuple(stages), head=head)


def stage_sides(spec: NetworkSpec | SpecArrays, resolution: int) -> tuple[int, ...]:
    """Return the side of the image [pixels] after the stem and after each stage.

    Raises: SpecError where a stride of 2 would meet a 1x1 image.

    >>> from netspace.networks.spec import NetworkSpec, Stage
    >>> stage_sides(NetworkSpec(stages=(Stage(depth=1, width=8, group_width=8),) * 4), 224)
    (112, 56, 28, 14, 7)
    """
    strides = (spec.stem.stride, *(stage.stride for stage in spec.stages))
    side = resolution
    sides = []
    for position, stride in enumerate(strides):
        if stride > 1 and side < 2:
            where = "the stem" if position == 0 else f"stages[{position - 1}]"
            raise SpecError(
                f"{where} has stride {stride} but its input is {side}x{side} at resolution {resolution}; "
                f"the least resolution for these strides is {_least_resolution(strides)}, "
                "or give it stride 1"
            )
        side = out_side(side, stride)
        sides.append(side)
    return tuple(sides)


def out_side(in_side: int, stride: int) -> int:
    """Return the side of a convolution's output [pixels]: (in - 1) // stride + 1.

    >>> out_side(7, 2), out_side(8, 2), out_side(8, 1)
    (4, 4, 8)
    """
    return (in_side - 1) // stride + 1


def _block(spec: NetworkSpec | SpecArrays, stage: Stage | StageArrays, *, in_width: Any, stride: int) -> BlockPlan:
    inner = inner_width(stage.width, stage.bottleneck_ratio)
    bias = spec.conv_bias
    convolutions = (
        Convolution(in_width=in_width, out_width=inner, bias=bias),
        Convolution(
            in_width=inner,
            out_width=inner,
            kernel_size=3,
            stride=stride,
            num_groups=inner // stage.group_width,
            bias=bias,
        ),
        # The last activation comes after the sum with the shortcut.
        Convolution(in_width=inner, out_width=stage.width, bias=bias, activation=False),
    )
    se = None
    if spec.se_ratio is not None:
        reduced = nearest_integers(np.maximum(np.asarray(in_width) * spec.se_ratio, 1.0))
        se = SqueezeExcitation(
            reduce=Convolution(in_width=inner, out_width=reduced, bias=True, norm=False),
            expand=Convolution(in_width=reduced, out_width=inner, bias=True, norm=False, activation=False),
        )
    changes = np.asarray((in_width != stage.width) | (stride != 1))
    projection = None
    if np.any(changes):
        projection = Convolution(in_width=in_width, out_width=stage.width, stride=stride, bias=bias, activation=False)
    return BlockPlan(
        convolutions=convolutions,
        se=se,
        projection=projection,
        has_projection=nearest_integers(changes.astype(np.float64)),
    )


def _least_resolution(strides: tuple[int, ...]) -> int:
    need = 1
    for stride in reversed(strides):
        need = max((need - 1) * stride + 1, stride)
    return need
