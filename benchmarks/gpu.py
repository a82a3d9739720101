"""Training on a CUDA device, ours beside a plain PyTorch loop and timm's step, in one run whose ways take turns.

    python benchmarks/gpu.py examples/fashion_mnist.toml --networks 16 --epochs 1 --rounds 3 --json > gpu.json

prints three tables. *Population*: networks per hour of a study's first networks, by the plain loop (`torch_usual.py` on
the device: float32 with PyTorch's own settings, which are TF32 in convolutions; the better of 0 and 4 loading
processes) and by ours, for each precision, kernels (layout), with and without a captured graph, and 1, 2, 4 and 8
processes; with the device's utilisation as nvidia-smi tells it. Processes are started before, and a way's time runs
from its first network to its last. *Steps*: how long the device is busy in a step of the network in the middle, in how
many kernels, and with what. *Large*: images per second of a network of 200 MF at 224 pixels, ours from bytes and timm's
training step on a batch that lies there (`pip install timm`; without it, ours alone).

`--device cpu` goes the same ways in miniature, so that nothing is tried for the first time on the day:

    python benchmarks/gpu.py examples/digits.toml --device cpu --networks 2 --processes 1,2 --loaders 0 --rounds 1 \
        --steps 2 --large-resolution 32 --large-batch 4

For several processes on one device start NVIDIA's MPS before (docs/performance.md); the output says whether it runs.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from netspace import values
from netspace.backends.torch_devices import find_device
from netspace.errors import InputError
from netspace.studies.study import Drawn, Study
from netspace.studies.throughput import LOADERS
from netspace.training.device import MEASURED
from netspace.training.packs import pack
from netspace.training.recipe import PRECISIONS, TrainingRecipe

LAUNCH_BOUND = 0.5
"""Where the device computes for less than this share of a step, it waits for the host."""
MEMORY_BOUND = ("norm", "elementwise, sum", "copy", "optimiser")
"""Kinds of kernels that take as long as their numbers take to come and go."""

Way = dict[str, Any]


class Worker:
    """A process that answers requests one by one."""

    def __init__(self, packed: Path, device: str) -> None:
        command = [sys.executable, str(Path(__file__).with_name("gpu_worker.py")), str(packed), device]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, kind: str, **asked: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps({"kind": kind, **asked}), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a process has ended with exit code {self._process.wait()}")
        return json.loads(line)

    def end(self) -> None:
        with self._process:  # which closes its pipes, too
            self._process.kill()


def population(
    workers: Sequence[Worker], networks: Sequence[dict[str, Any]], **asked: Any
) -> tuple[float, list[float]]:
    """Return how long workers take for all networks [s], each the next one as it is free; and the errors."""
    waiting, errors, lock = list(networks), [], threading.Lock()

    def work(worker: Worker) -> None:
        while True:
            with lock:
                if not waiting:
                    return
                network = waiting.pop(0)
            errors.append(worker(network=network, **asked))

    threads = [threading.Thread(target=work, args=(worker,)) for worker in workers]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(errors) < len(networks):
        raise SystemExit("a process has ended before its networks were trained; see above")
    return time.perf_counter() - begun, errors


@contextmanager
def watched(device: str) -> Iterator[list[float]]:
    """Fill a list with the device's utilisation [%] until the end of the block; it stays empty without nvidia-smi."""
    found: list[float] = []
    number = device.partition(":")[2] or "0"
    asked = ["nvidia-smi", "-i", number, "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "200"]
    try:
        if device == "cpu":
            raise FileNotFoundError
        telling = subprocess.Popen(asked, stdout=subprocess.PIPE, text=True)
    except FileNotFoundError:
        yield found
        return
    try:
        yield found
    finally:
        telling.terminate()
        told, _ = telling.communicate()
        found += [float(line) for line in told.split() if line.strip().isdigit()]


def in_turns(rounds: int, ways: Sequence[Way], measure: Callable[[Way], dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the medians of what is measured of each way, by name; the ways take turns."""
    found: list[list[dict[str, Any]]] = [[] for _ in ways]
    for turn in range(rounds):
        for way, told in zip(ways, found, strict=True):
            told.append(measure(way))
            print(f"round {turn + 1} of {rounds}: {name_of(way)} {told[-1]}", file=sys.stderr, flush=True)
    rows = []
    for way, told in zip(ways, found, strict=True):
        known = {name: [one[name] for one in told if one[name] is not None] for name in told[0]}
        rows.append(way | {name: statistics.median(each) if each else None for name, each in known.items()})
    return rows


def name_of(way: Way) -> str:
    if "precision" not in way:
        return f"plain loop, {way['loaders']} loaders"
    graph = {True: "graph", False: "no graph", None: ""}[way.get("captured")]
    processes = f"x{way['processes']}" if "processes" in way else ""
    return " ".join(filter(None, (way.get("whose", ""), way["precision"], way["kernels"], graph, processes)))


def bound_of(step: dict[str, Any]) -> str:
    """Return what bounds a step, by how long the device computes in it and what."""
    if step["busy_ms"] < LAUNCH_BOUND * step["step_ms"]:
        return "launch"
    of_memory = sum(step["kinds"].get(kind, 0.0) for kind in MEMORY_BOUND)
    return "memory" if of_memory > 0.5 * step["busy_ms"] else "convolutions"


def show(title: str, rows: Sequence[dict[str, Any]], columns: dict[str, Callable[[dict[str, Any]], str]]) -> None:
    print(f"\n{title}")
    print(f"{'way':40}" + "".join(f"{column:>18}" for column in columns))
    for row in rows:
        print(f"{name_of(row):40}" + "".join(f"{cell(row):>18}" for cell in columns.values()))


def shown(name: str, form: str) -> Callable[[dict[str, Any]], str]:
    return lambda row: "-" if row.get(name) is None else format(row[name], form)


def options() -> argparse.Namespace:
    def words(text: str) -> list[str]:
        return [word.strip() for word in text.split(",")]

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--networks", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=words, default=["1", "2", "4", "8"])
    parser.add_argument("--precisions", type=words, default=list(PRECISIONS))
    parser.add_argument("--kernels", type=words, default=list(MEASURED["cuda"]))
    parser.add_argument("--loaders", type=words, default=list(LOADERS), help="processes of the plain loop's images")
    parser.add_argument("--steps", type=int, default=16, help="that are profiled, and of the large network")
    parser.add_argument("--large-resolution", type=int, default=224)
    parser.add_argument("--large-batch", type=int, default=128)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def drawn_from(asked: argparse.Namespace) -> tuple[Drawn, TrainingRecipe]:
    """Return what a study draws, as many networks as are asked for or a few more, and how they are trained."""
    study = Study.open(asked.study)
    spec = study.spec
    recipe = replace(spec.recipe, epochs=asked.epochs, warmup_epochs=0.0, precision="float32")
    each = -(-asked.networks // len(spec.spaces))
    once = {"checks": None, "comparison": spec.comparison.once}
    study.spec = replace(spec, networks=each, recipe=recipe, kernels="torch", **once)
    return study.draw(data_dir=asked.data_dir), recipe


def measured(asked: argparse.Namespace, drawn: Drawn, recipe: TrainingRecipe) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of the three tables."""
    pairs = [
        (int(flops), network.to_dict())
        for sample in drawn.samples.values()
        for flops, network in zip(sample.complexity.flops, sample.networks, strict=True)
    ]
    networks = [network for _, network in sorted(pairs, key=lambda pair: -pair[0])][: asked.networks]
    forms = [
        {"precision": precision, "kernels": kernels, "captured": captured}
        for precision in asked.precisions
        for kernels in asked.kernels
        for captured in (False, True)
    ]
    counts = [int(count) for count in asked.processes]
    told = values.to_dict(recipe)
    with ExitStack() as stack:
        packed = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="netspace-gpu-"))) / "data"
        pack(drawn.data, packed)

        def begin() -> Worker:
            worker = Worker(packed, asked.device)
            stack.callback(worker.end)
            return worker

        plain, *ours = (begin() for _ in range(1 + max(counts)))

        def of_population(way: Way) -> dict[str, Any]:
            with watched(asked.device) as utilisation:
                if "loaders" in way:
                    seconds, errors = population([plain], networks, kind="plain", recipe=told, loaders=way["loaders"])
                else:
                    of_way = ours[: way["processes"]]
                    seconds, errors = population(of_way, networks, kind="ours", recipe=told, way=way)
            return {
                "networks_per_hour": 3600 * len(networks) / seconds,
                "utilisation": statistics.fmean(utilisation) if utilisation else None,
                "mean_error": statistics.fmean(errors),
            }

        def of_large(way: Way) -> dict[str, Any]:
            worker = theirs if way["whose"] == "timm" else ours[0]
            sizes = {"resolution": asked.large_resolution, "batch_size": asked.large_batch}
            return worker(f"large {way['whose']}", way=way, steps=asked.steps, **sizes)

        for worker in ours:  # libraries are loaded, and images are read, before anything is timed
            population([worker], networks[:1], kind="ours", recipe=told, way=forms[0])
        population([plain], networks[:1], kind="plain", recipe=told, loaders=0)
        ways: list[Way] = [{"loaders": int(loaders)} for loaders in asked.loaders]
        ways += [form | {"processes": count} for form in forms for count in counts]
        trained = in_turns(asked.rounds, ways, of_population)
        middle = {"network": networks[len(networks) // 2], "recipe": told, "steps": asked.steps}
        steps = [form | ours[0]("profiled", way=form, **middle) for form in forms]
        large = [form | {"whose": "ours"} for form in forms]
        if find_spec("timm") is None:
            print("timm is not installed, so that its step has no row; pip install timm", file=sys.stderr)
        else:
            theirs = begin()
            large += [form | {"whose": "timm", "captured": None} for form in forms if not form["captured"]]
        large = in_turns(asked.rounds, large, of_large)
    best = max(row["networks_per_hour"] for row in trained if "loaders" in row)
    return {
        "population": [row | {"of_plain": row["networks_per_hour"] / best} for row in trained],
        "steps": [row | {"bound": bound_of(row)} for row in steps],
        "large": large,
    }


def report(asked: argparse.Namespace, found: dict[str, list[dict[str, Any]]]) -> None:
    """Print the three tables."""
    rounds = f"medians of {asked.rounds} rounds"
    show(
        f"population: {asked.networks} networks of {asked.study}, {asked.epochs} epochs, {rounds}",
        found["population"],
        {
            "networks/hour": shown("networks_per_hour", ",.0f"),
            "of plain": shown("of_plain", ".2f"),
            "utilisation %": shown("utilisation", ".0f"),
            "mean error": shown("mean_error", ".2%"),
        },
    )
    show(
        "steps of the network in the middle, while the profiler watches",
        found["steps"],
        {
            "step ms": shown("step_ms", ".3f"),
            "busy ms": shown("busy_ms", ".3f"),
            "kernels": shown("launches", ",.1f"),
            "bound by": shown("bound", ""),
            "mostly": lambda row: max(row["kinds"], key=row["kinds"].get, default="-")[:16],
        },
    )
    show(
        f"large: 200 MF at {asked.large_resolution} pixels, batch {asked.large_batch}, {rounds}",
        found["large"],
        {"images/s": shown("images_per_second", ",.0f")},
    )


def main() -> None:
    asked = options()
    try:
        device = find_device(asked.device)
        drawn, recipe = drawn_from(asked)
    except InputError as problem:
        print(f"gpu.py: {problem}", file=sys.stderr)
        raise SystemExit(2) from None
    name = "the processor (a dry run)" if device.type == "cpu" else torch.cuda.get_device_name(device)
    found = measured(asked, drawn, recipe)
    machine = {"device": name, "torch": torch.__version__, "mps": mps_runs()}
    if asked.json:
        print(json.dumps({"machine": machine, **found}, indent=2))
        return
    print(f"{name}, torch {torch.__version__}; MPS {'runs' if machine['mps'] else 'does not run'}")
    report(asked, found)


def mps_runs() -> bool:
    """Return whether NVIDIA's Multi-Process Service answers on this machine."""
    try:
        told = subprocess.run(["nvidia-cuda-mps-control"], input="get_server_list\n", capture_output=True, text=True)
    except FileNotFoundError:
        return False
    return told.returncode == 0 and "Cannot" not in told.stdout


if __name__ == "__main__":
    main()
