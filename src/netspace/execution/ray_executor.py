"""Trials on a Ray cluster: as many actors as are asked for, which live across tasks and die with this driver.

The driver asks each actor what it has to tell and waits for all of them at once. An actor that is lost, by itself or
with its node, is the `Crashed` event of its task; another one takes its place where the cluster has room, now or later.
What is finished is remembered by whoever takes the events, so that a driver may die, and the next one goes on.
"""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from netspace.errors import ExecutionError, InputError
from netspace.execution.choice import ExecutionChoice
from netspace.execution.executor import Crashed, Done, Event, Limits, Progress, Setup, ShouldStop, Task, never
from netspace.execution.processes import POLL_SECONDS
from netspace.execution.ray_cluster import alive_nodes, connect, fitting, last_line, loaded
from netspace.execution.ray_worker import Heard, RayWorker
from netspace.execution.wire import decoded, encoded, encoded_setup

STARTS = 3
"""So many actors in a row that cannot start are the cluster's fault."""
CLOSING = 2.0
"""How long actors have to end their processes before they are ended themselves [s]; these end soon after."""


class RayExecutor:
    """Actors on a Ray cluster; see `netspace.execution.executor.Executor`.

    Each takes `cpus` and, of the choice, `gpus`; and as much memory as the limits say. `num_workers` None is as many as
    the cluster has room for when a run begins. `logs` is a folder that all hosts share; `modules` are imported by the
    worker processes at once. As a context it leaves the cluster in the end.
    """

    def __init__(
        self,
        num_workers: int | None = None,
        *,
        choice: ExecutionChoice,
        cpus: float = 1.0,
        limits: Limits | None = None,
        logs: Path | None = None,
        modules: Sequence[str] = (),
    ) -> None:
        if num_workers is not None and num_workers < 1:
            raise InputError(f"workers (={num_workers}) must be at least 1")
        self._num_workers = num_workers
        self.choice = choice
        self.limits = limits or Limits()
        self._logs = "" if logs is None else str(logs.absolute())
        self._modules = tuple(modules)
        self._needed = {"CPU": choice.cpus or cpus, "GPU": choice.gpus, "memory": float(self.limits.memory or 0)}
        self._ray: ModuleType | None = None
        self._connected = False

    def __enter__(self) -> "RayExecutor":
        self.connect()
        return self

    def __exit__(self, *_: object) -> None:
        if self._ray is not None and self._connected:
            self._ray.shutdown()
            self._ray, self._connected = None, False

    def connect(self) -> ModuleType:
        """Connect to the cluster, unless this process is. Raises: as `ray_cluster.loaded` and `connect`."""
        if self._ray is None or not self._ray.is_initialized():
            self._ray = loaded(self.choice.address)
            self._connected = connect(self._ray, self.choice.address, insecure=self.choice.insecure)
        return self._ray

    def run(self, setup: Setup, tasks: Sequence[Task], *, should_stop: ShouldStop = never) -> Iterator[list[Event]]:
        """Yield the events of all tasks as they come.

        Raises: ExecutionError where workers cannot start or be set up, or the cluster has no room for one; InputError
        for a setup or a payload that cannot go to another machine.
        """
        text = encoded_setup(setup)
        if not tasks:
            return
        ray = self.connect()
        room = self._num_workers or max(1, fitting(ray, self._needed))
        actors = [self._actor(ray, text) for _ in range(min(room, len(tasks)))]
        waiting = deque(tasks)
        asked: float | None = None  # when the tasks were asked to end
        failed_starts, lively = 0, time.monotonic()
        try:
            while any(actor.task for actor in actors) or (waiting and asked is None):
                if asked is None and should_stop():
                    asked = time.monotonic()
                    for actor in actors:
                        actor.ask_to_end()
                    continue
                over = asked is not None and time.monotonic() - asked >= self.limits.grace
                events: list[Event] = []
                unusable = ""
                for actor in _ready(ray, actors, 0.0 if over else POLL_SECONDS):
                    heard = actor.take()
                    events += heard.events
                    unusable = unusable or heard.unusable
                    failed_starts = failed_starts + 1 if actor.unstarted else 0
                    lively = time.monotonic()
                if events:
                    yield events  # what came with trouble is not lost
                if unusable:
                    raise ExecutionError(unusable)
                if over:
                    return
                if failed_starts >= STARTS:
                    raise ExecutionError(self._no_start(next(actor for actor in actors if actor.unstarted).unstarted))
                for i, actor in enumerate(actors):
                    if actor.unfinished is not None:
                        waiting.appendleft(actor.unfinished)
                        actor.unfinished = None
                    if actor.lost and waiting and asked is None:
                        actors[i] = self._actor(ray, text)
                    elif actor.idle and waiting and asked is None:
                        actor.give(waiting.popleft())
                if any(actor.task for actor in actors):
                    lively = time.monotonic()
                elif time.monotonic() - lively > self.limits.silence:
                    raise ExecutionError(self._no_room())
        finally:
            _close(ray, actors)

    def _actor(self, ray: ModuleType, setup: str) -> "_Actor":
        options = {"num_cpus": self._needed["CPU"], "num_gpus": self._needed["GPU"]}
        if self.limits.memory is not None:
            options["memory"] = self.limits.memory
        remote = ray.remote(RayWorker).options(**options, max_restarts=0, max_task_retries=0)
        return _Actor(ray, remote.remote(setup, self.limits, self._logs, self._modules))

    def _no_start(self, reason: str) -> str:
        return (
            f"address (={self.choice.address!r}): no worker starts on this Ray cluster ({reason}); every machine of it "
            "needs the same netspace, installed for the Python that Ray runs there"
        )

    def _no_room(self) -> str:
        amounts = [
            f"{self._needed['CPU']:g} CPUs",
            *([f"{self._needed['GPU']:g} GPUs"] if self._needed["GPU"] else []),
            *([f"{self._needed['memory'] / 2**30:g} GiB of memory"] if self._needed["memory"] else []),
        ]
        return (
            f"address (={self.choice.address!r}): no machine of this Ray cluster had {' and '.join(amounts)} for a "
            f"worker within {self.limits.silence:g} s; what is stored stays, and the next run goes on"
        )


class _Actor:
    """An actor as its driver sees it: `task` is what it works on, `lost` once it is no more.

    `unstarted` says why it never was there; `unfinished` is a task that ended before it was done.
    """

    def __init__(self, ray: ModuleType, handle: Any) -> None:
        self._ray = ray
        self.handle = handle
        self.task: Task | None = None
        self.unfinished: Task | None = None
        self.lost = False
        self.unstarted = ""
        self._host = ""
        self._node = ""
        self.answer: Any = handle.where.remote()

    @property
    def started(self) -> bool:
        """Whether it has ever answered."""
        return bool(self._node)

    @property
    def idle(self) -> bool:
        """Whether it is there and waits for a task."""
        return self.answer is None and not self.lost

    def give(self, task: Task) -> None:
        """Have it begin a task. Raises: InputError for a payload that cannot go there."""
        payload = encoded(task.payload)
        self.task = task
        self.answer = self.handle.begin.remote(task.key, payload)

    def ask_to_end(self) -> None:
        """Ask its task to end soon."""
        if self.task is not None:
            self.handle.ask_to_end.remote()

    def take(self) -> Heard:
        """Return what it answered, and ask again while its task goes on."""
        task = self.task
        try:
            answer = self._ray.get(self.answer)
        except self._ray.exceptions.RayError as problem:
            self.answer, self.task, self.lost = None, None, True
            self._ray.kill(self.handle)  # it may be there, and out of reach
            if task is None:
                self.unstarted = last_line(problem)
                return Heard()
            return Heard(events=[Crashed(key=task.key, reason=self._how_it_ended(), host=self._host)])
        self.answer = None
        if not isinstance(answer, Heard):
            self._node, self._host = answer
            return Heard()
        assert task is not None
        if answer.busy:
            self.answer = self.handle.listen.remote()
        else:
            self.task = None
            if not answer.unusable and all(isinstance(event, Progress) for event in answer.events):
                self.unfinished = task
        return replace(answer, events=[self._told(event) for event in answer.events])

    def _told(self, event: Event) -> Event:
        if isinstance(event, Done | Progress):
            return replace(event, value=decoded(event.value))
        return replace(event, host=self._host)

    def _how_it_ended(self) -> str:
        if any(node["NodeID"] == self._node for node in alive_nodes(self._ray)):
            return f"the Ray worker on host {self._host} was ended"
        return f"the Ray node on host {self._host} was lost"


def _ready(ray: ModuleType, actors: Sequence[_Actor], timeout: float) -> list[_Actor]:
    """Return the actors that have answered, once there is one: all that answered together."""
    asked = {actor.answer: actor for actor in actors if actor.answer is not None}
    if not asked:
        time.sleep(timeout)
        return []
    first, rest = ray.wait(list(asked), num_returns=1, timeout=timeout, fetch_local=True)
    more = ray.wait(rest, num_returns=len(rest), timeout=0, fetch_local=True)[0] if first and rest else []
    return [asked[answer] for answer in (*first, *more)]


def _close(ray: ModuleType, actors: Sequence[_Actor]) -> None:
    """End all actors; first, where they still hear, their processes."""
    if not ray.is_initialized():
        return
    closing = [actor.handle.close.remote() for actor in actors if not actor.lost and actor.started]
    if closing:
        ray.wait(closing, num_returns=len(closing), timeout=CLOSING)
    for actor in actors:
        ray.kill(actor.handle)
