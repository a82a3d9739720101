"""What the system says of a process: its memory, and how long it has used processors."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Memory that is a process's own [bytes], and processor time so far [s]."""

    memory: int
    processor: float


def usage(pid: int) -> Usage | None:
    """Return the usage of a process; None where there is none of this number.

    Linux counts the resident pages that are not of files, as the data that all workers map are; elsewhere all that are
    resident. Address space says nothing: PyTorch reserves much more than it takes.
    """
    if not Path("/proc/self/statm").exists():
        return usage_by_ps(pid)
    try:
        _, resident, shared, *_ = map(int, Path(f"/proc/{pid}/statm").read_text().split())
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    ticks = int(fields[11]) + int(fields[12])  # utime and stime, counted from the state behind the name
    return Usage(memory=(resident - shared) * os.sysconf("SC_PAGE_SIZE"), processor=ticks / os.sysconf("SC_CLK_TCK"))


def usage_by_ps(pid: int) -> Usage | None:
    """Return the usage of a process as `ps` prints it, where there is no /proc."""
    said = subprocess.run(["ps", "-o", "rss=,time=", "-p", str(pid)], capture_output=True, text=True).stdout.split()
    if len(said) != 2:
        return None
    days, _, clock = said[1].rpartition("-")
    seconds = 0.0
    for part in clock.split(":"):
        seconds = 60.0 * seconds + float(part)
    return Usage(memory=1024 * int(said[0]), processor=86400.0 * int(days or 0) + seconds)
