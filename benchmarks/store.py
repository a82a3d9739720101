"""How fast a study's store takes results and gives them back: `python benchmarks/store.py 20000 100000`.

`--store memory` or `--store postgresql://HOST/DATABASE` measures another place than a file; in a database every number
of networks gets a schema of its own, which stays.

The networks are drawn from AnyNetX_A and never trained: their results are made up, with ten epochs each. Results are
committed alone, each by itself, and together, as many as arrive at once from many quick workers.
"""

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

from netspace.spaces.catalog import space
from netspace.spaces.sample import sample
from netspace.storage.address import place_of
from netspace.storage.place import Place
from netspace.storage.sqlite import Memory, SqliteFile
from netspace.storage.store import Entry, Store
from netspace.studies.preparing import untrained
from netspace.training.trial import EpochRecord, TrialResult

EPOCHS = 10
ALONE = 200
TOGETHER = 50


def result(trial: str, i: int) -> TrialResult:
    """Return a made-up result; one in fifty diverged."""
    if i % 50 == 0:
        return TrialResult(trial_id=trial, status="diverged", reason="the training loss was nan in epoch 1 of 10")
    error = 0.05 + 0.9 * ((7919 * i) % 10007) / 10007
    curve = tuple(
        EpochRecord(epoch=e, training_loss=2.3 / e, validation_error=error, seconds=1.0) for e in range(1, EPOCHS + 1)
    )
    return TrialResult(trial_id=trial, status="finished", error=error, curve=curve, seconds=10.0, images=10_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", type=int, nargs="+")
    parser.add_argument("--folder", type=Path, help="where the stores are made and left", default=None)
    parser.add_argument("--store", help="memory, or a URL of PostgreSQL", default=None)
    asked = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {sys.version.split()[0]}")
    with tempfile.TemporaryDirectory() as made:
        for number in asked.networks:
            if asked.store == "memory":
                place: Place = Memory()
            elif asked.store is None:
                place = SqliteFile(path=(asked.folder or Path(made)) / f"{number}" / "study.db")
            else:
                place = place_of(asked.store).inside(f"{number}")
            measure(number, place)


def measure(number: int, place: Place) -> None:
    """Print one line about a store of so many networks."""
    drawn = untrained("anynetx_a", sample(space("anynetx_a"), number, resolution=32))
    trials = [f"{i:032x}" for i in range(number)]
    results = [result(trial, i) for i, trial in enumerate(trials)]
    with Store.create(place, study={}, text="") as store:
        begun = time.perf_counter()
        store.add_population(drawn, definition={}, trials=trials)
        adding = time.perf_counter() - begun
        begun = time.perf_counter()
        for one in results[:ALONE]:
            store.record(Entry(result=one))
        alone = ALONE / (time.perf_counter() - begun)
        begun = time.perf_counter()
        for first in range(ALONE, number, TOGETHER):
            store.record(*(Entry(result=one) for one in results[first : first + TOGETHER]))
        together = (number - ALONE) / (time.perf_counter() - begun)
    reading: dict[str, list[float]] = {"table": [], "populations": []}
    for _ in range(3):
        with Store.open(place) as store:
            for what, seconds in reading.items():
                begun = time.perf_counter()
                getattr(store, what)()
                seconds.append(time.perf_counter() - begun)
    table, populations = (statistics.median(seconds) for seconds in reading.values())
    size = f"{place.path.stat().st_size / 1e6:.0f} MB; " if isinstance(place, SqliteFile) else ""
    print(
        f"{number:>9,} networks: {size}added in {adding:.1f} s; results per second "
        f"{alone:,.0f} alone, {together:,.0f} by {TOGETHER}; read as a table in {table:.2f} s, as networks with their "
        f"curves in {populations:.2f} s (medians of 3)"
    )


if __name__ == "__main__":
    main()
