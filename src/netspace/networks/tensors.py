"""The tensors of a network, named and shaped once for all backends: what a weights file holds.

Names and shapes are PyTorch's: a convolution's weight is (out, in / groups, k, k), a linear layer's (out, in). Running
statistics stand beside what is learned; counters of batches, which nothing uses, do not. A user's own blocks name
theirs themselves and are left out.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from netspace.networks.plan import BlockPlan, Convolution, plan
from netspace.networks.spec import NetworkSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorPlan:
    """A tensor by name, which begins from N(`mean`, `spread`); `learned` is False for running statistics."""

    name: str
    shape: tuple[int, ...]
    mean: float = 0.0
    spread: float = 0.0
    learned: bool = True


def tensors(spec: NetworkSpec) -> Iterator[TensorPlan]:
    """Yield the tensors of a network in the order in which images meet them.

    Convolutions begin from N(0, sqrt(2 / (k * k * out_width))), batch norms at 1 and 0, the linear layer from
    N(0, 0.01), biases at 0. Source: Radosavovic et al. 2020, released code (`init_weights`).

    >>> from netspace.networks.zoo import network
    >>> sum(math.prod(tensor.shape) for tensor in tensors(network("regnetx32")) if tensor.learned)
    179290
    """
    planned = plan(spec)
    yield from _conv_norm("stem", planned.stem)
    for i, stage in enumerate(planned.stages):
        for j, block in enumerate(stage.blocks()):
            if isinstance(block, BlockPlan):
                yield from _block(f"stages.{i}.{j}", block, zero_init_last=spec.zero_init_last)
    if planned.head:
        yield from _conv_norm("head.convolution", planned.head)
    linear = planned.classifier
    yield TensorPlan(name="head.linear.weight", shape=(linear.out_width, linear.in_width), spread=0.01)
    if linear.bias:
        yield TensorPlan(name="head.linear.bias", shape=(linear.out_width,))


def initial_tensors(spec: NetworkSpec, seed: int) -> dict[str, npt.NDArray[np.float32]]:
    """Return the tensors of a fresh network, float32, drawn from `seed` in their order.

    >>> from netspace.networks.zoo import network
    >>> initial_tensors(network("regnetx32"), 0)["stem.norm.running_var"][:3]
    array([1., 1., 1.], dtype=float32)
    """
    generator = np.random.Generator(np.random.Philox(key=seed))
    drawn = {}
    for tensor in tensors(spec):
        drawn[tensor.name] = np.full(tensor.shape, tensor.mean, np.float32)
        if tensor.spread:
            drawn[tensor.name] += tensor.spread * generator.standard_normal(tensor.shape, np.float32)
    return drawn


def _block(name: str, block: BlockPlan, *, zero_init_last: bool) -> Iterator[TensorPlan]:
    last = block.convolutions[-1]
    for letter, layer in zip("abc", block.convolutions, strict=False):
        if layer is last and block.se:
            yield from _convolution(f"{name}.branch.se.reduce", block.se.reduce)
            yield from _convolution(f"{name}.branch.se.expand", block.se.expand)
        begins_at = 0.0 if layer is last and block.shortcut and zero_init_last else 1.0
        yield from _conv_norm(f"{name}.branch.{letter}", layer, scale=begins_at)
    if block.projection:
        yield from _conv_norm(f"{name}.projection", block.projection)


def _conv_norm(name: str, layer: Convolution, *, scale: float = 1.0) -> Iterator[TensorPlan]:
    yield from _convolution(f"{name}.conv", layer)
    if layer.norm:
        shape = (layer.out_width,)
        yield TensorPlan(name=f"{name}.norm.weight", shape=shape, mean=scale)
        yield TensorPlan(name=f"{name}.norm.bias", shape=shape)
        yield TensorPlan(name=f"{name}.norm.running_mean", shape=shape, learned=False)
        yield TensorPlan(name=f"{name}.norm.running_var", shape=shape, mean=1.0, learned=False)


def _convolution(name: str, layer: Convolution) -> Iterator[TensorPlan]:
    side = layer.kernel_size
    spread = math.sqrt(2.0 / (side * side * layer.out_width))
    shape = (layer.out_width, layer.in_width // layer.num_groups, side, side)
    yield TensorPlan(name=f"{name}.weight", shape=shape, spread=spread)
    if layer.bias:
        yield TensorPlan(name=f"{name}.bias", shape=(layer.out_width,))
