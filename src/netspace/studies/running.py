"""One run of a study: which trials wait, what comes back from the workers, and how far it is."""

import contextlib
import platform
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from netspace.backends import get_backend
from netspace.errors import ExecutionError
from netspace.execution.executor import (
    Crashed,
    Done,
    Event,
    Executor,
    Failed,
    Last,
    Overran,
    Report,
    ShouldStop,
    Task,
    Work,
)
from netspace.faults import passing
from netspace.networks.own_block import OwnBlock, load
from netspace.storage.store import Entry, Store
from netspace.studies.hosts import Needed, check_host, data_here, versions_here
from netspace.training.checkpoint import CHECKPOINT_SECONDS, Checkpoint
from netspace.training.last_weights import keep_weights, kept_weights
from netspace.training.trial import LOG, EpochRecord, Trial, TrialResult

OnProgress = Callable[["StudyProgress"], None]

ATTEMPTS = 2
"""How often a trial is begun whose worker process dies or runs out of memory, before it is recorded as failed."""

CRASHED = "crashed"
OVERRAN = "overran"
PATIENCE = 5
"""How many trials may lose their workers for good, with no success since their first loss, before a run gives up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyProgress:
    """How far a run is: `total` networks, of which `stored` had a result before and `trained` got one now.

    `failures` counts diverged and failed networks among all results. `seconds` since the run began;
    `images` trained in it; `best_error` in [0, 1] of all results, None before the first. `spared` networks need no
    training, since every pair that they would serve is decided. `metric` is the recipe's, of which the error is.
    `begun` networks have no result and a checkpoint, from which their training goes on.
    """

    total: int
    stored: int
    trained: int
    failures: int
    images: int
    seconds: float
    best_error: float | None
    spared: int = 0
    begun: int = 0
    metric: str = "error"

    @property
    def remaining(self) -> int:
        """Networks that still wait for their training."""
        return self.total - self.stored - self.trained - self.spared

    @property
    def images_per_second(self) -> float:
        """Training images per second, all workers together."""
        return self.images / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """The time [s] that the rest will take at the pace so far; None before the first result."""
        return self.seconds / self.trained * self.remaining if self.trained else None


class Run:
    """The bookkeeping of one run: which trials wait, what came back, how far it is.

    `checkpoints` is the folder of the trials' checkpoints, which are removed once there is a result.
    """

    def __init__(
        self,
        store: Store,
        trials: Sequence[Trial],
        images_per_epoch: int,
        on_progress: OnProgress,
        checkpoints: Path,
    ) -> None:
        errors = store.errors()
        finished = frozenset(errors)
        self._checkpoints = checkpoints
        self._forget(finished)  # where a driver was killed before it came to this
        self._trials = {trial.id: trial for trial in trials}
        self._waiting = {trial.id: trial for trial in self._trials.values() if trial.id not in finished}
        self._store = store
        self._on_progress = on_progress
        self._crashes: Counter[str] = Counter()
        self._works = 0
        self._worked_before: dict[str, int] = {}  # how much had worked when a trial first lost its worker
        self._earlier_crashes = Counter(attempt["trial"] for attempt in store.attempts(CRASHED))
        self._begun = time.monotonic()
        self._stored = len(finished & self._trials.keys())
        self._others_finished = bool(finished)  # also those of other parts
        own = [error for trial, error in errors.items() if trial in self._trials]
        known = [error for error in own if error is not None]
        self._best = min(known, default=None)
        self._failures = len(own) - len(known)
        self._trained = 0
        self._images = 0
        self._counted: Counter[str] = Counter()
        self._images_per_epoch = images_per_epoch
        self._doomed: list[Entry] = []

    def waiting(self, trials: Sequence[Trial]) -> list[Trial]:
        """Return those of some trials that have no result yet, each once, in their order."""
        return [self._waiting[name] for name in dict.fromkeys(trial.id for trial in trials) if name in self._waiting]

    def train(
        self, trials: Sequence[Trial], executor: Executor, setup: Callable[[], Work], should_stop: ShouldStop
    ) -> None:
        """Train those of some trials that wait; a trial whose worker died is begun again, `ATTEMPTS` times in all.

        A trial that did so each time is recorded as failed where another one came to its end since its first loss.
        Raises: ExecutionError where workers die and nothing finishes: that is the machine, not the networks, so
        nothing is recorded of it but the attempts. Only trials that killed their workers in two runs, when others had
        finished before, are recorded all the same.
        """
        self._on_progress(self.progress)
        waiting = self.waiting(trials)
        while waiting and not should_stop():
            again: list[Trial] = []
            tasks = [Task(key=trial.id, payload=trial) for trial in waiting]
            for events in executor.run(setup, tasks, should_stop=should_stop):
                again += self._take(events)
                self._on_progress(self.progress)
                if sum(not self._was_doomed_before(one) for one in self._doomed) >= PATIENCE:
                    self._give_up()
            waiting = again
        if self._trained or all(map(self._was_doomed_before, self._doomed)):
            self._flush()
        elif self._doomed and not should_stop():
            self._give_up()
        with contextlib.suppress(OSError):  # others are in it, or it was never made
            self._checkpoints.rmdir()

    def _was_doomed_before(self, doomed: Entry) -> bool:
        """Whether an earlier run lost its workers to a trial too, and not to all: it is the trial, not the machine."""
        return self._others_finished and self._earlier_crashes[doomed.result.trial_id] >= ATTEMPTS

    def _give_up(self) -> None:
        raise ExecutionError(
            f"workers die and no network finishes ({self._doomed[-1].result.reason}); look at the "
            "machine's memory and the study's limits, then run the study again: it continues"
        )

    def _flush(self) -> None:
        """Record the trials whose workers died, now that another trial's success has shown the machine to work."""
        self._record(self._doomed)
        self._doomed.clear()

    @property
    def progress(self) -> StudyProgress:
        """How far the run is."""
        return StudyProgress(
            total=len(self._trials),
            stored=self._stored,
            trained=self._trained,
            failures=self._failures,
            images=self._images,
            seconds=time.monotonic() - self._begun,
            best_error=self._best,
            begun=sum(name in self._waiting for name in self._begun_trials()),
            metric=next((trial.recipe.metric for trial in self._trials.values()), "error"),
        )

    def _begun_trials(self) -> list[str]:
        """Return the trials that have checkpoints."""
        try:
            return [path.name for path in self._checkpoints.iterdir()]
        except OSError:
            return []

    def _forget(self, trials: Iterable[str]) -> None:
        """Remove the checkpoints of trials, of those that have some."""
        for trial in set(trials).intersection(self._begun_trials()):
            shutil.rmtree(self._checkpoints / trial, ignore_errors=True)

    def _take(self, events: Sequence[Event]) -> list[Trial]:
        """Record what events say, those that came together at once; return the trials that are to be begun again."""
        again, entries, worked = [], [], self._works
        for event in events:
            trial = self._trials[event.key]
            if isinstance(event, Done):
                result, versions = event.value
                if result.status == "failed" and event.log:
                    result = replace(result, reason=f"{result.reason}{LOG}{event.log}")
                if result.status == "failed" and result.short_of_memory:
                    self._crashes[trial.id] += 1
                    if self._crashes[trial.id] < ATTEMPTS:  # another process may have what this one lacked
                        self._store.record_attempt(trial.id, CRASHED, result.reason, versions)
                        again.append(trial)
                        continue
                self._works += 1
                entries.append(Entry(result=result, versions=versions))
                self._count_images(trial, result.images)
            elif isinstance(event, Failed):
                entries.append(_failure(trial, event, event.detail))
            elif isinstance(event, Crashed | Overran):
                self._crashes[trial.id] += 1
                outcome = CRASHED if isinstance(event, Crashed) else OVERRAN
                failed = _failure(trial, event)
                self._store.record_attempt(trial.id, outcome, failed.result.reason or "", failed.versions)
                before = self._worked_before.setdefault(trial.id, self._works)
                over = isinstance(event, Overran)
                if not over and self._crashes[trial.id] < ATTEMPTS:
                    again.append(trial)
                elif (over and (self._trained or self._others_finished)) or self._works > before:
                    entries.append(failed)
                else:  # until something else comes to its end, it may be the machine, or a limit that none can keep
                    self._doomed.append(failed)
            elif isinstance(event.value, EpochRecord):
                self._count_images(trial, event.value.epoch * self._images_per_epoch)
        self._record(entries)
        if self._works > worked:
            self._flush()
        return again

    def _count_images(self, trial: Trial, seen: int) -> None:
        self._images += max(seen - self._counted[trial.id], 0)
        self._counted[trial.id] = seen

    def _record(self, entries: Sequence[Entry]) -> None:
        if not entries:
            return
        passing("recording")
        self._store.record(*entries)
        passing("recorded")
        self._forget(entry.result.trial_id for entry in entries)
        for result in (entry.result for entry in entries):
            if self._waiting.pop(result.trial_id, None) is None:
                continue  # told twice
            self._trained += 1
            if result.error is None:
                self._failures += 1
            elif self._best is None or result.error < self._best:
                self._best = result.error


def _failure(trial: Trial, event: Failed | Crashed | Overran, detail: str = "") -> Entry:
    """Return the entry of a trial that has no result of its own; its reason names the log.

    The versions are the driver's: a worker that has others is refused before it trains anything.
    """
    log = LOG + event.log if event.log else ""
    result = TrialResult(trial_id=trial.id, status="failed", reason=event.reason + log)
    host = {"host": event.host} if event.host else {}  # none is this machine
    return Entry(result=result, versions=versions_here(trial.backend) | host, detail=detail and detail + log)


def train_here(
    pack_folder: str,
    backend: str,
    needed: Needed,
    own_blocks: tuple[OwnBlock, ...] = (),
    checkpoints: str = "",
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    weights: str = "",
    keeping: bool = False,
) -> Work:
    """Return the work function of a worker: trial in, (result, versions) out, an EpochRecord per epoch said.

    A trial goes on where its checkpoint in the folder `checkpoints` says; without that folder there are none.
    In the folder `weights` are those from which a trial with a former one begins, and those of this one if `keeping`.
    It opens the packed data without the test split. A user's blocks are loaded first: a file that has changed since
    the run began ends the run, where it would otherwise be the failure of every network to come. So does a host that
    would give other numbers than are `needed`. A process in which memory ran out trains no other network: oneDNN may
    refuse it too, however small it is.
    """
    versions = versions_here(backend)
    check_host(needed, versions)
    data = data_here(needed, Path(pack_folder))
    for block in own_blocks:
        load(block)
    trainer = get_backend(backend)

    def work(trial: Trial, report: Report) -> tuple[TrialResult, dict[str, str]]:
        checkpoint = None
        if checkpoints:
            checkpoint = Checkpoint(Path(checkpoints, trial.id), trial, versions, every=checkpoint_seconds)

        def on_epoch(record: EpochRecord) -> None:
            wished = report(record)
            if checkpoint is not None:
                checkpoint.stop = bool(wished)

        network = None
        if trial.former:
            network = trainer.with_arrays(trial.network, kept_weights(Path(weights), trial.former))
        elif keeping:
            trainer.take_threads(trial.threads)
            network = trainer.build(trial.network, seed=trial.stream_seed("initialisation"))
        result = trainer.train(trial, data, on_epoch=on_epoch, network=network, checkpoint=checkpoint)
        if keeping and result.status == "finished":  # before the result is committed, or it could be without them
            keep_weights(Path(weights), trial.id, trainer.arrays(network))
        done = result, versions | {"host": platform.node()}
        if result.short_of_memory:
            raise Last(done)
        return done

    return work
