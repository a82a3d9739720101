"""What befalls the workers of `faults.py`: a file of its own, because workers import by name what they are to do."""

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from netspace import faults


def suffering(setup: Callable[[], Callable[..., Any]], folder: Path, fault: str) -> Callable[..., Any]:
    """Set up a worker to which something happens once, after the first epoch of the network that `chosen` names.

    To "poison" it happens every time. A fault "POINT:N" is one of `netspace.faults`, in the first worker of all.
    """
    if ":" in fault:
        with contextlib.suppress(FileExistsError):
            (folder / "seen").touch(exist_ok=False)
            os.environ[faults.VARIABLE] = fault
        return setup()
    work, chosen, seen = setup(), (folder / "chosen").read_text(), folder / "seen"

    def suffer(trial: Any, report: Callable[[Any], Any]) -> Any:
        def reported(value: Any) -> Any:
            if trial.id == chosen and (fault == "poison" or not seen.exists()):
                seen.touch()
                if fault in ("SIGKILL", "SIGSTOP"):
                    os.kill(os.getpid(), getattr(signal, fault))
                if fault in ("SIGSEGV", "poison"):
                    ctypes.string_at(0)
                if fault == "slow":
                    time.sleep(600)
                hog = []
                while fault == "hog":
                    hog.append(b"x" * 2**25)
            return report(value)

        return work(trial, reported)

    return suffer
