"""A trial cut short: all that it needs to go on where it stopped, as files that are whole or not there.

A checkpoint is one safetensors file of a trial's folder: the arrays of the training, and in its header, as JSON, whose
they are, the learning curve and the time so far. Its name holds the digest of its content, so that whatever is torn or
changed is known for it; what cannot be used is set aside with a sentence, and the one before it, or a new beginning, is
taken. The last two are kept.
"""

import contextlib
import hashlib
import json
import re
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from netspace import values
from netspace.errors import CheckpointError, Stopped
from netspace.files import written_aside
from netspace.training.trial import EpochRecord, Trial

Arrays = dict[str, npt.NDArray[Any]]

CHECKPOINT_SECONDS = 60.0
"""How long a trial trains at least between two checkpoints [s], unless a study says otherwise."""
FORMAT = 1
KEPT = 2
_NAME = re.compile(r"epoch-(\d{6})\.([0-9a-f]{16})\.safetensors")


class State(Protocol):
    """All that training changes, as a backend knows it."""

    def arrays(self) -> Arrays:
        """Return it as named arrays. Raises: CheckpointError where it is not to be gone on with."""
        ...

    def restore(self, given: Mapping[str, npt.NDArray[Any]]) -> None:
        """Set it to named arrays. Raises: CheckpointError, before anything is set, where they are not its own."""
        ...


class Checkpoint:
    """The checkpoints of one trial, in a folder of its own.

    `versions` are those of what computes: numbers that others have computed are not gone on with. At the end of an
    epoch a checkpoint is written where `every` [s] have passed since the last, or where `stop` has been set. `resumed`
    is the curve until where the training goes on, once it does.
    """

    def __init__(
        self, folder: Path, trial: Trial, versions: Mapping[str, str], *, every: float = CHECKPOINT_SECONDS
    ) -> None:
        self._folder = folder
        self._owner = {"format": FORMAT, "trial": trial.id, "versions": dict(versions)}
        self._every = every
        self._last = time.monotonic()
        self.stop = False
        self.resumed: tuple[EpochRecord, ...] = ()

    def resume(self, state: State) -> tuple[list[EpochRecord], float]:
        """Set the state to the last checkpoint that is whole; return its curve and the time until then [s].

        Without one the state is left as it is, and the curve is empty.
        """
        for path in reversed(self._files()):
            try:
                arrays, curve, seconds = self._read(path)
                state.restore(arrays)
            except CheckpointError as problem:
                say(f"checkpoint {path.name} is set aside: {problem}")
                with contextlib.suppress(OSError):
                    path.replace(path.with_suffix(".aside"))
            else:
                say(f"goes on after epoch {len(curve)}, by checkpoint {path.name}")
                self.resumed = tuple(curve)
                return curve, seconds
        return [], 0.0

    def epoch_done(self, state: State, curve: Sequence[EpochRecord], seconds: float) -> None:
        """Write a checkpoint if it is time. Raises: Stopped where the trial is to end now.

        One that cannot or must not be written is told and costs nothing but what it would have saved.
        """
        if not self.stop and time.monotonic() - self._last < self._every:
            return
        try:
            self._write(state.arrays(), curve, seconds)
        except OSError as problem:
            say(f"no checkpoint could be written ({problem.strerror}); training goes on")
        except CheckpointError as problem:
            say(f"no checkpoint is written ({problem}); training goes on")
        self._last = time.monotonic()
        if self.stop:
            raise Stopped(f"stopped after epoch {len(curve)}")

    def _files(self) -> list[Path]:
        """Return the checkpoints that are there, the last one last."""
        try:
            return sorted(path for path in self._folder.iterdir() if _NAME.fullmatch(path.name))
        except OSError:
            return []

    def _write(self, arrays: Arrays, curve: Sequence[EpochRecord], seconds: float) -> None:
        told = self._owner | {"curve": values.to_dict(tuple(curve)), "seconds": seconds}
        whole = {name: np.asarray(array, order="C") for name, array in arrays.items()}
        content = save(whole, metadata={"netspace": json.dumps(told)})
        self._folder.mkdir(parents=True, exist_ok=True)
        with written_aside(self._folder / f"epoch-{len(curve):06d}.{content_name(content)}.safetensors") as file:
            file.write(content)
        for old in self._files()[:-KEPT]:
            old.unlink(missing_ok=True)

    def _read(self, path: Path) -> tuple[Arrays, list[EpochRecord], float]:
        """Return arrays, curve and time of a checkpoint. Raises: CheckpointError."""
        try:
            content = path.read_bytes()
        except OSError as problem:
            raise CheckpointError(f"it cannot be read ({problem.strerror})") from None
        if f".{content_name(content)}." not in path.name:
            raise CheckpointError("its content is not what was written (torn or changed)")
        try:
            length = int.from_bytes(content[:8], "little")
            told = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["netspace"])
            for field, expected in self._owner.items():
                if told[field] != expected:
                    raise CheckpointError(f"its {field} is {told[field]}, and this is {expected}")
            return load(content), [EpochRecord(**record) for record in told["curve"]], float(told["seconds"])
        except (ValueError, KeyError, TypeError, SafetensorError) as problem:
            if isinstance(problem, CheckpointError):
                raise
            raise CheckpointError(f"it is no checkpoint of a trial ({type(problem).__name__}: {problem})") from None


def content_name(content: bytes) -> str:
    """Return what the name of a file holds, so that its content is known to be whole."""
    return hashlib.sha256(content).hexdigest()[:16]


def say(sentence: str) -> None:
    """Say something in the log of the trial that this process trains."""
    with contextlib.suppress(OSError):
        print(f"netspace: {sentence}", file=sys.stderr, flush=True)
