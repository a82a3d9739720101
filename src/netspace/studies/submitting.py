"""A study as jobs: its store is prepared here, and each job trains a part of the networks that have no result yet."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netspace.errors import InputError
from netspace.execution.slurm import Resources, check_submission, submit
from netspace.storage.place import check_shareable
from netspace.storage.postgresql import PostgresSchema
from netspace.storage.store import Store
from netspace.studies.launching import in_order
from netspace.studies.parts import Part
from netspace.studies.preparing import Drawn
from netspace.studies.rungs import rungs_of
from netspace.studies.study import Study
from netspace.training.device import CPU


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """The parts that still have networks to train, and submitit's job for each; `folder` has their logs."""

    parts: tuple[Part, ...]
    jobs: tuple[Any, ...]
    folder: Path


def submit_study(
    study: Study,
    study_file: Path,
    *,
    jobs: int,
    resources: Resources,
    local: bool,
    grace: float,
    data_dir: Path | None = None,
    allow_download: bool = False,
) -> Submission:
    """Prepare the store of a study and its checks, and submit those of so many parts in which a network has no result.

    A job has a worker for every `threads` of its cores. Its study file, output folder and data have to be where they
    are here.
    Raises: as `Study.draw` and `Study.prepare`; StoreError for a store that takes one writer only, or a URL with a
    password; InputError for more jobs than networks; MissingFrameworkError; ExecutionError.
    """
    check_shareable(study.place)
    assert isinstance(study.place, PostgresSchema)
    address = study.place.address()
    folder = study.folder / "jobs"
    check_submission(folder, local=local)
    rungs_of(study)  # which may not grow
    left: set[int] = set()
    for one in (study, *study.checks().values()):
        drawn = one.draw(data_dir=data_dir, allow_download=allow_download)
        if one is study:
            _check_number(jobs, drawn)
        one.prepare(drawn)
        left |= _left(one, drawn, jobs)
    parts = tuple(Part(number=number, of=jobs) for number in sorted(left))
    options: Mapping[str, object] = {
        "store": address,
        "output": study.folder.absolute(),
        "executor": "local",
        "workers": max(1, resources.cpus // study.spec.threads) if study.spec.device == CPU else "auto",
        "grace": f"{grace:g}",
    }
    if data_dir is not None:
        options = {**options, "data-dir": data_dir.absolute()}
    words = [sys.executable, "-m", "netspace", "run", str(study_file.absolute())]
    words += [f"--{name}={value}" for name, value in options.items()] + ["--download"] * allow_download
    commands = [[*words, f"--part={part}"] for part in parts]
    begun = submit(commands, folder, resources, grace=grace, local=local) if commands else []
    return Submission(parts=parts, jobs=tuple(begun), folder=folder)


def _check_number(jobs: int, drawn: Drawn) -> None:
    networks = len(in_order(drawn.trials.values()))
    if not 1 <= jobs <= networks:
        nearest = min(max(jobs, 1), networks)
        raise InputError(f"jobs (={jobs}) must be from 1 to {networks}, the study's networks; the nearest is {nearest}")


def _left(study: Study, drawn: Drawn, jobs: int) -> set[int]:
    """Return the numbers of the parts in which a network has no result."""
    with Store.open(study.place) as store:
        finished = store.finished()
    trials = in_order(drawn.trials.values())
    parts = (Part(number=number, of=jobs) for number in range(1, jobs + 1))
    return {part.number for part in parts if any(trial.id not in finished for trial in part.among(trials))}
