"""Numbers and verdicts in a few words, as evidence is told in a terminal and on a page."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from netspace.spaces.budget import show_band
from netspace.stats import Estimate, Verdict, VerdictKind, claim
from netspace.storage.population import Population


def majorising(verdict: Verdict) -> str | None:
    """Return the space that majorises by a verdict, or None."""
    sides = {VerdictKind.A_MAJORISES: verdict.names[0], VerdictKind.B_MAJORISES: verdict.names[1]}
    return sides.get(verdict.kind)


def in_words(verdict: Verdict) -> str:
    """Return a verdict in a few words, with what an undecided one shows all the same."""
    winner = majorising(verdict)
    if winner is not None:
        return f"{winner} majorises"
    spoken = {VerdictKind.A_MAJORISES: 0, VerdictKind.B_MAJORISES: 1}.get(claim(verdict))
    return str(verdict.kind) if spoken is None else f"undecided, {verdict.names[spoken]} has the lower errors"


def epochs(populations: Sequence[Population]) -> int:
    """Return the most epochs that any network was trained for."""
    return max((len(r.curve) for p in populations for r in p.results if r is not None), default=0)


def flops(populations: Iterable[Population]) -> str:
    """Return the flops of networks, as a band."""
    each = np.concatenate([population.complexity.flops for population in populations])
    return show_band(float(each.min()), float(each.max()))


def failing(networks: int, cheap: int, dear: int) -> str:
    """Return how many networks were measured twice, and failed."""
    return f"{networks}, of which {cheap} failed when cheap and {dear} when dear" if cheap + dear else str(networks)


def listed(words: Sequence[str]) -> str:
    """Return words with commas between."""
    return ", ".join(words)


def count(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def percent(share: float) -> str:
    """Return a share in per cent."""
    return f"{100 * share:.0f} %"


def shares(one: Estimate) -> str:
    """Return a share with its limits."""
    return f"{percent(one.value)} ({100 * one.low:.0f} to {100 * one.high:.0f} %)"


def numbers(one: Estimate) -> str:
    """Return a number with its limits."""
    return f"{one.value:.2f} ({one.low:.2f} to {one.high:.2f})"


def is_or_are(number: int) -> str:
    """Return the verb of a number of things."""
    return "is" if number == 1 else "are"


def points(middle: float | None, low: float | None, high: float | None) -> str:
    """Return a number of points of error with its limits; one that a failure made infinite (or None) has a word.

    >>> points(-0.0123, -0.03, math.inf), points(None, None, None)
    ('-1.23 (-3.00 to unlimited)', 'no finite number')
    """
    limits = [f"{100 * x:.2f}" if x is not None and math.isfinite(x) else "unlimited" for x in (low, high)]
    if middle is None or not math.isfinite(middle):
        return "no finite number"
    return f"{100 * middle:+.2f}" + ("" if set(limits) == {"unlimited"} else f" ({' to '.join(limits)})")


def p_value(p: float) -> str:
    """Return a p-value with two digits."""
    return "< 0.001" if p < 0.001 else f"{p:.2g}"


def relation_lines(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Return rows of `relation_rows` in words, a line per relation and space that violates it.

    Cells: the relation, networks that obey it, the cost if broken with its p-value, that per broken step with its own;
    where any space of any row violates one, which does, medians apart, largest lead and p-value; last what both say.
    """
    violated = any(row["between"] for row in rows)
    found: list[tuple[str, ...]] = []
    for row in rows:
        within, n = row["within"], row["within"]["networks"]
        obey = f"{within['obey']} of {n}" if n else "-"
        told = (row["relation"], obey, *_cost(within["at_all"], n), *_cost(within["per_step"], n))
        for pair in row["between"]:
            found.append((*told, pair["violates"], *_shift(pair["shift"]), pair["routes"]))
        if not row["between"]:
            found.append((*told, *(("-",) * 4 if violated else ()), row["routes"]))
    return found


def _cost(cost: Mapping[str, Any] | None, networks: int) -> tuple[str, str]:
    if cost is None:
        return ("too few" if networks else "-"), "-"
    return points(cost["rise"], cost["low"], cost["high"]), p_value(cost["p_value"])


def _shift(shift: Mapping[str, Any] | None) -> tuple[str, str, str]:
    if shift is None:
        return "too few", "-", "-"
    apart = points(shift["median"], shift["low"], shift["high"])
    return apart, f"{100 * shift['lead']:+.0f}", p_value(shift["p_value"])
