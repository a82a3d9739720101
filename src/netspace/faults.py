"""Where a test may kill a process: at the points between which something becomes durable.

`NETSPACE_FAULT="POINT:N"` has the process that passes POINT for the N-th time end by SIGKILL; without the
variable a point costs one look at the environment. Points: `written` and `renamed` (a file is whole beside its place,
is in its place), `prepared` (the store has one part more of a new study), `recording` and `recorded` (results are about
to be committed, are committed).
"""

import os
import signal
from collections import Counter

VARIABLE = "NETSPACE_FAULT"
_passed: Counter[str] = Counter()


def passing(point: str) -> None:
    """Die here if a test asked for it."""
    wanted = os.environ.get(VARIABLE)
    if wanted is None:
        return
    _passed[point] += 1
    if wanted == f"{point}:{_passed[point]}":
        os.kill(os.getpid(), signal.SIGKILL)
