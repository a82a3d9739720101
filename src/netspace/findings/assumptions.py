"""The four assumptions on which comparing cheap networks stands, each with a verdict and its evidence."""

import functools
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from netspace.findings.importance import parameter_groups
from netspace.findings.readings import FloatArray
from netspace.findings.replicates import measured_again, rows, together
from netspace.findings.words import (
    count,
    epochs,
    failing,
    flops,
    in_words,
    is_or_are,
    listed,
    majorising,
    numbers,
    percent,
    shares,
)
from netspace.networks.spec import NetworkSpec
from netspace.spaces.union import Space
from netspace.stats import (
    Criteria,
    Interplay,
    PairAgreement,
    Verdict,
    VerdictKind,
    agreement,
    common_interplay,
    compare_all,
    fidelity,
    interplay,
    noise_ceiling,
)
from netspace.stats.fidelity import FEWEST as FEWEST_RANKED
from netspace.stats.fidelity import FEWEST_FOR_TOP
from netspace.stats.interplay import FEWEST as FEWEST_FOR_EFFECTS
from netspace.storage.population import Population


class Standing(StrEnum):
    """What the evidence says of an assumption."""

    HOLDS = "holds"
    FAILS = "does not hold"
    NOT_ENOUGH_DATA = "not enough data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption:
    """One assumption: its claim, how it stands, in one sentence why, and the numbers behind it as (what, value)."""

    title: str
    standing: Standing
    sentence: str
    evidence: tuple[tuple[str, str], ...] = ()


LEAST_ORDER = 0.75
"""The share of pairs of networks that cheap training must put into the order of dear training: half-way between a
coin's and certainty."""

MOST_INTERPLAY = 0.25
"""The share of what parameters explain that may be their interplay: choosing one group of them after another then
reaches three quarters of what could be reached."""

MOST_PAIRS = 0.5
"""The share of the pairs of spaces that must be decided alike at both budgets: one pair of many may be the easiest,
and pairs that stay open show nothing."""

MORE = "raise `share` under [checks], or a rung's `keep`, in the study file"
"""What has more networks trained for longer."""

LOOKED_AT = 100
"""Networks of a space that another must hold to count as what it refines: 3 in 100 outside would be seen with 95 %."""


def assumptions(
    populations: Sequence[Population],
    spaces: Mapping[str, Space],
    *,
    criteria: Criteria,
    dear: Sequence[Population] = (),
    repeats: Sequence[Sequence[Population]] = (),
    rescaled: Sequence[Population] = (),
    verdicts: Sequence[Verdict] | None = None,
) -> tuple[Assumption, ...]:
    """Return how the four assumptions stand by the populations of a study and those of its checks.

    `spaces` fit the networks (their stem, classes and channels). `dear` are some of the networks trained for longer,
    `repeats` from other seeds, one entry per seed; `rescaled` are other networks of the spaces in another budget.
    `verdicts` are the study's own, where it was judged otherwise than once by the `criteria`: at planned looks.
    """
    trained = [population for population in populations if population.trained]
    if verdicts is None:
        verdicts = _verdicts({p.name: p.errors for p in trained}, criteria)
    return (
        _good_populations(trained, spaces, verdicts),
        _cheap_ranks_like_dear(trained, dear, repeats, criteria),
        _small_predicts_large(trained, rescaled, criteria),
        _independent_effects(trained),
    )


def _good_populations(
    populations: Sequence[Population], spaces: Mapping[str, Space], verdicts: Sequence[Verdict]
) -> Assumption:
    """Judge (i): a refinement is found that majorises what it refines."""
    told = functools.partial(Assumption, title="Good populations exist")
    networks = {population.name: population.networks[:LOOKED_AT] for population in populations}
    pairs = []
    for verdict in verdicts:
        a, b = verdict.names
        inside = [_holds(spaces[b], networks[a]), _holds(spaces[a], networks[b])]
        if inside[0] != inside[1]:
            pairs.append((a, b, verdict) if inside[0] else (b, a, verdict))
    if not pairs:
        return told(
            standing=Standing.NOT_ENOUGH_DATA,
            sentence="No space with results refines another one; a study of AnyNetX_A and AnyNetX_E, say, would tell.",
        )
    evidence = tuple((f"{child} refines {parent}", in_words(verdict)) for child, parent, verdict in pairs)
    better = [f"{child} majorises {parent}" for child, parent, verdict in pairs if majorising(verdict) == child]
    if better:
        sentence = f"{listed(better)}, which it refines." if len(better) == 1 else f"{listed(better)}."
        return told(standing=Standing.HOLDS, sentence=sentence, evidence=evidence)
    undecided = sum(verdict.kind is VerdictKind.UNDECIDED for _, _, verdict in pairs)
    if undecided:
        return told(
            standing=Standing.NOT_ENOUGH_DATA,
            sentence=f"Of {count(len(pairs), 'refinement')} none is shown to majorise what it refines, and {undecided} "
            f"{is_or_are(undecided)} undecided; `netspace samplesize --store` says how many networks decide.",
            evidence=evidence,
        )
    return told(
        standing=Standing.FAILS,
        sentence=f"Of {count(len(pairs), 'refinement')} none majorises what it refines, and all are decided.",
        evidence=evidence,
    )


def _cheap_ranks_like_dear(
    populations: Sequence[Population],
    dear: Sequence[Population],
    repeats: Sequence[Sequence[Population]],
    criteria: Criteria,
) -> Assumption:
    """Judge (ii): by pairs of networks, with the ceiling that chance sets, and by the verdicts about their spaces."""
    told = functools.partial(Assumption, title="Cheap training ranks networks like dear training")
    measured = measured_again(populations, dear)
    both, space_of_each = together(measured)
    if not len(both):
        return told(
            standing=Standing.NOT_ENOUGH_DATA,
            sentence="No network has been trained for longer; a line such as `epochs = 18` under [checks] in the study "
            "file does that.",
        )
    found = fidelity(both[:, 0], both[:, 1], spaces=space_of_each)
    if found is None:
        few = len(both) < FEWEST_RANKED
        return told(
            standing=Standing.NOT_ENOUGH_DATA,
            sentence=f"{count(len(both), 'network')} trained for longer, of {FEWEST_RANKED} that this takes: {MORE}."
            if few
            else f"The errors of {len(both)} networks are all alike, which leaves no order to compare.",
        )
    cheap, long = ({name: rows(one)[:, i] for name, one in measured.items()} for i in (0, 1))
    verdicts = agreement(_verdicts(cheap, criteria), _verdicts(long, criteria))
    opposite = verdicts.count(PairAgreement.OPPOSITE)
    order = found.same_order
    evidence = [
        ("Networks trained twice", failing(found.networks, found.failed_cheap, found.failed_dear)),
        ("Epochs", " and ".join(map(str, (epochs(populations), epochs(dear))))),
        ("Pairs within a space in the same order", shares(order)),
        ("Kendall's tau", numbers(found.kendall)),
        ("Spearman's correlation", numbers(found.spearman)),
    ]
    if found.top_recall is None:
        evidence.append(("Of the best tenth, also among the cheap best", f"not enough data: takes {FEWEST_FOR_TOP}"))
    else:
        evidence.append((f"Of the best {found.top}, also among the cheap best", shares(found.top_recall)))
    evidence += _ceiling(populations, repeats, found.spearman.value)
    evidence += [(f"{a} and {b}", str(kind)) for (a, b), kind in zip(verdicts.pairs, verdicts.found, strict=True)]
    sentence = (
        f"Of pairs within a space, among {found.networks} networks, {shares(order)} are in the order of dear training; "
        f"{percent(LEAST_ORDER)} are asked for"
    )
    if opposite:
        standing, more = Standing.FAILS, f", and {count(opposite, 'pair')} of spaces get the opposite verdict."
    elif order.low >= LEAST_ORDER:
        standing, more = Standing.HOLDS, ", and no pair of spaces gets the opposite verdict."
    elif order.high < LEAST_ORDER:
        standing, more = Standing.FAILS, "."
    else:
        standing, more = Standing.NOT_ENOUGH_DATA, f": {MORE}."
    return told(standing=standing, sentence=sentence + more, evidence=tuple(evidence))


def _ceiling(
    populations: Sequence[Population], repeats: Sequence[Sequence[Population]], spearman: float
) -> list[tuple[str, str]]:
    """Return what chance leaves possible, as evidence."""
    again, space_of_each = together(measured_again(populations, *repeats) if repeats else {})
    pairs = itertools.combinations(again.T, 2) if len(again) else ()
    found = [one.spearman.value for pair in pairs if (one := fidelity(*pair, spaces=space_of_each)) is not None]
    if not found:
        return [("Ceiling that chance sets", "not known: `seeds = 1` under [checks] in the study file measures it")]
    repeat = sum(found) / len(found)
    ceiling = noise_ceiling(repeat)
    told = [
        ("Spearman of cheap trainings from two seeds", f"{repeat:.2f}"),
        ("Ceiling that their chance sets, were dear training without any", f"{ceiling:.2f}"),
    ]
    return [*told, ("Spearman over that ceiling", f"{min(spearman / ceiling, 1.0):.2f}")] if ceiling > 0.0 else told


def _small_predicts_large(
    populations: Sequence[Population], rescaled: Sequence[Population], criteria: Criteria
) -> Assumption:
    """Judge (iii): spaces compare alike at two budgets."""
    told = functools.partial(Assumption, title="Small networks predict large ones")
    there = {p.name: p for p in rescaled if p.trained}
    here = {p.name: p for p in populations if p.name in there}
    if not here:
        return told(
            standing=Standing.NOT_ENOUGH_DATA,
            sentence="No network of another budget has been trained; `budget` under [checks] in the study file, with a "
            "band such as `{ flops = '1.2M..2.4M' }`, does that.",
        )
    if len(here) < 2:
        return told(
            standing=Standing.NOT_ENOUGH_DATA,
            sentence="Only one space has results at two budgets; two at least can compare alike.",
        )
    first, second = (_verdicts({name: side[name].errors for name in here}, criteria) for side in (here, there))
    verdicts = agreement(first, second)
    evidence = [
        (f"Networks with flops in {flops(side.values())}", ", ".join(f"{len(side[n].trained)} {n}" for n in here))
        for side in (here, there)
    ]
    evidence += [
        (f"{one.names[0]} and {one.names[1]}: {kind}", f"{in_words(one)}; {in_words(other)}")
        for one, other, kind in zip(first, second, verdicts.found, strict=True)
    ]
    same, opposite = verdicts.count(PairAgreement.SAME), verdicts.count(PairAgreement.OPPOSITE)
    pairs = len(verdicts.pairs)
    sentence = (
        f"Of {count(pairs, 'pair')} of spaces {same} {is_or_are(same)} decided alike at both budgets, {opposite} "
        f"oppositely; {pairs - same - opposite} leave it open"
    )
    if opposite:
        standing = Standing.FAILS
    elif same >= MOST_PAIRS * pairs:
        standing = Standing.HOLDS
    else:
        standing = Standing.NOT_ENOUGH_DATA
        sentence += ": raise `share` under [checks] in the study file"
    return told(standing=standing, sentence=sentence + ".", evidence=tuple(evidence))


def _independent_effects(populations: Sequence[Population]) -> Assumption:
    """Judge (iv): groups of parameters act nearly independently."""
    told = functools.partial(Assumption, title="Effects are nearly independent")
    found: dict[str, Interplay] = {}
    for population in populations:
        groups = parameter_groups(population)
        one = interplay(groups, population.errors) if len(groups) > 1 else None
        if one is not None:
            found[population.name] = one
    if not found:
        return told(
            standing=Standing.NOT_ENOUGH_DATA,
            sentence=f"No space has {FEWEST_FOR_EFFECTS} networks with results, at least two kinds of parameters that "
            "vary, and errors that differ; raise `networks` in the study file.",
        )
    common = common_interplay(list(found.values()))
    evidence = tuple(
        (
            name,
            f"{one.networks} networks: parameters explain {percent(one.explained)} of the spread; interplay is "
            f"{shares(one.share)} of that",
        )
        for name, one in found.items()
    )
    sentence = (
        f"Of what depths, widths and other groups of parameters explain of the errors, {shares(common)} is their "
        f"interplay, in {count(len(found), 'space')}; at most {percent(MOST_INTERPLAY)} is asked for"
    )
    if any(share.low > MOST_INTERPLAY for share in (common, *(one.share for one in found.values()))):
        standing = Standing.FAILS
    elif common.high <= MOST_INTERPLAY:
        standing = Standing.HOLDS
    else:
        standing = Standing.NOT_ENOUGH_DATA
        sentence += ": raise `networks` in the study file"
    return told(standing=standing, sentence=sentence + ".", evidence=evidence)


def _verdicts(errors: Mapping[str, FloatArray], criteria: Criteria) -> tuple[Verdict, ...]:
    if len(errors) < 2:
        return ()
    return compare_all(errors, margin=criteria.margin, median_margin=criteria.median_margin, level=criteria.level)


def _holds(space: Space, networks: Sequence[NetworkSpec]) -> bool:
    return all(space.contains(network) for network in networks)
