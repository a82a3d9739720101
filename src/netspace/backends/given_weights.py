"""Weights that a training begins from: of a folder or a published file, fitted to other classes and channels.

All tensors are matched by name and shape. Only two may differ, because they belong to the data: the classifier, which
is drawn anew where other classes are told apart, and the stem, whose weights are spread over other channels.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from netspace import values
from netspace.backends import get_backend, needed_by
from netspace.backends.checkpoints import Arrays, check_tensors, read_network
from netspace.backends.record import load_record
from netspace.errors import CheckpointError
from netspace.networks.spec import NetworkSpec
from netspace.networks.zoo import essence
from netspace.training.trial import Trial

STEM, HEAD = "stem.conv.weight", ("head.linear.weight", "head.linear.bias")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GivenWeights:
    """A trained network as its file or folder holds it; `class_names` are None where it does not say them."""

    source: str
    spec: NetworkSpec
    arrays: Arrays
    class_names: tuple[str, ...] | None = None

    @property
    def digest(self) -> str:
        """32 hexadecimal digits of SHA-256 over names, shapes and bytes of all tensors."""
        found = hashlib.sha256()
        for name in sorted(self.arrays):
            array = np.ascontiguousarray(self.arrays[name])
            found.update(f"{name} {array.dtype} {array.shape} ".encode() + array.tobytes())
        return found.hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Beginning:
    """What a training begins from: all tensors of its network, the digest of those given, and what was changed."""

    arrays: Arrays
    digest: str
    notes: tuple[str, ...]


def read_given(source: Path, backend: str = "torch") -> GivenWeights:
    """Return the weights of a folder that `netspace.save` wrote, or of a published file. Raises: CheckpointError."""
    if not source.exists():
        raise CheckpointError(f"--weights {str(source)!r}: there is no such folder or file")
    if source.is_dir():
        spec, arrays = read_network(source, get_backend(backend).types)
        images = load_record(source).images
        names = None if images is None else images.class_names
        return GivenWeights(source=str(source), spec=spec, arrays=arrays, class_names=names)
    with needed_by("reading published weights", extra="torch"):
        from netspace.backends.published import load_checkpoint
    network = load_checkpoint(source)
    return GivenWeights(source=str(source), spec=network.spec, arrays=get_backend("torch").arrays(network))


def beginning(given: GivenWeights, trial: Trial, class_names: Sequence[str]) -> Beginning:
    """Return what a trial's network begins from, for these classes; what is not given is drawn from the trial's seed.

    Raises: CheckpointError where the weights are another network's, by the first number in which the two differ.
    """
    spec = trial.network
    other = values.first_difference(essence(given.spec).to_dict(), essence(spec).to_dict())
    if other is not None:
        field, there, here = other
        raise CheckpointError(
            f"--weights {given.source!r}: the weights of another network: {field} is {there} there and {here} here; "
            "give the network that they belong to, which is in the folder or file itself"
        )
    trainer = get_backend(trial.backend)
    fresh = trainer.arrays(trainer.build(spec, seed=trial.stream_seed("initialisation")))
    arrays, notes = dict(given.arrays), [f"it begins from given weights, of digest {given.digest}"]
    had, classes = given.spec.num_classes, len(class_names)
    if had != classes or given.class_names not in (None, tuple(class_names)):
        arrays |= {name: fresh[name] for name in HEAD if name in fresh}
        before = f"{had}" if had != classes else "others by name"
        notes.append(f"the classifier is new, for the classes are others: {classes} here, {before} there")
    elif given.class_names is None:
        notes.append(f"the classifier is kept, for there are {classes} classes on both sides; theirs are not named")
    if given.spec.in_channels != spec.in_channels:
        arrays[STEM] = for_channels(arrays[STEM], spec.in_channels)
        notes.append(f"the stem's weights are fitted from {given.spec.in_channels} to {spec.in_channels} channels")
    notes.append("images are normalised by the mean and deviation of these data, not by those of the weights")
    check_tensors(arrays, fresh, source=given.source)
    return Beginning(arrays=arrays, digest=given.digest, notes=tuple(notes))


def for_channels(stem: npt.NDArray[Any], in_channels: int) -> npt.NDArray[Any]:
    """Return the stem's weights (width, channels, height, width) for another number of channels.

    One channel takes the sum; more take the given ones in turn, each divided by how often it is taken, so that an
    image whose channels are repeated in the same way has the same logits. Raises: CheckpointError for fewer.
    """
    had = stem.shape[1]
    if in_channels == 1:
        return np.asarray(stem.sum(1, keepdims=True))
    if in_channels < had:
        raise CheckpointError(f"in_channels (={in_channels}) must be 1 or at least the {had} of the weights")
    taken = np.arange(in_channels) % had
    return np.asarray(stem[:, taken] / np.bincount(taken)[taken][:, None, None], stem.dtype)
