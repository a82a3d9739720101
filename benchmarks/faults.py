"""What is lost, and what is done twice, when things go wrong in the middle of a study?

Every fault happens to a tiny study that really trains; then the study is run again until it is done, as its user
would, and its results are compared with those of a study that nothing happened to: errors and learning curves, bit for
bit. `lost` counts networks whose result is missing or another one, `doubled` those that were trained to the end more
than once. A fault that a network itself brings (it takes too much, say) has to be its own failure and nobody else's.
Where a driver is killed, the next one has to train what no checkpoint and no result holds, and not an epoch more.

    python benchmarks/faults.py              all faults, and the driver killed at every single point: some minutes
    python benchmarks/faults.py --short      under a minute
    python benchmarks/faults.py --only KILLED --only TORN      those whose name holds one of these words
"""

import argparse
import contextlib
import ctypes
import datetime
import functools
import itertools
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from suffering import suffering

import netspace.backends.torch_training  # noqa: F401
from netspace import faults
from netspace.errors import ExecutionError, StoreError
from netspace.execution.executor import Done, Executor, InlineExecutor, Limits, Progress
from netspace.execution.processes import ProcessExecutor
from netspace.storage.store import Store
from netspace.studies.study import Study

TEXT = """
name = "faults"
networks = 3
num_stages = 2
workers = 2
stem = { width = 8, stride = 1 }
limits = { checkpoint_minutes = 0 }
[data]
name = "digits"
training_share = 0.2
[budget]
flops = "20k..200k"
[recipe]
epochs = 4
batch_size = 50
[ranges]
depth = [1, 2]
width = [8, 32]
[[spaces]]
space = "anynetx_a"
[[spaces]]
space = "anynetx_e"
"""
POINTS = ("prepared", "written", "renamed", "recording", "recorded")
QUICK = ("written", "recorded")
NETWORKS, EPOCHS = 6, 4
FAILED, KILLED = 3, -signal.SIGKILL
PASSINGS = (1, EPOCHS, EPOCHS + 1)
"""The first and the last checkpoint of a worker, and one more: the first of its next network."""
PATIENCE = 300.0
"""How long a command may take on a machine that does much else [s]."""


class Place:
    """A folder with a study in it, and how often it has been run."""

    def __init__(self, folder: Path, text: str = TEXT) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.file, self.said, self.runs = folder, folder / "study.toml", folder / "said.txt", 0
        self.file.write_text(text, encoding="utf-8")

    def study(self) -> Study:
        return Study.open(self.file, output=self.folder / "out")

    def numbers(self) -> dict[str, object]:
        """What stands of every network, without the times."""
        return {
            f"{population.name} {i}": result
            and (result.status, result.error, [(r.training_loss, r.validation_error) for r in result.curve])
            for population in self.study().populations()
            for i, result in enumerate(population.results)
        }

    def attempts(self, outcome: str) -> Counter[str]:
        with Store.open(self.folder / "out") as store:
            return Counter(attempt["trial"] for attempt in store.attempts() if attempt["outcome"] == outcome)

    def saved(self) -> int:
        """Epochs that results and checkpoints hold."""
        finished = self.attempts("finished")
        files = (self.folder / "out" / "checkpoints").glob("*/*.safetensors")
        last = {path.parent.name: path.name for path in sorted(files) if path.parent.name not in finished}
        return EPOCHS * len(finished) + sum(int(name.split(".")[0].removeprefix("epoch-")) for name in last.values())

    def drive(
        self, executor: Executor | None = None, *, fault: str = "", before: Callable[[], None] | None = None
    ) -> int:
        """Run the study in a driver of its own; return how it ended: 0, FAILED, or minus a signal."""
        self.runs += 1
        child = os.fork()
        if child == 0:
            code = 1
            os.dup2(os.open(self.said, os.O_CREAT | os.O_TRUNC | os.O_WRONLY), sys.stderr.fileno())
            try:
                if fault:
                    os.environ[faults.VARIABLE] = fault
                if before is not None:
                    before()
                self.study().run(executor=executor or InlineExecutor(raise_errors=True))
                code = 0
            except (StoreError, ExecutionError) as problem:
                print(problem, file=sys.stderr, flush=True)
                code = FAILED
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def command(self, *before: str, **environment: str | None) -> subprocess.Popen[str]:
        """Run the study by the command that a user types; a variable that is None is not there."""
        self.runs += 1
        line = [*before, sys.executable, "-m", "netspace", "run", str(self.file), "--output", str(self.folder / "out")]
        given = {**os.environ, **environment}
        return subprocess.Popen(
            line,
            env={name: value for name, value in given.items() if value is not None},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


def expect(place: Place, what: str, seen: object, wanted: object) -> None:
    if seen != wanted:
        said = place.said.read_text(errors="replace") if place.said.exists() else ""
        raise SystemExit(f"faults: {what} is {seen!r} and should be {wanted!r}; {said}")


class Counting(InlineExecutor):
    """Writes down how many epochs are trained."""

    def __init__(self, file: Path) -> None:
        super().__init__(raise_errors=True)
        self.file = file

    def run(self, setup, tasks, *, should_stop):  # type: ignore[no-untyped-def, override]
        epochs = 0
        for events in super().run(setup, tasks, should_stop=should_stop):
            epochs += sum(isinstance(event, Progress) for event in events)
            self.file.write_text(str(epochs))
            yield events


# What befalls a worker.


class Suffering:
    """Two worker processes under limits, to which something happens."""

    def __init__(self, folder: Path, fault: str, **limits: float) -> None:
        self.folder, self.fault, self.limits = folder, fault, Limits(**limits)  # type: ignore[arg-type]

    def run(self, setup, tasks, *, should_stop):  # type: ignore[no-untyped-def]
        executor = ProcessExecutor(2, limits=self.limits, logs=self.folder / "out" / "logs")
        return executor.run(
            functools.partial(suffering, setup, self.folder, self.fault), tasks, should_stop=should_stop
        )


def worker(fault: str, *, fails: bool = False, **limits: float) -> Callable[[Place], None]:
    def happens(place: Place) -> None:
        chosen = place.study().draw().trials["anynetx_a"][1].id
        (place.folder / "chosen").write_text(chosen)
        expect(place, "the end of the run", place.drive(Suffering(place.folder, fault, **limits)), 0)
        suffered = place.attempts("crashed") + place.attempts("overran")
        expect(place, "the network that paid", set(suffered), {chosen})
        expect(place, "its failures", place.attempts("failed")[chosen], int(fails))
        expect(place, "its log", (place.folder / "out" / "logs" / f"{chosen}.log").exists(), True)

    return happens


def worker_at(point: str) -> Callable[[Place], None]:
    """A worker dies at ever later checkpoints, each time in a new study."""

    def happens(place: Place) -> None:
        for number in PASSINGS:
            here = Place(place.folder / f"{number}")
            expect(here, "the end of the run", here.drive(Suffering(here.folder, f"{point}:{number}")), 0)
            expect(here, "how many workers died", here.attempts("crashed").total(), 1)
            expect(here, "whether checkpoints are left", (here.folder / "out" / "checkpoints").exists(), False)
            expect(here, "what is lost", [lost(here), doubled(here)], [0, 0])
            place.runs += here.runs
        shutil.copytree(here.folder, place.folder, dirs_exist_ok=True)

    return happens


# What befalls the driver.


def driver_at(point: str, *, every: bool) -> Callable[[Place], None]:
    """The driver dies at ever later passings of a point; in one study, or each time in a new one."""

    def happens(place: Place) -> None:
        killed = 0
        while True:
            here = Place(place.folder / f"{killed}") if every else place
            ended = here.drive(fault=f"{point}:{killed + 1}")
            if ended == 0:
                break
            expect(here, "the end of the driver", ended, KILLED)
            killed += 1
            if every:
                saved, trained = here.saved(), here.folder / "trained"
                expect(here, "the end of the next run", here.drive(Counting(trained)), 0)
                left = int(trained.read_text()) if trained.exists() else 0
                expect(here, "epochs that were trained again", left - (NETWORKS * EPOCHS - saved), 0)
                expect(here, "what is lost", [lost(here), doubled(here)], [0, 0])
                place.runs += here.runs
        expect(place, "whether it was killed", killed > 1, True)
        if every:
            shutil.copytree(here.folder, place.folder, dirs_exist_ok=True)

    return happens


def stopped_by(number: signal.Signals, *, twice: bool = False) -> Callable[[Place], None]:
    def happens(place: Place) -> None:
        driver = place.command()
        give_up = time.monotonic() + PATIENCE
        begun = place.folder / "out" / "checkpoints"
        while not list(begun.glob("*/*.safetensors")) and driver.poll() is None and time.monotonic() < give_up:
            time.sleep(0.01)
        for _ in range(1 + twice):
            driver.send_signal(number)
            time.sleep(0.1)
        _, said = driver.communicate(timeout=PATIENCE)
        # The second may come once all is stored, while Python goes down and has given the signal back to the system.
        code = 1 if twice and driver.returncode == -number else driver.returncode
        expect(place, "its exit code", (code, "Traceback" in said), (1, False))
        expect(place, "the next run", place.drive(), 0)

    return happens


def closed_output(place: Place) -> None:
    driver = place.command()
    assert driver.stdout is not None
    driver.stdout.close()
    driver.communicate(timeout=PATIENCE)
    expect(place, "results", place.attempts("finished").total(), NETWORKS)
    expect(place, "the next run", place.drive(), 0)


def in_a(*before: str, **environment: str | None) -> Callable[[Place], None]:
    """A machine on which little is as usual."""

    def happens(place: Place) -> None:
        driver = place.command(*before, **environment)
        _, said = driver.communicate(timeout=PATIENCE)
        place.said.write_text(said)
        expect(place, "its exit code", (driver.returncode, "Traceback" in said), (0, False))
        expect(place, "whether there is a page", (place.folder / "out" / "report.html").is_file(), True)

    return happens


WITHOUT_INPUT = ("sh", "-c", 'exec "$@" <&-', "sh")
CUT_OFF = ("unshare", "--net")


def no_network(place: Place) -> None:
    """Sockets are refused, and written down; and where that is allowed, the machine really has no network."""
    asked = place.folder / "asked.txt"
    path = os.pathsep.join([str(Path(__file__).parent / "offline"), os.environ["PYTHONPATH"]])
    allowed = shutil.which(CUT_OFF[0]) and subprocess.run([*CUT_OFF, "true"], stderr=subprocess.DEVNULL).returncode == 0
    in_a(*CUT_OFF if allowed else (), PYTHONPATH=path, OFFLINE_LOG=str(asked))(place)
    expect(place, "what was asked of a network", asked.read_text() if asked.exists() else "", "")


class JumpingClock(datetime.datetime):
    """A clock that is set back or forth by years whenever somebody looks."""

    jumps = itertools.cycle((0, -20, 15, -3, 40))

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> "JumpingClock":
        return cls.fromtimestamp(time.time(), tz)


def clock_jumps(place: Place) -> None:
    def before() -> None:
        true = time.time
        time.time = lambda: true() + 365 * 86400 * next(JumpingClock.jumps)  # type: ignore[assignment]
        time.time_ns = lambda: int(1e9 * time.time())  # type: ignore[assignment]
        datetime.datetime = JumpingClock  # type: ignore[misc]

    executor = ProcessExecutor(2, limits=Limits(seconds=PATIENCE, silence=60.0), logs=place.folder / "out" / "logs")
    expect(place, "the first run", place.drive(executor, fault="recorded:2", before=before), KILLED)
    expect(place, "the next run", place.drive(executor, before=before), 0)
    with Store.open(place.folder / "out") as store:
        years = [attempt["ended"][:4] for attempt in store.attempts()]
    expect(place, f"whether attempts ended in other years ({years})", len(set(years)) > 2, True)


# What befalls files.


def torn_checkpoint(place: Place) -> None:
    expect(place, "the end of the driver", place.drive(fault="recording:2"), KILLED)
    saved = sorted((place.folder / "out" / "checkpoints").glob("*/*.safetensors"))
    expect(place, "whether there are checkpoints", bool(saved), True)
    for path in saved:
        if "000003" in path.name:
            path.write_bytes(path.read_bytes()[:-9])
    expect(place, "the next run", place.drive(), 0)


def torn_store(place: Place) -> None:
    """Cut inside the first page, between two pages, and by a byte; `tests/storage` cuts it in more places."""
    expect(place, "the end of the driver", place.drive(fault="recorded:3"), KILLED)
    store = place.folder / "out" / "study.db"
    whole = store.read_bytes()
    for kept in (2000, 8192, len(whole) - 1):
        store.write_bytes(whole[:kept])
        expect(place, f"a run with {kept} of {len(whole)} bytes", place.drive(), FAILED)
        expect(place, "what it says", place.said.read_text().count("\n"), 1)
        expect(place, "whether it left the store alone", store.read_bytes() == whole[:kept], True)
    store.write_bytes(whole)
    expect(place, "the next run", place.drive(), 0)


def bound_by_modes() -> None:
    """Have the modes of files bind this process, as they do not bind root."""
    if hasattr(libc := ctypes.CDLL(None), "capset"):
        libc.capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)())


def read_only(place: Place) -> None:
    out = place.folder / "out"

    def before() -> None:
        bound_by_modes()
        original = Store.record

        def record(store: Store, *entries: object) -> None:
            original(store, *entries)  # type: ignore[arg-type]
            out.chmod(0o555)

        Store.record = record  # type: ignore[assignment, method-assign]

    expect(place, "a run whose folder cannot be written any more", place.drive(before=before), FAILED)
    out.chmod(0o755)
    expect(place, "what stands", place.attempts("finished").total(), 1)
    expect(place, "the next run", place.drive(), 0)


def full_disk(place: Place) -> None:
    expect(place, "the end of the driver", place.drive(fault="recording:3"), KILLED)
    room = (place.folder / "out" / "study.db").stat().st_size

    def before() -> None:  # no file may be written beyond the half of what the store is now
        resource.setrlimit(resource.RLIMIT_FSIZE, (room // 2, resource.RLIM_INFINITY))

    expect(place, "a run on the full disk", place.drive(before=before), FAILED)
    expect(place, "the next run", place.drive(), 0)


def two_drivers(place: Place) -> None:
    def before() -> None:
        original = Store.record

        def record(store: Store, *entries: object) -> None:
            expect(place, "the second driver", place.drive(), FAILED)
            original(store, *entries)  # type: ignore[arg-type]

        Store.record = record  # type: ignore[assignment, method-assign]

    expect(place, "the first driver", place.drive(before=before), 0)
    place.runs += NETWORKS


class Stuttering:
    """An executor whose every result comes twice, the second time late."""

    def run(self, setup, tasks, *, should_stop):  # type: ignore[no-untyped-def]
        said = list(InlineExecutor().run(setup, tasks, should_stop=should_stop))
        yield from said
        yield [event for events in said for event in events if isinstance(event, Done)]


def duplicates(place: Place) -> None:
    expect(place, "the end of the run", place.drive(Stuttering()), 0)
    expect(place, "reports of each network", set(place.attempts("finished").values()), {2})


def edited(before: str, after: str) -> Callable[[Place], None]:
    def happens(place: Place) -> None:
        expect(place, "the first run", place.drive(fault="recorded:3"), KILLED)
        place.file.write_text(TEXT.replace(before, after), encoding="utf-8")
        expect(place, "a run of the edited file", place.drive(), FAILED)
        place.file.write_text(TEXT, encoding="utf-8")
        expect(place, "the next run", place.drive(), 0)

    return happens


def data_changed(place: Place) -> Place:
    """A pixel of a study's own images changes between two runs; it is held against another study of these images."""
    file, random = place.folder / "images.npz", np.random.default_rng(0)
    images, labels = random.integers(0, 256, (400, 8, 8), dtype=np.uint8), np.arange(400) % 4
    text = TEXT.replace('"digits"\ntraining_share = 0.2', f'"npz:{file}"')
    np.savez(file, images=images, labels=labels)
    plain = Place(place.folder / "undisturbed", text)
    expect(plain, "the undisturbed run", plain.drive(), 0)
    place.file.write_text(text, encoding="utf-8")
    expect(place, "the first run", place.drive(fault="recorded:3"), KILLED)
    images[0, 0, 0] ^= 1
    np.savez(file, images=images, labels=labels)
    expect(place, "a run with other data", place.drive(), FAILED)
    images[0, 0, 0] ^= 1
    np.savez(file, images=images, labels=labels)
    expect(place, "the next run", place.drive(), 0)
    return plain


def diverging(place: Place) -> Place:
    """All networks diverge, in both runs; held against another study in which they do."""
    text = TEXT.replace("[recipe]", "[recipe]\nlearning_rate = 1e15")
    plain = Place(place.folder / "undisturbed", text)
    expect(plain, "the undisturbed run", plain.drive(), 0)
    place.file.write_text(text, encoding="utf-8")
    expect(place, "the first run", place.drive(fault="recorded:3"), KILLED)
    expect(place, "the next run", place.drive(), 0)
    expect(place, "what stands", {result and result[0] for result in place.numbers().values()}, {"diverged"})  # type: ignore[index]
    return plain


UNDISTURBED: dict[str, object] = {}


def lost(place: Place, failures: int = 0, wanted: dict[str, object] = UNDISTURBED) -> int:
    numbers = place.numbers()
    other = sum(repr(numbers[name]) != repr(wanted[name]) for name in wanted)  # a loss that is no number has no equal
    return max(0, other - failures)


def doubled(place: Place, told: int = 1) -> int:
    """How many networks came to their end more often than they were `told` to."""
    return sum(count > told for what in ("finished", "diverged") for count in place.attempts(what).values())


def scenarios(short: bool) -> Iterator[tuple[str, Callable[[Place], Place | None], int]]:
    """Yield every fault with what makes it happen and how many networks have to fail by it.

    What is no study of `TEXT` gives back an undisturbed one of its own.
    """
    for point in QUICK if short else POINTS:
        yield f"driver KILLED when {point}", driver_at(point, every=not short), 0
    yield "worker KILLED in mid-trial", worker("SIGKILL"), 0
    yield "SIGUSR1 to the driver", stopped_by(signal.SIGUSR1), 0
    yield "TORN checkpoints", torn_checkpoint, 0
    yield "TORN store", torn_store, 0
    yield "disk full", full_disk, 0
    yield "two drivers on one store", two_drivers, 0
    yield "data changed", data_changed, 0
    yield "no network at all", no_network, 0
    if short:
        return
    yield "folder becomes read-only", read_only, 0
    yield "worker KILLED, checkpoint written", worker_at("written"), 0
    yield "worker KILLED, checkpoint renamed", worker_at("renamed"), 0
    yield "worker stopped (hung)", worker("SIGSTOP", silence=2.0), 0
    yield "SIGSEGV in a trial", worker("SIGSEGV"), 0
    yield "network always crashes (SIGSEGV)", worker("poison", fails=True), 1
    yield "network takes too much memory", worker("hog", fails=True, memory=2**30), 1
    yield "network takes too long", worker("slow", fails=True, seconds=15.0), 1
    yield "loss not finite", diverging, 0
    yield "SIGTERM to the driver", stopped_by(signal.SIGTERM), 0
    yield "Ctrl-C to the driver", stopped_by(signal.SIGINT), 0
    yield "Ctrl-C twice", stopped_by(signal.SIGINT, twice=True), 0
    yield "terminal closed (SIGHUP)", stopped_by(signal.SIGHUP), 0
    yield "closed standard output", closed_output, 0
    yield "locale C, no terminal", in_a(LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0", TERM="dumb"), 0
    yield "no home, no cache, no input", in_a(*WITHOUT_INPUT, HOME=None, XDG_CACHE_HOME="/dev/null/no"), 0
    yield "TMPDIR does not exist", in_a(TMPDIR="/dev/null/no", MPLCONFIGDIR="/dev/null/no"), 0
    yield "clock set back and forth", clock_jumps, 0
    yield "study file edited", edited("epochs = 4", "epochs = 5"), 0
    yield "results twice and late", duplicates, 0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--only", action="append", default=[])
    asked = parser.parse_args()
    bad, begun = 0, time.monotonic()
    with tempfile.TemporaryDirectory(prefix="netspace faults é ") as folder:
        plain = Place(Path(folder) / "undisturbed")
        plain.study().draw()  # so that no driver has to import what this takes
        expect(plain, "the undisturbed run", plain.drive(), 0)
        UNDISTURBED.update(plain.numbers())
        print(f"{'fault':36} {'runs':>5} {'lost':>5} {'doubled':>8} {'time [s]':>9}", flush=True)
        for i, (name, happens, failures) in enumerate(scenarios(asked.short)):
            if asked.only and not any(word in name for word in asked.only):
                continue
            place, since = Place(Path(folder) / f"{i} of many"), time.monotonic()
            other = happens(place)
            wanted = UNDISTURBED if other is None else other.numbers()
            counts = lost(place, failures, wanted), doubled(place, 2 if happens is duplicates else 1)
            bad += sum(counts)
            print(f"{name:36} {place.runs:5} {counts[0]:5} {counts[1]:8} {time.monotonic() - since:9.1f}", flush=True)
            shutil.rmtree(place.folder, ignore_errors=True)
    print(f"{time.monotonic() - begun:.0f} s; of {NETWORKS} networks each time")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), *sys.path[1:]])  # for the workers
    with contextlib.suppress(KeyboardInterrupt):
        main()
