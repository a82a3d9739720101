"""What two populations of errors allow one to claim: majorises, equivalent, crossing, or nothing yet.

Each claim has to be won by a test whose level holds; what none of them wins is undecided. In order, since
several can be won at once:

1. *equivalent*: at no error is either space behind by `margin`, and the medians are within `median_margin`.
   It comes first, because the margins say which differences do not matter, however surely they are seen.
2. *crossing*: each space is better somewhere. It comes before majorisation, which it contradicts.
3. *majorises*: A is better (by ranks, at alpha/2), and at no error is it behind by `margin`.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from netspace.errors import InputError
from netspace.stats import sentence
from netspace.stats.edf import EDF, FloatArray, checked_errors
from netspace.stats.effects import effects
from netspace.stats.evidence import Criteria, Evidence, gather, without_claims
from netspace.stats.looks import Look
from netspace.stats.normalisation import Normalisation, make_alike, normalised_edf


class VerdictKind(StrEnum):
    """What was won; A majorises B when F_A(e) >= F_B(e) for every error e."""

    A_MAJORISES = "a_majorises"
    B_MAJORISES = "b_majorises"
    EQUIVALENT = "equivalent"
    CROSSING = "crossing"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """An EDF at its `errors` (steps,): F as `shares` (steps,), and the limits of a band around all of it."""

    errors: tuple[float, ...]
    shares: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]

    @classmethod
    def around(cls, edf: EDF, level: float) -> Self:
        """Return the band that holds the true distribution with this probability."""
        columns = (*edf.steps, *edf.band(level))
        errors, shares, lower, upper = (tuple(column.tolist()) for column in columns)
        return cls(errors=errors, shares=shares, lower=lower, upper=upper)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A claim about two spaces, in words as `sentence`, with the numbers behind it and the rules for it.

    `bands` are those of A and of B, each at the confidence of this comparison.
    """

    kind: VerdictKind
    sentence: str
    criteria: Criteria
    evidence: Evidence
    bands: tuple[Band, Band]

    @property
    def names(self) -> tuple[str, str]:
        """The names of A and B."""
        return self.evidence.a.name, self.evidence.b.name

    @property
    def p_values(self) -> dict[str, float]:
        """The p-value of each elementary claim, not adjusted for other comparisons (see `criteria.alpha`).

        `better` and `somewhere_better` are judged at alpha/2, `not_worse` (nowhere, by the margin) at alpha.
        """
        return {
            f"{label}_{claim}": getattr(side, f"p_{claim}")
            for label, side in (("a", self.evidence.a), ("b", self.evidence.b))
            for claim in ("better", "somewhere_better", "not_worse")
        }


def compare(
    errors_a: ArrayLike,
    errors_b: ArrayLike,
    *,
    margin: float = 0.10,
    median_margin: float = 0.005,
    level: float = 0.95,
    names: tuple[str, str] = ("A", "B"),
    complexity: tuple[ArrayLike, ArrayLike] | None = None,
    measure: str = "complexity",
) -> Verdict:
    """Judge two populations by their errors: (networks_a,) and (networks_b,), in [0, 1], `inf` for a failure.

    A false claim is made with probability 1 - `level` at most. `margin` [share of networks] is how far A's
    EDF may lie below B's for A still to majorise B; it and `median_margin` [error] say what is equivalent.
    With the `complexity` (networks_a,) and (networks_b,) of the networks, positive numbers of the `measure` that the
    sentence names, the claim is about the two made alike in it (`make_alike`).
    Raises: InputError for errors, complexities, margins, a level or names that cannot be.

    >>> best = compare([0.01 * i for i in range(40)], [0.2 + 0.01 * i for i in range(40)])
    >>> best.kind.value, best.evidence.median_difference
    ('a_majorises', -0.2)
    """
    criteria = Criteria(margin=margin, median_margin=median_margin, level=level)
    _check_names(names)
    errors = checked_errors(errors_a, "errors_a"), checked_errors(errors_b, "errors_b")
    return _judge(_pair(errors, ("errors_a", "errors_b"), complexity, measure), names, criteria)


def compare_all(
    populations: Mapping[str, ArrayLike],
    *,
    margin: float = 0.10,
    median_margin: float = 0.005,
    level: float = 0.95,
    complexity: Mapping[str, ArrayLike] | None = None,
    measure: str = "complexity",
    pairs: Sequence[tuple[str, str]] | None = None,
) -> tuple[Verdict, ...]:
    """Judge every pair of populations, in the mapping's order, so that `level` holds for all claims together.

    `pairs`, chosen before any error was seen, takes the place of every pair: only these are judged, those of them whose
    populations are both there, and they alone share the risk.

    The pairs share the risk evenly (Bonferroni), so that none depends on another one's networks. Holm's correction
    would hand on the risk of a pair that wins a claim; but such a pair could have won a false one as well, and at the
    edge of the margins three spaces then erred in up to a tenth of the families for 5 %.
    `complexity` names those of each population; each pair is made alike by itself.
    Raises: InputError for fewer than two populations, or as `compare` does.
    """
    if len(populations) < 2:
        raise InputError(f"populations (={list(populations)}) must name at least two populations to compare")
    errors = {name: checked_errors(given, name) for name, given in populations.items()}
    if complexity is not None and set(complexity) != set(errors):
        raise InputError(f"complexity names {list(complexity)}, and must name what populations does: {list(errors)}")
    planned_pairs = list(itertools.combinations(errors, 2)) if pairs is None else list(pairs)
    criteria = Criteria(margin=margin, median_margin=median_margin, level=level, comparisons=len(planned_pairs))
    verdicts = []
    for a, b in _there(planned_pairs, errors):
        both = None if complexity is None else (complexity[a], complexity[b])
        verdicts.append(_judge(_pair((errors[a], errors[b]), (a, b), both, measure), (a, b), criteria))
    return tuple(verdicts)


def compare_at_looks(
    populations: Mapping[str, ArrayLike],
    planned: tuple[int, ...],
    *,
    margin: float = 0.10,
    median_margin: float = 0.005,
    level: float = 0.95,
    pairs: Sequence[tuple[str, str]] | None = None,
) -> tuple[Verdict, ...]:
    """Judge every pair at each planned look until it is decided, so that `level` holds for all claims at all looks.

    Each population holds errors in the order of its networks, and may still grow: look k takes exactly the first
    `planned[k]` of both, and waits until they are there. A pair's verdict is that of the look that decided it, else
    of its last look; a pair that had none yet has no verdict. `pairs` as in `compare_all`.
    Raises: InputError for fewer than two populations, looks that do not increase, or as `compare` does.
    """
    if len(populations) < 2:
        raise InputError(f"populations (={list(populations)}) must name at least two populations to compare")
    if not planned:
        raise InputError("planned (=()) must name at least one look: a number of networks")
    errors = {
        name: checked_errors(given, name) if np.size(given) else np.empty(0) for name, given in populations.items()
    }
    planned_pairs = list(itertools.combinations(errors, 2)) if pairs is None else list(pairs)
    criteria = tuple(
        Criteria(
            margin=margin,
            median_margin=median_margin,
            level=level,
            comparisons=len(planned_pairs),
            look=Look(number=number, planned=planned),
        )
        for number in range(1, len(planned) + 1)
    )
    there = _there(planned_pairs, errors)
    verdicts = (_judge_at_looks(errors[a], errors[b], (a, b), criteria) for a, b in there)
    return tuple(verdict for verdict in verdicts if verdict is not None)


def _there(pairs: Sequence[tuple[str, str]], errors: Mapping[str, FloatArray]) -> list[tuple[str, str]]:
    """Return those pairs whose populations are both there."""
    return [pair for pair in pairs if all(name in errors for name in pair)]


def _judge_at_looks(
    a: FloatArray, b: FloatArray, names: tuple[str, str], criteria: Sequence[Criteria]
) -> Verdict | None:
    verdict = None
    for one in criteria:
        assert one.look is not None
        n = one.look.networks
        if min(a.size, b.size) < n:
            break
        verdict = _judge((EDF(errors=a[:n]), EDF(errors=b[:n]), None), names, one)
        if verdict.kind is not VerdictKind.UNDECIDED:
            break
    return verdict


Pair = tuple[EDF, EDF, Normalisation | None]


def _pair(
    errors: tuple[FloatArray, FloatArray],
    names: tuple[str, str],
    complexity: tuple[ArrayLike, ArrayLike] | None,
    measure: str,
) -> Pair:
    """Return the EDFs of two populations, and how they were made alike; plain ones where no bin holds both."""
    plain = EDF(errors=errors[0]), EDF(errors=errors[1])
    if complexity is None:
        return *plain, None
    alike = make_alike(complexity, names=names, measure=measure)
    a, b = (normalised_edf(*given) for given in zip(errors, alike.weights, names, strict=True))
    return (*plain, alike.how) if a is None or b is None else (a, b, alike.how)


def _judge(pair: Pair, names: tuple[str, str], criteria: Criteria) -> Verdict:
    a, b, normalised = pair
    evidence = gather(a, b, names, criteria, normalised)
    if normalised is not None and not normalised.bins:
        evidence = without_claims(evidence)
    else:
        evidence = replace(evidence, effects=effects(a, b, 1.0 - criteria.alpha))
    kind = kind_of(evidence, criteria)
    return Verdict(
        kind=kind,
        sentence=_sentence(kind, evidence, criteria),
        criteria=criteria,
        evidence=evidence,
        bands=(Band.around(a, 1.0 - criteria.alpha), Band.around(b, 1.0 - criteria.alpha)),
    )


def kind_of(evidence: Evidence, criteria: Criteria) -> VerdictKind:
    """Return the first claim that the evidence wins."""
    a, b, alpha = evidence.a, evidence.b, criteria.alpha
    lower, upper = evidence.median_interval
    near_medians = -criteria.median_margin < lower and upper < criteria.median_margin
    if near_medians and max(a.p_not_worse, b.p_not_worse) <= alpha:
        return VerdictKind.EQUIVALENT
    # Between equals either claim of a direction would be false: the two share the risk.
    if max(a.p_somewhere_better, b.p_somewhere_better) <= alpha / 2:
        return VerdictKind.CROSSING
    if a.p_better <= alpha / 2 and a.p_not_worse <= alpha:
        return VerdictKind.A_MAJORISES
    if b.p_better <= alpha / 2 and b.p_not_worse <= alpha:
        return VerdictKind.B_MAJORISES
    return VerdictKind.UNDECIDED


def _sentence(kind: VerdictKind, evidence: Evidence, criteria: Criteria) -> str:
    if kind is VerdictKind.A_MAJORISES:
        return sentence.majorises(evidence.a, evidence.b, evidence, criteria)
    if kind is VerdictKind.B_MAJORISES:
        return sentence.majorises(evidence.b, evidence.a, evidence, criteria)
    if kind is VerdictKind.EQUIVALENT:
        return sentence.equivalent(evidence, criteria)
    if kind is VerdictKind.CROSSING:
        return sentence.crossing(evidence, criteria)
    return sentence.undecided(evidence, criteria)


def _check_names(names: tuple[str, str]) -> None:
    if len(names) != 2 or names[0] == names[1] or not all(names):
        raise InputError(f"names (={names!r}) must be two different names, one for each population")
