"""The best network of the study beside the chapter's and a ResNet: equal flops, one recipe, three seeds, tested once.

    netspace run examples/chapter/study.toml
    python examples/chapter/final.py            # hours; stopped at any time, it goes on where it was
    python examples/chapter/final.py --show     # the table, from the cards that are kept

All have the multiply-adds of regnetx32 at 96x96 pixels, and train for as many epochs on the same images:

- *regnetx32* at 96 pixels, as the chapter has it;
- *resnet18* at 96 pixels: the chapter's ResNet-18 (section 8.6), its widths scaled until it costs as much;
- *found, 96 pixels*: the network of the study with the lowest error after four epochs, scaled by depth and width to
  images of that size;
- *found, scaled*: the same network, taken there from its own images by fast compound scaling (dWr).

The recipe is ours, not the chapter's: a rate annealed to zero, momentum, decay, smoothed labels, an average of the
weights over the last epoch. Networks, recipe and seeds are declared in `declared.json` before anything is trained;
every training then judges its last weights on the test images, once. Declaration and cards are kept in
docs/results/chapter/final.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import results

import netspace as ns
from netspace.errors import NetspaceError
from netspace.networks.scaling import Scaled
from netspace.networks.spec import NetworkSpec, Stage, Stem

KEPT = results.KEPT / "final"
DECLARED = KEPT / "declared.json"
SIDE = 96
SEEDS = (0, 1, 2)
RECIPE = ["--recipe", "proxy-4", "--epochs", "10", "--batch-size", "64", "--label-smoothing", "0.1"]
RECIPE += ["--average-epochs", "1", "--precision", "bfloat16", "--kernels", "native", "--threads", "1"]
FOUND = "runs/chapter/rungs/2"


def contenders(study: Path) -> dict[str, Scaled]:
    """Return the networks by name, each with the side of its images. Raises: NetspaceError where there is no study."""
    regnet = ns.network("regnetx32")
    flops = ns.complexity(regnet, SIDE).flops
    stages = tuple(Stage(depth=2, width=64 * 2**i, stride=1 if i == 0 else 2) for i in range(4))
    stem = Stem(width=64, kernel_size=7, max_pool=True)
    resnet = NetworkSpec(block="basic", stages=stages, stem=stem, in_channels=1, num_classes=10)
    best = ns.pick(study).picked.network
    return {
        "regnetx32": ns.scale(regnet, flops=flops, resolution=SIDE),
        "resnet18": ns.scale(resnet, flops=flops, resolution=SIDE, rule="w"),
        "found, 96 pixels": ns.scale(best, flops=flops, resolution=SIDE, rule="dW"),
        "found, scaled": ns.scale(best, flops=flops, resolution=28),
    }


def declare(study: Path) -> dict[str, Any]:
    """Return what is declared; it is written once, before the first training."""
    if not DECLARED.exists():
        networks = {
            name: {"resolution": one.resolution, "flops": one.complexity.flops, "network": one.network.to_dict()}
            for name, one in contenders(study).items()
        }
        KEPT.mkdir(parents=True, exist_ok=True)
        DECLARED.write_text(json.dumps({"recipe": RECIPE, "seeds": SEEDS, "networks": networks}, indent=1) + "\n")
    declared: dict[str, Any] = json.loads(DECLARED.read_text())
    return declared


def train(declared: dict[str, Any], output: Path, workers: int) -> None:
    """Train what has no card yet, `workers` at a time, and keep the cards."""
    output.mkdir(parents=True, exist_ok=True)
    commands = []
    for name, one in declared["networks"].items():
        spec = output / f"{slug(name)}.json"
        spec.write_text(json.dumps(one["network"]))
        for seed in declared["seeds"]:
            words = ["train", str(spec), "--data", "fashion_mnist", "--resolution", str(one["resolution"]), "--test"]
            commands.append(([*words, "--seed", str(seed), *declared["recipe"]], f"{slug(name)}_{seed}"))

    def one_training(words: list[str], name: str) -> None:
        kept = KEPT / f"{name}.json"
        if not kept.exists():
            with (output / f"{name}.log").open("a") as log:
                command = [sys.executable, "-m", "netspace", *words, "--output", str(output / name)]
                subprocess.run(command, check=True, stdout=log, stderr=log)
            shutil.copy(output / name / "card.json", kept)
            print(name, flush=True)

    with ThreadPoolExecutor(workers) as several:
        for done in [several.submit(one_training, *command) for command in commands]:
            done.result()


def show(declared: dict[str, Any]) -> None:
    """Print each network's cost and errors: the mean over the seeds, and the lowest and highest."""
    print("network            pixels   flops   params   acts  test error    lowest to highest core-min")
    for name, one in declared["networks"].items():
        files = [KEPT / f"{slug(name)}_{seed}.json" for seed in declared["seeds"]]
        cards = [json.loads(file.read_text()) for file in files if file.exists()]
        if not cards:
            print(f"{name:18} not trained yet")
            continue
        network, errors = cards[0]["network"], [card["test"]["error"] for card in cards]
        costs = f"{network['flops'] / 1e6:5.1f}M {network['params'] / 1e3:6.0f}k {network['activations'] / 1e3:5.0f}k"
        limits = f"{min(errors):.2%} to {max(errors):.2%} ({len(errors)})"
        minutes = statistics.fmean(card["training"]["seconds"] * card["training"]["threads"] for card in cards) / 60
        print(f"{name:18} {one['resolution']:6} {costs} {statistics.fmean(errors):10.2%} {limits:>20} {minutes:8.1f}")


def slug(name: str) -> str:
    """Return a name as a file may have it."""
    return name.replace(", ", "_").replace(" ", "_")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--study", type=Path, default=results.ROOT / FOUND, help="a folder with the networks to choose from"
    )
    parser.add_argument("--output", type=Path, default=results.ROOT / "runs" / "chapter_final")
    parser.add_argument("--workers", type=int, default=2, help="trainings at once")
    parser.add_argument("--show", action="store_true", help="only print the table")
    asked = parser.parse_args()
    try:
        if asked.show and not DECLARED.exists():
            raise SystemExit(f"final: {DECLARED} is not there yet; without --show it is written, and training begins")
        everything = declare(asked.study)
        if not asked.show:
            train(everything, asked.output, asked.workers)
        show(everything)
    except NetspaceError as problem:
        raise SystemExit(f"final: {problem}") from None
