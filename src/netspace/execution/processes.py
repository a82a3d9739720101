"""Local worker processes that live across tasks, one thread each, and are watched while they work."""

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.connection import wait
from pathlib import Path

from netspace.errors import ExecutionError, InputError
from netspace.execution.executor import Event, Limits, Setup, ShouldStop, Task, never
from netspace.execution.process import WorkerProcess

POLL_SECONDS = 0.25
ABSENCE = 10.0
"""After so long without a look [s] the driver itself was stopped or asleep, and no worker is to blame for that time."""
LONGEST_WAIT = 1.0
"""How long [s] events wait at most for others, however long those before them took to be dealt with."""


class ProcessExecutor:
    """`num_workers` processes on this machine; see `netspace.execution.executor.Executor`.

    Worker i has the variables of `environments` i besides, which are taken in turn; one that is begun in the place of
    another has that one's.

    What a worker writes is kept in `logs`, a file for each task that failed or wrote; without, it is written where this
    process writes. As a context it ends the workers that were prepared and have not been needed.
    """

    def __init__(
        self,
        num_workers: int,
        *,
        limits: Limits | None = None,
        logs: Path | None = None,
        environments: Sequence[Mapping[str, str]] = ({},),
    ) -> None:
        if num_workers < 1:
            raise InputError(f"workers (={num_workers}) must be at least 1")
        self._num_workers = num_workers
        self.limits = limits or Limits()
        self._logs = logs
        self._environments = [environments[i % len(environments)] for i in range(num_workers)]
        self._waiting: list[WorkerProcess] = []

    def __enter__(self) -> "ProcessExecutor":
        return self

    def __exit__(self, *_: object) -> None:
        while self._waiting:
            self._waiting.pop().kill()

    def prepare(self, *modules: str) -> None:
        """Start the workers now, that they import some modules while this process is busy with something else."""
        self._waiting = [WorkerProcess(self._logs, modules, each) for each in self._environments]

    def _worker(self, setup: Setup, environment: Mapping[str, str]) -> WorkerProcess:
        alike = (i for i, worker in enumerate(self._waiting) if worker.environment == environment)
        place = next(alike, None)
        worker = WorkerProcess(self._logs, (), environment) if place is None else self._waiting.pop(place)
        worker.set_up(setup)
        return worker

    def run(self, setup: Setup, tasks: Sequence[Task], *, should_stop: ShouldStop = never) -> Iterator[list[Event]]:
        """Yield the events of all tasks in the order in which they happen.

        Events that come soon after others were yielded wait until as much time has passed as these took to be dealt
        with, and are yielded together. So results that are quicker than a commit are committed together, the more the
        slower a commit is, while the workers go on; where results are rare, none waits.
        Raises: ExecutionError where a worker cannot be set up.
        """
        waiting = deque(tasks)
        workers = [self._worker(setup, each) for each in self._environments[: len(tasks)]]
        asked: float | None = None  # when the tasks were asked to end
        looked = time.monotonic()
        events: list[Event] = []
        due = looked  # when the events are yielded, should there be any
        try:
            for worker in workers:
                worker.give(waiting.popleft())
            while any(worker.task for worker in workers):
                if asked is None and should_stop():
                    asked = time.monotonic()
                    for worker in workers:
                        worker.ask_to_end()
                over = asked is not None and time.monotonic() - asked >= self.limits.grace
                busy = {worker.connection: worker for worker in workers if worker.task}
                patience = due - time.monotonic() if events else POLL_SECONDS
                unusable: ExecutionError | None = None
                for ready in wait(list(busy), timeout=0 if over else max(0.0, min(patience, POLL_SECONDS))):
                    try:
                        events += busy[ready].receive()  # type: ignore[index]
                    except ExecutionError as problem:
                        unusable = problem
                if unusable is not None:
                    if events:
                        yield events  # what came with it is not lost
                    raise unusable
                now = time.monotonic()
                away, looked = now - looked, now
                for worker in busy.values():
                    if away > ABSENCE:
                        worker.forgive(away)
                    if worker.task and (overrun := worker.look(self.limits)):
                        events.append(overrun)
                for worker in busy.values():
                    if worker.task is None and worker.unfinished is not None:
                        waiting.appendleft(worker.unfinished)
                        worker.unfinished = None
                    if worker.task is None and waiting and asked is None:
                        if worker.ended:
                            workers[workers.index(worker)] = worker = self._worker(setup, worker.environment)
                        worker.give(waiting.popleft())
                if events and (over or now >= due or not any(worker.task for worker in workers)):
                    yield events
                    events, dealt = [], time.monotonic()
                    due = dealt + min(dealt - now, LONGEST_WAIT)
                if over:
                    return
        finally:
            for worker in workers:
                worker.kill()
