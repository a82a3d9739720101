"""What a study claims: the verdicts and the standing of the assumptions, by the terms of its file."""

import itertools
from collections.abc import Sequence
from typing import Any

from netspace.errors import InputError
from netspace.findings.assumptions import Assumption, assumptions
from netspace.findings.normalised import complexities
from netspace.stats import Criteria, Verdict, VerdictKind, compare_all, compare_at_looks
from netspace.storage.population import Population
from netspace.study_file import StudySpec


def judge(spec: StudySpec, populations: Sequence[Population], *, normalised: str | None = None) -> tuple[Verdict, ...]:
    """Return the verdict of every pair of spaces that has results, corrected for their number.

    Where looks are planned, it is the verdict of a pair's last look so far, or of the one that decided it.
    `normalised` names the measure of complexity in which each pair is made alike before.
    Raises: InputError for an unknown measure, and for a normalised verdict of a study that plans looks.
    """
    terms: dict[str, Any] = spec.comparison.terms
    if spec.looks:
        if normalised is not None:
            raise InputError(
                f"normalised (={normalised!r}): this study plans looks, and at these only plain errors are judged"
            )
        leading = {population.name: population.leading_errors for population in populations}
        spaces = {space.name: leading.get(space.name, ()) for space in spec.spaces}
        return compare_at_looks(spaces, spec.looks, **terms)
    trained = [population for population in populations if population.trained]
    if normalised is not None:
        terms |= {"measure": normalised, "complexity": complexities(trained, normalised)}
    return compare_all({p.name: p.errors for p in trained}, **terms) if len(trained) > 1 else ()


def undecided_spaces(spec: StudySpec, populations: Sequence[Population]) -> list[str]:
    """Return the spaces with a pair that no look has decided yet."""
    decided = {verdict.names for verdict in judge(spec, populations) if verdict.kind is not VerdictKind.UNDECIDED}
    names = [space.name for space in spec.spaces]
    waiting = [pair for pair in itertools.combinations(names, 2) if pair not in decided]
    return [name for name in names if any(name in pair for pair in waiting)]


def judge_assumptions(
    spec: StudySpec,
    populations: Sequence[Population],
    *,
    dear: Sequence[Population] = (),
    repeats: Sequence[Sequence[Population]] = (),
    rescaled: Sequence[Population] = (),
) -> tuple[Assumption, ...]:
    """Return how the four assumptions stand, by a study's populations and those of its checks."""
    network = next((spec for population in populations for spec in population.networks), None)
    classes, channels = (network.num_classes, network.in_channels) if network is not None else (2, 1)
    return assumptions(
        populations,
        spec.design_spaces(num_classes=classes, in_channels=channels),
        criteria=Criteria(**spec.comparison.terms),
        dear=dear,
        repeats=repeats,
        rescaled=rescaled,
    )
