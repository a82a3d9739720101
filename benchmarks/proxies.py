"""Which cheap training ranks networks like a dear one, and at what cost: presets, techniques, batches, early looks.

    nice python benchmarks/proxies.py examples/fashion_mnist.toml --networks 48 --precision bfloat16 --kernels native

Trains one population by every variant, each a study with a store of its own under `--output`: run it again and it goes
on where it was; `--show` only prints what is stored of that. Variants take turns, a third of the networks each time, so
that other work on the machine hits them alike. The reference is the preset "full" of `--reference-epochs`, and the
networks are the first of each space of the study, whose data and budget they keep; batch and rate are the presets'.
Proxies train from another seed than the reference, for shared initial weights would rank networks more alike than they
are. "reference again" trains it from the proxies' seed: its rank correlation is what chance leaves possible, and its
first epochs are the fair early look.

Variants are proxy-1 and proxy-4; each with one technique more; and proxy-1 with other batches, at its own rate and at
one that is linear in the batch (Goyal et al. 2017, arXiv 1706.02677). `--batches` with `--rates` crosses others, of
`--of`.
Limits at 95 %: of correlations as `netspace.stats.fidelity` has them; of the gain in Spearman's correlation over the
plain proxy of as many epochs by a paired bootstrap of networks. `time` is the median over networks of the ratio to that
plain proxy's seconds.
"""

import argparse
import fnmatch
import itertools
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import stats

from netspace import values
from netspace.errors import InputError, NetspaceError, did_you_mean
from netspace.stats import Estimate, fidelity
from netspace.studies.spec import LARGEST_SEED, read_study
from netspace.studies.study import Study
from netspace.studies.text import study_text
from netspace.training.recipe import TrainingRecipe, named_recipe
from netspace.training.trial import TrialResult

REFERENCE, AGAIN = "reference", "reference again"
PROXIES = ("proxy-1", "proxy-4")
EARLY = (1, 4)
"""Epochs after which the reference is looked at early."""
BATCHES = (64, 128)
RESAMPLES = 2000
TURNS = 3

Array = npt.NDArray[np.float64]
Results = dict[tuple[str, str], TrialResult]
"""By the name of the space and the digest of the network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Errors (networks,) in [0, 1], `inf` for a failure, seconds and training images of each network."""

    errors: Array
    seconds: Array
    images: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of the table; `gain` in Spearman's correlation and `time` are against the plain proxy."""

    variant: str
    networks: int
    failed: int
    mean_error: float | None
    spearman: Estimate | None
    kendall: Estimate | None
    gain: Estimate | None
    images: float
    seconds: float
    time: float | None


def techniques(epochs: int, resolution: int) -> dict[str, dict[str, float]]:
    """Return what each technique changes of a recipe."""
    return {
        "averaged": {"average_epochs": 0.1 * epochs},
        "mixup 0.2": {"mixup": 0.2},
        "cutmix 1": {"cutmix": 1.0},
        "smoothed 0.1": {"label_smoothing": 0.1},
        "small": {"small_resolution": round(0.7 * resolution)},
    }


def variants(options: argparse.Namespace, common: Mapping[str, object], resolution: int) -> dict[str, TrainingRecipe]:
    """Return the recipes by name, in the order in which they are trained."""
    reference = replace(named_recipe("full"), epochs=options.reference_epochs, **common)
    plain = {name: replace(named_recipe(name), **common) for name in PROXIES}
    found = {REFERENCE: reference, **plain}
    for name, recipe in plain.items():
        for technique, change in techniques(recipe.epochs, resolution).items():
            found[f"{name} {technique}"] = replace(recipe, **change)
    own = plain["proxy-1"]
    for batch in BATCHES:
        linear = own.learning_rate * batch / own.batch_size
        for rate in (own.learning_rate, linear):
            found[f"proxy-1 batch {batch} rate {rate:g}"] = replace(own, batch_size=batch, learning_rate=rate)
    found[AGAIN] = reference
    for batch, rate in itertools.product(options.batches, options.rates):
        crossed = replace(plain[options.of], batch_size=batch, learning_rate=rate)
        found[f"{options.of} batch {batch} rate {rate:g}"] = crossed
    chosen = {REFERENCE} if options.variants else set(found)
    for pattern in filter(None, map(str.strip, options.variants.split(","))):
        matched = fnmatch.filter(found, pattern)
        if not matched:
            raise InputError(f"--variants (={pattern!r}) names none{did_you_mean(pattern, found)}")
        chosen |= set(matched)
    return {name: recipe for name, recipe in found.items() if name in chosen}


def trained(study: Study, name: str, recipe: TrainingRecipe, networks: int, options: argparse.Namespace) -> Results:
    """Return the results of a variant on so many networks of each space, trained now unless they are only shown."""
    seed = options.seed if name != REFERENCE else (options.seed - 1) % (LARGEST_SEED + 1)
    called = f"{study.spec.name}: {name}"
    spec = replace(study.spec, name=called, networks=networks, recipe=recipe, training_seed=seed, output="")
    folder = options.output / f"{name.replace(' ', '-')}-{values.digest(spec.identity())[:8]}"
    one = Study(spec, study_text(spec), folder, pack_folder=options.output / "data")
    if one.place.exists():  # a store never holds fewer than before
        one.spec = replace(spec, networks=max(networks, *map(len, one.populations())))
    if not options.show:
        done = one.run()
        told = f"{name}: {done.stored} stored, {done.trained} trained in {done.seconds:.0f} s"
        print(told, file=sys.stderr, flush=True)
    if not one.place.exists():
        return {}
    return {
        (population.name, network.digest): result
        for population in one.populations()
        for network, result in zip(population.networks, population.results, strict=True)
        if result is not None
    }


def measured(results: Results, networks: list[tuple[str, str]], epochs: int | None = None) -> Measured:
    """Return what some networks' trainings came to; with `epochs`, at their first so many."""
    chosen = [results[network] for network in networks]
    if epochs is None:
        errors = [result.judged_error for result in chosen]
        seconds = [result.seconds for result in chosen]
    else:
        looked = [result.curve[:epochs] for result in chosen]
        errors = [seen[-1].validation_error if len(seen) == epochs else math.inf for seen in looked]
        seconds = [sum(record.seconds for record in seen) for seen in looked]
    share = 1.0 if epochs is None else epochs / max(len(result.curve) for result in chosen)
    images = share * max(result.images for result in chosen)
    return Measured(errors=np.array(errors), seconds=np.array(seconds), images=images)


def gain(found: Array, plain: Array, dear: Array) -> Estimate:
    """Return by how much one ranks more like the dear measurement than another, in Spearman's correlation."""
    chosen = np.random.default_rng(0).integers(0, len(dear), (RESAMPLES, len(dear)))
    whole = np.arange(len(dear))[None]
    each, value = (spearman(found[rows], dear[rows]) - spearman(plain[rows], dear[rows]) for rows in (chosen, whole))
    low, high = np.nanquantile(each, (0.025, 0.975))
    return Estimate(value=float(value[0]), low=float(low), high=float(high))


def spearman(a: Array, b: Array) -> Array:
    """Return the rank correlation of each row of two arrays (rows, networks)."""
    x, y = (stats.rankdata(one, axis=1) - (one.shape[1] + 1) / 2 for one in (a, b))
    return np.asarray((x * y).sum(1) / np.sqrt((x * x).sum(1) * (y * y).sum(1)))


def row(variant: str, found: Measured, dear: Measured, plain: Measured | None) -> Row:
    """Return a line of the table, over networks that all three have."""
    alike = None if variant == REFERENCE else fidelity(found.errors, dear.errors)
    finished = found.errors[np.isfinite(found.errors)]
    return Row(
        variant=variant,
        networks=len(found.errors),
        failed=len(found.errors) - len(finished),
        mean_error=float(finished.mean()) if len(finished) else None,
        spearman=alike and alike.spearman,
        kendall=alike and alike.kendall,
        gain=gain(found.errors, plain.errors, dear.errors) if alike and plain else None,
        images=found.images,
        seconds=float(np.median(found.seconds)),
        time=float(np.median(found.seconds / plain.seconds)) if plain else None,
    )


def table(results: dict[str, Results], reference_epochs: int) -> list[Row]:
    """Return the lines of all that is stored, each over the networks that it shares with the reference."""
    dear = results.get(REFERENCE, {})
    rows = []

    def add(name: str, found: Results, against: str | None = None, epochs: int | None = None) -> None:
        plain = results.get(against, {}) if against else {}
        shared = [network for network in found if network in dear and (not plain or network in plain)]
        if shared:
            of_plain = measured(plain, shared) if plain else None
            rows.append(row(name, measured(found, shared, epochs), measured(dear, shared), of_plain))

    for name, found in results.items():
        proxy = name.split()[0]
        add(name, found, proxy if proxy in PROXIES and proxy != name else None)
    for name in (REFERENCE, AGAIN):
        for epochs in (early for early in EARLY if early < reference_epochs):
            add(f"{name}, epoch {epochs}", results.get(name, {}), f"proxy-{epochs}", epochs)
    return rows


def show(rows: list[Row]) -> None:
    print(
        f"{'variant':26}{'n':>4}{'failed':>7}{'mean error':>11}{'Spearman':>23}{'Kendall':>23}{'gain':>24}"
        f"{'images':>8}{'seconds':>8}{'time':>6}"
    )
    for one in rows:
        error = "-" if one.mean_error is None else f"{100 * one.mean_error:.2f} %"
        time = "-" if one.time is None else f"{one.time:.2f}"
        print(
            f"{one.variant:26}{one.networks:>4}{one.failed:>7}{error:>11}{limits(one.spearman):>23}"
            f"{limits(one.kendall):>23}{limits(one.gain, sign='+'):>24}{one.images:>8,.0f}{one.seconds:>8.1f}{time:>6}"
        )


def limits(estimate: Estimate | None, sign: str = "") -> str:
    """Return an estimate with its limits, a dash where there are too few networks to tell."""
    if estimate is None:
        return "-"
    return f"{estimate.value:{sign}.2f} ({estimate.low:{sign}.2f} to {estimate.high:{sign}.2f})"


def batches(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def rates(text: str) -> list[float]:
    return [float(word) for word in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--networks", type=int, default=48, help="of all spaces together")
    parser.add_argument("--reference-epochs", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, help="processes; the study's unless said")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--kernels", default="torch")
    parser.add_argument("--variants", default="", help='only these, and the reference: "proxy-1*,proxy-4 averaged"')
    parser.add_argument("--batches", type=batches, default=[], help="besides: batches, such as 32,64")
    parser.add_argument("--rates", type=rates, default=[], help="crossed with the batches: 0.05,0.1")
    parser.add_argument("--of", default="proxy-1", choices=PROXIES, help="what batches and rates are changed of")
    parser.add_argument("--output", type=Path, default=Path("runs/proxies"))
    parser.add_argument("--show", action="store_true", help="print what is stored, and train nothing")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    spec, text = read_study(options.study)
    chosen = replace(
        spec,
        networks=math.ceil(options.networks / len(spec.spaces)),
        seed=options.seed,
        kernels=options.kernels,
        checks=None,
        comparison=spec.comparison.once,
        workers=options.workers or spec.workers,
    )
    study, recipe = Study(chosen, text, options.output), spec.recipe
    common = {name: getattr(recipe, name) for name in ("flip", "shift", "class_weights", "metric")}
    common |= {"precision": options.precision}
    asked = variants(options, common, study.draw().data.resolution)
    turns = sorted({math.ceil(chosen.networks * turn / TURNS) for turn in range(1, TURNS + 1)})
    results: dict[str, Results] = {}
    for networks in turns[-1:] if options.show else turns:
        for name, variant in asked.items():
            results[name] = trained(study, name, variant, networks, options)
    rows = table(results, options.reference_epochs)
    if options.json:
        print(json.dumps([asdict(one) for one in rows], indent=2))
    else:
        show(rows)


if __name__ == "__main__":
    try:
        main()
    except NetspaceError as problem:
        raise SystemExit(f"proxies: {problem}") from None
    except KeyboardInterrupt:
        raise SystemExit("proxies: stopped; what is trained is stored, run it again to go on") from None
