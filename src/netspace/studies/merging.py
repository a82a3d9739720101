"""What other stores hold: all of it, of stores of one study; of any others the results of equal trials.

A trial's id is the digest of all that its numbers follow from, so that equal ids are equal trainings.
"""

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from netspace import values
from netspace.errors import InputError, StoreError
from netspace.storage.place import Place
from netspace.storage.store import Store
from netspace.studies.growing import growth_among, remember
from netspace.studies.ladder import FORMER
from netspace.studies.parts import Part
from netspace.studies.spec import StudySpec
from netspace.training.trial import Trial, TrialResult


def merge_stores(into: str | Path | Place, others: Sequence[str | Path | Place]) -> int:
    """Add to a store what others of its study hold, and return how many of its trials have a result.

    What stands in `into` stands, then in the others by their order; doing it twice is harmless. The others are not
    changed. A study that has grown in one of them has grown.
    Raises: StoreError where a store is of another study or drew other networks, before anything is written.
    """
    with Store.open(into) as first:
        study, text, drawn = first.study, first.text, first.origins()
        growths = [growth_among(first.facts)]
    for where in others:
        with Store.open(where) as other:
            growths.append(growth_among(other.facts))
            difference = values.first_difference(study, other.study)
            if difference is not None:
                field, ours, theirs = difference
                raise StoreError(
                    f"store {other.place.name!r} is of another study than {first.place.name!r}: {field} is {theirs}, "
                    f"not {ours}; only stores of one study are merged"
                )
            for space, (definition, trials) in other.origins().items():
                known = drawn.setdefault(space, (definition, trials))
                shared = min(len(trials), len(known[1]))
                if definition != known[0] or trials[:shared] != known[1][:shared]:
                    raise StoreError(
                        f"store {other.place.name!r} holds other networks of {space!r} than {first.place.name!r}; only "
                        "stores of one study are merged"
                    )
                drawn[space] = max(known, (definition, trials), key=lambda one: len(one[1]))
    growth = max(filter(None, growths), key=lambda one: one.since, default=None)
    with Store.create(into, study=study, text=text) as merged:
        remember(merged, growth)
        for where in others:
            with Store.open(where) as other:
                held, found = merged.origins(), other.origins()
                populations = other.populations()
                for population in populations:
                    definition, trials = found[population.name]
                    if len(trials) > len(held.get(population.name, ("", ()))[1]):
                        merged.add_population(population, definition=definition, trials=trials)
                results = [result for p in populations for result in p.results if result is not None]
                merged.take(list({result.trial_id: result for result in results}.values()), other.attempts())
        return len(merged.finished())


def check_reuse(spec: StudySpec, part: Part | None) -> None:
    """Check that results of other stores are all that a run needs. Raises: InputError."""
    if any(rung.start == FORMER for rung in spec.rungs):
        raise InputError(
            "reuse: a rung of this study begins from the weights of the one before, and stores hold no weights; leave "
            "it out"
        )
    if part is not None:
        raise InputError(f"reuse: several processes record in this store (part {part}); reuse in one run, without part")


def equal_trials(
    trials: Iterable[Sequence[Trial]], stores: Sequence[str | Path | Place]
) -> tuple[list[TrialResult], list[dict[str, Any]]]:
    """Return what stores of any studies hold of some trials: results, the first of each, and their attempts.

    Failures are left out: they may be those of another machine. Raises: StoreError, ExecutionError.
    """
    asked = {trial.id for trial in itertools.chain(*trials)}
    results: dict[str, TrialResult] = {}
    attempts: list[dict[str, Any]] = []
    for where in stores:
        with Store.open(where) as store:
            held = [result for one in store.populations() for result in one.results if result is not None]
            new = {r.trial_id: r for r in held if r.status != "failed" and r.trial_id in asked - results.keys()}
            results |= new
            attempts += [attempt for attempt in store.attempts() if attempt["trial"] in new]
    return list(results.values()), attempts
