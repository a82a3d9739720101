"""MXNet, imported where it can be; elsewhere one sentence says why not.

MXNet 1.9.1 is the last release: it knows no Python after 3.11 and no NumPy after 1.23, and says neither in a sentence.
"""

import sys
import warnings
from typing import Any

import numpy as np

from netspace.errors import MissingFrameworkError

EXTRA = "pip install 'netspace[mxnet]'"


def import_mxnet() -> Any:
    """Return MXNet.

    Raises: MissingFrameworkError where this Python, this NumPy or a library of the system is not MXNet's;
    ModuleNotFoundError.
    """
    check_versions(tuple(sys.version_info[:3]), np.__version__)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of names that MXNet still asks NumPy for
            import mxnet
    except OSError as problem:
        raise MissingFrameworkError(
            f"backend 'mxnet' cannot load MXNet's library ({problem}); it needs libquadmath and libgomp of the system, "
            "on Debian and Ubuntu: apt-get install libquadmath0 libgomp1"
        ) from None
    return mxnet


def check_versions(python: tuple[int, ...], numpy: str) -> None:
    """Check that MXNet 1.9.1 can be imported under these releases. Raises: MissingFrameworkError, which says which.

    >>> check_versions((3, 11, 7), "1.23.5")
    """
    if python >= (3, 12):
        raise MissingFrameworkError(
            "backend 'mxnet' needs Python 3.11, the last that MXNet knows, and this is Python "
            f"{'.'.join(map(str, python))}; with Python 3.11, in an environment of its own: {EXTRA}"
        )
    if tuple(int(part) for part in numpy.split(".")[:2]) >= (1, 24):
        raise MissingFrameworkError(
            f"backend 'mxnet' needs NumPy 1.23, the last that MXNet knows, and this is NumPy {numpy}; "
            f"in an environment of its own: {EXTRA}"
        )
