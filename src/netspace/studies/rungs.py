"""A rung: a study, with a store of its own, of the networks of the rung before it or of the best of them.

Who goes on follows from the committed results of that rung alone, once it is complete: a run that was killed anywhere
and begun again chooses as one that never was.
"""

import contextlib
import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from netspace import values
from netspace.errors import ExecutionError, StoreError
from netspace.findings.words import count
from netspace.networks.complexity import MEASURES, Complexity
from netspace.spaces.sample import Sample
from netspace.storage.population import Population
from netspace.storage.store import Store
from netspace.studies.climbing import going_on
from netspace.studies.ladder import FORMER, Step
from netspace.studies.launching import trial_of
from netspace.studies.preparing import Drawn
from netspace.studies.running import StudyProgress
from netspace.studies.spec import FINGERPRINT, LARGEST_SEED, StudySpec
from netspace.studies.study import Study
from netspace.studies.text import study_text
from netspace.training.last_weights import forget_weights, trials_kept
from netspace.training.packs import PACK, open_packed, reuse_or_load


class Rung(Study):
    """A rung after the first; `former` is the rung before it, and `first` the study that they all belong to."""

    def __init__(self, step: Step, former: Study, first: Study) -> None:
        spec = rung_spec(first.spec, step)
        comment = f"Rung {step.place.number} of {first.spec.name}; `netspace run` trains it after the rung before."
        folder = first.folder.joinpath(*step.place.folders)
        super().__init__(
            spec,
            study_text(spec, [comment]),
            folder,
            place=first.place.inside(*step.place.folders),
            pack_folder=former._pack_folder if spec.data == former.spec.data else folder / PACK,
            settled_in=first.place,
        )
        self.former = former
        self._first_pack = first._pack_folder
        self.weights = first.weights
        self._step = step

    def draw(self, *, data_dir: Path | None = None, allow_download: bool = False) -> Drawn:
        """Load the data and choose the networks; writes nothing.

        Raises: ExecutionError where the rung before is not complete; StoreError where this rung has begun with other
        networks, or weights that it begins from are gone; as `Study.draw`.
        """
        before = self._trials_before()
        data = reuse_or_load(self.spec.data, self._pack_folder, data_dir=data_dir, allow_download=allow_download)
        self._settle((), data)  # as the first rung was
        spaces = self.spec.design_spaces(
            num_classes=data.num_classes, in_channels=data.in_channels, resolution=data.resolution
        )
        samples, trials = {}, {}
        for population in self.former.populations():
            chosen = going_on(population, self.spec.networks, self._step.place, self.spec.seed)
            samples[population.name] = self._taken(population, chosen)
            formers = [before[population.name][i] if self._from_weights else "" for i in chosen]
            trials[population.name] = tuple(
                trial_of(self.spec, network, data.fingerprint, former)
                for network, former in zip(samples[population.name].networks, formers, strict=True)
            )
        drawn = Drawn(spaces=spaces, samples=samples, trials=trials, data=data)
        self._check_begun(drawn)
        return drawn

    def run(self, **options: Any) -> StudyProgress:
        """Train as `Study.run`; once all is trained, the weights from which it began are removed."""
        done = super().run(**options)
        if self._from_weights and not done.remaining and options.get("part") is None:
            forget_weights(self.weights, itertools.chain(*self._trials_before().values()))
            with contextlib.suppress(OSError):  # others are in it, or it was never made
                self.weights.rmdir()
        return done

    @property
    def number(self) -> int:
        """Which rung it is, from 2."""
        return self._step.place.number

    @property
    def _from_weights(self) -> bool:
        return self._step.place.start == FORMER

    def _trials_before(self) -> dict[str, tuple[str, ...]]:
        """Return the trials of the rung before, by space.

        Raises: ExecutionError where one has no result; StoreError where there are more than the study has.
        """
        trials: dict[str, tuple[str, ...]] = {}
        finished: frozenset[str] = frozenset()
        if self.former.place.exists():
            with Store.open(self.former.place) as store:
                trials = {space: ids for space, (_, ids) in store.origins().items()}
                finished = store.finished()
        for space, ids in trials.items():
            if len(ids) > self.former.spec.networks:
                raise StoreError(
                    f"store {self.former.place.name!r} holds {len(ids)} networks of {space!r}, and the study only "
                    f"{self.former.spec.networks}; run it with as many as before"
                )
        wanted = self.former.spec.networks * len(self.spec.spaces)
        waiting = wanted - sum(trial in finished for ids in trials.values() for trial in ids)
        if waiting > 0:
            raise ExecutionError(
                f"rung {self.number} waits: {waiting} of {wanted} networks of rung {self.number - 1} have no result "
                "yet, and all of them decide who goes on; run the study again"
            )
        return trials

    def _taken(self, population: Population, chosen: Sequence[int]) -> Sample:
        """Return some networks of a population as the sample of this rung."""
        cost = population.complexity
        return Sample(
            name=population.name,
            seed=self.spec.seed,
            budget=self.spec.budget.budget(),
            resolution=open_packed(self._first_pack).resolution,
            networks=tuple(population.networks[i] for i in chosen),
            drawn=tuple(population.drawn[i] for i in chosen),
            positions=tuple(population.positions[i] for i in chosen),
            complexity=Complexity(**{m: getattr(cost, m)[list(chosen)] for m in MEASURES}),
            draws=population.num_draws,
            in_band=population.num_in_band,
            asked=self.spec.budget.budget().describe(),
        )

    def _check_begun(self, drawn: Drawn) -> None:
        """Check that what this rung holds is what it would choose now, and that what it begins from is there."""
        finished: frozenset[str] = frozenset()
        if self.place.exists():
            with Store.open(self.place) as store:
                identity = {**self.spec.identity(), FINGERPRINT: drawn.data.fingerprint}
                if values.first_difference(store.study, identity) is not None:
                    return  # another study's, which says so itself where it is to be written
                held, finished = store.origins(), store.finished()
            for space, trials in drawn.trials.items():
                _, known = held.get(space, (None, ()))
                if known != tuple(trial.id for trial in trials)[: len(known)]:
                    raise StoreError(
                        f"store {self.place.name!r} holds other networks of {space!r}, or began them from other "
                        f"weights, than rung {self.number - 1} now gives; a rung that keeps a share cannot grow: give "
                        f"the study {self.place.elsewhere}"
                    )
        if not self._from_weights:
            return
        with Store.open(self.former.place) as store:
            table = store.table()
        usable = {trial for trial, status in zip(table["trial"], table["status"], strict=True) if status == "finished"}
        waiting = {t.former for trials in drawn.trials.values() for t in trials if t.id not in finished}
        gone = (waiting & usable) - trials_kept(self.weights)
        if gone:
            raise StoreError(
                f"rung {self.number} begins from the weights of rung {self.number - 1}, and those of "
                f"{count(len(gone), 'network')} are not in {str(self.weights)!r}: they were removed, or trained before "
                f'the study file asked for them; give the study {self.place.elsewhere}, or write start = "fresh"'
            )


def rungs_of(study: Study) -> tuple[Rung, ...]:
    """Return the rungs after a study, which is the first, in their order; each runs once the one before is complete.

    Raises: StoreError where one that keeps a share has begun, and the study has grown or shrunk since.
    """
    found: list[Rung] = []
    for step in study.spec.ladder:
        rung = Rung(step, found[-1] if found else study, study)
        if step.networks < study.spec.networks and rung.place.exists():
            with Store.open(rung.place) as store:
                held = {space: len(trials) for space, (_, trials) in store.origins().items()}
            for space, networks in held.items():
                if networks != step.networks:
                    raise StoreError(
                        f"networks (={study.spec.networks}) would leave {step.networks} networks of {space!r} in rung "
                        f"{step.place.number}, and {rung.place.name!r} holds {networks}; a rung that keeps a share "
                        f"cannot grow: give the study {rung.place.elsewhere}"
                    )
        found.append(rung)
    return tuple(found)


def rung_spec(first: StudySpec, step: Step) -> StudySpec:
    """Return the study that a rung is.

    It trains from a seed of its own: trainings that share initial weights would rank networks more alike than they
    are, and whom luck brought up a rung would be lucky there again.
    """
    number = step.place.number
    return replace(
        first,
        name=f"{first.name}: rung {number}, {count(step.recipe.epochs, 'epoch')}",
        networks=step.networks,
        recipe=step.recipe,
        data=step.data,
        training_seed=(first.trained_from - number) % (LARGEST_SEED + 1),
        checks=None,
        rungs=first.rungs[number - 1 :],
        rung=step.place,
        output="",
    )
