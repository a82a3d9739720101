"""Commands as jobs of a Slurm cluster through submitit; or of this machine, by submitit's local executor.

What a job holds is a command line and nothing else: submitit keeps it as a class that the job imports, so that neither
data nor code of the user's main travel. Where a job has to make way, or its time is over, its command is asked to end
(SIGUSR1), and the job goes back into the queue, to begin the same command again.
"""

import contextlib
import io
import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netspace.errors import ExecutionError, InputError, MissingFrameworkError

REQUEUED = 100
"""How often a job whose time is over goes back into the queue; where it has to make way, it always does."""
MARGIN = 30
"""How long a command may take to end after its grace [s]."""

_SIGNAL = "SUBMITIT_PREEMPT_SIGNAL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What each job is given: wall time [min], cores, memory [GiB], GPUs, and what else `sbatch` takes, by name.

    None leaves it to the cluster.
    """

    minutes: int = 60
    cpus: int = 1
    memory_gib: float | None = None
    gpus: int | None = None
    partition: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("minutes", "cpus", "gpus"):
            given = getattr(self, name)
            if given is not None and given < 1:
                raise InputError(f"{name} (={given}) must be at least 1")
        if self.memory_gib is not None and not 0 < self.memory_gib < float("inf"):
            raise InputError(f"memory_gib (={self.memory_gib:g}) must be above 0")
        for name in self.options:
            if not re.fullmatch("[a-z][a-z-]*", name):
                raise InputError(f"option {name!r} must be the long name of an option of sbatch, such as 'account'")
        for name, value in {"partition": self.partition or "", **self.options}.items():
            if not value.isprintable():  # the job's script has one option per line
                raise InputError(f"{name} (={value!r}) must be one line of letters that can be printed")


class CommandJob:
    """What a job runs: a command line, asked to end where the job has to."""

    def __init__(self, *words: str) -> None:
        self.words = words
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self) -> None:
        """Run the command to its end. Raises: ExecutionError where it fails."""
        self._process = process = subprocess.Popen(self.words, stdin=subprocess.DEVNULL)
        before = signal.signal(signal.SIGTERM, lambda number, frame: process.send_signal(signal.SIGUSR1))
        try:
            code = process.wait()
        finally:
            signal.signal(signal.SIGTERM, before)
            if process.poll() is None:
                process.send_signal(signal.SIGUSR1)
        if code:
            raise ExecutionError(f"{shlex.join(self.words)} ended with exit code {code}; its words stand above")

    def checkpoint(self) -> Any:
        """Have the command end and return what begins it again; submitit calls this in the midst of `__call__`."""
        from submitit.helpers import DelayedSubmission

        if self._process is not None:
            self._process.send_signal(signal.SIGUSR1)
            # Whoever waits for the process holds the lock of its object, so it is not asked here.
            with contextlib.suppress(ChildProcessError):  # it has just ended
                os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        return DelayedSubmission(CommandJob(*self.words))


def check_submission(folder: Path, *, local: bool) -> None:
    """Check that jobs can be submitted from here, with a folder. Raises: MissingFrameworkError, InputError."""
    _submitit()
    if "%" in str(folder.absolute()):
        raise InputError(f"the jobs' folder (={str(folder)!r}) must have no % in its path, which Slurm replaces")
    for program in () if local else ("sbatch", "srun"):
        if shutil.which(program) is None:
            raise InputError(
                f"this machine has no {program!r}, the command of Slurm; submit where it is, or run the jobs here "
                "with --local"
            )


def submit(
    commands: Sequence[Sequence[str]], folder: Path, resources: Resources, *, grace: float, local: bool
) -> list[Any]:
    """Submit commands as one array of jobs, whose scripts and logs go to `folder`; return submitit's jobs.

    A command has `grace` [s] to end when it is asked to. Raises: ExecutionError where the jobs are not taken.
    """
    submitit = _submitit()
    kind = submitit.LocalExecutor if local else submitit.SlurmExecutor
    given = _local(resources) if local else _slurm(resources, submitit.JobEnvironment.USR_SIG)
    given["signal_delay_s"] = min(int(grace) + MARGIN, 30 * resources.minutes)  # at most half the time
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # what lies here is run
        executor = kind(folder=folder, max_num_timeout=REQUEUED)
        executor.update_parameters(**{name: value for name, value in given.items() if value is not None})
        # What sbatch said comes back in the error. Ctrl-C is for the commands of jobs here, not for what is between.
        with contextlib.redirect_stderr(io.StringIO()), _interrupts_ignored():
            jobs: list[Any] = executor.submit_array([CommandJob(*words) for words in commands])
    except OSError as problem:
        raise ExecutionError(f"the jobs' folder {str(folder)!r} cannot be written ({problem.strerror})") from None
    except RuntimeError as problem:
        raise ExecutionError(f"the jobs were not taken: {' '.join(str(problem).split())}") from None
    return jobs


def ask_to_end(jobs: Sequence[Any]) -> None:
    """Ask the commands of jobs on this machine to end; a second time is harmless."""
    for job in jobs:
        if not job.done():
            os.kill(int(job.job_id), signal.SIGTERM)  # submitit hands it on to what the job runs


@contextlib.contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Ignore Ctrl-C for a while, and for good in the processes that begin meanwhile."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _local(resources: Resources) -> dict[str, Any]:
    """Return what submitit's local executor knows of resources."""
    return {"timeout_min": resources.minutes, "gpus_per_node": resources.gpus, "stderr_to_stdout": True}


def _slurm(resources: Resources, asking: str) -> dict[str, Any]:
    """Return resources as submitit's executor on Slurm names them; `asking` is the signal that asks a job to end."""
    return {
        "job_name": "netspace",
        "time": resources.minutes,
        "nodes": 1,
        "ntasks_per_node": 1,
        "cpus_per_task": resources.cpus,
        "mem": None if resources.memory_gib is None else f"{round(1024 * resources.memory_gib)}M",
        "gpus_per_node": resources.gpus,
        "partition": resources.partition,
        "additional_parameters": dict(resources.options),
        "setup": [f"export {_SIGNAL}={asking}"],  # a job need not inherit our environment
        "stderr_to_stdout": True,
    }


def _submitit() -> Any:
    """Return submitit, which then asks jobs to end by the signal that `netspace run` and its workers know."""
    os.environ.setdefault(_SIGNAL, "USR1")
    try:
        import submitit
    except ImportError:
        raise MissingFrameworkError(
            "jobs on Slurm need the package 'submitit'; install it with: pip install 'netspace[slurm]'"
        ) from None
    return submitit
