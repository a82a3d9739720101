"""Flops, params and activations of a network, exactly, by one arithmetic for one network or a million.

*flops* are multiply-adds counted once, of convolutions and linear layers (biases counted where present);
*params* are all learnable numbers; *activations* are the output elements of all convolutions, of
max-pooling and of the linear layer. Source: Radosavovic et al. 2020, arXiv 2003.13678, section 3.3 and released code.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from netspace.errors import OwnBlockError, SpecError
from netspace.networks.own_block import load
from netspace.networks.plan import BlockPlan, Convolution, NetworkPlan, OwnBlockPlan, Sides, plan, sides
from netspace.networks.spec import NetworkSpec, SpecArrays, check_spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Complexity:
    """What a network costs; integers, or int64 arrays of shape (n,) for n networks.

    `flops` [multiply-adds], `params` [numbers], `activations` [numbers].
    """

    flops: Any
    params: Any
    activations: Any

    def __add__(self, other: "Complexity") -> "Complexity":
        return Complexity(
            flops=self.flops + other.flops,
            params=self.params + other.params,
            activations=self.activations + other.activations,
        )

    def __mul__(self, count: Any) -> "Complexity":
        return Complexity(flops=self.flops * count, params=self.params * count, activations=self.activations * count)


LARGEST_SIDE = 2**15
"""The largest side of an image [pixels]."""

MEASURES = ("flops", "params", "activations")
"""The names of the three measures, in the order in which tables show them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One line of a layer summary: the part's output and what the part costs.

    `width` [channels] and `side` [pixels] describe its output; the head's is (num_classes, 1).
    """

    name: str
    depth: int
    width: int
    side: int
    complexity: Complexity


def complexity(spec: NetworkSpec | SpecArrays, resolution: int = 224) -> Complexity:
    """Return the complexity of one network (integers) or of n networks (arrays of shape (n,)).

    Raises: SpecError where the resolution is too small for the strides; OwnBlockError where a user's block fails.

    >>> from netspace.networks.zoo import network
    >>> complexity(network("regnetx_200mf"))
    Complexity(flops=199040872, params=2684792, activations=2164056)
    """
    check_spec(spec)
    if isinstance(spec, SpecArrays):
        _refuse_overflow(spec, resolution)
    return _total(plan(spec), sides(spec, check_resolution(resolution)))


def parts(spec: NetworkSpec, resolution: int = 224) -> tuple[Part, ...]:
    """Return the layer summary: stem, each stage, head, with output shape and complexity.

    Raises: SpecError where the resolution is too small for the strides.
    """
    planned = plan(spec)
    after = sides(spec, check_resolution(resolution))
    names = ("stem", *(f"stage {i + 1}" for i in range(len(spec.stages))), "head")
    depths = (1, *(stage.depth for stage in spec.stages), 1)
    widths = (spec.stem.width, *(stage.width for stage in spec.stages), spec.num_classes)
    totals = [Complexity(flops=0, params=0, activations=0) for _ in names]
    for position, cost in _costs(planned, after):
        totals[position] += cost
    return tuple(
        Part(name=name, depth=depth, width=width, side=side, complexity=total)
        for name, depth, width, side, total in zip(
            names, depths, widths, (after.stem, *after.stages, 1), totals, strict=True
        )
    )


def check_resolution(resolution: int) -> int:
    """Return a resolution [pixels] that an image can have. Raises: SpecError."""
    if not isinstance(resolution, int) or isinstance(resolution, bool) or not 1 <= resolution <= LARGEST_SIDE:
        raise SpecError(f"resolution (={resolution!r}) must be a whole number of pixels from 1 to {LARGEST_SIDE}")
    return resolution


def _refuse_overflow(spec: SpecArrays, resolution: int) -> None:
    """Check that no sum can leave 64 bits, where arrays would wrap around without a word. Raises: SpecError."""
    widths = [spec.stem.width, spec.in_channels, spec.num_classes, spec.head_width or 1]
    layers = 4
    for stage in spec.stages:
        ratio = min(1.0, float(np.min(stage.bottleneck_ratio, initial=1.0)))
        widths.append(math.ceil(int(np.max(stage.width, initial=1)) / ratio))
        layers += 4 * int(np.max(stage.depth, initial=1))
    kernel = max(3, spec.stem.kernel_size)
    bound = (kernel * max(widths) * resolution) ** 2 * layers
    if spec.own_block is not None:
        bound = max(bound, _widest_cost(spec, resolution))
    if bound >= 2**63:
        raise SpecError(
            f"widths up to {max(widths):,} at resolution {resolution:,} cost more than 64-bit arithmetic can count; "
            "take smaller ones"
        )


def _widest_cost(spec: SpecArrays, resolution: int) -> int:
    """Return the largest measure of the network whose every column is largest, in Python's unbounded integers."""
    stages = tuple(
        replace(
            stage,
            depth=int(np.max(stage.depth, initial=1)),  # type: ignore[arg-type]
            width=int(np.max(stage.width, initial=1)),  # type: ignore[arg-type]
            group_width=None if stage.group_width is None else int(np.max(stage.group_width, initial=1)),  # type: ignore[arg-type]
            bottleneck_ratio=float(np.min(stage.bottleneck_ratio, initial=np.inf)),  # type: ignore[arg-type]
        )
        for stage in spec.stages
    )
    widest = _total(plan(replace(spec, stages=stages)), sides(spec, resolution))
    return max(int(getattr(widest, measure)) for measure in MEASURES)


def _total(planned: NetworkPlan, after: Sides) -> Complexity:
    total = Complexity(flops=0, params=0, activations=0)
    for _, cost in _costs(planned, after):
        total += cost
    return total


def _costs(planned: NetworkPlan, after: Sides) -> Iterator[tuple[int, Complexity]]:
    """Yield (position of the part, cost) for everything that a plan holds."""
    yield 0, _cost(planned.stem, after.convolution)
    if planned.max_pool:
        yield 0, Complexity(flops=0, params=0, activations=planned.stem.out_width * after.stem**2)
    in_side = after.stem
    for position, (stage, side) in enumerate(zip(planned.stages, after.stages, strict=True), start=1):
        yield position, _block_cost(stage.first, in_side, side)
        yield position, _block_cost(stage.rest, side, side) * (stage.depth - 1)
        in_side = side
    position = len(after.stages) + 1
    if planned.head is not None:
        yield position, _cost(planned.head, in_side)
    yield position, _cost(planned.classifier, 1)


def own_cost(block: OwnBlockPlan, in_side: int, out_side: int) -> Complexity:
    """Return what a user's file says that its block costs. Raises: OwnBlockError."""
    loaded = load(block.own_block)
    said = loaded.call("cost", **block.sizes(), in_side=in_side, out_side=out_side)
    if not isinstance(said, Complexity):
        raise OwnBlockError(f"own block {loaded.file!r}: cost must return a Complexity, not a {type(said).__name__}")
    counted: dict[str, Any] = {}
    for measure in MEASURES:
        given = getattr(said, measure)
        number = np.asarray(given)
        # Python's integers know no bounds: those beyond 64 bits become an array of objects.
        whole = number.dtype.kind in "iu" or isinstance(given, int)
        if not whole or number.shape not in ((), np.shape(block.width)):
            raise OwnBlockError(
                f"own block {loaded.file!r}: the {measure} that cost returns must be whole numbers of shape "
                f"{np.shape(block.width)}, and are {number.dtype} of shape {number.shape}"
            )
        counted[measure] = number if number.ndim else int(given)
    return Complexity(**counted)


def _block_cost(block: BlockPlan | OwnBlockPlan, in_side: int, out_side: int) -> Complexity:
    if isinstance(block, OwnBlockPlan):
        return own_cost(block, in_side, out_side)
    total = Complexity(flops=0, params=0, activations=0)
    side = in_side
    for convolution in block.convolutions:
        side = out_side if convolution.stride > 1 else side
        total += _cost(convolution, side)
    if block.se is not None:
        total = total + _cost(block.se.reduce, 1) + _cost(block.se.expand, 1)
    if block.projection is not None:
        total += _cost(block.projection, out_side) * block.has_projection
    return total


def _cost(layer: Convolution, out_side: int) -> Complexity:
    weights = layer.kernel_size**2 * (layer.in_width // layer.num_groups) * layer.out_width
    biases = layer.out_width if layer.bias else 0
    norms = 2 * layer.out_width if layer.norm else 0
    pixels = out_side * out_side
    return Complexity(
        flops=(weights + biases) * pixels,
        params=weights + biases + norms,
        activations=layer.out_width * pixels,
    )
