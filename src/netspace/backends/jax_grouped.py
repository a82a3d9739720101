"""A grouped convolution in the form that is fastest where it runs; its kernel, and so the parameters, stay the same.

On a processor, XLA's gradient by the kernel of a grouped convolution takes up to hundreds of times as long as the same
in another form. Which form is used there is what `benchmarks/grouped_jax.py` shows.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

NARROW = 8
"""From so many channels per group on, a convolution per group is faster than one with a kernel that is mostly zeros."""


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


def convolution(inputs: Array, kernel: Array, *args: Any, feature_group_count: int = 1, **options: Any) -> Array:
    """Convolve as `lax.conv_general_dilated` does, which it replaces in a `flax.nnx.Conv`."""
    group_width = kernel.shape[2]
    # XLA has a fast gradient of its own where every channel is a group.
    if feature_group_count == 1 or group_width == 1 or jax.default_backend() != "cpu":
        form = native
    else:
        form = block_diagonal if group_width < NARROW else split
    return form(inputs, kernel, *args, feature_group_count=feature_group_count, **options)
