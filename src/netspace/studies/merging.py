"""One store made of several of one study: the union of their networks, results and attempts, by digest."""

from collections.abc import Sequence
from pathlib import Path

from netspace import values
from netspace.errors import StoreError
from netspace.storage.place import Place
from netspace.storage.store import Store
from netspace.studies.growing import growth_among, remember


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
