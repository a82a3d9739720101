"""Training speed of one thread in float32 and in bfloat16, side by side on the first networks of a study.

    python benchmarks/precision.py examples/digits.toml --networks 4 --repeats 5

Prints images per second (medians of interleaved repeats of one epoch, evaluation included) and their ratio.
"""

import argparse
import dataclasses
import os
import platform
import statistics
from pathlib import Path

from netspace.backends import get_backend
from netspace.spaces.budget import show_number
from netspace.studies.study import Study
from netspace.training.recipe import PRECISIONS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--networks", type=int, default=4, help="of the first space")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()

    study = Study.open(options.study)
    drawn = study.draw()
    backend = get_backend(study.spec.backend)
    name, trials = next(iter(drawn.trials.items()))
    flops = drawn.samples[name].complexity.flops
    print(f"{platform.machine()}, {os.cpu_count()} cores, {backend.versions()}; {name} of {study.spec.name!r}")
    print(f"{'network':10}{'flops':>8}" + "".join(f"{p + ' images/s':>20}" for p in PRECISIONS) + f"{'ratio':>8}")
    ratios = []
    for trial, cost in zip(trials[: options.networks], flops, strict=False):
        speeds: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
        for _ in range(options.repeats):
            for precision in PRECISIONS:
                recipe = dataclasses.replace(trial.recipe, epochs=1, warmup_epochs=0.0, precision=precision)
                result = backend.train(dataclasses.replace(trial, recipe=recipe), drawn.data)
                speeds[precision].append(result.images / result.seconds)
        plain, fast = (statistics.median(speeds[precision]) for precision in PRECISIONS)
        ratios.append(fast / plain)
        row = f"{trial.network.digest[:8]:10}{show_number(float(cost)):>8}"
        print(f"{row}{plain:>20,.0f}{fast:>20,.0f}{fast / plain:>8.2f}")
    print(f"bfloat16 is {statistics.median(ratios):.2f} times as fast as float32 (median over networks)")


if __name__ == "__main__":
    main()
