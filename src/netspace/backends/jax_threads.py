"""How many threads JAX takes on a processor: a number that it reads once, when it starts in a process.

JAX alone is imported here, for Keras runs on it without Flax.
"""

import os

import jax

from netspace.backends.translated import check_threads
from netspace.machine import usable_cores

THREADS_VARIABLES = ("PJRT_NPROC", "NPROC")
"""Where JAX looks, when it starts, for its number of threads on a processor; without them it takes all cores."""


def take_threads(threads: int) -> None:
    """Have JAX compute with so many threads: it takes their number once, when it starts in a process.

    Raises: InputError where it has started, or been told to start, with another number.
    """
    chosen = [number for name in THREADS_VARIABLES if (number := os.environ.get(name, "")).isdigit()]
    if not chosen and not has_started():
        chosen = [str(threads)]
        os.environ[THREADS_VARIABLES[0]] = str(threads)
    if jax.default_backend() != "cpu":
        return
    check_threads(threads, int(chosen[0]) if chosen else usable_cores(), what="JAX", variable=THREADS_VARIABLES[0])


def has_started() -> bool:
    """Whether JAX has started in this process, after which some of its settings cannot change."""
    try:
        jax.config.update("jax_num_cpu_devices", jax.config.jax_num_cpu_devices)
    except RuntimeError:
        return True
    return False
