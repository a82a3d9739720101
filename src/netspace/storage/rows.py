"""A store as a table of one row per network, and the populations of such a table.

Columns: `space`, `position`, `draw` (the number of the raw draw), `digest`, `trial`, the three measures of
complexity; `status` (also "waiting"), `error`, `seconds`, `images`, `reason`; what was drawn (`depth[0]`,
`width_slope`), and what that became (`realised_width[0]`, after widths were adjusted to group widths); `versions` of
what trained it; the learning curve as four lists; `spec`. No number in it is NaN or infinite. A study that plans its
looks has the plan in every row, `planned_looks`, since whoever compares the rows must judge them at these looks; one
that is a rung of another says which in `study_rung`, since only equal rungs are compared.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from netspace import values
from netspace.errors import InputError
from netspace.networks.complexity import MEASURES, Complexity
from netspace.networks.spec import NetworkSpec
from netspace.storage.population import Population
from netspace.storage.store import Store
from netspace.training.trial import TrialResult

STAGE = ("depth", "width", "bottleneck_ratio", "group_width")
REALISED = "realised_"
CURVE = {"epoch": "int64", "training_loss": "float64", "validation_error": "float64", "seconds": "float64"}
"""What an epoch left, with the type of its numbers; each is a column `curve_...` of lists."""

WAITING = "waiting"
PLANNED_LOOKS = "planned_looks"
"""The column of a study that plans its looks: as JSON, its `networks` and its `comparison`."""
STUDY_RUNG = "study_rung"
"""The column of a study that is a rung after the first: as JSON, its `RungPlace`."""

_TEXT = ("space", "digest", "trial", "status", "reason")
_OUTCOME = ("status", "error", "seconds", "images", "reason")
_FIRST = ("space", "position", "draw", "digest", "trial", *MEASURES, *_OUTCOME)
_CURVE = tuple(f"curve_{field}" for field in CURVE)
_LAST = ("versions", *_CURVE, "spec")


def store_columns(store: Store) -> dict[str, list[Any]]:
    """Return the columns of a store; `versions`, `spec` and curves as plain data, None where a network has none."""
    origins = store.origins()
    versions = {attempt["trial"]: attempt["versions"] for attempt in store.attempts() if attempt["versions"]}
    rows, drawn = [], []
    for population in store.populations():
        for i, spec in enumerate(population.networks):
            trial = origins[population.name][1][i]
            outcome = _outcome(population.results[i])
            fixed = {
                "space": population.name,
                "position": i,
                "draw": population.positions[i],
                "digest": spec.digest,
                "trial": trial,
                **{measure: int(getattr(population.complexity, measure)[i]) for measure in MEASURES},
                "versions": versions.get(trial),
                "spec": spec.to_dict(),
            }
            rows.append(fixed | outcome | _realised(spec))
            drawn.append(population.drawn[i])
    columns = {name: [row[name] for row in rows] for name in _FIRST}
    for name in dict.fromkeys(name for row in drawn for name in row):
        columns[name] = whole([row.get(name) for row in drawn])
    for name in sorted({name for row in rows for name in row if name.startswith(REALISED)}, key=_order):
        columns[name] = [row.get(name) for row in rows]
    for name, mark in marks_of(store.study).items():
        columns[name] = [mark] * len(rows)
    return columns | {name: [row[name] for row in rows] for name in _LAST}


def marks_of(identity: Mapping[str, Any]) -> dict[str, str]:
    """Return what every row says of its study, by the name of the column: what whoever compares the rows must know."""
    marks = {}
    if "comparison" in identity:
        marks[PLANNED_LOOKS] = json.dumps({name: identity[name] for name in ("networks", "comparison")})
    if identity.get("rung"):
        marks[STUDY_RUNG] = json.dumps(identity["rung"])
    return marks


def is_store_table(columns: Mapping[str, Any]) -> bool:
    """Whether columns are those of a store."""
    return {*_FIRST, *_LAST} <= columns.keys()


def drawn_names(columns: Mapping[str, Any]) -> list[str]:
    """Return the columns of a store that hold what was drawn."""
    others = (*_FIRST, *_LAST, PLANNED_LOOKS, STUDY_RUNG)
    return [name for name in columns if name not in others and not name.startswith(REALISED)]


def trials_of(columns: Mapping[str, Sequence[Any]]) -> dict[str, list[str]]:
    """Return the trials of every space in the order of the rows."""
    trials: dict[str, list[str]] = {}
    for space, trial in zip(columns["space"], columns["trial"], strict=True):
        trials.setdefault(space, []).append(trial)
    return trials


def populations_of(
    columns: Mapping[str, Sequence[Any]], *, samples: Mapping[str, Mapping[str, int]] | None = None
) -> tuple[Population, ...]:
    """Return the populations of a store's columns, which may be text as in CSV.

    `samples` holds `num_draws` and `num_in_band` of every space, which rows do not say.
    Raises: InputError, naming the row.
    """
    names = drawn_names(columns)
    kept: dict[str, list[tuple[dict[str, Any], NetworkSpec, dict[str, float], TrialResult | None]]] = {}
    for number, cells in enumerate(zip(*columns.values(), strict=True), start=1):
        try:
            row = {
                name: json.loads(cell) if isinstance(cell, str) and name not in _TEXT else cell
                for name, cell in zip(columns, cells, strict=True)
            }
            if not row["space"]:
                raise InputError("space is empty; it names the population")
            for name in ("position", "draw", *MEASURES):
                if type(row[name]) is not int or not 0 <= row[name] < 2**63:
                    raise InputError(f"{name} (={row[name]!r}) must be a whole number from 0 to 2^63 - 1")
            spec = NetworkSpec.from_dict(row["spec"])
            if spec.digest != row["digest"]:
                raise InputError(f"digest (={row['digest']!r}) is not that of the spec, {spec.digest!r}")
            members = kept.setdefault(row["space"], [])
            if row["position"] != len(members):
                raise InputError(f"position (={row['position']}) must count the rows of its space: {len(members)}")
            numbers = {name: float(row[name]) for name in names if row[name] is not None}
            members.append((row, spec, numbers, _result(row)))
        except (InputError, ValueError, TypeError, OverflowError) as problem:
            raise InputError(f"row {number}: {problem}") from None
    return tuple(
        Population(
            name=name,
            networks=tuple(spec for _, spec, _, _ in members),
            results=tuple(result for *_, result in members),
            drawn=tuple(numbers for _, _, numbers, _ in members),
            positions=tuple(row["draw"] for row, *_ in members),
            complexity=Complexity(**{m: np.array([row[m] for row, *_ in members], dtype=np.int64) for m in MEASURES}),
            num_draws=0 if samples is None else samples[name]["num_draws"],
            num_in_band=0 if samples is None else samples[name]["num_in_band"],
        )
        for name, members in kept.items()
    )


def whole(column: list[Any]) -> list[Any]:
    """Return numbers as integers where all of them are whole.

    >>> whole([1.0, None, 2.0]), whole([1.0, 2.5])
    ([1, None, 2], [1.0, 2.5])
    """
    if all(value is None or float(value).is_integer() for value in column):
        return [None if value is None else int(value) for value in column]
    return column


def _outcome(result: TrialResult | None) -> dict[str, Any]:
    if result is None:
        return dict.fromkeys((*_OUTCOME, *_CURVE)) | {"status": WAITING}
    told = {name: getattr(result, name) for name in _OUTCOME}
    return told | {f"curve_{name}": [_finite(getattr(epoch, name)) for epoch in result.curve] for name in CURVE}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _result(row: Mapping[str, Any]) -> TrialResult | None:
    if row["status"] == WAITING:
        return None
    if len({len(row[name] or ()) for name in _CURVE}) > 1:
        raise InputError(f"{', '.join(_CURVE)} must hold as many epochs as one another")
    epochs = zip(*(row[name] or () for name in _CURVE), strict=True)
    curve = [dict(zip(CURVE, [math.nan if n is None else n for n in epoch], strict=True)) for epoch in epochs]
    told = {name: row[name] for name in _OUTCOME if row[name] is not None}
    return values.from_dict(TrialResult, told | {"trial_id": row["trial"], "curve": curve})


def _realised(spec: NetworkSpec) -> dict[str, Any]:
    return {
        f"{REALISED}{name}[{i}]": value
        for i, stage in enumerate(spec.stages)
        for name in STAGE
        if (value := getattr(stage, name)) is not None
    }


def _order(name: str) -> tuple[int, int]:
    """Return where a realised column stands: by what it is, then by its stage."""
    field, _, stage = name.removeprefix(REALISED).partition("[")
    return STAGE.index(field), int(stage.rstrip("]"))
