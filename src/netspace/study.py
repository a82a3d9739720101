"""The story in one file: draw networks, skip what is stored, train the rest, store, compare, report.

A study is its file (`StudySpec`) and an output folder with one store, a pack of the data for the workers, one
page and its figures. Nothing is written before everything that can be wrong in the file has been tried.
"""

import functools
import platform
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from netspace import values
from netspace.backends import get_backend
from netspace.execution.executor import Crashed, Done, Event, Executor, Failed, Report, Task, Work, never
from netspace.execution.processes import ProcessExecutor, default_workers
from netspace.networks.complexity import MEASURES
from netspace.spaces.sample import Sample, sample
from netspace.spaces.space import DesignSpace
from netspace.stats import Verdict, compare_all
from netspace.storage.population import Population
from netspace.storage.store import Store
from netspace.study_file import StudySpec, parse_study, read_study
from netspace.training.data import Dataset
from netspace.training.packs import open_packed, pack, reuse_or_load
from netspace.training.trial import EpochRecord, Trial, TrialResult

STORE_NAME = "study.db"
FINGERPRINT = "data_fingerprint"
ATTEMPTS = 2
"""How often a trial is begun whose worker process dies, before it is recorded as failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyProgress:
    """How far a run is: `total` networks, of which `stored` had a result before and `trained` got one now.

    `failures` counts diverged and failed networks among all results. `seconds` since the run began;
    `images` trained in it; `best_error` in [0, 1] of all results, None before the first.
    """

    total: int
    stored: int
    trained: int
    failures: int
    images: int
    seconds: float
    best_error: float | None

    @property
    def remaining(self) -> int:
        """Networks without a result."""
        return self.total - self.stored - self.trained

    @property
    def images_per_second(self) -> float:
        """Training images per second, all workers together."""
        return self.images / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """The time [s] that the rest will take at the pace so far; None before the first result."""
        return self.seconds / self.trained * self.remaining if self.trained else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What a study is about to train: spaces, samples and trials by the space's name, and the data."""

    spaces: dict[str, DesignSpace]
    samples: dict[str, Sample]
    trials: dict[str, tuple[Trial, ...]]
    data: Dataset


class Study:
    """A study file and its output folder."""

    def __init__(self, spec: StudySpec, text: str, folder: Path) -> None:
        self.spec = spec
        self.text = text
        self.folder = folder

    @classmethod
    def open(cls, path: str | Path, *, output: str | Path | None = None) -> "Study":
        """Return the study of a TOML file or of a store. Raises: StudyFileError, StoreError.

        `output` takes the place of the file's own folder; without either it is `runs/NAME`.
        """
        path = Path(path)
        if path.suffix == ".toml":
            spec, text = read_study(path)
            return cls(spec, text, Path(output or spec.output or Path("runs") / path.stem))
        store_path = path / STORE_NAME if path.is_dir() else path
        with Store.open(store_path) as store:
            text = store.text
        return cls(parse_study(text, f"the study file in {str(store_path)!r}"), text, store_path.parent)

    @property
    def store_path(self) -> Path:
        """Where the store is."""
        return self.folder / STORE_NAME

    def draw(self, *, data_dir: Path | None = None, allow_download: bool = False) -> Drawn:
        """Load the data, draw every sample and name every trial; writes nothing.

        Raises: any InputError that the file deserves; MissingFrameworkError.
        """
        get_backend(self.spec.backend)
        data = reuse_or_load(self.spec.data, self._pack_folder, data_dir=data_dir, allow_download=allow_download)
        self.spec.recipe.steps_per_epoch(len(data.training))
        spaces = self.spec.design_spaces(num_classes=data.num_classes, in_channels=data.in_channels)
        samples = {
            name: sample(
                space,
                self.spec.networks,
                seed=self.spec.seed,
                resolution=data.resolution,
                budget=self.spec.budget.budget(),
            )
            for name, space in spaces.items()
        }
        trials = {
            name: tuple(
                Trial(
                    network=network,
                    recipe=self.spec.recipe,
                    data=data.fingerprint,
                    seed=self.spec.seed,
                    backend=self.spec.backend,
                )
                for network in drawn.networks
            )
            for name, drawn in samples.items()
        }
        return Drawn(spaces=spaces, samples=samples, trials=trials, data=data)

    def run(
        self,
        *,
        executor: Executor | None = None,
        data_dir: Path | None = None,
        allow_download: bool = False,
        on_progress: Callable[[StudyProgress], None] | None = None,
        should_stop: Callable[[], bool] = never,
    ) -> StudyProgress:
        """Train every network that has no result yet; every result is committed as it arrives.

        `executor` defaults to the study's number of local worker processes. `should_stop` is asked often;
        once true, workers are ended and what they were training is trained again by the next run.
        Raises: as `draw`; StoreError where the output folder cannot be written or holds another study.
        """
        drawn = self.draw(data_dir=data_dir, allow_download=allow_download)
        identity = {**self.spec.identity(), FINGERPRINT: drawn.data.fingerprint}
        facts = self._facts(drawn.data)
        with Store.create(self.store_path, study=identity, text=self.text, facts=facts, expand=_with_defaults) as store:
            for name, taken in drawn.samples.items():
                ids = [trial.id for trial in drawn.trials[name]]
                definition = values.to_dict(drawn.spaces[name])
                store.add_population(_population(name, taken), definition=definition, trials=ids)
            pack(drawn.data, self._pack_folder)
            run = _Run(store, drawn, on_progress or (lambda progress: None))
            if run.waiting:
                setup = functools.partial(train_here, str(self._pack_folder), self.spec.backend)
                run.train(executor or self._workers(), setup, should_stop)
            return run.progress

    def populations(self) -> tuple[Population, ...]:
        """Return the population of every space with the results so far. Raises: StoreError."""
        with Store.open(self.store_path) as store:
            return store.populations()

    def verdicts(self) -> tuple[Verdict, ...]:
        """Return the verdict of every pair of spaces that has results, corrected for their number."""
        errors = {p.name: p.errors for p in self.populations() if len(p.errors)}
        if len(errors) < 2:
            return ()
        return compare_all(errors, **values.to_dict(self.spec.comparison))

    def results(self) -> list[dict[str, Any]]:
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
            for population in self.populations()
            for i, (network, result) in enumerate(zip(population.networks, population.results, strict=True))
        ]

    def report(self) -> tuple[Path, ...]:
        """Write the page and the figures beside the store; return their paths."""
        from netspace.report import StudyReport, write_report

        with Store.open(self.store_path) as store:
            facts = store.facts
            backend = Counter(
                ", ".join(f"{name} {version}" for name, version in sorted(attempt["versions"].items()))
                for attempt in store.attempts()
                if attempt["versions"]
            )
        page = StudyReport(
            title=self.spec.name,
            study_text=self.text,
            populations=self.populations(),
            verdicts=self.verdicts(),
            facts=facts["rows"] | {"Backend": "; ".join(backend) or self.spec.backend},
            notes=tuple(facts["notes"]),
        )
        return write_report(page, self.folder)

    @property
    def _pack_folder(self) -> Path:
        return self.folder / "data"

    def _workers(self) -> Executor:
        workers = self.spec.workers
        return ProcessExecutor(default_workers() if isinstance(workers, str) else workers)

    def _facts(self, data: Dataset) -> dict[str, Any]:
        """Return what the page says of the study, so that the store alone is enough to make it again."""
        recipe = self.spec.recipe
        rows = {
            "Data": f"{data.name}: {len(data.training):,} training and {len(data.validation):,} validation "
            f"images of {data.resolution}x{data.resolution} pixels, {data.num_classes} classes; the test "
            "split was not touched",
            "Data fingerprint": data.fingerprint,
            "Budget": self.spec.budget.budget().describe(),
            "Recipe": f"{recipe.epochs} epochs of SGD, batch {recipe.batch_size}, learning rate "
            f"{recipe.learning_rate:g} (half-cosine), momentum {recipe.momentum:g}, weight decay "
            f"{recipe.weight_decay:g}, {recipe.precision}",
            "Seed": str(self.spec.seed),
        }
        return {"rows": rows, "notes": list(data.notes)}


class _Run:
    """The bookkeeping of one run: which trials wait, what came back, how far it is."""

    def __init__(self, store: Store, drawn: Drawn, on_progress: Callable[[StudyProgress], None]) -> None:
        finished = store.finished()
        # Network i of every space in turn, so that a run that is stopped has compared like with like.
        turns = [trial for turn in zip(*drawn.trials.values(), strict=True) for trial in turn]
        self._trials = {trial.id: trial for trial in turns}
        self.waiting = [trial for trial in self._trials.values() if trial.id not in finished]
        self._store = store
        self._on_progress = on_progress
        self._crashes: Counter[str] = Counter()
        self._begun = time.monotonic()
        known = [r for p in store.populations() for r in p.results if r is not None]
        self._stored = len(finished & self._trials.keys())
        self._errors = [r.error for r in known if r.error is not None]
        self._failures = sum(r.error is None for r in {r.trial_id: r for r in known}.values())
        self._trained = 0
        self._images = 0
        recipe = next(iter(self._trials.values())).recipe
        self._images_per_epoch = recipe.batch_size * recipe.steps_per_epoch(len(drawn.data.training))

    def train(self, executor: Executor, setup: Callable[[], Work], should_stop: Callable[[], bool]) -> None:
        """Train what waits; a trial whose worker died is begun again, `ATTEMPTS` times in all."""
        while self.waiting and not should_stop():
            again: list[Trial] = []
            tasks = [Task(key=trial.id, payload=trial) for trial in self.waiting]
            for event in executor.run(setup, tasks, should_stop=should_stop):
                again += self._take(event)
                self._on_progress(self.progress)
            self.waiting = again

    @property
    def progress(self) -> StudyProgress:
        """How far the run is."""
        return StudyProgress(
            total=len(self._trials),
            stored=self._stored,
            trained=self._trained,
            failures=self._failures,
            images=self._images,
            seconds=time.monotonic() - self._begun,
            best_error=min(self._errors, default=None),
        )

    def _take(self, event: Event) -> list[Trial]:
        """Record what an event says; return the trial if it is to be begun again."""
        trial = self._trials[event.key]
        if isinstance(event, Done):
            result, versions = event.value
            self._record(result, versions)
        elif isinstance(event, Failed):
            failed = TrialResult(trial_id=trial.id, status="failed", reason=event.reason)
            self._record(failed, {}, detail=event.detail)
        elif isinstance(event, Crashed):
            self._crashes[trial.id] += 1
            if self._crashes[trial.id] < ATTEMPTS:
                self._store.record_attempt(trial.id, "crashed", event.reason, {})
                return [trial]
            self._record(TrialResult(trial_id=trial.id, status="failed", reason=event.reason), {})
        elif isinstance(event.value, EpochRecord):
            self._images += self._images_per_epoch
        return []

    def _record(self, result: TrialResult, versions: dict[str, str], detail: str | None = None) -> None:
        self._store.record(result, versions=versions, detail=detail)
        self._trained += 1
        if result.error is None:
            self._failures += 1
        else:
            self._errors.append(result.error)


def train_here(pack_folder: str, backend: str) -> Work:
    """Return the work function of a worker: trial in, (result, versions) out, an EpochRecord per epoch said.

    It opens the packed data without the test split.
    """
    trainer = get_backend(backend)
    data = open_packed(Path(pack_folder), ("training", "validation"))
    versions = {"python": platform.python_version(), "numpy": np.__version__, **trainer.versions()}

    def work(trial: Trial, report: Report) -> tuple[TrialResult, dict[str, str]]:
        return trainer.train(trial, data, on_epoch=report), versions

    return work


def _with_defaults(identity: dict[str, Any]) -> dict[str, Any]:
    """Return a study's identity with the defaults that it left out, so that a difference names both values."""
    spec = values.from_dict(StudySpec, {key: value for key, value in identity.items() if key != FINGERPRINT})
    return {**spec.identity(without_defaults=False), FINGERPRINT: identity.get(FINGERPRINT)}


def _population(name: str, taken: Sample) -> Population:
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
