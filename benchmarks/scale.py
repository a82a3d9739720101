"""How many networks does one driver carry, and how fast? `python benchmarks/scale.py 2000 100000`.

All of it is what `netspace run` does: networks are drawn, named and stored, worker processes get them one by one and
report ten epochs each, results are committed to a file of SQLite, the store is read and the page written. Only the
training is not: `stub_training.py` says after `--seconds` what it might have left. The driver loads PyTorch as a real
one does. Every number of networks, of two spaces together, gets a driver of its own; `--folder` keeps what it leaves.

Beside wall time stands the driver's own processor time, which other work on the machine disturbs less.
"""

import argparse
import cProfile
import functools
import json
import os
import platform
import pstats
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from stub_training import NAME, stubbed

from netspace.backends import get_backend
from netspace.execution.executor import Event, Setup, ShouldStop, Task
from netspace.execution.processes import ProcessExecutor
from netspace.report import write_report
from netspace.storage.store import Store
from netspace.studies.running import StudyProgress
from netspace.studies.study import Study

TEXT = """
name = "scale"
networks = {networks}
backend = "{backend}"
[data]
name = "npz:{file}"
[recipe]
epochs = 10
batch_size = 50
[[spaces]]
space = "{first}"
[[spaces]]
space = "{second}"
"""

ROWS = {
    "prepared": ("drawn, named and stored [s]", ".1f"),
    "preparing": ("the driver's processor time for that [s]", ".1f"),
    "trained": ("all trained [s]", ".1f"),
    "rate": ("trained and recorded [networks/s]", ",.0f"),
    "driver": ("the driver's processor time for each [ms]", ".2f"),
    "workers": ("the workers' processor time for each [ms]", ".2f"),
    "commits": ("networks recorded together, on average", ".1f"),
    "memory": ("the driver's memory until then, at most [MiB]", ",.0f"),
    "size": ("the store [MB]", ",.0f"),
    "resumed": ("a run that finds all done [s]", ".1f"),
    "table": ("opened and read as a table [s]", ".2f"),
    "populations": ("with specs and curves [s]", ".1f"),
    "found": ("all that the page says [s]", ".1f"),
    "written": ("page, tables and figures written [s]", ".1f"),
    "page": ("the page [MB]", ".2f"),
    "memory_after": ("the driver's memory in the end, at most [MiB]", ",.0f"),
}
"""What is measured, in words, and how it is written."""


class Stubbed(ProcessExecutor):
    """Local workers that have everything of a study but its training."""

    def __init__(self, workers: int, seconds: float, logs: Path) -> None:
        super().__init__(workers, logs=logs)
        self.seconds = seconds

    def run(self, setup: Setup, tasks: Sequence[Task], *, should_stop: ShouldStop) -> Iterator[list[Event]]:  # type: ignore[override]
        return super().run(functools.partial(stubbed, setup, self.seconds), tasks, should_stop=should_stop)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", type=int, nargs="+", help="networks of both spaces together")
    parser.add_argument("--seconds", type=float, default=0.001, help="what a training takes")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--spaces", nargs=2, default=["anynetx_a", "regnetx"], help="from which they are drawn")
    parser.add_argument("--folder", type=Path, default=None, help="where studies are made and left")
    parser.add_argument("--no-page", action="store_true", help="leave out what is read and written in the end")
    parser.add_argument("--profile", action="store_true", help="say where the driver's time goes; it takes more then")
    asked = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory(prefix="netspace scale ") as made:
        for networks in asked.networks:
            folder = (asked.folder or Path(made)).absolute() / str(networks)
            if len(asked.networks) == 1:
                measure(networks, folder, asked)
            else:
                words = [str(networks), "--seconds", str(asked.seconds), "--workers", str(asked.workers)]
                words += ["--spaces", *asked.spaces]
                words += ["--folder", str(folder.parent)]
                words += ["--no-page"] * asked.no_page + ["--profile"] * asked.profile
                said = None if asked.profile else subprocess.DEVNULL
                subprocess.run([sys.executable, __file__, *words], check=True, stdout=said)
            found[networks] = json.loads((folder / "measured.json").read_text())
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {sys.version.split()[0]}, {asked.workers} workers,")
    print(f"{1000 * asked.seconds:g} ms for a training")
    print()
    print(f"| networks | {' | '.join(f'{networks:,}' for networks in found)} |")
    print(f"|---{'|--:' * len(found)}|")
    for name, (words, form) in ROWS.items():
        if all(name in one for one in found.values()):
            print(f"| {words} | {' | '.join(format(one[name], form) for one in found.values())} |")


def measure(networks: int, folder: Path, asked: argparse.Namespace) -> None:
    """Drive one study to its page and leave what was measured in `measured.json`."""
    folder.mkdir(parents=True)
    chance = np.random.default_rng(0)
    images = chance.integers(0, 256, (200, 32, 32, 3), dtype=np.uint8)
    np.savez(folder / "images.npz", images=images, labels=np.arange(200) % 10)
    file = folder / "scale.toml"
    first, second = asked.spaces
    text = TEXT.format(networks=networks // 2, backend=NAME, file=folder / "images.npz", first=first, second=second)
    file.write_text(text)
    get_backend("torch")
    told: dict[str, float] = {}
    profile = cProfile.Profile()

    def drive() -> tuple[list[float], list[float]]:
        """Return wall and processor times [s] when the run began, its training began, and it ended."""
        wall, processor = [time.perf_counter()], [time.process_time()]
        trained: list[int] = []

        def on_progress(progress: StudyProgress) -> None:
            if not trained:
                wall.append(time.perf_counter())
                processor.append(time.process_time())
            if progress.trained not in trained[-1:]:
                trained.append(progress.trained)

        with Stubbed(asked.workers, asked.seconds, folder / "out" / "logs") as executor:
            executor.prepare("stub_training", "netspace.studies.running")
            done = Study.open(file, output=folder / "out").run(executor=executor, on_progress=on_progress)
        told["now"] = done.trained
        told.setdefault("commits", done.trained / max(1, len(trained) - 1))
        return [*wall, time.perf_counter()], [*processor, time.process_time()]

    if asked.profile:
        profile.enable()
    wall, processor = drive()
    profile.disable()
    assert told["now"] == 2 * (networks // 2), told
    told |= {
        "prepared": wall[1] - wall[0],
        "trained": wall[2] - wall[1],
        "rate": told["now"] / (wall[2] - wall[1]),
        "driver": 1000 * (processor[2] - processor[1]) / told["now"],
        "preparing": processor[1] - processor[0],
        "workers": 1000 * sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) / told["now"],
        "memory": memory(),
        "size": (folder / "out" / "study.db").stat().st_size / 1e6,
    }
    if asked.profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)
    wall, _ = drive()
    assert told["now"] == 0
    told["resumed"] = wall[-1] - wall[0]
    for what in ("table", "populations"):
        begun = time.perf_counter()
        with Store.open(folder / "out") as store:
            getattr(store, what)()
        told[what] = time.perf_counter() - begun
    (folder / "measured.json").write_text(json.dumps(told))  # a page may need more memory than there is
    if not asked.no_page:
        begun = time.perf_counter()
        report = Study.open(folder / "out").findings()
        told["found"] = time.perf_counter() - begun
        begun = time.perf_counter()
        page, *_ = write_report(report, folder / "out")
        told["written"] = time.perf_counter() - begun
        told |= {"page": page.stat().st_size / 1e6, "memory_after": memory()}
        (folder / "measured.json").write_text(json.dumps(told))


def memory() -> float:
    """Return the most memory [MiB] that this process has had so far."""
    status = Path("/proc/self/status")
    if status.exists():  # the other way counts what began this process, too
        return (
            next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 2**10
        )
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), *sys.path[1:]])  # for the workers
    main()
