"""Anyone's results as populations: a table of parameters, complexity and errors, ours or of a publication.

A column of errors in [0, 1] is needed; what else it holds is told, never guessed. An empty error is a failed
network. `space` parts the rows into populations, `status` says what became of each, flops, params and activations
are its complexity; every other column of numbers is a parameter, and columns of anything else are left aside.

The release of Radosavovic et al. 2019 (github.com/facebookresearch/nds) is known by its fields: a list of jobs with
`net` (`ds`, `ws`, `ss`, `bot_muls`, `num_gs`: a number per stage), `optim`, `flops`, `params` and, in percent,
`min_test_top1` (which the paper judges by) and `test_ep_top1` (per epoch).
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from netspace.errors import InputError, did_you_mean
from netspace.networks.complexity import MEASURES
from netspace.storage.outcomes import FloatArray, Outcomes
from netspace.storage.population import Population
from netspace.storage.rows import PLANNED_LOOKS, STAGE, STUDY_RUNG, WAITING, is_store_table, populations_of
from netspace.storage.table_files import read_columns

STATUSES = ("finished", "diverged", "failed", WAITING)
_NDS = ("min_test_top1", "test_ep_top1", "flops", "params")
_NDS_RUN = ("net.", "optim.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorColumn:
    """Which column says how wrong a network is: by name, as accuracy instead, in percent instead of a share.

    A cell that is a list holds a number per epoch, of which the last one counts.
    """

    name: str = "error"
    accuracy: bool = False
    percent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The populations of a file, and in one sentence what was taken for what.

    `planned_looks` holds `networks` and `comparison` of a study that plans its looks, at which alone it may be judged;
    `rung` is which one of another study it is, as plain data, where the rows name it.
    """

    populations: tuple[Population, ...] | tuple[Outcomes, ...]
    told: str
    planned_looks: Mapping[str, Any] | None = None
    rung: Mapping[str, Any] | None = None

    of_study: bool = False
    """Whether a study wrote it, by an export or beside a page: then rows that name no rung are of the first."""


def read_results(path: Path, column: ErrorColumn | None = None) -> Reading:
    """Return the populations of a table, named by its `space` column, else by the file.

    `column` is needed where the errors are not in [0, 1] in a column `error`. Two layouts say it themselves, beside
    other tables too: an export of a store, whose networks come with their specs, and the release of Radosavovic et
    al., of which `column` may name another field.
    Raises: InputError, one sentence with file, column, row and rule.
    """
    columns, _ = read_columns(path)
    of_study = "digest" in columns
    try:
        plan, rung = _planned_looks(columns), _mark(columns, STUDY_RUNG)
        if is_store_table(columns):
            found = populations_of(columns)
            told = f"{path}: {_counted(found)}, an export of a store"
            return Reading(populations=found, told=told, planned_looks=plan, rung=rung, of_study=of_study)
        if plan is not None:
            raise InputError(
                f"{PLANNED_LOOKS}: a study that plans its looks is judged at these alone, which takes all columns of "
                "`netspace store export`, and its rows in their order"
            )
        if {*_NDS, "net.ds"} <= columns.keys() or {*_NDS, "net.depth"} <= columns.keys():
            if column is None or column.name not in columns:
                column = ErrorColumn(name="min_test_top1", percent=True)
            columns = _nds_columns(columns, column.name)
        columns = {name: cells for name, cells in columns.items() if name != STUDY_RUNG}
        return replace(_read(path, columns, column or ErrorColumn()), rung=rung, of_study=of_study)
    except InputError as problem:
        raise InputError(f"file {str(path)!r}: {problem}") from None


def _read(path: Path, columns: dict[str, list[Any]], column: ErrorColumn) -> Reading:
    kept = {name: cells for name, cells in columns.items() if name not in ("space", "status", column.name)}
    lists = {f"{field}s" for field in STAGE} if "digest" in columns else set()  # a page's: "2, 1", and "2" of one stage
    errors = _errors(columns, column)
    complexity = {name: _measure(name, kept.pop(name)) for name in MEASURES if name in kept}
    numbers = {name: _parameter(name, cells) for name, cells in kept.items() if name not in lists}
    parameters = {name: found for name, found in numbers.items() if found is not None}
    by_space: dict[str, list[int]] = {}
    for row, (space, error) in enumerate(zip(columns.get("space", [path.stem] * len(errors)), errors, strict=True)):
        if space is None or str(space).strip() == "":
            raise InputError(f"space of row {row + 1} is empty; name the population of every row, or leave it out")
        if not math.isnan(error):  # waits to be trained
            by_space.setdefault(str(space), []).append(row)
    if not by_space:
        raise InputError("no network has a result; all of them wait")
    outcomes = tuple(
        Outcomes(
            name=space,
            errors=errors[rows],
            complexity={name: numbers[rows] for name, numbers in complexity.items()},
            parameters={name: numbers[rows] for name, numbers in parameters.items()},
        )
        for space, rows in by_space.items()
    )
    aside = [name for name in kept if name not in parameters]
    unit = " in percent" if column.percent else ""
    told = (
        f"{path}: {_counted(outcomes)}; error from {'accuracy ' if column.accuracy else ''}{column.name!r}{unit}; "
        f"parameters: {_listed(parameters)}; left aside, as no numbers: {_listed(aside)}"
    )
    return Reading(populations=outcomes, told=told)


def _planned_looks(columns: Mapping[str, list[Any]]) -> Mapping[str, Any] | None:
    """Return the plan that every row names; None where none does."""
    plan = _mark(columns, PLANNED_LOOKS)
    if plan is None:
        return None
    networks, comparison = plan.get("networks"), plan.get("comparison")
    if not isinstance(comparison, dict):
        raise InputError(f"{PLANNED_LOOKS} must hold the same plan in every row; export the store again")
    if type(networks) is not int:
        raise InputError(f"{PLANNED_LOOKS}: networks (={networks!r}) must be a whole number; export the store again")
    return {"networks": networks, "comparison": comparison}


def _mark(columns: Mapping[str, list[Any]], name: str) -> dict[str, Any] | None:
    """Return what a column says of the study in every row; None where it says nothing."""
    cells = columns.get(name, [None])
    try:
        (one,) = set(cells)
        return None if one is None else dict(json.loads(one))
    except (TypeError, ValueError):
        what = "plan" if name == PLANNED_LOOKS else "rung"
        raise InputError(f"{name} must hold the same {what} in every row; export the store again") from None


def _errors(columns: Mapping[str, list[Any]], column: ErrorColumn) -> FloatArray:
    """Return an error per row: infinite for a failure, NaN for a network that waits."""
    if column.name not in columns:
        raise InputError(
            f"there is no column {column.name!r}{did_you_mean(column.name, columns)}; "
            "name it by --error-column or --accuracy-column"
        )
    most = 100.0 if column.percent else 1.0
    statuses = columns.get("status", [None] * len(columns[column.name]))
    errors = []
    for row, (cell, status) in enumerate(zip(columns[column.name], statuses, strict=True), start=1):
        if status is not None and status not in STATUSES:
            raise InputError(f"status of row {row} (={status!r}) is unknown{did_you_mean(str(status), STATUSES)}")
        given = cell[-1] if isinstance(cell, list) and cell else cell
        if given in (None, []):
            if status == "finished":
                raise InputError(f"{column.name} of row {row} is empty, but its status is 'finished'")
            errors.append(math.nan if status == WAITING else math.inf)
            continue
        if status not in (None, "finished"):
            raise InputError(f"{column.name} of row {row} (={given!r}) must be empty: its status is {status!r}")
        value = _number(given)
        if value is None or not 0.0 <= value <= most:
            over = value is not None and 1.0 < value <= 100.0 and not column.percent
            rule = f"must be a number from 0 to {most:g}, or empty for a network that failed"
            hint = "; if the column is in percent, add --percent" if over else ""
            raise InputError(f"{column.name} of row {row} (={given!r}) {rule}{hint}")
        share = (most - value if column.accuracy else value) / most
        errors.append(share)
    return np.array(errors, dtype=np.float64)


def _measure(name: str, cells: Sequence[Any]) -> FloatArray:
    numbers = []
    for row, cell in enumerate(cells, start=1):
        value = _number(cell)
        if value is None or not math.isfinite(value) or value < 0.0:
            given = "empty" if cell is None else f"(={cell!r})"
            raise InputError(
                f"{name} of row {row} {given} must be a finite number of at least 0; give one for every network, "
                "or leave the column out"
            )
        numbers.append(value)
    return np.array(numbers, dtype=np.float64)


def _parameter(name: str, cells: Sequence[Any]) -> FloatArray | None:
    """Return a column of numbers, NaN where a cell is empty; None for a column whose first value is no number."""
    first = next((cell for cell in cells if cell is not None), None)
    if _number(first) is None:
        return None
    numbers = []
    for row, cell in enumerate(cells, start=1):
        value = math.nan if cell is None else _number(cell)
        if value is None or (cell is not None and not math.isfinite(value)):
            raise InputError(
                f"{name} of row {row} (={cell!r}) must be a finite number, as its first value is, or empty for a "
                "network without it; leave the column out if it is no parameter"
            )
        numbers.append(value)
    return np.array(numbers, dtype=np.float64)


def _number(cell: Any) -> float | None:
    """Return a cell as a number; None where it is none."""
    if isinstance(cell, bool) or not isinstance(cell, int | float | str):
        return None
    try:
        return None if isinstance(cell, str) and "_" in cell else float(cell)
    except ValueError:
        return None
    except OverflowError:
        return math.inf


def _nds_columns(columns: Mapping[str, list[Any]], error: str) -> dict[str, list[Any]]:
    """Return what decides a job of the release, and what came out: a column per number of a stage.

    Other measurements of the job (times, curves, errors of another kind) are no parameters of its network.
    """
    kept = {name: columns[name] for name in ("space", *MEASURES, error) if name in columns}
    for name, cells in columns.items():
        if name.startswith(_NDS_RUN):
            plain = name.partition(".")[2]
            stages = max((len(cell) for cell in cells if isinstance(cell, list)), default=0)
            kept |= {f"{plain}[{i}]": [_item(cell, i) for cell in cells] for i in range(stages)}
            kept |= {} if stages else {plain: cells}
    return kept


def _item(cell: Any, i: int) -> Any:
    return cell[i] if isinstance(cell, list) and i < len(cell) else None


def _counted(populations: Sequence[Population | Outcomes]) -> str:
    return ", ".join(f"{len(one)} {'network' if len(one) == 1 else 'networks'} of {one.name}" for one in populations)


def _listed(names: Any) -> str:
    return ", ".join(names) or "none"
