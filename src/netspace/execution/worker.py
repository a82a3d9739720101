"""The other end of a local worker process: receive a task, do it, send what became of it, repeat.

Run as `python -m netspace.execution.worker FD MODULE...`; the modules are imported before anything is asked for, where
they are there. What goes out are lists of messages ("ready" | "progress" | "done" | "last" | "failed" | "stopped"
| "unusable", value); after "last" and "unusable" the process ends. A signal to end asks the task to stop, which its
next report tells it. The process ends when its driver does.
"""

import contextlib
import importlib
import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from netspace.errors import Stopped
from netspace.execution.executor import Last, failure

WISHES = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
"""All that a scheduler may send to every process of a job; the driver alone decides what it means."""

MOMENT = 0.05
"""What a task reports so soon [s] after the last message waits for the next one, and goes with it."""


def main(descriptor: int, *modules: str) -> None:
    """Serve the driver at the other end of a socket until it closes it."""
    wished = False

    def wish(number: int, frame: Any) -> None:
        nonlocal wished
        wished = True

    for number in WISHES:
        signal.signal(number, wish)
    threading.Thread(target=_end_with_driver, args=(os.getppid(),), daemon=True).start()
    _be_killed_first()
    connection = Connection(descriptor)
    for module in modules:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)

    said: list[tuple[str, Any]] = []
    sent = 0.0

    def send() -> None:
        nonlocal sent
        connection.send(said)
        said.clear()
        sent = time.monotonic()

    def report(value: Any) -> bool:
        said.append(("progress", value))
        if time.monotonic() - sent >= MOMENT:
            send()
        return wished

    try:
        try:
            work = connection.recv()()
        except Exception as problem:
            connection.send([("unusable", failure("", problem).reason)])
            return
        connection.send([("ready", None)])
        while True:
            payload = connection.recv()
            try:
                said.append(("done", work(payload, report)))
            except Last as last:
                said.append(("last", last.value))
                send()
                return
            except Stopped:
                said.append(("stopped", None))
            except Exception as problem:
                if "CUDA error" in str(problem):  # the process can compute nothing there any more
                    raise SystemExit(str(problem)) from problem
                event = failure("", problem)
                said.append(("failed", (event.reason, event.detail)))
            send()
            wished = False
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # The driver has closed its end.


def _be_killed_first() -> None:
    """Have a kernel that is out of memory end a worker, which costs an attempt, rather than the driver."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")


def _end_with_driver(driver: int) -> None:
    """End this process, in the middle of a step if need be, once its driver is gone."""
    while os.getppid() == driver:
        time.sleep(1.0)
    os._exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
