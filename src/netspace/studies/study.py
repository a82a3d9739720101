"""The story in one file: draw networks, skip what is stored, train the rest, store, compare, report.

A study is its file (`StudySpec`) and an output folder with one store, a pack of the data for the workers, one
page and its figures. Nothing is written before everything that can be wrong in the file has been tried.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netspace.errors import InputError, OwnBlockError, StoreError, StudyFileError
from netspace.execution.choice import ExecutionChoice
from netspace.execution.executor import GRACE, Executor, ShouldStop, never
from netspace.findings.assumptions import Assumption
from netspace.spaces.sample import Sample
from netspace.stats import Verdict
from netspace.storage.address import place_of
from netspace.storage.place import Place, check_shareable
from netspace.storage.population import Population
from netspace.storage.sqlite import STORE_NAME, SqliteFile
from netspace.storage.store import Store
from netspace.studies import growing
from netspace.studies.growing import Growth
from netspace.studies.ladder import Step, check_alone, check_rungs_fit
from netspace.studies.launching import in_turn, study_workers, trial_of, worker_setup
from netspace.studies.merging import check_reuse, equal_trials
from netspace.studies.parts import WHOLE, Part
from netspace.studies.preparing import Drawn, Preparation
from netspace.studies.running import OnProgress, Run, StudyProgress
from netspace.studies.samples import draw_censuses, draw_samples
from netspace.studies.settling import as_settled, check_machine, measured
from netspace.studies.spec import FINGERPRINT, StudySpec, parse_study, read_study
from netspace.studies.telling import (
    FALLBACK,
    check_plan,
    judge,
    judge_assisted,
    judge_assumptions,
    result_rows,
    seed_repeats,
    study_facts,
    tell,
    undecided_spaces,
)
from netspace.studies.text import study_text
from netspace.training.data import Dataset
from netspace.training.packs import PACK, open_packed, reuse_or_load, shared_pack

if TYPE_CHECKING:
    from netspace.report import StudyReport


class Study:
    """A study file, its output folder, and the place of its store: a file in that folder, unless another is given."""

    def __init__(
        self,
        spec: StudySpec,
        text: str,
        folder: Path,
        *,
        place: Place | None = None,
        pack_folder: Path | None = None,
        settled_in: Place | None = None,
        growth: Growth | None = None,
    ) -> None:
        self.spec = growing.as_grown(spec, growth)
        self.growth = growth if self.spec is not spec else None
        self.text = text
        self.folder = folder
        self.place = place or SqliteFile(path=folder / STORE_NAME)
        self._pack_folder = pack_folder or folder / PACK
        self._settled_in = settled_in or self.place
        self.weights = folder / "weights"
        self._fallback: str | None = None
        self._censuses: dict[str, Sample] = {}

    @classmethod
    def open(
        cls,
        where: str | Path | Place,
        *,
        output: str | Path | None = None,
        store: str | Path | Place | None = None,
    ) -> "Study":
        """Return the study of a TOML file or of a store. Raises: StudyFileError, StoreError, ExecutionError.

        `output` takes the place of the file's own folder; without either it is `runs/` and the file's name, or that of
        a schema in PostgreSQL. `store` gives a study file another store than the one in that folder.
        """
        place = place_of(where)
        if not isinstance(place, SqliteFile):
            return cls._stored(place, Path(output or place.folder))
        path = Path(str(where))
        if path.suffix.lower() in (".csv", ".json", ".parquet") and path.is_file():
            raise StoreError(f"{str(path)!r} is a table of results; this takes a study's output folder or its study.db")
        if path.suffix == ".toml" or (path.is_file() and path.suffix != ".db"):
            spec, text = read_study(path)
            folder = Path(output or spec.output or Path("runs") / path.stem)
            place = SqliteFile(path=folder / STORE_NAME) if store is None else place_of(store)
            return cls(spec, text, folder, place=place, growth=growing.last_growth(place))
        if output is not None:
            raise StoreError(f"output (={str(output)!r}) cannot be changed for the store {place.name!r}")
        if store is not None:
            raise StoreError(f"{str(path)!r} is a store itself; --store goes with the study's TOML file")
        return cls._stored(place, place.folder)

    @classmethod
    def _stored(cls, place: Place, folder: Path) -> "Study":
        with Store.open(place) as store:
            text, stored, growth = store.text, store.study, growing.growth_among(store.facts)
        spec = parse_study(text, f"the study file in {place.name!r}")
        pack_folder = shared_pack(spec.data, folder)
        return cls(as_settled(spec, stored), text, folder, place=place, pack_folder=pack_folder, growth=growth)

    @property
    def store_path(self) -> Path:
        """The file of the store. Raises: StoreError where it is in no file."""
        if not isinstance(self.place, SqliteFile):
            raise StoreError(f"store {self.place.name!r} is no file")
        return self.place.path

    def checks(self) -> "dict[str, Study]":
        """Return the studies of `[checks]` by name, to be run like any other; their data are this one's."""
        return {
            name: Study(
                spec,
                study_text(spec, [f"The check {name!r} of {self.spec.name}; `netspace run` trains it after it."]),
                self.folder / "checks" / name,
                place=self.place.inside("checks", name),
                pack_folder=self._pack_folder,
                settled_in=self.place,
            )
            for name, spec in self.spec.check_studies().items()
        }

    def grow(self, add: int) -> None:
        """Have the next run take so many more networks of every space than there are; nothing that stands is touched.

        Growth that was cut off is gone on with. Raises: as `growing.grown_by`; StoreError.
        """
        waiting = sum(growing.still_waiting(one.spec, one.place) for one in (self, *self.checks().values()))
        for rung in self.spec.ladder:
            asked = replace(self.spec, networks=rung.networks, checks=None, rungs=())
            waiting += growing.still_waiting(asked, self.place.inside(*rung.place.folders))
        self.growth = growing.grown_by(add, self.spec, self.growth, waiting)
        self.spec = growing.as_grown(self.spec, self.growth)

    def draw(self, *, data_dir: Path | None = None, allow_download: bool = False) -> Drawn:
        """Load the data, draw every sample and name every trial; look at checks and rungs too; writes nothing.

        Raises: any InputError that the file deserves; MissingFrameworkError.
        """
        data = reuse_or_load(self.spec.data, self._pack_folder, data_dir=data_dir, allow_download=allow_download)
        drawn = self._draw(data)
        for name, check in self.checks().items():
            try:
                check._draw(data)
            except StudyFileError as problem:
                raise StudyFileError(f"[checks], {name}: {problem}") from None

        def load(rung: Step) -> Dataset:
            folder = self.folder.joinpath(*rung.place.folders, PACK)
            return reuse_or_load(rung.data, folder, data_dir=data_dir, allow_download=allow_download)

        networks = [network for taken in drawn.samples.values() for network in taken.networks]
        check_rungs_fit(self.spec.ladder, self.spec.recipe, data, networks, load)
        return drawn

    def _draw(self, data: Dataset) -> Drawn:
        check_alone(self.spec.rung)
        spaces, samples = draw_samples(self.spec, data)
        self._settle(tuple(samples.values()), data)
        trials = {
            name: tuple(trial_of(self.spec, network, data.fingerprint) for network in drawn.networks)
            for name, drawn in samples.items()
        }
        return Drawn(spaces=spaces, samples=samples, trials=trials, data=data)

    def run(
        self,
        *,
        executor: Executor | ExecutionChoice | None = None,
        workers: int | str | None = None,
        grace: float = GRACE,
        data_dir: Path | None = None,
        allow_download: bool = False,
        on_progress: OnProgress | None = None,
        should_stop: ShouldStop = never,
        until_decided: bool = False,
        part: Part | None = None,
        reuse: Sequence[str | Path | Place] = (),
    ) -> StudyProgress:
        """Train every network that has no result yet; every result is committed as it arrives.

        With a `part` only the networks of that range are trained, and other processes may train other parts into the
        same store; the progress is the part's.

        `until_decided` trains from one planned look to the next, and no more networks of a space whose pairs are all
        decided. What a look sees is fixed by counts, so that nothing but the results needs to be remembered.

        `reuse` names other stores, of any studies: what they hold of these very trials is taken over, failures aside.

        `executor` defaults to workers where the study says, `workers` or else its number of them, under its limits.
        `should_stop` is asked often; once true, no training begins, and those that run are saved at the end of their
        epoch, or end, within `grace` [s]; the next run goes on with them. `checks` are run by themselves.
        Raises: as `draw`; StoreError where the output folder cannot be written or holds another study.
        """
        if part is not None:
            check_shareable(self.place)
            if until_decided:
                raise InputError(f"part (={part}) leaves no look to wait for; leave out part or until_decided")
        if until_decided and not self.spec.looks:
            raise StudyFileError(
                "comparison.looks: missing; a study that stops when it is decided plans its looks before the first: "
                "write `looks = 5` under [comparison]"
            )
        if reuse:
            check_reuse(self.spec, part)
        with contextlib.ExitStack() as stack:
            soon, logs = not self.place.exists(), self.folder / "logs"
            executor = stack.enter_context(study_workers(self.spec, executor, logs, workers, grace, soon=soon))
            drawn = self.draw(data_dir=data_dir, allow_download=allow_download)
            on_progress = on_progress or (lambda progress: None)
            return self._run(drawn, executor, on_progress, should_stop, until_decided, part, reuse)

    def prepare(self, drawn: Drawn) -> None:
        """Make the store ready for processes that train a part each: it holds what is drawn, and the data are packed.

        Raises: StoreError, also where the store takes one writer only, or is being written.
        """
        check_shareable(self.place)
        with self._preparation(drawn).alone():
            pass

    def _preparation(self, drawn: Drawn) -> Preparation:
        return Preparation(
            drawn=drawn,
            place=self.place,
            pack_folder=self._pack_folder,
            identity={**self.spec.identity(), FINGERPRINT: drawn.data.fingerprint},
            text=self.text,
            facts=growing.with_growth(study_facts(self.spec, drawn.data, self._fallback), self.growth),
            growth=self.growth,
        )

    def _run(
        self,
        drawn: Drawn,
        executor: Executor,
        on_progress: OnProgress,
        should_stop: ShouldStop,
        until_decided: bool,
        part: Part | None,
        reuse: Sequence[str | Path | Place],
    ) -> StudyProgress:
        ready = self._preparation(drawn)
        known = equal_trials(drawn.trials.values(), reuse)
        with ready.alone() if part is None else ready.among_others(f"part {part}") as store:
            if reuse:
                store.take(*known)
            turns = in_turn(drawn.trials.values(), drawn.data.resolution, part or WHOLE)
            recipe = self.spec.recipe
            images = recipe.batch_size * recipe.steps_per_epoch(len(drawn.data.training))
            checkpoints = self.folder / "checkpoints"
            run = Run(store, turns, images, on_progress, checkpoints)
            folders = {"pack_folder": self._pack_folder, "checkpoints": checkpoints, "weights": self.weights}
            setup = worker_setup(self.spec, turns, **folders)
            for networks in self.spec.looks if until_decided else (self.spec.networks,):
                wanted = self._undecided(store) if until_decided else list(drawn.trials)
                chosen = [drawn.trials[name][:networks] for name in wanted]
                turns = in_turn(chosen, drawn.data.resolution, part or WHOLE)
                if run.waiting(turns):
                    run.train(turns, executor, setup, should_stop)
                if run.waiting(turns):
                    return run.progress
            return replace(run.progress, spared=run.progress.remaining)

    def checked(self) -> dict[str, tuple[Population, ...]]:
        """Return the populations of every check that has begun, by its name. Raises: StoreError.

        Without a check of that name, the last rung that trains samples of the spaces for longer is "epochs".
        """
        found = {name: check.populations() for name, check in self.checks().items() if check.place.exists()}
        longer = [r for r in self.spec.ladder if r.place.kept == 1.0 and r.recipe.epochs > self.spec.recipe.epochs]
        climbed = self.climbed() if longer else {}
        dear = [climbed[rung.place.number] for rung in longer if rung.place.number in climbed]
        return {"epochs": dear[-1], **found} if dear else found

    def climbed(self) -> dict[int, tuple[Population, ...]]:
        """Return the populations of every rung after this one that has begun, by its number. Raises: StoreError."""
        if self.spec.rung is not None:
            return {}  # the first one's place has them
        numbered = {rung.place.number: self.place.inside(*rung.place.folders) for rung in self.spec.ladder}
        found = {}
        for number, place in numbered.items():
            if place.exists():
                with Store.open(place) as store:
                    found[number] = store.populations()
        return found

    def data(self) -> Dataset:
        """Return the images of this study, from its pack or from their files. Raises: DataError."""
        folder = self._pack_folder
        return open_packed(folder) if folder.is_dir() else reuse_or_load(self.spec.data, folder)

    def censuses(self) -> dict[str, Sample]:
        """Return many fresh networks of every space inside the budget, by another seed than the study's; drawn once.

        Nothing is trained. Raises: DataError where the store has no pack of the data and they are not to be had.
        """
        try:
            self._censuses = self._censuses or draw_censuses(self.spec, self.data())
        except OwnBlockError as problem:
            named = f"store {self.place.name!r} does not hold the file of its own block"
            raise OwnBlockError(f"{named} ({problem}); name the study's TOML file in place of the store") from None
        return self._censuses

    def populations(self) -> tuple[Population, ...]:
        """Return the population of every space with the results so far. Raises: StoreError."""
        with Store.open(self.place) as store:
            return store.populations()

    def verdicts(self, *, normalised: str | None = None) -> tuple[Verdict, ...]:
        """Return the verdict of every pair of spaces that has results; see `telling.judge`.

        Raises: InputError as there; StoreError, also where the store was judged by another plan of looks.
        """
        with Store.open(self.place) as store:
            check_plan(self.spec, store)
            return judge(self.spec, store.populations(), normalised=normalised)

    def assisted(self) -> list[dict[str, Any]]:
        """Return what covariates tell of every pair of spaces; see `findings.assisted`.

        Raises: InputError for a study that plans looks without them; StoreError; as `censuses`.
        """
        with Store.open(self.place) as store:
            check_plan(self.spec, store)
            return judge_assisted(self.spec, store.populations(), self.censuses())

    def assumptions(self) -> tuple[Assumption, ...]:
        """Return how the four assumptions stand, by this study and as much of its checks as is trained."""
        populations = self.populations()
        return judge_assumptions(self.spec, populations, self.checked(), judge(self.spec, populations))

    def repeats(self) -> tuple[tuple[Population, ...], ...]:
        """Return the populations that were trained from other seeds, one entry per seed that has begun."""
        return seed_repeats(self.checked())

    def results(self) -> list[dict[str, Any]]:
        """Return one row per network: space, position, digest, spec, complexity, status, error, seconds."""
        return result_rows(self.populations())

    def report(self) -> tuple[Path, ...]:
        """Write the page, the figures and the tables beside the store; return their paths."""
        from netspace.report import write_report

        return write_report(self.findings(), self.folder)

    def stamp(self) -> tuple[Any, ...]:
        """Return what differs once the store has changed. Raises: StoreError where it is gone."""
        with Store.open(self.place) as store:
            return store.stamp()

    def findings(self, *, while_waiting: bool = True) -> "StudyReport":
        """Return all that the page says, read from the store as it is now.

        What matters most takes a second or more per space; with `while_waiting` false, only once no network waits.

        It shows the study file as it was last run, which need not be the file of today.
        """
        with Store.open(self.place) as store:
            censuses = self.censuses() if self.spec.comparison.assisted else None
            return tell(
                self.spec, store, self.checked(), self.climbed(), censuses=censuses, while_waiting=while_waiting
            )

    def _undecided(self, store: Store) -> list[str]:
        censuses = self.censuses() if self.spec.comparison.assisted else None
        return undecided_spaces(self.spec, store.populations(), censuses)

    def _settle(self, samples: Sequence[Sample], data: Dataset) -> None:
        """Have nothing left to the machine: as the study was made, or else measured now."""
        if self.spec.unsettled and self._settled_in.exists():
            with Store.open(self._settled_in) as store:
                self.spec = as_settled(self.spec, store.study)
                self._fallback = store.facts.get(FALLBACK)
        elif self.spec.unsettled:
            self.spec, self._fallback = measured(self.spec, samples, data)
        check_machine(self.spec)
