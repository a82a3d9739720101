"""One worker process as its driver sees it: the task that it works on, what it says, how it is, how it ends.

A worker is `python -m netspace.execution.worker` with one end of a socket pair: it imports netspace as an
installed package and never the user's main script, so it starts from notebooks and unguarded scripts too.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from netspace.errors import ExecutionError
from netspace.execution.executor import Crashed, Done, Event, Failed, Limits, Overran, Progress, Setup, Task
from netspace.execution.logs import WorkerLog
from netspace.execution.usage import usage

LOOK_SECONDS = 0.5
"""How often the system is asked about a worker."""
SIGN_OF_LIFE = 0.1
"""Processor time [s] that a waiting process does not use, and a working one uses at once."""


# Unbuffered, and with a traceback for a segmentation fault: the log of a worker that dies is whole.
COMMAND = (sys.executable, "-u", "-X", "faulthandler", "-m", "netspace.execution.worker")


class WorkerProcess:
    """A worker that waits to be set up, works on `task`, or waits for one; `ended` once it is no more.

    It imports `modules` at once, those of them that are there. Its environment is this process's and, before that,
    `environment`.
    """

    def __init__(
        self, logs: Path | None, modules: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> None:
        self.environment = dict(environment or {})
        ours, theirs = socket.socketpair()
        self._log = None if logs is None else WorkerLog(logs)
        written_to = None if self._log is None else self._log.descriptor
        with theirs:
            self._process = subprocess.Popen(
                [*COMMAND, str(theirs.fileno()), *modules],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=written_to,
                stderr=written_to,
                # Its own session: Ctrl-C in the terminal reaches the driver alone.
                start_new_session=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", **self.environment},
            )
        self.connection = Connection(ours.detach())
        self.task: Task | None = None
        self.unfinished: Task | None = None
        self.ended = False
        self._ready = False
        self._begun = self._lively = self._looked = time.monotonic()
        self._processor = 0.0

    def set_up(self, setup: Setup) -> None:
        """Have the worker call what returns its work function."""
        with contextlib.suppress(OSError):  # It has died; `receive` says so.
            self.connection.send(setup)

    def give(self, task: Task) -> None:
        """Have the worker begin a task, now or once it is set up."""
        self.task = task
        self._begun = self._lively = time.monotonic()
        with contextlib.suppress(OSError):  # It has died; `receive` says so.
            self.connection.send(task.payload)

    def receive(self) -> list[Event]:
        """Return the events of the current task that came together; the worker is free after any but `Progress`.

        A task that ended before it was done, because a signal asked it to, becomes `unfinished`.
        Raises: ExecutionError where the worker cannot be set up.
        """
        self._lively = time.monotonic()
        try:
            said = self.connection.recv()
        except (EOFError, OSError):
            return [self._crashed(_how_it_ended(self._process.wait()))]
        events = [self._event(kind, value) for kind, value in said]
        return [event for event in events if event is not None]

    def _event(self, kind: str, value: Any) -> Event | None:
        """Return the event of a message, if it is one."""
        assert self.task is not None
        task, key = self.task, self.task.key
        if kind == "unusable":
            raise ExecutionError(f"a worker process could not be set up: {value}")
        if kind == "ready":
            self._ready, self._begun = True, self._lively
            return None
        if kind == "progress":
            return Progress(key=key, value=value)
        self.task = None
        if kind == "stopped":
            self.unfinished = task
            self._keep(key, "stopped, to be gone on with", always=False)
            return None
        if kind == "failed":
            reason, detail = value
            return Failed(key=key, reason=reason, detail=detail, log=self._keep(key, reason, detail, always=True))
        if kind == "last":
            log = self._keep(key, "done, and the worker is replaced", always=True)
            self.kill()
            return Done(key=key, value=value, log=log)
        self._keep(key, "done", always=False)
        return Done(key=key, value=value)

    def look(self, limits: Limits) -> Event | None:
        """Return what becomes of a task that has gone over a limit or whose worker is hung; the worker is killed."""
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS or self.task is None:
            return None
        self._looked = now
        found = usage(self._process.pid)
        if found is None:
            return None  # It has died; `receive` says so.
        if found.processor - self._processor >= SIGN_OF_LIFE:
            self._processor, self._lively = found.processor, now
        if limits.memory is not None and found.memory > limits.memory:
            return self._overran(f"took more than its limit of {limits.memory / 2**30:g} GiB of memory")
        if limits.seconds is not None and self._ready and now - self._begun > limits.seconds:
            return self._overran(f"took longer than its limit of {limits.seconds:g} s")
        if now - self._lively > limits.silence:
            return self._crashed(f"the worker process showed no sign of life for {limits.silence:g} s")
        return None

    def forgive(self, seconds: float) -> None:
        """Do not count some time in which the driver did not look."""
        self._begun += seconds
        self._lively = time.monotonic()

    def ask_to_end(self) -> None:
        """Ask the task to end soon; one that has not begun is taken back at once."""
        if self.task is not None and not self._ready:
            self.task = None
            self.kill()
        elif self.task is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End the process and all that it started, at once; twice is harmless."""
        if self.ended:
            return
        self.ended = True
        self.connection.close()
        with contextlib.suppress(ProcessLookupError, PermissionError):  # of a group that is no more
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._log is not None:
            self._log.close()

    def _crashed(self, reason: str) -> Crashed:
        key, log = self._taken_down(reason)
        return Crashed(key=key, reason=reason, log=log)

    def _overran(self, reason: str) -> Overran:
        key, log = self._taken_down(reason)
        return Overran(key=key, reason=reason, log=log)

    def _taken_down(self, reason: str) -> tuple[str, str]:
        """Return the key of a task that ends here and with it its worker, and the name of its log."""
        assert self.task is not None
        key, self.task = self.task.key, None
        log = self._keep(key, reason, always=True)
        self.kill()
        return key, log

    def _keep(self, key: str, outcome: str, detail: str = "", *, always: bool) -> str:
        return "" if self._log is None else self._log.keep(key, outcome, detail, always=always)


def _how_it_ended(code: int) -> str:
    if code < 0:
        return f"the worker process was ended by {signal.Signals(-code).name}"
    return f"the worker process ended with exit code {code}"
