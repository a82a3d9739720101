"""What an executor promises, and the simplest one: in this process, one task after the other.

An executor takes a `setup`, called once per worker, which returns the work function; it then calls the work function
once per task and yields lists of the events that came together. For every task exactly one `Done`, `Failed`, `Crashed`
or `Overran` comes out, unless `should_stop` turned true before it was finished. Tasks begin in the order given. An
exception in a task is its `Failed` event and stops nothing; a worker that dies, or has to be killed because it shows no
sign of life, is the `Crashed` event of its task and is replaced; so is one whose task `Overran` a limit. A task that is
done and has left its worker unfit for another raises `Last` with what it would have returned: it is done all the same,
and its worker is replaced.

Once `should_stop` is true no task begins. Those that run are asked to end: their next report comes back true, and a
task that has saved how far it is raises `Stopped`, of which there is no event. What has not ended when the grace is
over is killed.
"""

import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

GRACE = 20.0
"""How long what runs has to end or to be saved [s] when a run is stopped, unless somebody says otherwise."""

Report = Callable[[Any], bool | None]
"""Says how far a task is; what comes back is true once the task is asked to end."""
Work = Callable[[Any, Report], Any]
Setup = Callable[[], Work]
ShouldStop = Callable[[], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Something to do: a key that names it in events, and what the work function takes."""

    key: str
    payload: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a task said while it ran."""

    key: str
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A task that returned; `log` as of a failed one, where its worker had to be replaced."""

    key: str
    value: Any
    log: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A task that raised; `reason` is the exception in one line, `detail` its traceback.

    `log` here and below is where to read what the worker wrote, relative to the folder above that of the logs; empty
    where nothing was kept. `host` is where the worker is, empty for this machine.
    """

    key: str
    reason: str
    detail: str
    log: str = ""
    host: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crashed:
    """A task whose worker died; `reason` says how."""

    key: str
    reason: str
    log: str = ""
    host: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overran:
    """A task that went over a limit and was ended with its worker; `reason` says which."""

    key: str
    reason: str
    log: str = ""
    host: str = field(default="", compare=False)


Event = Progress | Done | Failed | Crashed | Overran


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one task may take, and how long is waited for it.

    `seconds` of wall time since a worker began the task, and `memory` [bytes] of its worker, without what it shares;
    None is no limit. A worker that has said nothing and hardly used a processor for `silence` [s] is hung. `grace` [s]
    is what tasks have to end in when they are asked to.
    """

    seconds: float | None = None
    memory: int | None = None
    silence: float = 300.0
    grace: float = 0.0


class Last(Exception):
    """What a task raises in place of returning `value` where its process should do nothing more."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


def never() -> bool:
    """Return False: the `should_stop` of a run that is not to be stopped."""
    return False


class Executor(Protocol):
    """The contract; `tests/contracts` holds the same in code."""

    def run(self, setup: Setup, tasks: Sequence[Task], *, should_stop: ShouldStop = never) -> Iterator[list[Event]]:
        """Yield the events of all tasks; `should_stop` is asked at least once a second."""
        ...


class InlineExecutor:
    """Runs tasks in this process, where a debugger sees them; `raise_errors` lets the true error through."""

    def __init__(self, *, raise_errors: bool = False) -> None:
        self._raise_errors = raise_errors

    def run(self, setup: Setup, tasks: Sequence[Task], *, should_stop: ShouldStop = never) -> Iterator[list[Event]]:
        """Yield the events of each task when it is over; `should_stop` is asked between tasks."""
        work = setup()
        for task in tasks:
            if should_stop():
                return
            said: list[Any] = []
            try:
                outcome: Event = Done(key=task.key, value=work(task.payload, said.append))
            except Last as last:
                outcome = Done(key=task.key, value=last.value)  # there is no other process
            except Exception as problem:
                if self._raise_errors:
                    raise
                outcome = failure(task.key, problem)
            yield [*(Progress(key=task.key, value=value) for value in said), outcome]


def failure(key: str, problem: Exception) -> Failed:
    """Return the event of a task that raised."""
    return Failed(
        key=key,
        reason=f"{type(problem).__name__}: {problem}",
        detail="".join(traceback.format_exception(problem)),
    )
