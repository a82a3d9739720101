"""What local workers suffer: they are stopped, hung, killed, too slow, too large; each time their task alone pays."""

import ctypes
import functools
import io
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from netspace.cli.progress import progress_display
from netspace.cli.studies import stop_on_signal
from netspace.errors import Stopped
from netspace.execution import processes
from netspace.execution.executor import Crashed, Done, Failed, Last, Limits, Overran, Progress, Task
from netspace.execution.processes import ProcessExecutor
from netspace.execution.usage import usage, usage_by_ps
from netspace.studies.running import StudyProgress


def suffering(folder):
    """Set up a work function whose payload says what befalls it."""

    def work(payload, report):
        (folder / f"{payload} has begun").touch()
        if payload == "stopped":
            os.kill(os.getpid(), signal.SIGSTOP)
        if payload == "deadlocked":
            lock = threading.Lock()
            lock.acquire()
            lock.acquire()
        if payload == "segmentation fault":
            print("before the fault")
            ctypes.string_at(0)
        if payload == "orphan":
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
            (folder / "child").write_text(str(child.pid))
            os.kill(os.getpid(), signal.SIGKILL)
        if payload == "hog":
            hog = []
            while True:
                hog.append(b"x" * 2**24)
                time.sleep(0.01)
        if payload == "raise":
            raise ValueError("no number")
        if payload == "last":
            raise Last("no memory")
        if payload == "noise":
            print("é" * 2**20)
        if payload == "slow":
            time.sleep(60)
        if payload == "waits":
            report("here")
            give_up = time.monotonic() + 30.0
            while not (folder / "heard").exists():
                assert time.monotonic() < give_up
                time.sleep(0.01)
        if payload == "in a while":
            time.sleep(0.8)
        if payload == "longer than a look away":
            time.sleep(2.6)
        if payload == "until asked":
            while not report("more"):
                time.sleep(0.01)
            (folder / "saved").write_text("all of it")
            raise Stopped("here")
        if payload == "asked by a scheduler":
            if (folder / "saved").exists():
                return "gone on with"
            os.kill(os.getpid(), signal.SIGUSR1)
            while not report("more"):
                time.sleep(0.01)
            (folder / "saved").write_text("all of it")
            raise Stopped("here")
        return payload

    return work


@pytest.fixture
def run(tmp_path):
    def events(*payloads, workers=1, should_stop=lambda: False, **limits):
        executor = ProcessExecutor(workers, limits=Limits(**limits), logs=tmp_path / "logs")
        tasks = [Task(key=payload, payload=payload) for payload in payloads]
        setup = functools.partial(suffering, tmp_path)
        return [event for some in executor.run(setup, tasks, should_stop=should_stop) for event in some]

    return events


def done(events):
    return [event.value for event in events if isinstance(event, Done)]


@pytest.mark.parametrize("payload", ["stopped", "deadlocked"])
def test_a_hung_worker_is_killed_and_replaced(run, payload):
    crashed, *rest = run(payload, "fine", silence=1.0)
    assert crashed == Crashed(
        key=payload, reason="the worker process showed no sign of life for 1 s", log=f"logs/{payload}.log"
    )
    assert done(rest) == ["fine"]


def test_a_segmentation_fault_costs_its_task_and_is_in_its_log(run, tmp_path):
    crashed, *rest = run("segmentation fault", "fine")
    assert (crashed.reason, crashed.log) == (
        "the worker process was ended by SIGSEGV",
        "logs/segmentation fault.log",
    )
    assert done(rest) == ["fine"]
    log = (tmp_path / "logs" / "segmentation fault.log").read_text()
    assert "the worker process was ended by SIGSEGV\nbefore the fault\n" in log
    assert "in work" in log


def test_what_a_dead_worker_had_started_ends_with_it(run, tmp_path):
    run("orphan")
    child = int((tmp_path / "child").read_text())
    give_up = time.monotonic() + 10.0  # of 60 s that it would sleep
    while (left := usage(child)) is not None and left.memory and time.monotonic() < give_up:
        time.sleep(0.05)
    assert left is None or not left.memory  # gone, or a zombie that nobody has buried


def test_a_task_that_takes_too_long_or_too_much_is_ended(run):
    slow, *rest = run("slow", "fine", seconds=0.5)
    assert slow == Overran(key="slow", reason="took longer than its limit of 0.5 s", log="logs/slow.log")
    assert done(rest) == ["fine"]
    hog, *rest = run("hog", "fine", memory=2**28)
    assert (type(hog), hog.reason) == (Overran, "took more than its limit of 0.25 GiB of memory")
    assert done(rest) == ["fine"]


def test_time_in_which_the_driver_itself_was_stopped_counts_for_nobody(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "ABSENCE", 1.0)
    executor = ProcessExecutor(1, limits=Limits(seconds=1.5, silence=1.5))
    tasks = [Task(key=payload, payload=payload) for payload in ("fine", "longer than a look away")]
    found = []
    for events in executor.run(functools.partial(suffering, tmp_path), tasks):
        found += events
        if len(found) == 1:
            time.sleep(2.0)  # as in a laptop that sleeps
    assert done(found) == ["fine", "longer than a look away"]


def test_only_a_task_that_failed_or_wrote_has_a_log_and_each_attempt_is_in_it(run, tmp_path):
    run("fine")
    assert not (tmp_path / "logs").exists()
    for _ in range(2):
        failed, noise, fine = run("raise", "noise", "fine")
        assert (failed.log, type(noise), type(fine)) == ("logs/raise.log", Done, Done)
    assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == ["noise.log", "raise.log"]
    log = (tmp_path / "logs" / "raise.log").read_text()
    assert log.count("ValueError: no number\nTraceback (most recent call last)") == 2
    noise = (tmp_path / "logs" / "noise.log").read_bytes()
    assert len(noise) < 2 * 2**20 + 500
    assert b"1,048,577 bytes before this are left out" in noise


def test_what_was_the_last_of_its_worker_has_a_log(run, tmp_path):
    last, fine = run("last", "fine")
    assert (last.log, fine.log) == ("logs/last.log", "")
    assert "done, and the worker is replaced" in (tmp_path / "logs" / "last.log").read_text()


def test_a_log_that_cannot_be_written_costs_nothing(run, tmp_path):
    (tmp_path / "logs").write_text("a file where the folder should be")
    failed, fine = run("raise", "fine")
    assert (type(failed), failed.log, done([fine])) == (Failed, "", ["fine"])


def test_tasks_that_are_asked_to_end_have_a_grace_to_do_it(run, tmp_path):
    def once_begun(payload):
        return (tmp_path / f"{payload} has begun").exists

    assert done(run("until asked", "fine", should_stop=once_begun("until asked"), grace=60.0)) == []
    assert (tmp_path / "saved").read_text() == "all of it"
    assert done(run("in a while", "fine", should_stop=once_begun("in a while"), grace=60.0)) == ["in a while"]
    begun = time.monotonic()
    assert run("slow", "fine", should_stop=once_begun("slow"), grace=1.0) == []
    assert time.monotonic() - begun < 30  # of the 60 s that it sleeps


def test_a_task_that_a_scheduler_asked_to_end_is_gone_on_with(run):
    assert done(run("asked by a scheduler", "fine")) == ["gone on with", "fine"]


def test_the_system_says_the_same_of_a_process_in_both_ways():
    first, second = usage(os.getpid()), usage_by_ps(os.getpid())
    assert 2**22 < first.memory <= second.memory
    assert abs(first.processor - second.processor) < 2.0
    assert usage(2**22 + 1) is None
    assert usage_by_ps(2**22 + 1) is None


def test_only_a_person_s_second_signal_ends_a_run_at_once():
    with stop_on_signal(1.0) as should_stop:
        assert not should_stop()
        for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGUSR1):
            os.kill(os.getpid(), number)
            assert should_stop()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_progress_that_nobody_reads_ends_no_run(monkeypatch):
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    progress = StudyProgress(
        total=1, stored=0, trained=1, failures=0, images=0, seconds=1.0, best_error=0.5, spared=0, begun=0
    )
    monkeypatch.setattr(sys, "stdout", Closed())
    with progress_display() as show:
        show(progress)


def test_what_comes_while_the_last_is_dealt_with_comes_together(tmp_path):
    tasks = [Task(key=str(i), payload=str(i)) for i in range(24)]
    came = []
    for events in ProcessExecutor(1).run(functools.partial(suffering, tmp_path), tasks):
        came.append([event.value for event in events])
        time.sleep(0.2)  # as a commit on a slow disk
    assert [value for values in came for value in values] == [task.payload for task in tasks]
    assert len(came) < 12


def test_what_a_task_says_is_heard_before_it_ends(tmp_path):
    heard = []
    for events in ProcessExecutor(1).run(functools.partial(suffering, tmp_path), [Task(key="0", payload="waits")]):
        heard += [type(event) for event in events]
        (tmp_path / "heard").touch()
    assert heard == [Progress, Done]


def telling_imports():
    return lambda payload, report: (os.getpid(), payload in sys.modules)


def test_workers_that_were_prepared_have_imported_and_are_used():
    with ProcessExecutor(2) as executor:
        executor.prepare("colorsys", "no_such_module_anywhere")
        prepared = {worker._process.pid for worker in executor._waiting}
        every = [Task(key=str(i), payload="colorsys") for i in range(4)]
        found = [event.value for events in executor.run(telling_imports, every) for event in events]
    assert {number for number, _ in found} <= prepared
    assert [there for _, there in found] == [True] * 4


def test_workers_that_were_prepared_for_nothing_end_with_the_context():
    with ProcessExecutor(2) as executor:
        executor.prepare()
        prepared = [worker._process.pid for worker in executor._waiting]
    for number in prepared:
        with pytest.raises(ProcessLookupError):
            os.kill(number, 0)
