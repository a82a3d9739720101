"""One network out of a study: its networks by error and cost, the front, and the best that a budget allows.

A study judges many networks by one validation split, so the lowest error is partly luck. What is picked comes with
limits, and with the word on which others may be as good.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from netspace.backends import get_backend
from netspace.backends.inference import InferenceSetting
from netspace.errors import DataError, InputError, did_you_mean
from netspace.findings.candidates import AXES, LATENCY, Candidate, Member, candidates, errors_again, members
from netspace.findings.replicates import measured_again, together
from netspace.networks.complexity import MEASURES
from netspace.networks.spec import NetworkSpec
from netspace.spaces.budget import Budget, parse_band, parse_number, show_band
from netspace.spaces.latency import Latency
from netspace.stats import SeedNoise, error_limits, seed_noise
from netspace.storage.place import Place
from netspace.storage.population import Population
from netspace.studies.study import Study
from netspace.training.data import Dataset
from netspace.training.metrics import images_behind

LEVEL = 0.95
"""The confidence of every limit."""

Bound = float | str | tuple[float, float]
"""What a network may cost at most, or from where to where: numbers, or text such as `"4M"` and `"2M..4M"`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """The trained networks of a study inside a budget, by rank, failures last; the first is picked.

    Of `networks` in the spaces, `waiting` are not trained yet and `outside` do not meet the budget. `images` is how
    many validation images an error rests on (None: not known), `resolution` [pixels] their side. `noise` is that
    between trainings from several seeds, where the study has them; `best_limits` are those of the true error of
    whichever candidate has the lowest measured one, together for `judged` networks: the candidates, and in a rung that
    kept a share those that they were chosen from.
    """

    study: str
    metric: str
    spaces: tuple[str, ...]
    against: str
    budget: str
    networks: int
    waiting: int
    outside: int
    candidates: tuple[Candidate, ...]
    images: int | None
    resolution: int | None
    noise: SeedNoise | None
    best_limits: tuple[float, float] | None
    judged: int
    level: float = LEVEL

    @property
    def picked(self) -> Candidate:
        """The network with the lowest error; of several, the one that costs least."""
        return self.candidates[0]

    @property
    def ranked(self) -> tuple[Candidate, ...]:
        """The candidates that have an error."""
        return tuple(one for one in self.candidates if one.rank is not None)

    @property
    def front(self) -> tuple[Candidate, ...]:
        """The candidates on the front of error against cost, the cheapest first."""
        return tuple(sorted((one for one in self.candidates if one.on_front), key=lambda one: one.cost(self.against)))


def pick(
    store: str | Path | Place | Study,
    *,
    spaces: Sequence[str] = (),
    against: str = "flops",
    flops: Bound | None = None,
    params: Bound | None = None,
    activations: Bound | None = None,
    latency: Bound | None = None,
    latency_cache: str | Path | None = None,
    threads: int | None = None,
    on_measuring: Callable[[int], None] | None = None,
) -> Pick:
    """Return the networks of a study inside a budget by their errors, the front of error against a cost, and the best.

    `spaces` are all where none is named; a network that several spaces drew is one. A latency [ms] is measured on
    this machine as `LatencyMeter` does, one image through the folded network by `threads` (None: all cores), where it
    is a bound or the front is against it: of every network inside the rest of the budget, after `on_measuring` was
    told how many these are.
    Raises: InputError where no network inside the budget finished, and for what cannot be asked; StoreError.
    """
    study = store if isinstance(store, Study) else Study.open(store)
    if against not in AXES:
        raise InputError(f"against (={against!r}) is no cost{did_you_mean(against, AXES)}")
    bounds = {m: _band(given, m) for m, given in zip(MEASURES, (flops, params, activations), strict=True)}
    budget, time = Budget(**bounds), _band(latency, LATENCY)
    asked = [budget.describe()] if budget.bands() else []
    asked += [f"latency in {time[0]:g}..{time[1]:g} ms"] if time is not None else []
    populations = _named(study.populations(), spaces)
    data = _data(study)
    found = members(populations)
    trained = [one for one in found if one.result is not None]
    inside = [one for one in trained if budget.meets(one.complexity)]
    clock: dict[str, Latency] = {}
    if time is not None or against == LATENCY:
        meter = _meter(data, threads, latency_cache)
        if on_measuring is not None:
            on_measuring(len(inside))
        clock = {one.network.digest: meter(one.network) for one in inside}
    if time is not None:
        inside = [one for one in inside if time[0] <= clock[one.network.digest][0] <= time[1]]
    lowest = min((one.error for one in inside), default=np.inf)
    if not np.isfinite(lowest):
        raise InputError(_nothing(study.place.name, len(found), trained, len(inside), " and ".join(asked)))
    repeats = study.repeats()
    measured = measured_again(populations, *repeats) if repeats else {}
    noise = seed_noise(together(measured)[0]) if measured else None
    images = None if data is None else judging_images(data, populations[0].metric)
    best_limits, judged = None, round(len(inside) / (study.spec.rung.kept if study.spec.rung else 1.0))
    if images is not None:
        low, high = error_limits([lowest], images, level=LEVEL, together=judged)
        best_limits = float(low[0]), float(high[0])
    return Pick(
        study=study.spec.name,
        metric=populations[0].metric,
        spaces=tuple(population.name for population in populations),
        against=against,
        budget=", ".join(asked) or "no band",
        networks=len(found),
        waiting=len(found) - len(trained),
        outside=len(trained) - len(inside),
        candidates=candidates(
            inside,
            against=against,
            latencies=clock,
            again=errors_again(repeats),
            noise=noise,
            images=images,
            level=LEVEL,
        ),
        images=images,
        resolution=study.spec.data.resolution if data is None else data.resolution,
        noise=noise,
        best_limits=best_limits,
        judged=judged,
    )


def _named(populations: Sequence[Population], spaces: Sequence[str]) -> tuple[Population, ...]:
    """Return the populations of some spaces, all where none is named. Raises: InputError."""
    known = {population.name: population for population in populations}
    for name in spaces:
        if name not in known:
            raise InputError(f"space {name!r} is not in this study{did_you_mean(name, known)}")
    return tuple(known[name] for name in dict.fromkeys(spaces)) or tuple(populations)


def _data(study: Study) -> Dataset | None:
    """Return the data that judged a study, from its pack or from their files; None where neither is to be had."""
    try:
        return study.data()
    except DataError:
        return None


def judging_images(data: Dataset, metric: str) -> int:
    """Return on how many validation images an error rests."""
    return images_behind(metric, np.bincount(data.validation.labels, minlength=data.num_classes).tolist())


def _meter(data: Dataset | None, threads: int | None, cache: str | Path | None) -> Callable[[NetworkSpec], Latency]:
    """Return what measures networks on this machine, for the images of a study. Raises: InputError."""
    if data is None:
        raise InputError("latency: the side of the images is not known, because the study's data are not here")
    get_backend("torch")  # a missing framework is one sentence
    from netspace.backends.torch_latency import LatencyMeter

    cores = os.cpu_count() or 1 if threads is None else threads
    setting = InferenceSetting(threads=cores, fused=True, resolution=data.resolution)
    return LatencyMeter(setting=setting, cache=None if cache is None else Path(cache))


def _band(given: Bound | None, measure: str) -> tuple[float, float] | None:
    """Return a bound as (low, high). Raises: InputError.

    >>> _band("4M", "flops"), _band("2M..4M", "flops"), _band("3 ms", "latency"), _band(5, "latency")
    ((0.0, 4000000.0), (2000000.0, 4000000.0), (0.0, 3.0), (0.0, 5.0))
    """
    if given is None:
        return None
    if isinstance(given, str):
        text = given.strip().removesuffix("ms") if measure == LATENCY else given
        low, high = parse_band(text) if ".." in text else (0.0, parse_number(text))
    else:
        low, high = given if isinstance(given, tuple) else (0.0, given)
    if not 0 <= low <= high < np.inf:
        raise InputError(f"{measure} (={given!r}) must be one bound, or a band of a lower and a higher one")
    return float(low), float(high)


def _nothing(store: str, found: int, trained: Sequence[Member], inside: int, asked: str) -> str:
    """Return why nothing can be picked."""
    if not trained:
        return f"store {store!r} has no results yet; `netspace run` trains its {found} networks"
    if inside:
        return f"none of the {inside} trained networks{f' with {asked}' if asked else ''} in store {store!r} finished"
    spans = []
    for measure in MEASURES:
        each = [getattr(one.complexity, measure) for one in trained]
        spans.append(f"{measure} in {show_band(min(each), max(each))}")
    return f"no trained network in store {store!r} has {asked}; they have {', '.join(spans)}"
