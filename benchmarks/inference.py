"""How fast the smaller networks of the zoo answer as built and folded, as a Markdown table for `docs/results`.

    python benchmarks/inference.py

Two threads, float32, weights as initialised. Medians over `--rounds` turns of one image: as `netspace.build` returns a
network, the same in channels-last layout, and folded by `netspace.fuse`, which has that layout too; `ratio` is the
first over the third. Then images per second in batches of 32 and the peak memory of one image, both folded. Takes
less than five minutes where nothing else runs, and means little where something does.
"""

import argparse
import os
import platform
from dataclasses import replace
from statistics import median

import netspace as ns
from netspace.backends.inference import InferenceSetting
from netspace.backends.torch_inference import fresh_peak_memory, latencies, versions
from netspace.networks.zoo import NETWORKS

OWN_RESOLUTION = {"regnetx32": 96, "regnetx_small": 28, "resnet56_cifar": 32}
"""Networks that were made for smaller images than 224x224."""

MOST_FLOPS = 1.65e9
BATCH, BATCH_ROUNDS = 32, 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()

    about = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions('cpu')}"
    print(f"{about}; {options.threads} threads, float32, medians of {options.rounds} turns\n")
    print(
        "| network | pixels | as built [ms] | channels-last [ms] | folded [ms] | ratio | images/s at 32 | peak [MiB] |"
    )
    print("|---" + "|---:" * 7 + "|")
    for name in NETWORKS:
        side = OWN_RESOLUTION.get(name, 224)
        spec = ns.network(name)
        if ns.complexity(spec, side).flops > MOST_FLOPS:
            continue
        folded = InferenceSetting(threads=options.threads, resolution=side, fused=True)
        laid_out = replace(folded, fused=False)
        built = replace(laid_out, channels_last=False)
        times = latencies(spec, [built, laid_out, folded], rounds=options.rounds)
        before, between, after = (1e3 * median(one) for one in times)
        (batches,) = latencies(spec, [replace(folded, batch_size=BATCH)], rounds=BATCH_ROUNDS)
        peak = fresh_peak_memory(spec, folded)
        row = [name, side, f"{before:.1f}", f"{between:.1f}", f"{after:.1f}", f"{before / after:.2f}"]
        row += [f"{BATCH / median(batches):,.0f}", "-" if peak is None else f"{peak:.0f}"]
        print("|", " | ".join(map(str, row)), "|", flush=True)


if __name__ == "__main__":
    main()
