"""A worker on a Ray cluster: an actor that holds one worker process of its host, and passes on what that says.

The process is the same as on one machine, with its limits, watchdog and logs; what it works on goes through as text.
When the actor dies, as it does with its driver or its node, the process ends by itself.
"""

import functools
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path

from netspace.errors import ExecutionError
from netspace.execution.executor import Event, Limits, Task
from netspace.execution.process import WorkerProcess
from netspace.execution.processes import ABSENCE, POLL_SECONDS
from netspace.execution.wire import set_up

LISTEN_SECONDS = 0.5
"""How long an actor waits for something to tell; a wish to stop waits for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What an actor has to tell: events, whether its task goes on, and why its process cannot be set up, if so."""

    events: list[Event] = field(default_factory=list)
    busy: bool = False
    unusable: str = ""


class RayWorker:
    """One worker process, which is replaced when it ends; `setup` is the text that `wire.set_up` takes."""

    def __init__(self, setup: str, limits: Limits, logs: str, modules: Sequence[str] = ()) -> None:
        self._setup = functools.partial(set_up, setup)
        self._limits = limits
        self._logs = Path(logs) if logs else None
        self._process = self._new(modules)
        self._looked = time.monotonic()

    def _new(self, modules: Sequence[str] = ()) -> WorkerProcess:
        process = WorkerProcess(self._logs, modules)
        process.set_up(self._setup)
        return process

    def where(self) -> tuple[str, str]:
        """Return the node and its host; the first call, which says that the actor is there."""
        import ray

        return ray.get_runtime_context().get_node_id(), platform.node()

    def begin(self, key: str, payload: str) -> Heard:
        """Begin a task, and listen."""
        if self._process.ended:
            self._process = self._new()
        self._process.give(Task(key=key, payload=payload))
        self._looked = time.monotonic()
        return self.listen()

    def listen(self) -> Heard:
        """Return the events that come together, once there are some, the task has ended, or a while has passed."""
        until = time.monotonic() + LISTEN_SECONDS
        while True:
            try:
                events = self._received()
            except ExecutionError as problem:
                self._process.kill()
                return Heard(unusable=f"{problem} (on host {platform.node()})")
            busy = self._process.task is not None
            if events or not busy or time.monotonic() >= until:
                return Heard(events=events, busy=busy)

    def _received(self) -> list[Event]:
        events: list[Event] = []
        patience = POLL_SECONDS
        while self._process.task is not None and wait([self._process.connection], timeout=patience):
            found = self._process.receive()
            if found:
                events += found
                patience = 0.0
        now = time.monotonic()
        away, self._looked = now - self._looked, now
        if self._process.task is not None and away > ABSENCE:
            self._process.forgive(away)  # the driver did not ask, or the host was asleep
        if self._process.task is not None and (overrun := self._process.look(self._limits)):
            events.append(overrun)
        return events

    def ask_to_end(self) -> None:
        """Ask the task to end soon; one that has not begun is taken back at once."""
        self._process.ask_to_end()

    def close(self) -> None:
        """End the process and all that it started."""
        self._process.kill()
