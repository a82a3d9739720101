"""A grouped convolution in the form that is fastest where it runs; its kernel, and so the parameters, stay the same.

On a processor, XLA's gradient by the kernel of a grouped convolution takes up to hundreds of times as long as the same
in another form. Which form is used there is what `benchmarks/grouped_jax.py` shows of steps and of compilation, for
runs of some hundred steps.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

NARROW = 8
"""From so many channels per group on, a convolution per group is faster than one with a kernel that is mostly zeros."""

MANY = 16
FEW = 16
"""More than `MANY` groups that give images of at most `FEW` places are one product: each group's own convolution takes
0.1 s or more to compile, which so little work does not earn back, and a kernel of mostly zeros is too large for it."""


def native(inputs: Array, kernel: Array, *args: Any, **options: Any) -> Array:
    """Convolve (batch, height, width, in) with (k, k, in / groups, out); XLA does the groups."""
    found: Array = lax.conv_general_dilated(inputs, kernel, *args, **options)
    return found


def split(inputs: Array, kernel: Array, *args: Any, feature_group_count: int, **options: Any) -> Array:
    """Convolve each group's channels with its kernel, and set the results side by side."""
    pairs = zip(
        jnp.split(inputs, feature_group_count, axis=-1), jnp.split(kernel, feature_group_count, axis=-1), strict=True
    )
    return jnp.concatenate([native(x, k, *args, **options) for x, k in pairs], axis=-1)


def block_diagonal(inputs: Array, kernel: Array, *args: Any, feature_group_count: int, **options: Any) -> Array:
    """Convolve with one dense kernel (k, k, in, out) that is zero where input and output are of different groups."""
    rows = np.repeat(np.arange(feature_group_count), kernel.shape[2])
    columns = np.repeat(np.arange(feature_group_count), kernel.shape[3] // feature_group_count)
    dense = jnp.where(rows[:, None] == columns, jnp.tile(kernel, (1, 1, feature_group_count, 1)), 0)
    return native(inputs, dense, *args, **options)


def product(
    inputs: Array, kernel: Array, strides: Any, padding: Any, *, feature_group_count: int, **options: Any
) -> Array:
    """Multiply what lies under the kernel at each place by it, group by group: one product for all groups."""
    size, _, group_width, out = kernel.shape
    height, width = sides_after(inputs.shape, kernel.shape, strides, padding)
    padded = jnp.pad(inputs, ((0, 0), *padding, (0, 0)))
    under = [
        padded[:, i : i + strides[0] * (height - 1) + 1 : strides[0], j : j + strides[1] * (width - 1) + 1 : strides[1]]
        for i in range(size)
        for j in range(size)
    ]
    places = jnp.stack([each.reshape(-1, feature_group_count, group_width) for each in under], axis=2)
    kernels = kernel.reshape(size * size, group_width, feature_group_count, -1)
    return jnp.einsum("pgkc,kcgo->pgo", places, kernels).reshape(-1, height, width, out)


def convolution(inputs: Array, kernel: Array, *args: Any, feature_group_count: int = 1, **options: Any) -> Array:
    """Convolve as `lax.conv_general_dilated` does, which it replaces in a `flax.nnx.Conv`."""
    form = form_for(inputs.shape, kernel.shape, *args, groups=feature_group_count)
    return form(inputs, kernel, *args, feature_group_count=feature_group_count, **options)


def form_for(
    inputs: tuple[int, ...], kernel: tuple[int, ...], strides: Any, padding: Any, *, groups: int
) -> Callable[..., Array]:
    """Return the form that is best for inputs and a kernel of these shapes, where it runs."""
    # XLA has a fast gradient of its own where every channel is a group.
    if groups == 1 or kernel[2] == 1 or jax.default_backend() != "cpu":
        return native
    if groups > MANY and math.prod(sides_after(inputs, kernel, strides, padding)) <= FEW:
        return product
    return block_diagonal if kernel[2] < NARROW else split


def sides_after(inputs: tuple[int, ...], kernel: tuple[int, ...], strides: Any, padding: Any) -> tuple[int, int]:
    """Return height and width of what a convolution gives."""
    height, width = (
        (side + sum(pad) - size) // stride + 1
        for side, size, stride, pad in zip(inputs[1:3], kernel[:2], strides, padding, strict=True)
    )
    return height, width
