"""A study made ready to be trained: its networks stand in its store, its data are packed.

One process prepares a store, alone. Then it trains all of them, or several processes, which only record results, train
a part of them each; whoever comes first of these prepares.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netspace import values
from netspace.errors import StoreError, StoreInUseError
from netspace.faults import passing
from netspace.spaces.sample import Sample
from netspace.spaces.union import Space
from netspace.storage.place import Place, check_shareable
from netspace.storage.population import Population
from netspace.storage.store import Store
from netspace.studies.growing import Growth, remember
from netspace.studies.spec import with_defaults
from netspace.training.data import Dataset
from netspace.training.packs import pack
from netspace.training.trial import Trial

PATIENCE = 90.0
"""How long one of several waits for another that prepares the store, or whose machine has died with it [s]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What a study is about to train: spaces, samples and trials by the space's name, and the data."""

    spaces: dict[str, Space]
    samples: dict[str, Sample]
    trials: dict[str, tuple[Trial, ...]]
    data: Dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """What is drawn, where it goes, and what the store says of its study: `identity`, `text`, `facts` and `growth`.

    Raises: StoreError where there is no room for the data.
    """

    drawn: Drawn
    place: Place
    pack_folder: Path
    identity: Mapping[str, Any]
    text: str
    facts: Mapping[str, Any]
    growth: Growth | None = None

    def __post_init__(self) -> None:
        folder = self.pack_folder
        if folder.exists() and not folder.is_dir():
            raise StoreError(f"output folder {str(folder.parent)!r} holds a file named {folder.name!r}; move it")

    @contextmanager
    def alone(self) -> Iterator[Store]:
        """Yield the store with all that is drawn in it; no other process writes it. Raises: StoreError."""
        with Store.create(
            self.place, study=self.identity, text=self.text, facts=self.facts, expand=with_defaults
        ) as store:
            remember(store, self.growth)
            passing("prepared")
            for name, taken in self.drawn.samples.items():
                definition = values.to_dict(self.drawn.spaces[name])
                store.add_population(untrained(name, taken), definition=definition, trials=self._trials(name))
                passing("prepared")
            store.describe(text=self.text, facts=self.facts)
            pack(self.drawn.data, self.pack_folder)
            yield store

    @contextmanager
    def among_others(self, claim: str) -> Iterator[Store]:
        """Yield the store with all that is drawn in it; other processes record results in it too, of other claims.

        Raises: StoreError, also where the store takes one writer only; StoreInUseError where somebody else writes it
        alone, or under this claim, for longer than a preparation takes or a dead machine is believed to live.
        """
        check_shareable(self.place)
        with self._joined(claim) as store:
            pack(self.drawn.data, self.pack_folder)
            yield store

    def _joined(self, claim: str) -> Store:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                if not self._stands():
                    with self.alone():
                        pass
                return Store.join(self.place, study=self.identity, claim=claim, expand=with_defaults)
            except StoreInUseError:
                if time.monotonic() > until:
                    raise

    def _stands(self) -> bool:
        """Whether the store holds just what is drawn."""
        if not self.place.exists():
            return False
        with Store.open(self.place) as store:
            held = {name: trials for name, (_, trials) in store.origins().items()}
        return held == {name: self._trials(name) for name in self.drawn.samples}

    def _trials(self, name: str) -> tuple[str, ...]:
        return tuple(trial.id for trial in self.drawn.trials[name])


def untrained(name: str, taken: Sample) -> Population:
    """Return the networks of a sample as a population of which none has a result."""
    return Population(
        name=name,
        networks=taken.networks,
        results=(None,) * len(taken.networks),
        drawn=taken.drawn,
        positions=taken.positions,
        complexity=taken.complexity,
        num_draws=taken.draws,
        num_in_band=taken.in_band,
    )
