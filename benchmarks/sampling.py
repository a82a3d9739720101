"""How fast design spaces are sampled: raw draws a second, accepted networks a second, and the ratio to a plain loop.

    python benchmarks/sampling.py

Draws and networks are those of `netspace bench sample`, draws with their complexities and held against the band. The
plain loop makes one network after the other, as a list of numbers, and adds up its complexity in Python: what a
person would write first. All runs are on one core; medians of interleaved repeats.
"""

import argparse
import bisect
import platform
import random
import statistics
import time

import numpy as np

from netspace.networks.complexity import Complexity, complexity
from netspace.networks.spec import inner_width
from netspace.spaces.budget import Budget
from netspace.spaces.catalog import space
from netspace.spaces.laws import law_values, probabilities
from netspace.spaces.speed import SamplingSpeed, sampling_speed

BAND = Budget(flops=(360e6, 400e6))


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
    loops: list[float] = []
    speeds: dict[str, list[SamplingSpeed]] = {name: [] for name in names}
    for _ in range(options.repeats):
        loops.append(4000 / plain_loop(4000))
        for name in names:
            found = sampling_speed(space(name), options.networks, budget=BAND, rounds=1, draws=options.draws)
            speeds[name].append(found)
    loop = statistics.median(loops)
    print(f"{platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}; one core")
    print(f"plain loop, anynetx_a: {loop:,.0f} draws/s")
    print("space        draws/s  times the loop   networks in 360M..400M            accepted/s")
    for name in names:
        speed, wait = (statistics.median(getattr(one, what) for one in speeds[name]) for what in ("checked", "seconds"))
        made = f"{options.networks} in {wait:.2f} s"
        ratio, rate = speed / loop, options.networks / wait
        print(f"{name:10} {speed:>10,.0f}  {ratio:>13,.0f}x   {made:<30} {rate:>12,.0f}")


if __name__ == "__main__":
    main()
