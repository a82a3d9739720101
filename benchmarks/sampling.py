"""How fast design spaces are sampled: raw draws a second, accepted networks a second, and the ratio to a plain loop.

    python benchmarks/sampling.py

The plain loop makes one network after the other, as a list of numbers, and adds up its complexity in Python: what a
person would write first. All runs are on one core; medians of interleaved repeats.
"""

import argparse
import bisect
import platform
import random
import statistics
import time
from collections.abc import Callable

import numpy as np

from netspace.networks.complexity import Complexity, complexity
from netspace.networks.spec import inner_width
from netspace.spaces.budget import Budget
from netspace.spaces.catalog import space
from netspace.spaces.laws import law_values, probabilities
from netspace.spaces.sample import BATCH, sample

BAND = Budget(flops=(360e6, 400e6))


def arrays(name: str, draws: int) -> float:
    """Return the seconds for raw draws with all three complexities, in arrays."""
    made = space(name)
    made.draw(0, 1)  # the tables of its laws
    begun = time.perf_counter()
    for start in range(0, draws, BATCH):
        complexity(made.draw(start, min(start + BATCH, draws)).networks)
    return time.perf_counter() - begun


def accepted(name: str, n: int) -> float:
    """Return the seconds for n distinct networks in 360 to 400 MF, as objects."""
    begun = time.perf_counter()
    sample(space(name), n, budget=BAND)
    return time.perf_counter() - begun


Stages = list[tuple[int, int, int, int]]
"""Depth, width, inner width and group width of every stage."""


def plain_network(tables: list[tuple[list[float], list[float]]], generator: random.Random) -> Stages:
    """Return one network of AnyNetX_A as a person would draw it first."""
    stages = []
    for _ in range(4):
        depth, width, ratio, group = (
            values[min(bisect.bisect_right(table, generator.random()), len(values) - 1)] for values, table in tables
        )
        inner = max(1, int(width / ratio))
        group = int(min(group, inner))
        inner = max(group, round(inner / group) * group)
        stages.append((int(depth), int(inner * ratio), inner, group))
    return stages


def plain_cost(stages: Stages) -> Complexity:
    """Return a network's complexity at 224x224, convolution by convolution."""
    in_width, side = 32, 112
    weights = 3 * 9 * in_width
    flops, params, activations = weights * side**2, weights + 2 * in_width, in_width * side**2
    for depth, width, inner, group in stages:
        for block in range(depth):
            out_side = (side - 1) // 2 + 1 if block == 0 else side
            convolutions = [
                (1, in_width, inner, 1, side),
                (3, inner, inner, inner // group, out_side),
                (1, inner, width, 1, out_side),
            ]
            if block == 0:
                convolutions.append((1, in_width, width, 1, out_side))
            for kernel, into, out, groups, where in convolutions:
                weights = kernel**2 * (into // groups) * out
                flops += weights * where**2
                params += weights + 2 * out
                activations += out * where**2
            in_width, side = width, out_side
    linear = in_width * 1000 + 1000
    return Complexity(flops=flops + linear, params=params + linear, activations=activations + 1000)


def plain_loop(draws: int) -> float:
    """Return the seconds for raw draws of AnyNetX_A with all three complexities, one network after the other."""
    laws = [space("anynetx_a").law(name) for name in ("depth", "width", "bottleneck_ratio", "group_width")]
    tables = [(law_values(law).tolist(), np.cumsum(probabilities(law)).tolist()) for law in laws]
    generator = random.Random(0)
    begun = time.perf_counter()
    for _ in range(draws):
        plain_cost(plain_network(tables, generator))
    return time.perf_counter() - begun


def check_the_loop() -> None:
    """Hold the loop's arithmetic against the library's, so that the two are about the same thing."""
    for spec in space("anynetx_a").sample(50).networks:
        stages = [(s.depth, s.width, inner_width(s.width, s.bottleneck_ratio), s.group_width or 1) for s in spec.stages]
        assert plain_cost(stages) == complexity(spec), spec


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--draws", type=int, default=1_000_000)
    parser.add_argument("--networks", type=int, default=500)
    options = parser.parse_args()
    check_the_loop()
    names = ("anynetx_a", "anynetx_e", "regnetx")
    runs: dict[str, Callable[[], float]] = {
        "loop": lambda: plain_loop(4000) / 4000,
        **{f"draw {name}": lambda name=name: arrays(name, options.draws) / options.draws for name in names},
        **{f"accept {name}": lambda name=name: accepted(name, options.networks) for name in names},
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(options.repeats):
        for name, run in runs.items():
            seconds[name].append(run())
    median = {name: statistics.median(times) for name, times in seconds.items()}
    print(f"{platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}; one core")
    print(f"plain loop, anynetx_a: {1 / median['loop']:,.0f} draws/s")
    print("space        draws/s  times the loop   networks in 360M..400M            accepted/s")
    for name in names:
        speed, wait = 1 / median[f"draw {name}"], median[f"accept {name}"]
        made = f"{options.networks} in {wait:.2f} s"
        ratio, rate = speed * median["loop"], options.networks / wait
        print(f"{name:10} {speed:>10,.0f}  {ratio:>13,.0f}x   {made:<30} {rate:>12,.0f}")


if __name__ == "__main__":
    main()
