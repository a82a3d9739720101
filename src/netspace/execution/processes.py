"""Local worker processes that live across tasks, one thread each.

A worker is `python -m netspace.execution.worker` with one end of a socket pair: it imports netspace as an
installed package and never the user's main script, so it starts from notebooks and unguarded scripts too.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait

from netspace.errors import ExecutionError, InputError
from netspace.execution.executor import Crashed, Done, Event, Failed, Progress, Setup, Task, never

POLL_SECONDS = 0.25


class ProcessExecutor:
    """`num_workers` processes on this machine; see `netspace.execution.executor.Executor`."""

    def __init__(self, num_workers: int) -> None:
        if num_workers < 1:
            raise InputError(f"workers (={num_workers}) must be at least 1")
        self._num_workers = num_workers

    def run(
        self, setup: Setup, tasks: Sequence[Task], *, should_stop: Callable[[], bool] = never
    ) -> Iterator[list[Event]]:
        """Yield the events of all tasks in the order in which they happen.

        When `should_stop` turns true, what has arrived is yielded and the workers are killed.
        Raises: ExecutionError where a worker cannot be set up.
        """
        waiting = deque(tasks)
        workers = [_Worker(setup) for _ in range(min(self._num_workers, len(tasks)))]
        try:
            for worker in workers:
                worker.give(waiting.popleft())
            while any(worker.task for worker in workers):
                stopping = should_stop()
                busy = {worker.connection: worker for worker in workers if worker.task}
                events: list[Event] = []
                for ready in wait(list(busy), timeout=0 if stopping else POLL_SECONDS):
                    worker = busy[ready]  # type: ignore[index]
                    try:
                        event = worker.receive()
                    except ExecutionError:
                        if events:
                            yield events  # what came with it is not lost
                        raise
                    if not isinstance(event, Progress):
                        if isinstance(event, Crashed) and not stopping:
                            workers[workers.index(worker)] = worker = _Worker(setup)
                        if waiting and not stopping:
                            worker.give(waiting.popleft())
                    events.append(event)
                if events:
                    yield events
                if stopping:
                    return
        finally:
            for worker in workers:
                worker.kill()


class _Worker:
    """One process, and the task that it works on."""

    def __init__(self, setup: Setup) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "netspace.execution.worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                # Its own session: Ctrl-C in the terminal reaches the driver alone.
                start_new_session=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
            )
        self.connection = Connection(ours.detach())
        self.task: Task | None = None
        self.connection.send(setup)

    def give(self, task: Task) -> None:
        self.task = task
        with contextlib.suppress(OSError):  # It has died; `receive` says so.
            self.connection.send(task.payload)

    def receive(self) -> Event:
        """Return the next event of the current task; the worker is free after any but `Progress`."""
        assert self.task is not None
        key = self.task.key
        try:
            kind, value = self.connection.recv()
        except (EOFError, OSError):
            self.task = None
            self.kill()
            return Crashed(key=key, reason=_how_it_ended(self._process.wait()))
        if kind == "unusable":
            raise ExecutionError(f"a worker process could not be set up: {value}")
        if kind == "progress":
            return Progress(key=key, value=value)
        self.task = None
        if kind == "failed":
            reason, detail = value
            return Failed(key=key, reason=reason, detail=detail)
        return Done(key=key, value=value)

    def kill(self) -> None:
        """End the process and all that it started, at once."""
        self.connection.close()
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def _how_it_ended(code: int) -> str:
    if code < 0:
        return f"the worker process was ended by {signal.Signals(-code).name}"
    return f"the worker process ended with exit code {code}"
