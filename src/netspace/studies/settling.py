"""What a study file leaves to the machine (`"auto"`): measured once when the study is made, read from its store since.

The settled study is the one that is stored, compared and trained: timing chooses, but it never changes numbers.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from netspace.backends import get_backend
from netspace.errors import FallbackWarning, InputError, StudyFileError
from netspace.spaces.sample import Sample
from netspace.studies.spec import StudySpec
from netspace.training.data import Dataset
from netspace.training.device import CPU, MEASURED, kind
from netspace.training.recipe import AUTO, PRECISIONS
from netspace.training.trial import KERNELS, Trial


def as_settled(spec: StudySpec, stored: Mapping[str, Any]) -> StudySpec:
    """Return a study with its open choices as those of a stored identity."""
    found = {
        "precision": stored.get("recipe", {}).get("precision", PRECISIONS[0]),
        "kernels": stored.get("kernels", KERNELS[0]),
    }
    return _with(spec, found)


def measured(spec: StudySpec, samples: Sequence[Sample], data: Dataset) -> tuple[StudySpec, str | None]:
    """Return a study with its open choices measured on this machine, and what had to be left out, in a sentence.

    That is said as a `FallbackWarning`, too. Raises: StudyFileError for kernels that this machine lacks, and for
    another backend than PyTorch.
    """
    if spec.backend != "torch":
        raise StudyFileError(
            f'"auto" is measured for backend "torch" only; for {spec.backend!r} write recipe.precision = "float32"'
        )
    get_backend("torch")  # a missing framework is one sentence
    from netspace.backends import torch_native
    from netspace.backends.torch_choice import fastest

    check_machine(spec)
    if spec.device != CPU:
        from netspace.backends.torch_devices import find_device

        try:
            find_device(spec.device)
        except InputError as problem:
            raise StudyFileError(str(problem)) from None
    networks = [network for sample in samples for network in sample.networks]
    flops = np.concatenate([sample.complexity.flops for sample in samples])
    plain = _with(spec, {"precision": PRECISIONS[0], "kernels": KERNELS[0]})
    trials = [
        Trial(
            network=networks[i],
            recipe=plain.recipe,
            data=data.fingerprint,
            threads=spec.threads,
            device=spec.device,
        )
        for i in np.argsort(flops, kind="stable")
    ]
    precisions = PRECISIONS if spec.recipe.precision == AUTO else (spec.recipe.precision,)
    kernels = MEASURED[kind(spec.device)] if spec.kernels == AUTO else (spec.kernels,)
    missing = torch_native.missing_operators() if spec.kernels == AUTO and "native" in kernels else None
    if missing is not None:
        kernels = tuple(name for name in kernels if name != "native")
    precision, chosen = fastest(trials, data, precisions, kernels)
    note = None
    if missing is not None:
        note = f"kernels (=\"auto\"): {chosen!r} were taken, for 'native' cannot be had on this machine: {missing}"
        warnings.warn(note, FallbackWarning, stacklevel=2)
    return _with(spec, {"precision": precision, "kernels": chosen}), note


def check_machine(spec: StudySpec) -> None:
    """Check that this machine can compute as a settled study says; its device is looked for where its workers are.

    Raises: StudyFileError.
    """
    if spec.kernels == "native":
        from netspace.backends.torch_native import missing_operators

        missing = missing_operators()
        if missing is not None:
            raise StudyFileError(
                f"kernels (='native') cannot be had on this machine: {missing}; the nearest are 'blocked'"
            )


def _with(spec: StudySpec, found: Mapping[str, str]) -> StudySpec:
    precision = found["precision"] if spec.recipe.precision == AUTO else spec.recipe.precision
    kernels = found["kernels"] if spec.kernels == AUTO else spec.kernels
    return replace(spec, recipe=replace(spec.recipe, precision=precision), kernels=kernels)
