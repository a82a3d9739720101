"""Where a trial computes: on the processor, or on a CUDA device; and what goes together there."""

import re

from netspace.errors import InputError

CPU = "cpu"
_NAME = re.compile(r"cpu|cuda(:(0|[1-9]\d*))?")

MEASURED = {"cpu": ("torch", "blocked", "native"), "cuda": ("torch", "contiguous")}
"""The kernels among which "auto" measures, by kind of device; the first are the plain ones."""


def kind(device: str) -> str:
    """Return the kind of a device.

    >>> kind("cpu"), kind("cuda:1")
    ('cpu', 'cuda')
    """
    return device.partition(":")[0]


def check_device(device: object, *, backend: str, kernels: str = "torch", processes: int = 1) -> None:
    """Check the field `device` of a trial or a study, and that the others can be had there. Raises: InputError.

    Whether the machine has such a device is another question.

    >>> check_device("cuda:1", backend="torch")
    >>> check_device("gpu", backend="torch")
    Traceback (most recent call last):
    netspace.errors.InputError: device (='gpu') must be "cpu", "cuda", or one of several by its number, such as "cuda:0"
    """
    if not isinstance(device, str) or not _NAME.fullmatch(device):
        raise InputError(
            f'device (={device!r}) must be "cpu", "cuda", or one of several by its number, such as "cuda:0"'
        )
    if device == CPU:
        return
    if backend != "torch":
        raise InputError(f"device (={device!r}) must be 'cpu' for backend {backend!r}; backend 'torch' trains on CUDA")
    if kernels not in (*MEASURED["cuda"], "auto"):
        raise InputError(
            f"kernels (={kernels!r}) are the processor's, and on device {device!r} they must be 'torch' or 'contiguous'"
        )
    if processes > 1:
        raise InputError(
            f"device (={device!r}) must be 'cpu' where {processes} processes train one network; the nearest is one "
            "process on that device"
        )
