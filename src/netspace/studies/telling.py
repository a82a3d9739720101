"""What a study tells: its verdicts, how the assumptions stand, and all that its page says, by the terms of its file."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from netspace import values
from netspace.errors import InputError, StoreError
from netspace.findings.assisted import assisted_at_looks, assisted_rows, assisted_sentence
from netspace.findings.assumptions import Assumption, assumptions
from netspace.findings.importance import importance
from netspace.findings.normalised import complexities
from netspace.findings.ranges import range_rows
from netspace.findings.words import count
from netspace.networks.complexity import MEASURES
from netspace.spaces.sample import Sample
from netspace.stats import Criteria, Look, Verdict, VerdictKind, compare_all, compare_at_looks, planned_looks
from netspace.stats.assisted import FEWEST
from netspace.stats.planning import fewest_networks
from netspace.stats.ranges import SHARE
from netspace.storage.population import Population
from netspace.storage.rows import marks_of
from netspace.storage.store import Store
from netspace.studies.choices import ComparisonChoice
from netspace.studies.climbing import rung_in_words, rung_report, rung_sentences, rung_table
from netspace.studies.ladder import check_sampled
from netspace.studies.spec import StudySpec, plan_of_looks
from netspace.training.data import Dataset
from netspace.training.device import CPU
from netspace.training.recipe import TrainingRecipe

if TYPE_CHECKING:  # it brings matplotlib, which no verdict needs
    from netspace.report import StudyReport


def judge(spec: StudySpec, populations: Sequence[Population], *, normalised: str | None = None) -> tuple[Verdict, ...]:
    """Return the verdict of every pair of spaces that has results, corrected for their number.

    Where looks are planned, it is the verdict of a pair's last look so far, or of the one that decided it.
    `normalised` names the measure of complexity in which each pair is made alike before.
    Raises: InputError for an unknown measure, a normalised verdict of a study that plans looks, and for a rung that
    holds only the best of each space.
    """
    check_sampled(spec.rung, "a comparison")
    terms: dict[str, Any] = spec.comparison.terms
    if spec.looks:
        return _at_looks(spec.comparison, spec.looks, populations, normalised)
    trained = [population for population in populations if population.trained]
    if normalised is not None:
        terms |= {"measure": normalised, "complexity": complexities(trained, normalised)}
    if len(trained) < 2:
        return ()
    return compare_all({p.name: p.errors for p in trained}, **terms, pairs=spec.comparison.pairs)


def judge_plan(
    plan: Mapping[str, Any], populations: Sequence[Population], *, where: str, normalised: str | None = None
) -> tuple[tuple[int, ...], tuple[Verdict, ...]]:
    """Return the looks of a plan (see `plan_of_looks`), and the verdicts of these spaces at them.

    Raises: InputError for a plan that cannot be, which begins with `where`; as `judge`.
    """
    comparison = values.from_dict(ComparisonChoice, plan.get("comparison"), where=where)
    try:
        looks = planned_looks(plan["networks"], comparison.looks or 0)
    except InputError as problem:
        raise InputError(f"{where}: {problem}") from None
    return looks, _at_looks(comparison, looks, populations, normalised) if len(populations) > 1 else ()


def _at_looks(
    comparison: ComparisonChoice, looks: tuple[int, ...], populations: Sequence[Population], normalised: str | None
) -> tuple[Verdict, ...]:
    if normalised is not None:
        raise InputError(
            f"normalised (={normalised!r}): this study plans looks, and at these only plain errors are judged"
        )
    errors = {one.name: one.leading_errors for one in populations}
    return compare_at_looks(errors, looks, **comparison.terms, pairs=comparison.pairs)


def judge_assisted(
    spec: StudySpec, populations: Sequence[Population], censuses: Mapping[str, Sample]
) -> list[dict[str, Any]]:
    """Return what covariates tell of every pair of spaces that has results, at planned looks where there are such.

    Raises: InputError for a study that plans looks without covariates.
    """
    check_sampled(spec.rung, "a comparison")
    if spec.rung is not None and spec.rung.resized:
        raise InputError(
            f"covariates are drawn inside the budget, which is met at the first rung's resolution; rung "
            f"{spec.rung.number} has another: ask the first one"
        )
    if not spec.looks:
        return assisted_rows(populations, censuses, spec.pairs, spec.comparison.level)
    if not spec.comparison.assisted:
        raise InputError(
            "this study plans looks, and at these only the errors themselves are judged; `assisted = true` beside "
            "`looks` in the file of a new study plans both"
        )
    return assisted_at_looks(populations, censuses, spec.pairs, spec.looks, spec.comparison.level)


def decided_pairs(verdicts: Sequence[Verdict], assisted: Sequence[Mapping[str, Any]]) -> set[tuple[str, ...]]:
    """Return the pairs of spaces of which a verdict says something, or covariates which one is better."""
    by_errors = {verdict.names for verdict in verdicts if verdict.kind is not VerdictKind.UNDECIDED}
    return by_errors | {tuple(row["spaces"]) for row in assisted if row["shown"]}


def beside_covariates(verdicts: Sequence[Verdict], assisted: Sequence[Mapping[str, Any]]) -> tuple[Verdict, ...]:
    """Return verdicts whose sentences say so where errors leave undecided what covariates decided at a planned look."""
    decided = {tuple(row["spaces"]) for row in assisted if "look" in row and row["shown"]}
    return tuple(
        replace(verdict, sentence=f"Decided with covariates, below; by errors alone: {verdict.sentence}")
        if verdict.kind is VerdictKind.UNDECIDED and verdict.names in decided
        else verdict
        for verdict in verdicts
    )


def undecided_spaces(
    spec: StudySpec, populations: Sequence[Population], censuses: Mapping[str, Sample] | None = None
) -> list[str]:
    """Return the spaces with a pair that no look has decided yet; `censuses` where covariates may decide it too."""
    assisted = judge_assisted(spec, populations, censuses) if censuses is not None else ()
    decided = decided_pairs(judge(spec, populations), assisted)
    names = [space.name for space in spec.spaces]
    waiting = [pair for pair in spec.pairs if pair not in decided]
    return [name for name in names if any(name in pair for pair in waiting)]


def check_plan(spec: StudySpec, store: Store) -> None:
    """Refuse to judge a store by another plan of looks than its own. Raises: StoreError."""
    difference = values.first_difference(plan_of_looks(store.study), plan_of_looks(spec.identity()))
    if difference is not None:
        raise StoreError(
            "store {!r} was planned to be judged otherwise: {} was {}, is {}; name the store in place of the "
            "study file".format(store.place.name, *difference)
        )


def judge_assumptions(
    spec: StudySpec,
    populations: Sequence[Population],
    checked: Mapping[str, Sequence[Population]],
    verdicts: Sequence[Verdict],
) -> tuple[Assumption, ...]:
    """Return how the four assumptions stand, by a study's populations and verdicts and its checks' populations."""
    network = next((spec for population in populations for spec in population.networks), None)
    classes, channels = (network.num_classes, network.in_channels) if network is not None else (2, 1)
    return assumptions(
        populations,
        spec.design_spaces(num_classes=classes, in_channels=channels),
        criteria=Criteria(**spec.comparison.terms),
        dear=checked.get("epochs", ()),
        repeats=seed_repeats(checked),
        rescaled=checked.get("budget", ()),
        verdicts=verdicts,
    )


def seed_repeats(checked: Mapping[str, Sequence[Population]]) -> tuple[tuple[Population, ...], ...]:
    """Return the populations of those checks that train from other seeds."""
    return tuple(tuple(found) for name, found in checked.items() if name.startswith("seed_"))


def result_rows(populations: Sequence[Population]) -> list[dict[str, Any]]:
    """Return one row per network: space, position, digest, spec, complexity, status, error, seconds."""
    return [
        {
            "space": population.name,
            "position": i,
            "network": network.digest,
            "spec": network.to_dict(),
            **{m: int(getattr(population.complexity, m)[i]) for m in MEASURES},
            "status": result.status if result else "waiting",
            "error": result.error if result else None,
            "seconds": result.seconds if result else None,
        }
        for population in populations
        for i, (network, result) in enumerate(zip(population.networks, population.results, strict=True))
    ]


def tell(
    spec: StudySpec,
    store: Store,
    checked: Mapping[str, Sequence[Population]],
    climbed: Mapping[int, Sequence[Population]],
    *,
    censuses: Mapping[str, Sample] | None = None,
    while_waiting: bool = True,
) -> "StudyReport":
    """Return all that the page says, read from a store, its checks and its rungs as they are now.

    `censuses` are those of a study that plans to look at covariates too.
    What matters most takes a second or more per space; with `while_waiting` false it is told once no network waits.
    """
    from netspace.report import StudyReport

    check_plan(spec, store)
    facts, text, populations = store.facts, store.text, store.populations()
    backend = Counter(
        ", ".join(f"{name} {version}" for name, version in sorted(attempt["versions"].items()))
        for attempt in store.attempts()
        if attempt["versions"]
    )
    waiting = any(len(population.trained) < len(population) for population in populations)
    spaces = spec.design_spaces(num_classes=2, in_channels=1)  # of any images: relations are the same
    verdicts = judge(spec, populations)
    assisted = judge_assisted(spec, populations, censuses) if censuses else []
    rungs = rung_report(spec, populations, climbed) if spec.rungs and spec.rung is None else None
    return StudyReport(
        title=spec.name,
        study_text=text,
        populations=populations,
        verdicts=beside_covariates(verdicts, assisted),
        assisted=tuple(map(assisted_sentence, assisted)),
        marks=marks_of(spec.identity()),
        facts=facts["rows"] | {"Backend": "; ".join(backend) or spec.backend},
        notes=(*facts["notes"], *_unlike_their_trials(populations)),
        ranges=tuple(row for population in populations for row in range_rows(population, SHARE)),
        importance=importance(populations, spaces) if while_waiting or not waiting else None,
        assumptions=judge_assumptions(spec, populations, checked, verdicts),
        pairs=spec.comparison.pairs or (),
        rungs=rung_table(rungs) if rungs else (),
        said_by_rungs=rung_sentences(rungs) if rungs else (),
    )


def _unlike_their_trials(populations: Sequence[Population]) -> list[str]:
    """Return a sentence where networks finished in another way than their trials say, else nothing."""
    results = [result for population in populations for result in population.results if result is not None]
    unlike = Counter(result.reason for result in results if result.status == "finished" and result.reason)
    return [f"{count(networks, 'network')} of {len(results)}: {reason}" for reason, networks in unlike.most_common()]


KERNELS = {
    "torch": "the framework's own operators",
    "blocked": "block-diagonal groups (kernels 'blocked')",
    "native": "operators of netspace (kernels 'native')",
    "contiguous": "the framework's own operators in its default layout (kernels 'contiguous')",
}
SCHEDULES = {"cosine": "half-cosine", "constant": "constant"}


FALLBACK = "fallback"
"""Among the facts of a study: what "auto" had to leave out on the machine where it was measured."""


def study_facts(spec: StudySpec, data: Dataset, fallback: str | None = None) -> dict[str, Any]:
    """Return what the page says of a study, so that the store alone is enough to make it again."""
    recipe, seed, training = spec.recipe, spec.seed, spec.trained_from
    rows = {
        "Data": f"{data.name}: {len(data.training):,} training and {len(data.validation):,} validation "
        f"images of {data.resolution}x{data.resolution} pixels, {data.num_classes} classes; the test "
        "split was not touched",
        "Data fingerprint": data.fingerprint,
        "Budget": spec.budget.budget().describe(),
        "Recipe": f"{recipe.epochs} epochs of SGD, batch {recipe.batch_size}, learning rate "
        f"{recipe.learning_rate:g} ({SCHEDULES[recipe.schedule]}), momentum {recipe.momentum:g}, weight decay "
        f"{recipe.weight_decay:g}" + _extras(recipe),
        "Computed": f"{recipe.precision}, {KERNELS[spec.kernels]}, {spec.threads} thread"
        + "s" * (spec.threads > 1)
        + (f", on device {spec.device}" if spec.device != CPU else ""),
        "Seed": f"{seed}, training {training}" if training != seed else str(seed),
    }
    limits = {"{:g} minutes": spec.limits.minutes, "{:g} GiB of memory": spec.limits.memory_gib}
    if any(limits.values()):
        rows["Limits"] = "a network may take " + ", ".join(text.format(v) for text, v in limits.items() if v)
    if recipe.metric == "balanced_error":
        rows["Judged by"] = "balanced error: the mean over the classes of the share of a class's images that are wrong"
    if spec.rung is not None or spec.rungs:
        rows["Rung"] = rung_in_words(spec)
    if spec.looks:
        rows["Looks"] = looks_in_words(spec)
    return {"rows": rows, "notes": [*data.notes, *filter(None, [fallback])], FALLBACK: fallback}


def looks_in_words(spec: StudySpec) -> str:
    """Return when a study looks, and from how many networks on a look can decide anything."""
    comparison, looks = spec.comparison, spec.looks
    fewest = [
        fewest_networks(
            comparison.margin,
            Criteria(**comparison.terms, comparisons=len(spec.pairs), look=Look(number=number, planned=looks)).alpha,
        )
        for number in range(1, len(looks) + 1)
    ]
    points = f"claim within {100 * comparison.margin:g} points of EDF can be won"
    told = f"verdicts are judged at {', '.join(map(str, looks))} networks of each space"
    if comparison.assisted:
        told += ", each time assisted by covariates too"
    if looks[-1] < fewest[-1]:  # the last look has the most networks, and takes the fewest
        told += f"; no {points}, which takes {fewest[-1]} at the last look"
    else:
        told += f"; a {points} from {next(n for n, least in zip(looks, fewest, strict=True) if n >= least)} on"
    if comparison.assisted and looks[-1] < FEWEST:
        told += f"; covariates show nothing, which takes {FEWEST}"
    elif comparison.assisted:
        told += f"; covariates can show which space is better from {next(n for n in looks if n >= FEWEST)} on"
    return told


def _extras(recipe: TrainingRecipe) -> str:
    """Return the choices of a recipe that are often left out, in words; empty where they are."""
    extras = {
        "warm-up over {} epochs": recipe.warmup_epochs,
        "label smoothing {}": recipe.label_smoothing,
        "mirrored images": recipe.flip,
        "images shifted by up to {} pixels": recipe.shift,
        "images mixed by mixup {}": recipe.mixup,
        "images mixed by cutmix {}": recipe.cutmix,
        f"images of {{}} pixels a side in the first {recipe.small_share:.0%} of all steps": recipe.small_resolution,
        "weights averaged over {} epochs": recipe.average_epochs,
    }
    weighted = ", losses weighted so that all classes count alike" * (recipe.class_weights == "balanced")
    return weighted + "".join(f", {text.format(f'{value:g}')}" for text, value in extras.items() if value)
