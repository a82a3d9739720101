"""One network's training in a folder of its own: declared, gone on with after a kill, tested once, described.

training.json              which training the folder is of; another one is refused
checkpoints/               what it takes to go on, until the network is there
curves.html                loss and error by epoch, drawn while it trains
test.json                  what the test split said, from the one time that it was touched
network.json and others    the network, once it is finished (`backends/checkpoints.py`)
card.md, card.json         what it is and what it is worth (`report/model_card.py`)
"""

import fcntl
import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from netspace import __version__, single, values
from netspace.backends import get_backend
from netspace.backends.checkpoints import SPEC_FILE
from netspace.backends.conversion import load_network, save_network
from netspace.backends.given_weights import Beginning
from netspace.backends.inference import InferenceSetting
from netspace.backends.record import ImageFormat, as_json, load_record, read_json
from netspace.errors import CheckpointError, NetspaceError
from netspace.files import written_aside
from netspace.machine import processor, usable_cores
from netspace.networks.zoo import name_of
from netspace.single import Trained
from netspace.training.checkpoint import CHECKPOINT_SECONDS, Checkpoint
from netspace.training.data import Dataset
from netspace.training.metrics import Judged
from netspace.training.rank import Rank
from netspace.training.trial import EpochRecord, Trial

DECLARATION, TEST, CARD, FACTS, CURVES = "training.json", "test.json", "card.md", "card.json", "curves.html"
CHECKPOINTS = "checkpoints"
DRAWN_EVERY = 10.0
"""Epochs that are shorter are not all drawn [s]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """Which training a folder is of; `weights` is the digest of those that it began from, None for fresh ones."""

    trial_id: str
    trial: dict[str, Any]
    images: dict[str, Any]
    weights: str | None = None

    @classmethod
    def of(cls, trial: Trial, data: Dataset, begun: Beginning | None) -> "Declaration":
        """Return the declaration of a trial; the name of its data, which may be a path, is left out."""
        choice = {name: value for name, value in values.to_dict(data.choice).items() if name != "name"}
        images = choice | {"kind": data.name.partition(":")[0], "resolution": data.resolution}
        weights = None if begun is None else begun.digest
        return cls(trial_id=trial.id, trial=values.to_dict(trial), images=images, weights=weights)


def check_room(folder: Path) -> None:
    """Check, before data are read, that a folder is free or a training's. Raises: CheckpointError."""
    if folder.exists() and not folder.is_dir():
        raise CheckpointError(f"--output {str(folder)!r} cannot be made a folder (File exists)")
    if (folder / SPEC_FILE).exists() and not (folder / DECLARATION).exists():
        raise CheckpointError(f"--output {str(folder)!r} holds a network already; move it, or choose another folder")


def train_final(
    folder: Path,
    trial: Trial,
    data: Dataset,
    *,
    rank: Rank = Rank(),
    test: bool = False,
    begun: Beginning | None = None,
    origin: Mapping[str, Any] | None = None,
    on_epoch: Callable[[EpochRecord], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    every: float = CHECKPOINT_SECONDS,
) -> Trained:
    """Train a network as `single.train_network` does, in a folder; call it again after a kill, and it goes on.

    A training that is finished is read, and nothing is trained. The test split is judged if `test`, unless it was
    before. `every` [s] a checkpoint is written, and at the end of the epoch in which `should_stop` begins to be true;
    only PyTorch's trainings by one process have any, others begin again. Of several processes the first has the folder.

    Raises: CheckpointError where the folder is of another training, by the first difference, another command is in it
    or it cannot be written; Stopped; what `single.train_network` does.
    """
    if test:
        single.check_test(trial, data)
    weights = None if begun is None else begun.arrays
    if rank.number:
        if (folder / SPEC_FILE).exists():
            return _read(folder, trial)
        return single.train_network(trial, data, rank=rank, weights=weights, on_epoch=on_epoch)
    with _held(folder):
        _declare(folder, Declaration.of(trial, data, begun))
        if (folder / SPEC_FILE).exists():
            done = _read(folder, trial)
            if test and done.test is None:
                get_backend(trial.backend).take_threads(trial.threads)
                done = replace(done, test=_test(folder, done, data))
                (folder / CARD).unlink(missing_ok=True)
        else:
            checkpoint = None
            if trial.backend == "torch" and rank.of == 1:
                checkpoint = Checkpoint(folder / CHECKPOINTS, trial, _computing(trial.backend), every=every)
            seen = _Curves(folder, trial, checkpoint)

            def each(record: EpochRecord) -> None:
                seen.add(record)
                if on_epoch is not None:
                    on_epoch(record)
                if checkpoint is not None:
                    checkpoint.stop = should_stop()

            done = single.train_network(trial, data, rank=rank, weights=weights, on_epoch=each, checkpoint=checkpoint)
            seen.draw(done.result.curve, ended=done.result.reason or "finished")
            if done.result.error is None:
                return done
            # Saved first: the network that the test split has judged must not be trained again.
            save_network(done.network, folder, recipe=trial.recipe, result=done.result, images=ImageFormat.of(data))
            shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
            judged = _judged(folder)
            if judged is not None or test:
                done = replace(done, test=judged or _test(folder, done, data), test_before=judged is not None)
        if not (folder / CARD).exists():
            _describe(folder, done, data, begun, origin)
        return done


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Make a folder and keep other commands out of it until the end of the block. Raises: CheckpointError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY)
    except OSError as problem:
        raise CheckpointError(f"--output {str(folder)!r} cannot be made a folder ({problem.strerror})") from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CheckpointError(
                f"--output {str(folder)!r} is being written by another command; wait for it or stop it"
            ) from None
        yield
    finally:
        os.close(lock)


def _declare(folder: Path, now: Declaration) -> None:
    """Write which training a folder is of. Raises: CheckpointError where something of another one is in it."""
    path = folder / DECLARATION
    if path.exists():
        before = values.from_dict(Declaration, read_json(path), where=str(path), error=CheckpointError)
        if (before.trial_id, before.weights) == (now.trial_id, now.weights):
            return
        if any((folder / name).exists() for name in (CHECKPOINTS, TEST, SPEC_FILE)):
            raise CheckpointError(
                f"--output {str(folder)!r} holds another training: {_difference(before, now)}; "
                "say the same, or choose another folder"
            )
    elif (folder / SPEC_FILE).exists():
        check_room(folder)
    _write(path, as_json(now))


def _difference(before: Declaration, now: Declaration) -> str:
    for part in ("images", "weights", "trial"):
        found = values.first_difference(getattr(before, part), getattr(now, part), part)
        if found is not None:
            field, was, is_now = found
            names = {
                "weights": "the digest of the weights that it begins from",
                "trial.data": "the images' fingerprint",
            }
            return f"{names.get(field, field.removeprefix('trial.'))} was {was} and is {is_now}"
    return f"its trial was {before.trial_id} and is {now.trial_id}"


def _read(folder: Path, trial: Trial) -> Trained:
    """Return what a folder holds of a finished training. Raises: CheckpointError."""
    result = load_record(folder).result
    if result is None:
        raise CheckpointError(
            f"--output {str(folder)!r} holds a network without its result.json; choose another folder"
        )
    test = _judged(folder)
    network = load_network(folder, trial.backend)
    return Trained(network=network, trial=trial, result=result, test=test, before=True, test_before=test is not None)


def _judged(folder: Path) -> Judged | None:
    """Return what the test split said when it was touched; None where it was not."""
    path = folder / TEST
    return values.from_dict(Judged, read_json(path), where=str(path), error=CheckpointError) if path.exists() else None


def _test(folder: Path, done: Trained, data: Dataset) -> Judged:
    """Judge a network on the test split, and write down at once that it was."""
    found = single.judge(done.network, done.trial, data)
    _write(folder / TEST, as_json(found))
    return found


def _describe(
    folder: Path, done: Trained, data: Dataset, begun: Beginning | None, origin: Mapping[str, Any] | None
) -> None:
    """Write the card and its facts."""
    from netspace.report.model_card import card, facts  # SciPy

    told = facts(
        done.trial,
        done.result,
        data,
        test=done.test,
        versions={"netspace": __version__, **_computing(done.trial.backend)},
        latency=_latency(done.trial, data.resolution),
        began=() if begun is None else begun.notes,
        origin=origin,
    )
    _write(folder / FACTS, (json.dumps(told, indent=2) + "\n").encode())
    _write(folder / CARD, card(told).encode())


def _computing(backend: str) -> dict[str, str]:
    """Return the versions of what computes."""
    return {"python": platform.python_version(), "numpy": np.__version__, **get_backend(backend).versions()}


def _latency(trial: Trial, resolution: int) -> dict[str, Any] | str:
    """Return the latency of a network here, or why it is not known."""
    try:
        get_backend("torch")  # a missing framework is one sentence
        from netspace.backends.torch_latency import LatencyMeter

        threads = min(trial.threads, usable_cores())
        setting = InferenceSetting(threads=threads, fused=True, resolution=resolution)
        median, noise = LatencyMeter(setting=setting)(trial.network)
    except NetspaceError as problem:
        return str(problem)
    where = {"machine": processor(), "cores": usable_cores(), "threads": threads}
    return {"median_ms": median, "noise_ms": noise, **where}


class _Curves:
    """The page of a training, drawn anew as its epochs end."""

    def __init__(self, folder: Path, trial: Trial, checkpoint: Checkpoint | None) -> None:
        self._folder, self._trial, self._checkpoint = folder, trial, checkpoint
        self._curve: list[EpochRecord] = []
        self._drawn = 0.0
        if not (folder / CHECKPOINTS).exists():  # now, before the training's time begins
            self.draw(())

    def add(self, record: EpochRecord) -> None:
        """Draw one more epoch, unless the last drawing is hardly older."""
        if not self._curve and self._checkpoint is not None:
            self._curve += self._checkpoint.resumed
        self._curve.append(record)
        if time.monotonic() - self._drawn >= DRAWN_EVERY:
            self.draw(self._curve)

    def draw(self, curve: Sequence[EpochRecord], *, ended: str | None = None) -> None:
        """Write the page, and how the training `ended`, once it has.

        Where that cannot be, say so: it is no reason to train no more.
        """
        from netspace.report.training_page import render_training  # matplotlib

        recipe, network = self._trial.recipe, self._trial.network
        page = render_training(
            curve,
            title=name_of(network) or f"Network {network.digest[:8]}",
            lead=f"{recipe.epochs} epochs by {self._trial.backend}, seed {self._trial.seed}; "
            + (f"{ended}." if ended else "in training: this page loads itself again."),
            epochs=recipe.epochs,
            metric=recipe.metric,
            finished=ended is not None,
        )
        try:
            with written_aside(self._folder / CURVES) as file:
                file.write(page.encode())
        except OSError as problem:
            print(f"netspace: {CURVES} cannot be drawn ({problem.strerror}); training goes on", file=sys.stderr)
        self._drawn = time.monotonic()


def _write(path: Path, content: bytes) -> None:
    try:
        with written_aside(path) as file:
            file.write(content)
    except OSError as problem:
        raise CheckpointError(f"{str(path)!r} cannot be written ({problem.strerror})") from None
