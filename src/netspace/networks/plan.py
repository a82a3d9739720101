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
from netspace.networks.own_block import OwnBlock
from netspace.networks.spec import (
    GROUPED,
    NetworkSpec,
    SpecArrays,
    Stage,
    StageArrays,
    inner_width,
    nearest_integers,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution:
    """A convolution with `padding` pixels of zeros; widths and groups are integers or arrays of shape (n,).

    A linear layer is a 1x1 convolution of a 1x1 image, and is planned as one.
    """

    in_width: Any
    out_width: Any
    kernel_size: int = 1
    stride: int = 1
    padding: int = 0
    num_groups: Any = 1
    bias: bool = False
    norm: bool = True
    activation: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SqueezeExcitation:
    """Global average pool, `reduce`, activation, `expand`, sigmoid; then a product with the input."""

    reduce: Convolution
    expand: Convolution


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockPlan:
    """Convolutions in a row, SE before the last one where asked, and a shortcut around them.

    `shortcut` is False where there is none; else `projection` is its convolution (None: the identity), and
    `has_projection` is 1 or 0, per network where arrays are planned. `activation` says whether one follows the sum.
    """

    convolutions: tuple[Convolution, ...]
    se: SqueezeExcitation | None
    shortcut: bool
    projection: Convolution | None
    has_projection: Any
    activation: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnBlockPlan:
    """The sizes of a user's own block; widths, ratios and group widths are numbers or arrays of shape (n,)."""

    own_block: OwnBlock
    in_width: Any
    width: Any
    stride: int
    bottleneck_ratio: Any
    group_width: Any

    def sizes(self) -> dict[str, Any]:
        """Return the sizes as the keywords of the user's functions."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "own_block"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePlan:
    """`first` once, then `rest` depth - 1 times."""

    first: BlockPlan | OwnBlockPlan
    rest: BlockPlan | OwnBlockPlan
    depth: Any
    stride: int

    def blocks(self) -> Iterator[BlockPlan | OwnBlockPlan]:
        """Yield the blocks of one network's stage in order."""
        yield self.first
        for _ in range(self.depth - 1):
            yield self.rest


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPlan:
    """Stem convolution, max-pool where asked, stages, the head's convolution where asked, the linear layer."""

    in_channels: int
    stem: Convolution
    max_pool: bool
    stages: tuple[StagePlan, ...]
    head: Convolution | None
    classifier: Convolution


def plan(spec: NetworkSpec | SpecArrays) -> NetworkPlan:
    """Return every number that follows from a spec.

    >>> from netspace.networks.spec import NetworkSpec, Stage
    >>> first = plan(NetworkSpec(stages=(Stage(depth=2, width=32, group_width=16),))).stages[0].first
    >>> first.convolutions[1].num_groups, first.convolutions[1].padding, first.projection.stride
    (2, 1, 2)
    """
    stem = Convolution(
        in_width=spec.in_channels,
        out_width=spec.stem.width,
        kernel_size=spec.stem.kernel_size,
        stride=spec.stem.stride,
        padding=0 if spec.stem.patchify else spec.stem.kernel_size // 2,
        bias=spec.conv_bias,
    )
    stages = []
    width: Any = spec.stem.width
    for stage in spec.stages:
        inner = _inner(spec, stage)
        stages.append(
            StagePlan(
                first=_block(spec, stage, inner, in_width=width, stride=stage.stride),
                rest=_block(spec, stage, inner, in_width=stage.width, stride=1),
                depth=stage.depth,
                stride=stage.stride,
            )
        )
        width = stage.width
    head = None
    if spec.head_width is not None:
        head = Convolution(in_width=width, out_width=spec.head_width, bias=spec.conv_bias)
        width = spec.head_width
    return NetworkPlan(
        in_channels=spec.in_channels,
        stem=stem,
        max_pool=spec.stem.max_pool,
        stages=tuple(stages),
        head=head,
        classifier=Convolution(in_width=width, out_width=spec.num_classes, bias=True, norm=False, activation=False),
    )


def drop_rates(spec: NetworkSpec) -> list[float]:
    """Return the rate at which each block's branch is dropped: it rises linearly from 0 at the first to the last's.

    >>> from netspace.networks.spec import NetworkSpec, Stage
    >>> drop_rates(NetworkSpec(stages=(Stage(depth=3, width=8, group_width=8),), stochastic_depth=0.5))
    [0.0, 0.25, 0.5]
    """
    blocks = sum(stage.depth for stage in spec.stages)
    return [spec.stochastic_depth * i / max(blocks - 1, 1) for i in range(blocks)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Sides of the image [pixels]: after the stem's convolution, after the whole stem, after each stage."""

    convolution: int
    stem: int
    stages: tuple[int, ...]


def sides(spec: NetworkSpec | SpecArrays, resolution: int) -> Sides:
    """Return the sides of the image [pixels] through a network.

    Raises: SpecError where a stride of 2 would meet a 1x1 image, or a patch is larger than the image.

    >>> from netspace.networks.spec import NetworkSpec, Stage
    >>> sides(NetworkSpec(stages=(Stage(depth=1, width=8, group_width=8),) * 4), 224)
    Sides(convolution=112, stem=112, stages=(56, 28, 14, 7))
    """
    stem = spec.stem
    patch = stem.kernel_size if stem.patchify else 1
    if resolution < patch:
        raise SpecError(
            f"stem.kernel_size (={patch}) of a patchify stem must be at most the resolution (={resolution})"
        )
    steps = [("the stem", 1 if stem.patchify else stem.stride), ("the stem's max-pool", 2 if stem.max_pool else 1)]
    stages: tuple[Stage | StageArrays, ...] = spec.stages
    steps += [(f"stages[{position}]", stage.stride) for position, stage in enumerate(stages)]
    side = resolution // patch
    seen = []
    for where, stride in steps:
        if stride > 1 and side < 2:
            least = patch * _least_side([stride for _, stride in steps])
            raise SpecError(
                f"{where} has stride {stride} but its input is {side}x{side} at resolution {resolution}; "
                f"the least resolution for these strides is {least}, or give it stride 1"
            )
        side = out_side(side, stride)
        seen.append(side)
    return Sides(convolution=seen[0], stem=seen[1], stages=tuple(seen[2:]))


def out_side(in_side: int, stride: int) -> int:
    """Return the side of a padded convolution's or max-pool's output [pixels]: (in - 1) // stride + 1.

    >>> out_side(7, 2), out_side(8, 2), out_side(8, 1)
    (4, 4, 8)
    """
    return (in_side - 1) // stride + 1


def _inner(spec: NetworkSpec | SpecArrays, stage: Stage | StageArrays) -> tuple[Any, Any]:
    """Return the inner width and the number of groups, which all blocks of a stage have in common."""
    if spec.block not in GROUPED:
        return stage.width, 1
    inner = inner_width(stage.width, stage.bottleneck_ratio)
    return inner, 1 if stage.group_width is None else inner // stage.group_width


def _block(
    spec: NetworkSpec | SpecArrays, stage: Stage | StageArrays, inner: tuple[Any, Any], *, in_width: Any, stride: int
) -> BlockPlan | OwnBlockPlan:
    if spec.own_block is not None:
        return OwnBlockPlan(
            own_block=spec.own_block,
            in_width=in_width,
            width=stage.width,
            stride=stride,
            bottleneck_ratio=stage.bottleneck_ratio,
            group_width=stage.group_width,
        )
    convolutions = _convolutions(spec, stage, inner, in_width=in_width, stride=stride)
    changes = np.asarray((in_width != stage.width) | (stride != 1))
    projects = spec.residual and spec.block in ("x", "basic") and bool(np.any(changes))
    projection = Convolution(
        in_width=in_width, out_width=stage.width, stride=stride, bias=spec.conv_bias, activation=False
    )
    return BlockPlan(
        convolutions=convolutions,
        se=_squeeze_excitation(in_width, convolutions[-1].in_width, spec.se_ratio),
        shortcut=spec.residual and (projects or not np.any(changes)),
        projection=projection if projects else None,
        has_projection=nearest_integers(changes.astype(np.float64)),
        activation=spec.block != "z",
    )


def _convolutions(
    spec: NetworkSpec | SpecArrays, stage: Stage | StageArrays, inner: tuple[Any, Any], *, in_width: Any, stride: int
) -> tuple[Convolution, ...]:
    """Return the convolutions of a block; the last one's activation comes after the sum with the shortcut."""
    width, bias = stage.width, spec.conv_bias
    if spec.block in GROUPED:
        inner_channels, num_groups = inner
        return (
            Convolution(in_width=in_width, out_width=inner_channels, bias=bias),
            _convolution_3x3(inner_channels, inner_channels, stride=stride, num_groups=num_groups, bias=bias),
            Convolution(in_width=inner_channels, out_width=width, bias=bias, activation=False),
        )
    if spec.block == "basic":
        return (
            _convolution_3x3(in_width, width, stride=stride, bias=bias),
            _convolution_3x3(width, width, bias=bias, activation=False),
        )
    return (Convolution(in_width=in_width, out_width=width, stride=stride, bias=bias, activation=False),)


def _convolution_3x3(in_width: Any, out_width: Any, **options: Any) -> Convolution:
    return Convolution(in_width=in_width, out_width=out_width, kernel_size=3, padding=1, **options)


def _squeeze_excitation(in_width: Any, inner: Any, se_ratio: float | None) -> SqueezeExcitation | None:
    if se_ratio is None:
        return None
    reduced = nearest_integers(np.maximum(np.asarray(in_width) * se_ratio, 1.0))
    return SqueezeExcitation(
        reduce=Convolution(in_width=inner, out_width=reduced, bias=True, norm=False),
        expand=Convolution(in_width=reduced, out_width=inner, bias=True, norm=False, activation=False),
    )


def _least_side(strides: list[int]) -> int:
    need = 1
    for stride in reversed(strides):
        need = max((need - 1) * stride + 1, stride)
    return need
