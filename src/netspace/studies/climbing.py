"""What rungs say of one another: who goes on, how the ranking of networks changes between two, what they cost."""

import hashlib
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from netspace.findings.readings import FloatArray
from netspace.findings.replicates import measured_again, together
from netspace.findings.words import count, numbers, percent
from netspace.stats import Fidelity, fidelity
from netspace.stats.fidelity import FEWEST
from netspace.storage.population import Population
from netspace.studies.ladder import BEST, FORMER, RungPlace, Step
from netspace.studies.spec import StudySpec

FEWEST_FOR_TOP = 6
"""Networks in both rungs below which a best tenth, of three at least, would be more than half of them."""
LEAST_TOP = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RungResults:
    """A rung and how far it is: `training` in words, `networks` drawn for it and what became of them.

    `best_error` in [0, 1]; `images` trained, and the `seconds` of all networks, times their threads [core-seconds].
    """

    number: int
    training: str
    networks: int
    finished: int
    failed: int
    best_error: float | None
    images: int
    seconds: float

    @property
    def waiting(self) -> int:
        """Networks that have no result yet."""
        return self.networks - self.finished - self.failed


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingChange:
    """How alike two rungs rank the networks of both, `networks` of them, each within its space.

    `alike` is None below 20 networks. Of the best `top` by the later rung, all spaces together, `stayed` are among the
    best `top` by the former; None below 6 networks. `chosen` says that only the best by the former are in both.
    """

    former: int
    later: int
    networks: int
    alike: Fidelity | None
    top: int | None
    stayed: int | None
    chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Compute:
    """What all rungs took, and what it takes to train every network as those of the last rung were.

    `images_of_all` is exact; `seconds_of_all` [core-seconds] takes the times of the first rung, scaled as those of the
    networks that are in the last.
    """

    images: int
    images_of_all: int
    seconds: float
    seconds_of_all: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RungReport:
    """All of it; `compute` is None until the last rung is complete and a network of it has finished."""

    rungs: tuple[RungResults, ...]
    changes: tuple[RankingChange, ...]
    compute: Compute | None


def best_first(population: Population) -> list[int]:
    """Return the positions of a population's networks: finished ones by error, then diverged and failed ones.

    Equal errors stand in the order of the draws, so that results alone decide who goes on.
    """

    def standing(i: int) -> tuple[bool, float, int]:
        result = population.results[i]
        return result is None or result.status != "finished", math.inf if result is None else result.judged_error, i

    return sorted(range(len(population)), key=standing)


def going_on(population: Population, networks: int, place: RungPlace, seed: int) -> list[int]:
    """Return the positions of those networks of a population that go on to a rung, by a study's seed."""
    order = best_first(population)
    if place.choose == BEST:
        return sorted(order[:networks])
    text = f"{seed}:{population.name}:rung {place.number}"
    random = np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]))
    edges = [part * len(order) // networks for part in range(networks + 1)]
    return sorted(order[random.integers(begin, end)] for begin, end in itertools.pairwise(edges))


def rung_report(
    spec: StudySpec, first: Sequence[Population], climbed: Mapping[int, Sequence[Population]]
) -> RungReport:
    """Return what the rungs of a study say, by the populations of the first and of the others, by their numbers."""
    steps: list[tuple[int, Sequence[Population], str]] = [(1, first, training_in_words(spec, None))]
    for rung in spec.ladder:
        steps.append((rung.place.number, climbed.get(rung.place.number, ()), training_in_words(spec, rung)))
    rungs = tuple(_results(number, populations, told, spec.threads) for number, populations, told in steps)
    pairs = [(a, b, rung) for (a, b), rung in zip(itertools.pairwise(steps), spec.ladder, strict=True) if a[1] and b[1]]
    changes = tuple(
        _change(a[0], a[1], b[0], b[1], chosen=rung.keep < 1.0 and rung.place.choose == BEST) for a, b, rung in pairs
    )
    return RungReport(rungs=rungs, changes=changes, compute=_compute(spec, [step[1] for step in steps], rungs))


def training_in_words(spec: StudySpec, rung: Step | None) -> str:
    """Return how long a rung trains, on which images, and from what; the study's own where none is given."""
    recipe, data = (spec.recipe, spec.data) if rung is None else (rung.recipe, rung.data)
    told = count(recipe.epochs, "epoch")
    if data.training_share < 1.0:
        told += f" of {100 * data.training_share:.3g} % of the images"
    if data.resolution is not None:
        told += f", {data.resolution}x{data.resolution} pixels"
    told += f", batches of {recipe.batch_size}"
    return told if rung is None else told + started(rung.place)


def started(place: RungPlace) -> str:
    """Return from what a rung begins, where that is not fresh."""
    return f", from the weights of rung {place.number - 1}" if place.start == FORMER else ""


def rung_in_words(spec: StudySpec) -> str:
    """Return which rung a study is, and which follow."""
    place, last = spec.rung, (spec.rung.number if spec.rung else 1) + len(spec.rungs)
    number = place.number if place else 1
    told = f"{number} of {last}: {training_in_words(spec, None)}" + (started(place) if place else "")
    if place is not None and place.kept < 1.0:
        told += f"; the best {100 * place.kept:.3g} % of each space, no sample of it"
    return f"{told}; errors of other rungs are never among these"


def rung_table(report: RungReport) -> tuple[tuple[str, ...], ...]:
    """Return a row of words for each rung, below one of their titles."""
    head = ("rung", "training", "networks", "finished", "failed", "waiting", "best error", "images", "core-seconds")
    return (head, *map(_row, report.rungs))


def rung_sentences(report: RungReport) -> tuple[str, ...]:
    """Return what the rungs say of one another, in sentences."""
    told = [_change_in_words(change) for change in report.changes]
    if report.compute is not None:
        c, n, last = report.compute, report.rungs[0].networks, report.rungs[-1].number
        told.append(
            f"All rungs took {c.images:,} images, {percent(c.images / c.images_of_all)} of the {c.images_of_all:,} "
            f"that training all {count(n, 'network')} as in rung {last} takes, and {c.seconds:,.0f} core-seconds of "
            f"about {c.seconds_of_all:,.0f}."
        )
    return tuple(told)


def _row(one: RungResults) -> tuple[str, ...]:
    best = "-" if one.best_error is None else f"{100 * one.best_error:.2f} %"
    counts = (one.networks, one.finished, one.failed, one.waiting)
    return str(one.number), one.training, *map(str, counts), best, f"{one.images:,}", f"{one.seconds:,.0f}"


def _change_in_words(change: RankingChange) -> str:
    both = f"Rungs {change.former} and {change.later}, {count(change.networks, 'network')} in both"
    if change.chosen:
        both += f" (the best of rung {change.former}, which are harder to rank than all)"
    if change.alike is None:
        told = f"no correlation is told, which takes {FEWEST} networks whose errors differ"
    else:
        told = f"Spearman {numbers(change.alike.spearman)}, Kendall {numbers(change.alike.kendall)}"
    if change.top is not None and change.stayed is not None:
        top = f"best {change.top} by rung"
        told += f"; of the {top} {change.later}, {change.stayed} of {change.top} were among the {top} {change.former}"
    return f"{both}: {told}."


def _results(number: int, populations: Sequence[Population], training: str, threads: int) -> RungResults:
    results = [result for population in populations for result in population.results]
    known = [result for result in results if result is not None]
    errors = [result.error for result in known if result.error is not None]
    return RungResults(
        number=number,
        training=training,
        networks=len(results),
        finished=len(errors),
        failed=len(known) - len(errors),
        best_error=min(errors, default=None),
        images=sum(result.images for result in known),
        seconds=threads * sum(result.seconds for result in known),
    )


def _change(
    former: int, before: Sequence[Population], later: int, after: Sequence[Population], *, chosen: bool
) -> RankingChange:
    both, space_of_each = together(measured_again(before, after))
    top = max(LEAST_TOP, math.ceil(len(both) / 10)) if len(both) >= FEWEST_FOR_TOP else None
    return RankingChange(
        former=former,
        later=later,
        networks=len(both),
        alike=fidelity(both[:, 0], both[:, 1], spaces=space_of_each) if len(both) else None,
        top=top,
        stayed=None if top is None else len(_best(both[:, 0], top) & _best(both[:, 1], top)),
        chosen=chosen,
    )


def _best(errors: FloatArray, top: int) -> set[int]:
    return set(np.argsort(errors, kind="stable")[:top].tolist())


def _compute(spec: StudySpec, steps: Sequence[Sequence[Population]], rungs: Sequence[RungResults]) -> Compute | None:
    if not rungs[-1].finished or rungs[-1].waiting:
        return None
    chain = [len(steps) - 1]  # the last rung, and those from whose weights it begins
    while chain[-1] > 0 and spec.ladder[chain[-1] - 1].place.start == FORMER:
        chain.append(chain[-1] - 1)
    results = [{r.trial_id: r for p in steps[i] for r in p.results if r is not None} for i in chain]
    each = sum(max(result.images for result in one.values()) for one in results)
    seconds = [_seconds_of_each(populations) for populations in steps]
    last = list(seconds[-1])
    scale = sum(seconds[i][name] for i in chain for name in last) / max(sum(seconds[0][name] for name in last), 1e-9)
    return Compute(
        images=sum(rung.images for rung in rungs),
        images_of_all=each * rungs[0].networks,
        seconds=sum(rung.seconds for rung in rungs),
        seconds_of_all=scale * rungs[0].seconds,
    )


def _seconds_of_each(populations: Sequence[Population]) -> dict[tuple[str, str], float]:
    """Return the time of each network, by its space and digest."""
    return {
        (population.name, network.digest): result.seconds
        for population in populations
        for network, result in zip(population.networks, population.results, strict=True)
        if result is not None
    }
