"""The other end of a local worker process: receive a task, do it, send what became of it, repeat.

Run as `python -m netspace.execution.worker FD`. Messages out are ("progress" | "done" | "failed" | "unusable",
value). The process ends when its driver does.
"""

import os
import sys
import threading
import time
from multiprocessing.connection import Connection

from netspace.execution.executor import failure


def main(descriptor: int) -> None:
    """Serve the driver at the other end of a socket until it closes it."""
    threading.Thread(target=_end_with_driver, args=(os.getppid(),), daemon=True).start()
    connection = Connection(descriptor)
    try:
        try:
            work = connection.recv()()
        except Exception as problem:
            connection.send(("unusable", failure("", problem).reason))
            return
        while True:
            payload = connection.recv()
            try:
                outcome = ("done", work(payload, lambda value: connection.send(("progress", value))))
            except Exception as problem:
                event = failure("", problem)
                outcome = ("failed", (event.reason, event.detail))
            connection.send(outcome)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # The driver has closed its end.


def _end_with_driver(driver: int) -> None:
    """End this process, in the middle of a step if need be, once its driver is gone."""
    while os.getppid() == driver:
        time.sleep(1.0)
    os._exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]))
