"""A grouped 3x3 convolution under TensorFlow on a CPU, forward and backward: Keras's own groups, and group by group.

    TF_NUM_INTRAOP_THREADS=1 python benchmarks/grouped_keras.py --batch 32

Prints the time of one step (the least of some) and, in brackets, of the first, as a graph and compiled by XLA, for each
width, number of groups and side of the image. What is too slow at its second step is not repeated.
"""

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import tensorflow as tf

from netspace.backends.tensorflow_model import GroupedConv2D

SHAPES = ((32, 2, 24), (64, 8, 16), (64, 16, 16), (64, 32, 16), (64, 64, 16), (256, 4, 8), (256, 32, 8), (512, 64, 8))
TOO_SLOW = 0.5
"""[s]"""


def step_of(layer: Any, *, compiled: bool) -> Callable[[Any], Any]:
    """Return a step that gives the gradients by the images and the kernel."""

    @tf.function(jit_compile=compiled)
    def step(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(tf.square(layer(x)))
        return tape.gradient(loss, (x, layer.kernel.value))

    return step


def seconds(step: Callable[[Any], Any], x: Any) -> float:
    begun = time.perf_counter()
    step(x)[0].numpy()
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()

    print(f"{os.cpu_count()} cores, tensorflow {tf.__version__}, keras {keras.__version__}; ms per step (the first)")
    names = [f"{form} {how}" for form in ("native", "by group") for how in ("graph", "XLA")]
    print(f"{'width':>5}{'groups':>7}{'side':>5}" + "".join(f"{name:>18}" for name in names))
    for width, groups, side in SHAPES:
        cells = []
        for form in (keras.layers.Conv2D, GroupedConv2D):
            for compiled in (False, True):
                layer = form(width, 3, groups=groups, use_bias=False, data_format="channels_last")
                layer.build((None, None, None, width))
                x, step = (
                    tf.random.normal((options.batch, side + 2, side + 2, width)),
                    step_of(layer, compiled=compiled),
                )
                first, best = seconds(step, x), seconds(step, x)
                for _ in range(options.repeats if best < TOO_SLOW else 0):
                    best = min(best, seconds(step, x))
                cells.append(f"{1e3 * best:.1f} ({1e3 * first:.0f})")
        print(f"{width:>5}{groups:>7}{side:>5}" + "".join(f"{cell:>18}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
