"""Whether fast training learns the same: the same networks and seeds, plain and fast, paired.

    python benchmarks/equal_learning.py examples/fashion_mnist.toml --pairs 60 --epochs 4

Plain is float32 with PyTorch's own operators; fast is bfloat16 with native kernels, unless told otherwise. Prints the
mean difference of the validation errors with its 90 % interval (Student's t): the two are called equivalent where it
lies within the margin (two one-sided tests at 5 %). Also printed is how many pairs an equivalence takes with power 90 %
at the spread seen, so that the number of the next run can be fixed before it. The results are kept under `--output`:
run it again and it goes on where it was.
"""

import argparse
import dataclasses
import math
from pathlib import Path

import numpy as np
from scipy import stats

from netspace.studies.study import Study
from netspace.studies.text import study_text

RISK, POWER = 0.05, 0.90


def errors(study: Study, folder: Path, precision: str, kernels: str) -> dict[str, float]:
    """Return the errors of a study's networks by digest, trained in a precision with kernels."""
    recipe = dataclasses.replace(study.spec.recipe, precision=precision)
    spec = dataclasses.replace(study.spec, recipe=recipe, kernels=kernels, output="")
    again = Study(spec, study_text(spec), folder / f"{precision}-{kernels}")
    done = again.run()
    rows = again.results()
    print(f"{precision:>10} {kernels:<8} {done.trained} networks in {done.seconds:.0f} s", flush=True)
    return {f"{row['space']}/{row['network']}": row["error"] for row in rows if row["error"] is not None}


def pairs_needed(spread: float, margin: float) -> int:
    """Return how many pairs an equivalence takes where there is no difference, by the normal approximation."""
    z = stats.norm.ppf(1 - RISK) + stats.norm.ppf(1 - (1 - POWER) / 2)
    return math.ceil((z * spread / margin) ** 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--precision", default="bfloat16")
    parser.add_argument("--kernels", default="native")
    parser.add_argument("--margin", type=float, default=0.005, help="of the mean error, in [0, 1]")
    parser.add_argument("--output", type=Path, default=Path("runs/equal_learning"))
    options = parser.parse_args()
    study = Study.open(options.study)
    spec = study.spec
    study.spec = dataclasses.replace(
        spec,
        networks=math.ceil(options.pairs / len(spec.spaces)),
        recipe=dataclasses.replace(spec.recipe, epochs=options.epochs),
        checks=None,
        comparison=spec.comparison.once,
        workers="auto",
    )
    folder = options.output / f"{study.spec.networks}x{options.epochs}"
    plain = errors(study, folder, "float32", "torch")
    fast = errors(study, folder, options.precision, options.kernels)
    both = sorted(plain.keys() & fast.keys())
    difference = np.array([fast[name] - plain[name] for name in both])
    mean, spread = float(difference.mean()), float(difference.std(ddof=1))
    half = float(stats.t.ppf(1 - RISK, len(both) - 1)) * spread / math.sqrt(len(both))
    print(f"{len(both)} pairs; mean error {100 * np.mean([plain[n] for n in both]):.2f} % plain")
    print(
        f"fast - plain: {100 * mean:+.2f} points, 90 % interval {100 * (mean - half):+.2f} to "
        f"{100 * (mean + half):+.2f}; spread of a pair {100 * spread:.2f}"
    )
    inside = abs(mean) + half <= options.margin
    print(f"{'equivalent' if inside else 'not shown to be equivalent'} within {100 * options.margin:g} points")
    print(f"at this spread an equivalence takes {pairs_needed(spread, options.margin)} pairs (power {POWER:.0%})")


if __name__ == "__main__":
    main()
