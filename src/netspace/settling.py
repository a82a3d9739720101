"""What a study file leaves to the machine (`"auto"`): measured once when the study is made, read from its store since.

The settled study is the one that is stored, compared and trained: timing chooses, but it never changes numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from netspace.backends import get_backend
from netspace.errors import StudyFileError
from netspace.spaces.sample import Sample
from netspace.study_file import StudySpec
from netspace.training.data import Dataset
from netspace.training.recipe import AUTO, PRECISIONS
from netspace.training.trial import KERNELS, Trial


def as_settled(spec: StudySpec, stored: Mapping[str, Any]) -> StudySpec:
    """Return a study with its open choices as those of a stored identity."""
    found = {
        "precision": stored.get("recipe", {}).get("precision", PRECISIONS[0]),
        "kernels": stored.get("kernels", KERNELS[0]),
    }
    return _with(spec, found)


def measured(spec: StudySpec, samples: Sequence[Sample], data: Dataset) -> StudySpec:
    """Return a study with its open choices measured on this machine. Raises: StudyFileError without PyTorch."""
    if spec.backend != "torch":
        raise StudyFileError(
            f'"auto" is measured for backend "torch" only; for {spec.backend!r} write recipe.precision = "float32"'
        )
    get_backend("torch")  # a missing framework is one sentence
    from netspace.backends.torch_choice import fastest

    networks = [network for sample in samples for network in sample.networks]
    flops = np.concatenate([sample.complexity.flops for sample in samples])
    plain = _with(spec, {"precision": PRECISIONS[0], "kernels": KERNELS[0]})
    trials = [
        Trial(network=networks[i], recipe=plain.recipe, data=data.fingerprint, threads=spec.threads)
        for i in np.argsort(flops, kind="stable")
    ]
    precisions = PRECISIONS if spec.recipe.precision == AUTO else (spec.recipe.precision,)
    kernels = KERNELS if spec.kernels == AUTO else (spec.kernels,)
    precision, chosen = fastest(trials, data, precisions, kernels)
    return _with(spec, {"precision": precision, "kernels": chosen})


def check_machine(spec: StudySpec) -> None:
    """Check that this machine can compute as a settled study says. Raises: StudyFileError."""
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
