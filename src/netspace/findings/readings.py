"""What populations say as plain numbers: read here, judged, drawn and written elsewhere."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from netspace.networks.spec import NetworkSpec
from netspace.stats.edf import EDF
from netspace.storage.population import Population
from netspace.training.metrics import metric_name
from netspace.training.trial import TrialResult

FloatArray = npt.NDArray[np.float64]

STAGE_FIELDS = {
    "depth": "Depth",
    "width": "Width",
    "bottleneck_ratio": "Bottleneck ratio",
    "group_width": "Group width",
}
"""The numbers of a stage, in the order in which they are shown."""

RULE_TITLES = {
    "initial_width": "Initial width w₀",
    "width_slope": "Width slope wₐ",
    "width_multiplier": "Width multiplier wₘ",
}
"""The parameters of the RegNet rule that no network shows."""

_SHOWN, _STRETCH = 0.975, 1.5
"""The share of each space's errors that axes always show, and by how much more the rest may stretch them."""

WHOLE = "The whole network"
SHARED = "The same in all stages"
_GROWING = ("width", "bottleneck_ratio", "group_width", "initial_width", "width_slope")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A number that each network has; `values[k]` (networks,) is of population k, NaN where it has none.

    Those of one `group` are the same number of different stages, unless the group is `WHOLE` or `SHARED`.
    `grows` says that the number is thought of in ratios, as widths are.
    """

    group: str
    title: str
    values: tuple[FloatArray, ...]
    grows: bool = False

    @property
    def choices(self) -> tuple[float, ...]:
        """The distinct values, sorted."""
        return tuple(float(v) for v in np.unique([v for column in self.values for v in column if v == v]))


def distribution(population: Population) -> EDF | None:
    """Return the EDF of a population's errors, failures included; None while nothing is trained."""
    return EDF(errors=population.errors) if population.trained else None


def num_failed(population: Population) -> int:
    """Return how many networks were trained and have no error."""
    return int(np.isinf(population.errors).sum())


def all_errors(population: Population) -> FloatArray:
    """Return an error per network: infinite for failures, NaN for those not yet trained; (networks,)."""
    return np.array([math.nan if r is None else r.judged_error for r in population.results], dtype=np.float64)


def error_name(populations: Sequence[Population]) -> str:
    """Return what the errors of some populations are called; those of one study have one name."""
    return metric_name(next((population.metric for population in populations), "error"))


def error_span(columns: Iterable[FloatArray], *, share: float = 1.0) -> tuple[float, float] | None:
    """Return the smallest finite error of arrays (networks,) and the largest, or None.

    Of less than the whole `share`, the largest is that below which so many of each array's finite errors lie.

    >>> error_span([np.array([0.1, 0.2, 0.9]), np.array([0.3, np.inf])])
    (0.1, 0.9)
    >>> error_span([np.linspace(0, 1, 101)], share=0.9)
    (0.0, 0.9)
    """
    finite = [column[np.isfinite(column)] for column in columns]
    finite = [column for column in finite if column.size]
    if not finite:
        return None
    high = max(float(np.quantile(column, share, method="higher")) for column in finite)
    return min(float(column.min()) for column in finite), high


def usual_span(columns: Sequence[FloatArray]) -> tuple[float, float] | None:
    """Return the smallest finite error of arrays (networks,) and the largest, but for a few far beyond all others.

    >>> usual_span([np.repeat([0.1, 0.3, 0.9], [50, 149, 1])])
    (0.1, 0.3)
    >>> usual_span([np.linspace(0.1, 0.3, 200)])
    (0.1, 0.3)
    """
    most, whole = error_span(columns, share=_SHOWN), error_span(columns)
    return most if most and whole and whole[1] > _STRETCH * most[1] else whole


def num_beyond(population: Population, error: float) -> int:
    """Return how many finite errors of a population are above one."""
    return int((np.isfinite(population.errors) & (population.errors > error)).sum())


def best(population: Population, count: int) -> tuple[int, ...]:
    """Return the positions of the finished networks with the lowest errors, ties in the order of draws."""
    errors = all_errors(population)
    order = np.argsort(errors, kind="stable")
    return tuple(int(i) for i in order[:count] if np.isfinite(errors[i]))


def parameters(populations: Sequence[Population]) -> tuple[Parameter, ...]:
    """Return every parameter that differs between networks, or between the stages of networks.

    A number of the stages that is the same in all stages of every network is one parameter; so is each drawn
    one that belongs to no stage.
    """
    found = [
        _parameter(WHOLE, "Total depth", populations, _total_depth),
        *_drawn(populations),
    ]
    num_stages = max((len(spec.stages) for p in populations for spec in p.networks), default=0)
    for field, title in STAGE_FIELDS.items():
        if all(len({getattr(s, field) for s in spec.stages}) == 1 for p in populations for spec in p.networks):
            found.append(_parameter(SHARED, title, populations, _of_stage(field, 0), field in _GROWING))
        else:
            found.extend(
                _parameter(
                    title,
                    f"{title}, stage {stage + 1}",
                    populations,
                    _of_stage(field, stage),
                    field in _GROWING,
                )
                for stage in range(num_stages)
            )
    families: dict[str, set[float]] = {}
    for parameter in found:
        families.setdefault(_family(parameter), set()).update(parameter.choices)
    return tuple(parameter for parameter in found if len(families[_family(parameter)]) > 1)


def family_choices(parameter: Parameter, parameters: Iterable[Parameter]) -> tuple[float, ...]:
    """Return the distinct values of a parameter and of its like in other stages, sorted."""
    family = _family(parameter)
    return tuple(sorted({value for p in parameters if _family(p) == family for value in p.choices}))


def constants(populations: Sequence[Population]) -> tuple[tuple[str, float], ...]:
    """Return the numbers of the stages that are the same in every stage of every network."""
    found = []
    for field, title in STAGE_FIELDS.items():
        values = {getattr(s, field) for p in populations for spec in p.networks for s in spec.stages}
        values.discard(None)  # a network without groups
        if len(values) == 1:
            found.append((title, float(values.pop())))
    return tuple(found)


def error_curve(result: TrialResult) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Return the epochs and validation errors of a result, without what is no number."""
    kept = [r for r in result.curve if math.isfinite(r.validation_error)]
    return tuple(r.epoch for r in kept), tuple(r.validation_error for r in kept)


def median_curve(population: Population) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Return the median validation error by epoch, as far as it is finite; see `quantile_curve`."""
    kept = [one for one in zip(*quantile_curve(population, 0.5), strict=True) if math.isfinite(one[1])]
    return tuple(epoch for epoch, _ in kept), tuple(median for _, median in kept)


def quantile_curve(population: Population, share: float) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Return epochs and, at each, the validation error that `share` of the networks reach, infinite where they do not.

    At an epoch that a failed network did not reach it counts as above all others. A finished network whose
    result holds no curve is left out.
    """
    results = [r for r in population.results if r is not None and (r.curve or r.status != "finished")]
    curves = [dict(zip(*error_curve(result), strict=True)) for result in results]
    epochs = sorted({epoch for curve in curves for epoch in curve})
    errors = (np.array([curve.get(epoch, math.inf) for curve in curves]) for epoch in epochs)
    return tuple(epochs), tuple(EDF(errors=column).quantile(share) for column in errors)


def block_widths(spec: NetworkSpec) -> tuple[int, ...]:
    """Return the width of each block, in order.

    >>> from netspace.networks.spec import Stage
    >>> block_widths(NetworkSpec(stages=(Stage(depth=2, width=8, group_width=8),)))
    (8, 8)
    """
    return tuple(stage.width for stage in spec.stages for _ in range(stage.depth))


def _family(parameter: Parameter) -> str:
    """Return what a parameter shares with its like in other stages, and with nothing else."""
    return parameter.title if parameter.group in (WHOLE, SHARED) else parameter.group


def _drawn(populations: Sequence[Population]) -> list[Parameter]:
    """Return the drawn parameters that belong to no stage and stand nowhere in the spec."""
    names = dict.fromkeys(name for p in populations for row in p.drawn for name in row)
    return [
        Parameter(
            group=WHOLE,
            title=RULE_TITLES.get(name, name.replace("_", " ").capitalize()),
            values=tuple(np.array([row.get(name, math.nan) for row in p.drawn], dtype=np.float64) for p in populations),
            grows=name in _GROWING,
        )
        for name in names
        if "[" not in name and name != "total_depth"
    ]


def _total_depth(spec: NetworkSpec) -> float:
    return sum(stage.depth for stage in spec.stages)


def _of_stage(field: str, stage: int) -> Callable[[NetworkSpec], float]:
    """Return what reads a number of one stage, NaN where a network has no such stage."""
    return lambda spec: getattr(spec.stages[stage], field) if stage < len(spec.stages) else math.nan


def _parameter(
    group: str,
    title: str,
    populations: Sequence[Population],
    read: Callable[[NetworkSpec], float],
    grows: bool = False,
) -> Parameter:
    columns = (np.array([read(spec) for spec in p.networks], dtype=np.float64) for p in populations)
    return Parameter(group=group, title=title, values=tuple(columns), grows=grows)
