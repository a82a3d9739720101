"""What the machine gives this process."""

import os

MOST_THREADS = 1024
"""More than any process has use for."""


def usable_cores() -> int:
    """Return the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
