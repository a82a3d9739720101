"""The page's tables and key numbers: rows of words, read from populations and written for people."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from netspace.findings import readings
from netspace.networks.spec import NetworkSpec
from netspace.report.look import space_look
from netspace.report.wording import amount, counted, duration, listed, percent, printable
from netspace.storage.population import Population
from netspace.training.trial import LOG

_SHORT_DIGEST = 8
_MOST_REASONS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row that begins with a space: its name, its hue, and the words of the other cells.

    `strong` holds the positions of cells that are the best of their column.
    """

    name: str
    hue: int
    cells: tuple[str, ...]
    strong: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyNumber:
    """A number large enough to be read from afar, and what it is."""

    value: str
    label: str


DISTRIBUTION_HEAD = ("networks", "failed", "minimum", "best tenth", "median", "mean of finite")


def distribution_rows(populations: Sequence[Population]) -> tuple[Row, ...]:
    """Return the distribution of errors of each space in six numbers; the lowest of each column is strong."""
    edfs = [readings.distribution(population) for population in populations]
    errors = [() if edf is None else (edf.minimum, edf.quantile(0.1), edf.median, edf.finite_mean) for edf in edfs]
    lowest = [min(column) for column in zip(*(row for row in errors if row), strict=True)]
    several = sum(edf is not None for edf in edfs) > 1
    rows = []
    for position, (edf, row) in enumerate(zip(edfs, errors, strict=True)):
        if edf is None:
            rows.append(_row(populations, position, ("0", "0", *["none yet"] * 4)))
            continue
        strong = {k + 2 for k, error in enumerate(row) if several and error == lowest[k] and math.isfinite(error)}
        words = (str(edf.n), str(edf.num_failed), *map(percent, row))
        rows.append(_row(populations, position, words, frozenset(strong)))
    return tuple(rows)


SAMPLING_HEAD = (
    "raw draws",
    "in budget",
    "acceptance",
    "networks",
    "with a result",
    "of these diverged",
    "of these failed",
    "still waiting",
)


def sampling_rows(populations: Sequence[Population]) -> tuple[Row, ...]:
    """Return how the networks of each space were drawn, and what became of them."""
    return tuple(
        _row(
            populations,
            position,
            (
                f"{p.num_draws:,}",
                f"{p.num_in_band:,}",
                f"{100 * p.acceptance:.3g}\N{NO-BREAK SPACE}%" if p.num_draws else "no draws",
                str(len(p)),
                str(len(p.trained)),
                str(p.count("diverged")),
                str(p.count("failed")),
                str(len(p) - len(p.trained)),
            ),
        )
        for position, p in enumerate(populations)
    )


def failure_rows(populations: Sequence[Population]) -> tuple[Row, ...]:
    """Return the reasons why networks have no error, with their number, most frequent first."""
    rows = []
    for position, population in enumerate(populations):
        reasons: Counter[tuple[str, str]] = Counter()
        logs: dict[tuple[str, str], str] = {}  # of the first network that failed so
        for result in population.results:
            if result is not None and result.error is None:
                reason, _, log = (result.reason or "no reason recorded").partition(LOG)
                reasons[result.status, reason] += 1
                logs.setdefault((result.status, reason), LOG + log if log else "")
        told = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
        for (status, reason), count in told[:_MOST_REASONS]:
            rows.append(_row(populations, position, (str(count), status, printable(reason + logs[status, reason]))))
        if others := sum(count for _, count in told[_MOST_REASONS:]):
            words = (str(others), "various", "other reasons, which the table of all networks names")
            rows.append(_row(populations, position, words))
    return tuple(rows)


BEST_HEAD = (
    "rank",
    "error",
    "flops",
    "params",
    "activations",
    "depths",
    "widths",
    "bottleneck ratios",
    "group widths",
    "digest",
)


def best_rows(populations: Sequence[Population], best: int) -> tuple[Row, ...]:
    """Return the `best` networks of each space."""
    rows = []
    for position, population in enumerate(populations):
        errors = readings.all_errors(population)
        for rank, index in enumerate(readings.best(population, best), start=1):
            spec, cost = population.networks[index], population.complexity
            words = (
                str(rank),
                percent(float(errors[index])),
                *(amount(float(column[index])) for column in (cost.flops, cost.params, cost.activations)),
                *(_stage_words(spec, field) for field in readings.STAGE_FIELDS),
                spec.digest[:_SHORT_DIGEST],
            )
            rows.append(_row(populations, position, words))
    return tuple(rows)


def key_numbers(populations: Sequence[Population]) -> tuple[KeyNumber, ...]:
    """Return what a hurried reader wants: how many have a result, how many failed, the best, the time."""
    total, trained = sum(map(len, populations)), sum(len(p.trained) for p in populations)
    failed = sum(map(readings.num_failed, populations))
    waiting = f"of {counted(total, 'network')} {'has' if total == 1 else 'have'} a result"
    best = min(
        (
            (float(readings.all_errors(p)[i]), position)
            for position, p in enumerate(populations)
            for i in readings.best(p, 1)
        ),
        default=None,
    )
    seconds = sum(r.seconds for p in populations for r in p.results if r is not None)
    return (
        KeyNumber(value=f"{trained:,}", label=waiting),
        KeyNumber(value=f"{failed:,}", label="failed; they count as worse than every other"),
        KeyNumber(value="none yet", label=f"best {readings.error_name(populations)}")
        if best is None
        else KeyNumber(
            value=percent(best[0]),
            label=f"best {readings.error_name(populations)}, in {printable(populations[best[1]].name)}",
        ),
        KeyNumber(value=duration(seconds), label="of training, summed over networks"),
    )


def _row(
    populations: Sequence[Population],
    position: int,
    cells: tuple[str, ...],
    strong: frozenset[int] = frozenset(),
) -> Row:
    return Row(name=printable(populations[position].name), hue=space_look(position).hue, cells=cells, strong=strong)


def _stage_words(spec: NetworkSpec, field: str) -> str:
    """Return one number of every stage, as text."""
    return listed([getattr(stage, field) for stage in spec.stages])
