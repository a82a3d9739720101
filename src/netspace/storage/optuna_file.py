"""A store as a storage of Optuna, a study per space, through Optuna's own interface: its dashboard opens it.

What was drawn are the parameters of a trial, over the range in which they were drawn; the validation error is its
value and the learning curve its intermediate values. A network that diverged or failed is a failed trial; one that
waits is a waiting trial.
"""

import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy as sa
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from netspace.networks.complexity import MEASURES
from netspace.storage.rows import WAITING, drawn_names, whole
from netspace.storage.table_files import write_whole
from netspace.training.metrics import metric_name

_STATES = {"finished": TrialState.COMPLETE, WAITING: TrialState.WAITING}
_TOLD = ("position", "draw", "digest", *MEASURES, "status", "reason", "seconds", "images")


def write_optuna(columns: Mapping[str, list[Any]], about: Mapping[str, Any], path: Path) -> None:
    """Write a store's columns as an SQLite file of Optuna, made aside. Raises: InputError."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for cells in zip(*columns.values(), strict=True):
        row = dict(zip(columns, cells, strict=True))
        rows.setdefault(row["space"], []).append(row)
    names = drawn_names(columns)
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder) / "optuna.db"
            storage = optuna.storages.RDBStorage(f"sqlite:///{made}")
            sa.event.listen(storage.engine, "connect", _without_waiting_for_the_disk)
            storage.engine.dispose()  # connections made before that
            for space, networks in rows.items():
                study = optuna.create_study(storage=storage, study_name=space, direction="minimize")
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                    study.set_metric_names([metric_name(about["metric"])])
                for name in ("study_name", "data_fingerprint", "netspace_version"):
                    study.set_user_attr(name, about[name])
                distributions = {name: _distribution([row[name] for row in networks]) for name in names}
                study.add_trials([_trial(row, distributions) for row in networks])
            storage.engine.dispose()
            content = made.read_bytes()
    finally:
        optuna.logging.set_verbosity(verbosity)
    write_whole(content, path)


def _distribution(column: list[Any]) -> BaseDistribution | None:
    given = whole([value for value in column if value is not None])
    if not given:
        return None
    kind = IntDistribution if isinstance(given[0], int) else FloatDistribution
    return kind(min(given), max(given))


def _trial(row: Mapping[str, Any], distributions: Mapping[str, BaseDistribution | None]) -> FrozenTrial:
    known = {name: kind for name, kind in distributions.items() if kind is not None and row[name] is not None}
    curve = zip(row["curve_epoch"] or (), row["curve_validation_error"] or (), strict=True)
    return create_trial(
        state=_STATES.get(row["status"], TrialState.FAIL),
        value=row["error"],
        params={
            name: int(row[name]) if isinstance(kind, IntDistribution) else float(row[name])
            for name, kind in known.items()
        },
        distributions=known,
        user_attrs={name: row[name] for name in _TOLD if row[name] is not None},
        intermediate_values={epoch: error for epoch, error in curve if error is not None},
    )


def _without_waiting_for_the_disk(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA synchronous=OFF")  # the whole file is written again at the end
