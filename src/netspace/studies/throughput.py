"""How fast a population is trained, end to end: our ways and the usual one, side by side on the same networks.

Every way is a process of its own from its start to its last stored result, and the ways take turns, so that other work
on the machine hits them alike. The page is not part of it.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from netspace import values
from netspace.errors import ExecutionError
from netspace.storage.store import Store
from netspace.studies.preparing import Drawn
from netspace.studies.spec import StudySpec
from netspace.studies.study import Study
from netspace.studies.text import study_text
from netspace.training.packs import PACK, pack

USUAL = "usual"
WAYS = (USUAL, "float32 torch", "float32 native", "bfloat16 torch", "bfloat16 blocked", "bfloat16 native")
"""The usual way, and ours by precision and kernels."""
LOADERS = (0, 4)
"""Processes that load images for the usual way; the better number is taken."""

RUN = """
import sys
from pathlib import Path
from netspace.studies.study import Study
Study.open(sys.argv[1], output=sys.argv[2]).run(data_dir=Path(sys.argv[3]) if sys.argv[3:] else None)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """How fast one way was.

    `seconds` are the medians over the rounds, from start to last result; `images_per_second` counts training images;
    `ratio` is how many times as fast as the usual way; `share_of_peak` in [0, 1] is what convolutions and linear layers
    take of the multiplications that this machine's own matrix product reaches in the way's precision; `mean_error` in
    [0, 1] is that of the networks which finished.
    """

    way: str
    seconds: float
    images_per_second: float
    ratio: float | None
    share_of_peak: float
    mean_error: float


def measure(
    study: Study,
    ways: Sequence[str],
    *,
    rounds: int,
    cores: int,
    told: Callable[[str], None],
    data_dir: Path | None = None,
    allow_download: bool = False,
) -> tuple[Throughput, ...]:
    """Return the throughput of some of `WAYS` on the networks of a study; `told` hears of every run.

    Raises: any InputError of the study; ExecutionError where a way fails.
    """
    drawn = study.draw(data_dir=data_dir, allow_download=allow_download)
    with tempfile.TemporaryDirectory(prefix="netspace-bench-") as folder:
        packed = Path(folder) / PACK
        pack(drawn.data, packed)
        usual = {loaders: _usual(drawn, study.spec, packed, loaders) for loaders in LOADERS}
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        errors: dict[str, float] = {}
        loaders: int | None = None
        for turn in range(rounds):
            for way in ways:
                if way != USUAL:
                    spent, errors[way] = _ours(study.spec, way, Path(folder) / f"{way}-{turn}", data_dir)
                elif loaders is None:
                    found = {count: usual[count]() for count in LOADERS}
                    loaders = min(found, key=lambda count: found[count][0])
                    told("usual way: " + ", ".join(f"{n} loaders {found[n][0]:.1f} s" for n in LOADERS))
                    spent, errors[way] = found[loaders]
                else:
                    spent, errors[way] = usual[loaders]()
                seconds[way].append(spent)
                told(f"round {turn + 1} of {rounds}: {way} {spent:.1f} s")
    return _figures(drawn, study.spec, seconds, errors, cores)


def _ours(spec: StudySpec, way: str, folder: Path, data_dir: Path | None) -> tuple[float, float]:
    """Return the time [s] of a run of the study in a process of its own, and the mean error."""
    precision, kernels = way.split()
    recipe = replace(spec.recipe, precision=precision)
    folder.mkdir()
    file = folder / "study.toml"
    file.write_text(study_text(replace(spec, recipe=recipe, kernels=kernels, output="")), encoding="utf-8")
    where = () if data_dir is None else (str(data_dir),)
    spent, _ = _timed([sys.executable, "-c", RUN, str(file), str(folder / "out"), *where])
    with Store.open(folder / "out") as store:
        errors = [error for error in store.table()["error"] if error is not None]
    if not errors:
        raise ExecutionError(f"{way}: no network finished, and so there is nothing to compare; `netspace run` says why")
    return spent, statistics.fmean(errors)


def _usual(drawn: Drawn, spec: StudySpec, packed: Path, loaders: int) -> Callable[[], tuple[float, float]]:
    """Return what runs the usual way once."""
    networks = [network.to_dict() for sample in drawn.samples.values() for network in sample.networks]
    asked = json.dumps({"recipe": values.to_dict(replace(spec.recipe, precision="float32")), "networks": networks})

    def run() -> tuple[float, float]:
        command = [sys.executable, "-m", "netspace.backends.torch_usual", str(packed), str(loaders)]
        spent, said = _timed(command, asked)
        return spent, statistics.fmean(json.loads(said))

    return run


def _timed(command: Sequence[str], text: str = "") -> tuple[float, str]:
    begun = time.perf_counter()
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    spent = time.perf_counter() - begun
    if done.returncode:
        raise ExecutionError(f"a way could not be measured: {(done.stderr.strip().splitlines() or ['killed'])[-1]}")
    return spent, done.stdout


def _figures(
    drawn: Drawn, spec: StudySpec, seconds: dict[str, list[float]], errors: dict[str, float], cores: int
) -> tuple[Throughput, ...]:
    recipe, data = spec.recipe, drawn.data
    per_network = recipe.epochs * recipe.batch_size * recipe.steps_per_epoch(len(data.training))
    flops = [int(flops) for sample in drawn.samples.values() for flops in sample.complexity.flops]
    images = per_network * len(flops)
    # A multiply-add is two operations; a step goes forward once and computes two gradients of the same size.
    operations = 2.0 * sum(flops) * (3 * per_network + recipe.epochs * len(data.validation))
    peaks = json.loads(_timed([sys.executable, "-m", "netspace.backends.torch_peak", str(cores)])[1])
    medians = {way: statistics.median(spent) for way, spent in seconds.items()}
    return tuple(
        Throughput(
            way=way,
            seconds=spent,
            images_per_second=images / spent,
            ratio=medians[USUAL] / spent if USUAL in medians else None,
            share_of_peak=operations / spent / peaks["bfloat16" if way.startswith("bfloat16") else "float32"],
            mean_error=errors[way],
        )
        for way, spent in medians.items()
    )
