"""The page's tables of findings: ranges of the best values, costs of broken relations, differences of pairs."""

from collections.abc import Mapping, Sequence
from typing import Any

from netspace.findings.words import points, relation_lines
from netspace.report.best_ranges import TELLING
from netspace.report.look import space_look
from netspace.report.tables import Row
from netspace.report.wording import printable
from netspace.stats import Verdict
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
    lines = [tuple(map(printable, line)) for line in relation_lines(rows)]
    return [(*_WITHIN, *between, "within and between"), *lines] if rows else []


def effect_table(verdicts: Sequence[Verdict]) -> list[tuple[str, ...]]:
    """Return by how much the spaces of each pair differ, in points of error: a head, then a row per pair."""
    told = [verdict for verdict in verdicts if verdict.evidence.effects]
    rows = []
    for verdict in told:
        by = {_few(one.of): points(one.difference, one.low, one.high) for one in verdict.evidence.effects}
        rows.append((printable(" less ".join(verdict.names)), *(by.get(of, "too few") for of in _EFFECTS)))
    return [("pair", *_EFFECTS), *rows] if rows else []


_EFFECTS = ("mean", "median", "best tenth", "best of a few", "minimum")


def _few(of: str) -> str:
    return "best of a few" if of.startswith("best of") else of


def _span(low: float, high: float) -> str:
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
