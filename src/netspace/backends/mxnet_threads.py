"""How many threads MXNet's operators take: a number that OpenMP keeps for each thread, so it is set inside the engine.

MXNet reads OMP_NUM_THREADS at its start, and its own function for a later change reaches only the thread that calls it,
in which no operator runs.
"""

import ctypes
from collections.abc import Callable
from typing import Any

from netspace.backends.mxnet_model import mx

CPU = (ctypes.c_int * 2)(1, 0)
"""MXNet's context: the type of device and its number."""


def set_threads(threads: int) -> None:
    """Set the number of threads of all operators that follow, in this process."""
    _inside_the_engine(lambda library: library.omp_set_num_threads(threads))


def get_threads() -> int:
    """Return the number of threads that an operator takes now."""
    found: list[int] = []
    _inside_the_engine(lambda library: found.append(library.omp_get_max_threads()))
    return found[0]


def _inside_the_engine(work: Callable[[Any], Any]) -> None:
    """Call with MXNet's library, and what it is linked to, in the thread that runs operators; wait for the end."""
    library = mx.base._LIB
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(lambda _context, _parameter: work(library))
    mx.base.check_call(library.MXEnginePushSync(call, None, None, CPU, None, 0, None, 0, None, 0, None))
    mx.nd.waitall()
