"""The weights that a trial ended with, kept for one that begins from them: a safetensors file, whole or not there.

Its name holds the trial and the digest of its content, so that what is torn or changed is known for it.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from netspace.errors import CheckpointError
from netspace.files import written_aside
from netspace.training.checkpoint import Arrays, content_name, say

SUFFIX = ".safetensors"


def keep_weights(folder: Path, trial: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write the weights of a trial, in place of what an attempt before it left.

    Those that cannot be written are told in the trial's log: its result is right without them, and whoever begins from
    them says that they are gone.
    """
    content = save({name: np.asarray(array, order="C") for name, array in arrays.items()})
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{trial}.{content_name(content)}{SUFFIX}"
        with written_aside(path) as file:
            file.write(content)
        for before in folder.glob(f"{trial}.*{SUFFIX}"):
            if before != path:
                before.unlink(missing_ok=True)
    except OSError as problem:
        say(f"no weights could be kept for the next rung ({problem.strerror})")


def kept_weights(folder: Path, trial: str) -> Arrays:
    """Return the weights of a trial. Raises: CheckpointError where they are gone, torn or changed."""
    try:
        path = next(folder.glob(f"{trial}.*{SUFFIX}"))
        content = path.read_bytes()
    except (StopIteration, FileNotFoundError):
        raise CheckpointError(
            f"the weights of trial {trial}, from which this one begins, are not in {folder.name}/ (a training that "
            "diverged or failed leaves none)"
        ) from None
    except OSError as problem:
        raise CheckpointError(
            f"the weights of trial {trial}, from which this one begins, cannot be read from {folder.name}/ "
            f"({problem.strerror})"
        ) from None
    try:
        if f".{content_name(content)}." not in path.name:
            raise ValueError
        return load(content)
    except (ValueError, SafetensorError):
        raise CheckpointError(
            f"the weights of trial {trial}, from which this one begins, are not what was written (torn or changed): "
            f"{folder.name}/{path.name}"
        ) from None


def trials_kept(folder: Path) -> set[str]:
    """Return the trials whose weights are there."""
    return {path.name.partition(".")[0] for path in folder.glob(f"*{SUFFIX}")}


def forget_weights(folder: Path, trials: Iterable[str]) -> None:
    """Remove the weights of trials."""
    gone = set(trials)
    for path in folder.glob(f"*{SUFFIX}"):
        if path.name.partition(".")[0] in gone:
            path.unlink(missing_ok=True)


def weights_size(folder: Path) -> int:
    """Return what is kept [bytes]."""
    return sum(path.stat().st_size for path in folder.glob(f"*{SUFFIX}"))
