"""Which devices PyTorch finds here, and what it is told before it computes on one."""

import torch

from netspace.errors import InputError
from netspace.training.device import CPU

PROCESSOR = torch.device(CPU)


def found_devices() -> int:
    """Return how many CUDA devices this process sees."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def find_device(name: str) -> torch.device:
    """Return a trial's device. Raises: InputError where it is not there, with those that are.

    >>> find_device("cpu")
    device(type='cpu')
    """
    if name == CPU:
        return PROCESSOR
    number, found = int(name.partition(":")[2] or 0), found_devices()
    if found == 0:
        raise InputError(
            f"device (={name!r}) is not there: PyTorch finds no CUDA device on this machine; the nearest is 'cpu'"
        )
    if number >= found:
        there = "'cuda:0' only" if found == 1 else f"'cuda:0' to 'cuda:{found - 1}'"
        raise InputError(
            f"device (={name!r}) is not there: PyTorch finds {there} on this machine; the nearest is 'cuda:{found - 1}'"
        )
    return torch.device("cuda", number)


def begin_on(device: torch.device) -> None:
    """Have this process compute on a device, by the same operators whenever it does.

    On CUDA, "float32" is that of IEEE, never TF32, and cuDNN takes the operators that repeat their numbers, chosen
    without timing. These are settings of the whole process.
    """
    if device.type == "cuda":
        torch.cuda.set_device(device)
        torch.backends.cuda.matmul.fp32_precision = "ieee"
        torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False


def dropping_generator(device: torch.device) -> torch.Generator:
    """Return the generator from which dropout and stochastic depth draw on a device: PyTorch's own."""
    return torch.cuda.default_generators[device.index] if device.type == "cuda" else torch.default_generator
