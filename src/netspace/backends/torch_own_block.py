"""A user's own block as a PyTorch module, and the proof that the module has what its `cost` says.

Counted on the module without computing anything, by shapes alone (meta tensors), for one image: flops as PyTorch's
counter finds them plus one per output of a layer that has a bias; params that learn; activations as the outputs of
convolution, linear and max-pool modules. So these layers must be modules, not calls of `torch.nn.functional`.
"""

import functools
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.pooling import _MaxPoolNd
from torch.utils.flop_counter import FlopCounterMode

from netspace.errors import OwnBlockError, SpecError
from netspace.networks.complexity import MEASURES, Complexity, complexity, own_cost
from netspace.networks.own_block import load, telling
from netspace.networks.plan import OwnBlockPlan, plan, sides
from netspace.networks.spec import NetworkSpec

LAYERS = (_ConvNd, nn.Linear, _MaxPoolNd)
"""The modules whose outputs are activations."""

TRIED: tuple[int, ...] = (224, *range(1, 1025))
"""The resolutions [pixels], in order, of which the first that a network takes is the one to check it at."""


def own_module(block: OwnBlockPlan) -> nn.Module:
    """Return what a user's file builds. Raises: OwnBlockError."""
    loaded = load(block.own_block)
    module = loaded.call("build", **block.sizes())
    if not isinstance(module, nn.Module):
        raise OwnBlockError(
            f"own block {loaded.file!r}: build must return a torch.nn.Module, not a {type(module).__name__}"
        )
    return module


def check_own_blocks(spec: NetworkSpec, resolution: int | None = None) -> None:
    """Check every block of a network against its module, each size once in a process.

    Without a resolution [pixels] it is 224, or the least that the blocks take. A network without own blocks passes.
    Raises: OwnBlockError; SpecError where the resolution is too small for the strides.
    """
    if spec.own_block is None:
        return
    after = sides(spec, _fitting_resolution(spec) if resolution is None else resolution)
    in_side = after.stem
    for stage, side in zip(plan(spec).stages, after.stages, strict=True):
        for block, block_side in ((stage.first, in_side), (stage.rest, side))[: stage.depth]:
            assert isinstance(block, OwnBlockPlan)
            _check(block, block_side, side)
        in_side = side


def _fitting_resolution(spec: NetworkSpec) -> int:
    first: SpecError | None = None
    for resolution in TRIED:
        try:
            complexity(spec, resolution)
        except SpecError as problem:
            first = first or problem
        else:
            return resolution
    assert first is not None
    raise first


@functools.lru_cache(maxsize=4096)
def _check(block: OwnBlockPlan, in_side: int, out_side: int) -> None:
    said, has = own_cost(block, in_side, out_side), _counted(block, in_side, out_side)
    columns = own_cost(_as_columns(block), in_side, out_side)
    where = (
        f"for in_width {block.in_width}, width {block.width} and stride {block.stride} "
        f"at {in_side}x{in_side} pixels, and"
    )
    for measure in MEASURES:
        one, module, column = getattr(said, measure), getattr(has, measure), getattr(columns, measure)
        if one != module:
            raise OwnBlockError(
                f"own block {block.own_block.file!r}: cost says {one:,} {measure} {where} the built module has "
                f"{module:,}"
            )
        if np.any(column != one):
            raise OwnBlockError(
                f"own block {block.own_block.file!r}: cost says {one:,} {measure} {where} another number where it is "
                "given arrays of these sizes"
            )


def _as_columns(block: OwnBlockPlan) -> OwnBlockPlan:
    """Return the plan of two such blocks."""
    return replace(
        block,
        in_width=np.full(2, block.in_width),
        width=np.full(2, block.width),
        bottleneck_ratio=np.full(2, block.bottleneck_ratio),
        group_width=None if block.group_width is None else np.full(2, block.group_width),
    )


def _counted(block: OwnBlockPlan, in_side: int, out_side: int) -> Complexity:
    """Return what the built module costs for one image. Raises: OwnBlockError, for a wrong output shape too."""
    outputs: list[int] = []
    biased: list[int] = []

    def count(layer: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        outputs.append(output.numel())
        biased.append(output.numel() if getattr(layer, "bias", None) is not None else 0)

    with torch.device("meta"):
        module = own_module(block).eval()
        image = torch.empty(1, block.in_width, in_side, in_side)
    for layer in module.modules():
        if isinstance(layer, LAYERS):
            layer.register_forward_hook(count)
    # Gradients stay on: without them some of PyTorch's modules take a path of their own past their layers.
    with telling(block.own_block.file, "the module's forward"), FlopCounterMode(display=False) as counter:
        output = module(image)
    expected = (1, block.width, out_side, out_side)
    if not isinstance(output, Tensor) or tuple(output.shape) != expected:
        given = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise OwnBlockError(
            f"own block {block.own_block.file!r}: the module's output for an image of shape {tuple(image.shape)} and "
            f"stride {block.stride} must have the shape {expected}, and is {given}"
        )
    return Complexity(
        flops=int(counter.get_total_flops()) // 2 + sum(biased),  # the counter counts a multiply-add as two
        params=sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad),
        activations=sum(outputs),
    )
