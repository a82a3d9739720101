"""The executor's contract, which every executor passes."""

import functools
import itertools
import os
import signal
import time

import pytest

from netspace.errors import ExecutionError, InputError
from netspace.execution.choice import ExecutionChoice
from netspace.execution.executor import Crashed, Done, Failed, InlineExecutor, Last, Progress, Task
from netspace.execution.processes import ProcessExecutor
from netspace.execution.ray_executor import RayExecutor

HERE = os.getpid()


def double(offset):
    """Set up a work function; importable by name, as a worker needs it."""

    def work(payload, report):
        if payload == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        if payload == "raise":
            raise ValueError("seven is no number")
        if payload == "last":
            raise Last(os.getpid())
        if payload == "sleep":
            time.sleep(60)
        if payload == "pid":
            return os.getpid()
        if payload == "device":
            return os.environ.get("A_DEVICE")
        report(f"half of {payload}")
        report(f"all of {payload}")
        return 2 * payload + offset

    return work


def broken():
    raise OSError("no such data")


SETUP = functools.partial(double, 1)


def tasks(*payloads):
    return [Task(key=f"task {i}", payload=payload) for i, payload in enumerate(payloads)]


def events_of(executor, *given, **options):
    """The events one by one, however they came together."""
    return itertools.chain.from_iterable(executor.run(*given, **options))


RAY = pytest.param("ray", marks=pytest.mark.cluster)


@pytest.fixture
def workers(request):
    """What makes an executor of so many workers, of a kind."""

    def made(kind, count):
        if kind == "processes":
            return ProcessExecutor(count)
        cluster = request.getfixturevalue("ray_cluster")
        return RayExecutor(count, choice=ExecutionChoice(executor="ray", address=cluster.address))

    return made


@pytest.fixture(
    params=[("inline", 1), ("processes", 1), ("processes", 2), pytest.param(("ray", 2), marks=pytest.mark.cluster)],
    ids=["inline", "one process", "two processes", "two on Ray"],
)
def executor(request, workers):
    kind, count = request.param
    return InlineExecutor() if kind == "inline" else workers(kind, count)


@pytest.fixture(params=["processes", RAY])
def several(request, workers):
    """What makes an executor whose workers are other processes."""
    return functools.partial(workers, request.param)


class TestExecutor:
    def test_every_task_is_done_once(self, executor):
        events = list(events_of(executor, SETUP, tasks(*range(7))))
        done = {event.key: event.value for event in events if isinstance(event, Done)}
        assert done == {f"task {i}": 2 * i + 1 for i in range(7)}
        assert sum(isinstance(event, Done) for event in events) == 7

    def test_progress_comes_before_the_end_of_its_task(self, executor):
        events = [event for event in events_of(executor, SETUP, tasks(3, 4)) if event.key == "task 0"]
        said = [event.value for event in events[:-1] if isinstance(event, Progress)]
        assert said == ["half of 3", "all of 3"]
        assert isinstance(events[-1], Done)

    def test_an_exception_is_the_event_of_its_task_alone(self, executor):
        events = list(events_of(executor, SETUP, tasks("raise", 5)))
        failed = next(event for event in events if isinstance(event, Failed))
        assert failed.key == "task 0"
        assert failed.reason == "ValueError: seven is no number"
        assert "Traceback" in failed.detail
        assert any(isinstance(event, Done) and event.value == 11 for event in events)

    def test_a_task_that_leaves_its_process_unfit_is_done_and_the_next_has_another(self, executor):
        events = list(events_of(executor, SETUP, tasks("last", "last", "pid", 5)))
        *processes, found = [event.value for event in sorted(events, key=lambda e: e.key) if isinstance(event, Done)]
        assert (len(processes), found) == (3, 11)
        assert len(set(processes)) == (1 if processes[0] == HERE else 3)

    def test_nothing_to_do_yields_nothing(self, executor):
        assert list(events_of(executor, SETUP, [])) == []

    def test_a_stop_before_the_first_task_starts_none_twice(self, executor):
        seen = 0

        def should_stop():
            return seen >= 2

        for event in events_of(executor, SETUP, tasks(*range(50)), should_stop=should_stop):
            seen += isinstance(event, Done)
        assert 2 <= seen < 50


def test_a_worker_that_dies_costs_its_task_alone(several):
    events = list(events_of(several(2), SETUP, tasks("crash", 1, "crash", 2, 3)))
    crashed = [event for event in events if isinstance(event, Crashed)]
    assert {event.key for event in crashed} == {"task 0", "task 2"}
    assert "SIGKILL" in crashed[0].reason
    assert sorted(event.value for event in events if isinstance(event, Done)) == [3, 5, 7]


def test_workers_live_across_tasks_and_outside_this_process(several):
    events = events_of(several(2), SETUP, tasks(*["pid"] * 12))
    pids = {event.value for event in events if isinstance(event, Done)}
    assert len(pids) <= 2
    assert HERE not in pids


def test_a_stop_ends_running_tasks_within_seconds(several):
    begun = time.monotonic()
    executor = several(1)
    stop_at = begun + 1.0
    events = events_of(executor, SETUP, tasks("sleep"), should_stop=lambda: time.monotonic() > stop_at)
    assert list(events) == []
    assert time.monotonic() - begun < 10


def test_leaving_the_loop_ends_the_workers(several):
    events = several(1).run(SETUP, tasks("pid", "sleep"))
    pid = next(events)[0].value
    events.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_worker_that_cannot_be_set_up_is_an_error(several):
    with pytest.raises(ExecutionError, match="could not be set up: OSError: no such data"):
        list(several(1).run(broken, tasks(1)))


def test_the_inline_executor_lets_the_true_error_through():
    with pytest.raises(ValueError, match="seven"):
        list(InlineExecutor(raise_errors=True).run(SETUP, tasks("raise")))


def test_no_workers_is_refused(several):
    with pytest.raises(InputError, match=r"workers \(=0\) must be at least 1"):
        several(0)


@pytest.mark.parametrize("prepared", [True, False])
def test_environments_are_given_in_turn(prepared):
    with ProcessExecutor(3, environments=[{"A_DEVICE": "zero"}, {"A_DEVICE": "one"}]) as executor:
        if prepared:
            executor.prepare()
        events = list(events_of(executor, SETUP, tasks(*["device"] * 3)))
    assert sorted(event.value for event in events if isinstance(event, Done)) == ["one", "zero", "zero"]
