"""Should a rung begin fresh or from the former rung's weights: which ranks networks better for the same cost?

    nice python benchmarks/rungs.py examples/fashion_mnist.toml --networks 48 --precision bfloat16 --kernels native

Trains one population, the first networks of each space of the study, by rungs: a short first one (`--first` epochs),
and after it a second one (`--second`) either fresh or from the weights at the end of the first. With the first, which
any ladder pays, both cost the same; "one training" spends all of that on one schedule. Each is held against a much
longer training (`--reference-epochs`) from another seed than any of them. All are of the preset "full" but for their
epochs, and each has a store of its own under `--output`: run it again and it goes on where it was; `--show` prints what
is stored and trains nothing. They take turns, a third of the networks each time. The reference is that of `proxies.py`,
where that has trained it there.

Limits at 95 %: of correlations as `netspace.stats.fidelity` has them, from 20 networks on; of the gain in Spearman's
correlation over the fresh rung by a paired bootstrap of networks. `images` are those of the rung alone.
"""

import argparse
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from proxies import TURNS, Results, gain, limits, measured

from netspace import values
from netspace.errors import NetspaceError
from netspace.stats import Estimate, fidelity
from netspace.studies.ladder import FORMER, RungChoice
from netspace.studies.rungs import rungs_of
from netspace.studies.spec import LARGEST_SEED, StudySpec, read_study
from netspace.studies.study import Study
from netspace.studies.text import study_text
from netspace.training.recipe import named_recipe

FEWEST = 10
"""Networks below which no gain is told."""
REFERENCE, FIRST, FRESH, FROM_WEIGHTS, ONE = "reference", "first rung", "fresh", "former", "one training"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of the table; `gain` in Spearman's correlation is against the fresh rung."""

    variant: str
    epochs: int
    networks: int
    failed: int
    mean_error: float | None
    spearman: Estimate | None
    kendall: Estimate | None
    gain: Estimate | None
    images: float
    seconds: float


def trained(study: Study, *, show: bool) -> None:
    """Train a study and its rungs, unless they are only shown."""
    if show:
        return
    for one in (study, *rungs_of(study)):
        done = one.run()
        told = f"{one.spec.name}: {done.stored} stored, {done.trained} trained in {done.seconds:.0f} s"
        print(told, file=sys.stderr, flush=True)


def results(study: Study) -> Results:
    """Return the results of a study so far."""
    if not study.place.exists():
        return {}
    return {
        (population.name, network.digest): result
        for population in study.populations()
        for network, result in zip(population.networks, population.results, strict=True)
        if result is not None
    }


def variants(spec: StudySpec, options: argparse.Namespace) -> dict[str, StudySpec]:
    """Return the studies; the second of the two that have rungs is the one from weights."""
    first, second = options.first, options.second

    def study(name: str, epochs: int, seed: int, rungs: tuple[RungChoice, ...] = ()) -> StudySpec:
        recipe = replace(
            named_recipe("full"),
            epochs=epochs,
            precision=options.precision,
            **{field: getattr(spec.recipe, field) for field in ("flip", "shift", "class_weights", "metric")},
        )
        return replace(
            spec, name=name, recipe=recipe, rungs=rungs, training_seed=(options.seed + seed) % (LARGEST_SEED + 1)
        )

    from_weights = RungChoice(epochs=second, start=FORMER)
    return {
        REFERENCE: study(REFERENCE, options.reference_epochs, -1),
        FIRST: study(FIRST, first, 0, (from_weights,)),
        FRESH: study(FRESH, second, -2),  # the seed of a second rung
        ONE: study(ONE, first + second, -2),
    }


def table(found: Mapping[str, tuple[int, Results]]) -> list[Row]:
    """Return a line for each variant, over the networks that all of them have a result of."""
    shared = [network for network in found[REFERENCE][1] if all(network in results for _, results in found.values())]
    if not shared:
        return []
    dear = measured(found[REFERENCE][1], shared)
    fresh = measured(found[FRESH][1], shared)
    rows = []
    for name, (epochs, of_variant) in found.items():
        one = measured(of_variant, shared)
        finished = one.errors[np.isfinite(one.errors)]
        alike = None if name == REFERENCE else fidelity(one.errors, dear.errors)
        compared = name not in (REFERENCE, FRESH) and len(shared) >= FEWEST
        rows.append(
            Row(
                variant=name,
                epochs=epochs,
                networks=len(shared),
                failed=len(shared) - len(finished),
                mean_error=float(finished.mean()) if len(finished) else None,
                spearman=alike and alike.spearman,
                kendall=alike and alike.kendall,
                gain=gain(one.errors, fresh.errors, dear.errors) if compared else None,
                images=one.images,
                seconds=float(np.median(one.seconds)),
            )
        )
    return rows


def show(rows: list[Row]) -> None:
    print(
        f"{'variant':14}{'epochs':>7}{'n':>4}{'failed':>7}{'mean error':>11}{'Spearman':>23}{'Kendall':>23}{'gain':>24}"
        f"{'images':>9}{'seconds':>8}"
    )
    for one in rows:
        error = "-" if one.mean_error is None else f"{100 * one.mean_error:.2f} %"
        print(
            f"{one.variant:14}{one.epochs:>7}{one.networks:>4}{one.failed:>7}{error:>11}{limits(one.spearman):>23}"
            f"{limits(one.kendall):>23}{limits(one.gain, sign='+'):>24}{one.images:>9,.0f}{one.seconds:>8.1f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--networks", type=int, default=48, help="of all spaces together")
    parser.add_argument("--first", type=int, default=1, help="epochs of the first rung")
    parser.add_argument("--second", type=int, default=4, help="epochs of the second rung")
    parser.add_argument("--reference-epochs", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, help="processes; the study's unless said")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--kernels", default="torch")
    parser.add_argument("--output", type=Path, default=Path("runs/proxies"))
    parser.add_argument("--show", action="store_true", help="print what is stored, and train nothing")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    spec, _ = read_study(options.study)
    networks = math.ceil(options.networks / len(spec.spaces))
    spec = replace(
        spec,
        networks=networks,
        seed=options.seed,
        kernels=options.kernels,
        checks=None,
        rungs=(),
        comparison=spec.comparison.once,
        workers=options.workers or spec.workers,
        output="",
    )
    found: dict[str, tuple[int, Results]] = {}
    turns = sorted({math.ceil(networks * turn / TURNS) for turn in range(1, TURNS + 1)})
    for count in turns[-1:] if options.show else turns:
        for name, asked in variants(spec, options).items():
            content = values.digest(asked.identity() | ({"rungs": asked.rungs} if asked.rungs else {}))
            folder = options.output / f"{name.replace(' ', '-')}-{content[:8]}"
            study = Study(asked, study_text(asked), folder, pack_folder=options.output / "data")
            # A store never holds fewer than before.
            held = max(map(len, study.populations()), default=0) if study.place.exists() else 0
            study.spec = replace(asked, networks=max(count, held))
            trained(study, show=options.show)
            found[name] = asked.recipe.epochs, results(study)
            if name == FIRST:
                found[FROM_WEIGHTS] = options.second, results(rungs_of(study)[0])
    order = (REFERENCE, FIRST, FRESH, FROM_WEIGHTS, ONE)
    rows = table({name: found[name] for name in order})
    if options.json:
        print(json.dumps([asdict(one) for one in rows], indent=2))
    else:
        show(rows)


if __name__ == "__main__":
    try:
        main()
    except NetspaceError as problem:
        raise SystemExit(f"rungs: {problem}") from None
    except KeyboardInterrupt:
        raise SystemExit("rungs: stopped; what is trained is stored, run it again to go on") from None
