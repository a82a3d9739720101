"""The page's tables of findings: the ranges of the best values, and what breaking a relation costs."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from netspace.report.best_ranges import TELLING
from netspace.report.look import space_look
from netspace.report.tables import Row
from netspace.report.wording import printable
from netspace.storage.population import Population

RANGE_HEAD = ("parameter", "sampled", "best: median", "middle 95 %", "holds", "networks")


def range_rows(populations: Sequence[Population], rows: Sequence[Mapping[str, Any]]) -> tuple[Row, ...]:
    """Return rows of `findings.ranges` as words; one that is telling is strong."""
    places = {population.name: position for position, population in enumerate(populations)}
    found = []
    for row in rows:
        best = row["best"]
        words = ("not enough data", "-", "-")
        if best is not None:
            holds = f"{100 * best['holds']:.0f}\N{NO-BREAK SPACE}%"
            words = (f"{best['median']:g}", _span(best["low"], best["high"]), holds)
        telling = best is not None and best["holds"] < TELLING
        found.append(
            Row(
                name=printable(row["space"]),
                hue=space_look(places[row["space"]]).hue,
                cells=(printable(row["parameter"]), _span(*row["sampled"]), *words, str(row["networks"])),
                strong=frozenset({3} if telling else ()),
            )
        )
    return tuple(found)


_WITHIN = ("relation", "networks that obey", "if broken [points]", "p", "per broken step [points]", "p")
_BETWEEN = ("space that violates it", "medians apart [points]", "largest lead [points]", "p")


def relation_table(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Return rows of `findings.importance` as words: a head, then one per relation and space that violates it."""
    between = _BETWEEN if any(row["between"] for row in rows) else ()
    found = [(*_WITHIN, *between, "within and between")]
    for row in rows:
        within, n = row["within"], row["within"]["networks"]
        obey = f"{within['obey']} of {n}" if n else "-"
        told = (row["relation"], obey, *_cost(within["at_all"], n), *_cost(within["per_step"], n))
        for pair in row["between"]:
            found.append((*told, printable(pair["violates"]), *_shift(pair["shift"]), pair["routes"]))
        if not row["between"]:
            found.append((*told, *("-" for _ in between), row["routes"]))
    return found


def _span(low: float, high: float) -> str:
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _cost(cost: Mapping[str, Any] | None, networks: int) -> tuple[str, str]:
    if cost is None:
        return ("too few" if networks else "-"), "-"
    return _limits(cost["rise"], cost["low"], cost["high"]), _p(cost["p_value"])


def _shift(found: Mapping[str, Any] | None) -> tuple[str, str, str]:
    if found is None:
        return "too few", "-", "-"
    numbers = [math.nan if found[name] is None else found[name] for name in ("median", "low", "high")]
    return _limits(*numbers), f"{100 * found['lead']:+.0f}", _p(found["p_value"])


def _limits(middle: float, low: float, high: float) -> str:
    """Return a number of points with its limits; one that a failure made infinite has a word."""
    if not math.isfinite(middle):
        return "no finite number"
    words = [f"{100 * limit:.2f}" if math.isfinite(limit) else "unlimited" for limit in (low, high)]
    return f"{100 * middle:+.2f} ({' to '.join(words)})"


def _p(value: float) -> str:
    return "<\N{NO-BREAK SPACE}0.001" if value < 0.001 else f"{value:.2g}"
