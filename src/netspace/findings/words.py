"""Numbers and verdicts in a few words, as evidence is told."""

from collections.abc import Iterable, Sequence

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
