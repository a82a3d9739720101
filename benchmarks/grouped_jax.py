"""A grouped 3x3 convolution in JAX, forward and backward, in the four forms of `jax_grouped`.

    PJRT_NPROC=1 python benchmarks/grouped_jax.py --batch 32

Prints the time of one step (the least of interleaved repeats) and of its compilation, for each width, number of groups
and side of the image. A form that is too slow at its first step is not repeated.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from netspace.backends.jax_grouped import block_diagonal, native, product, split

FORMS = {"native": native, "split": split, "block-diagonal": block_diagonal, "product": product}
SHAPES = (
    (32, 2, 24),
    (64, 8, 12),
    (64, 16, 12),
    (64, 32, 12),
    (64, 64, 12),
    (96, 16, 14),
    (128, 16, 8),
    (128, 32, 8),
    (160, 10, 14),
    (256, 32, 8),
    (400, 25, 7),
    (256, 256, 7),
    (256, 32, 4),
    (256, 32, 2),
    (368, 46, 2),
    (368, 46, 1),
    (368, 92, 2),
)
TOO_SLOW = 0.5
"""[s]"""
MOST_SPLIT = 64
"""More groups than this take a minute to compile, one by one."""


def compiled(form: Callable[..., jax.Array], groups: int, x: jax.Array, kernel: jax.Array) -> tuple[Callable, float]:
    """Return the step, which gives both gradients, and how long it took to compile [s]."""

    def loss(x: jax.Array, kernel: jax.Array) -> jax.Array:
        numbers = ("NHWC", "HWIO", "NHWC")
        y = form(x, kernel, (1, 1), ((1, 1), (1, 1)), dimension_numbers=numbers, feature_group_count=groups)
        return jnp.sum(jnp.square(y))

    begun = time.perf_counter()
    step = jax.jit(jax.value_and_grad(loss, argnums=(0, 1))).lower(x, kernel).compile()
    return step, time.perf_counter() - begun


def seconds(step: Callable, *arrays: jax.Array) -> float:
    begun = time.perf_counter()
    jax.block_until_ready(step(*arrays))
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()

    print(
        f"{platform.machine()}, {os.cpu_count()} cores, jax {jax.__version__} on {jax.default_backend()}; ms per step"
    )
    print(f"{'width':>5}{'groups':>7}{'side':>5}" + "".join(f"{name + ' (compiled)':>26}" for name in FORMS))
    generator = np.random.default_rng(0)
    for width, groups, side in SHAPES:
        x = jnp.asarray(generator.standard_normal((options.batch, side, side, width)), jnp.float32)
        kernel = jnp.asarray(generator.standard_normal((3, 3, width // groups, width)), jnp.float32)
        forms = {name: form for name, form in FORMS.items() if form is not split or groups <= MOST_SPLIT}
        steps = {name: compiled(form, groups, x, kernel) for name, form in forms.items()}
        best = {name: seconds(step, x, kernel) for name, (step, _) in steps.items()}
        for _ in range(options.repeats):
            for name, (step, _) in steps.items():
                if best[name] < TOO_SLOW:
                    best[name] = min(best[name], seconds(step, x, kernel))
        cells = (f"{1e3 * best[name]:.1f} ({1e3 * steps[name][1]:.0f})" if name in steps else "-" for name in FORMS)
        print(f"{width:>5}{groups:>7}{side:>5}" + "".join(f"{cell:>26}" for cell in cells))


if __name__ == "__main__":
    main()
