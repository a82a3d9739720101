"""The chapter's argument: from a wide space to a simple one, a principle at a time, each confirmed on fresh networks.

A principle is *explored* in networks that are there: do those that break its relation have larger errors than those of
like complexity that obey it? Whatever that suggests, it is *confirmed* by a study of its own: the space as it is
against the space with one more relation, both drawn anew with another seed. No network that may have suggested a
relation judges it: one that is drawn again is trained and not counted. Each such study has its own store, so that all
of it continues where it stopped.

The risk of the study's level is shared equally by the steps (Bonferroni): whatever earlier decisions led to, each step
errs on its fresh networks with its own share of the risk at most, and all of them together with the whole.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from netspace import values
from netspace.errors import ExecutionError, InputError, StoreError, StudyFileError, did_you_mean
from netspace.execution.executor import GRACE, Executor, never
from netspace.files import written_aside
from netspace.findings.importance import relation_within
from netspace.spaces.counting import Estimate
from netspace.spaces.declaration import SpaceDeclaration
from netspace.spaces.principles import PRINCIPLES, NothingToDo, Principle
from netspace.spaces.space import DesignSpace
from netspace.stats import Criteria, Decision, DecisionKind, Verdict, compare, decide
from netspace.storage.store import Store
from netspace.studies.ladder import check_sampled
from netspace.studies.preparing import Drawn
from netspace.studies.running import StudyProgress
from netspace.studies.spec import FINGERPRINT, StudySpec, parse_study
from netspace.studies.study import Study
from netspace.studies.text import study_text

ENOUGH = 100
"""Fresh networks on either side of a step, by default and for a word of warning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One principle: what was explored, what fresh networks say, and what became of it.

    `skipped` says why there was nothing to do; all that follows is then empty. `explored` is plain data as
    `relation_within` gives it, None where no network can obey by chance. `sizes` are those of the space without and
    with the relation. Until it is confirmed `decision`, `verdict` and `folder` are None. `networks` were trained for it
    in `seconds`, all workers' time added.
    """

    principle: Principle
    skipped: str = ""
    explored: dict[str, Any] | None = None
    sizes: tuple[int | Estimate, int | Estimate] | None = None
    folder: Path | None = None
    verdict: Verdict | None = None
    decision: Decision | None = None
    taken: bool = False
    networks: int = 0
    seconds: float = 0.0


class Walk:
    """The way from one space of a study, principle by principle.

    `networks` are drawn on each side of a step. With `take_undecided` a relation is taken unless it was shown to lose.
    `margin` [share of networks] takes the place of the study's.
    Raises: InputError for a space that the study does not have, or a store without results.
    """

    def __init__(
        self,
        study: Study,
        *,
        space: str = "",
        networks: int = ENOUGH,
        margin: float | None = None,
        take_undecided: bool = False,
    ) -> None:
        self.study = study
        self.networks = networks
        self.take_undecided = take_undecided
        self.margin = study.spec.comparison.margin if margin is None else margin
        check_sampled(study.spec.rung, "a walk")
        if study.spec.unsettled:
            raise StudyFileError(
                "recipe.precision and kernels must be written out for a walk, whose steps are studies of their own: "
                '"auto" would be measured anew for each of them'
            )
        choices = {choice.name: choice for choice in study.spec.spaces}
        if space and space not in choices:
            raise InputError(f"space (={space!r}) is none of the study's{did_you_mean(space, choices)}")
        self.start = self._present = choices[space] if space else study.spec.spaces[0]
        self._populations = [population for population in study.populations() if population.trained]
        if not self._populations:
            raise InputError(f"store {study.place.name!r} has no results yet; `netspace run` trains its networks")
        self.steps: list[Step] = []
        self.plan = tuple(self._planned())
        self.criteria = Criteria(
            margin=self.margin,
            median_margin=study.spec.comparison.median_margin,
            level=1.0 - (1.0 - study.spec.comparison.level) / max(self.num_open, 1),
        )

    @property
    def num_open(self) -> int:
        """The number of steps that fresh networks decide."""
        return sum(not step.skipped for step in self.plan)

    @property
    def present(self) -> SpaceDeclaration:
        """The space as all decisions so far leave it."""
        return self._present

    @property
    def seconds_each(self) -> float | None:
        """The mean time [s] of a network of the study; None where none was recorded."""
        seconds = [r.seconds for p in self._populations for r in p.results if r is not None and r.seconds > 0.0]
        return sum(seconds) / len(seconds) if seconds else None

    def confirm(
        self,
        *,
        executor: Executor | None = None,
        workers: int | str | None = None,
        grace: float = GRACE,
        data_dir: Path | None = None,
        on_progress: Callable[[StudyProgress], None] | None = None,
        should_stop: Callable[[], bool] = never,
    ) -> Iterator[Step]:
        """Yield every step once it is decided; what a step needs is trained before it is yielded.

        A step that is trained is judged from its store alone, without the data.
        Raises: as `Study.run`; ExecutionError where it was stopped.
        """
        for principle in PRINCIPLES:
            try:
                step, refined = self._explore(self._present, principle)
                study = self._confirming(principle, refined, data_dir)
            except NothingToDo as problem:
                step = Step(principle=principle, skipped=str(problem))
            else:
                if not _is_trained(study):
                    progress = study.run(
                        executor=executor,
                        workers=workers,
                        grace=grace,
                        data_dir=data_dir,
                        on_progress=on_progress,
                        should_stop=should_stop,
                    )
                    if progress.remaining:
                        done = f"{progress.total - progress.remaining} of {progress.total} networks of this step"
                        where = f"have a result in {study.place.name!r}"
                        raise ExecutionError(f"stopped: {done} {where}; the same command continues")
                step = self._judged(step, study)
                if step.taken:
                    self._present = refined
            self.steps.append(step)
            yield step

    def write(self) -> Path:
        """Write the space that is left as a study, beside the space where it began; return the file's path."""
        folder = self.study.folder / "principles"
        comments = [
            f"{self.start.name} refined by the principles that are taken below. Fresh networks judged each with "
            f"{100.0 * self.criteria.level:.3g} % confidence, and so all of them with "
            f"{100.0 * self.study.spec.comparison.level:.3g} % (Bonferroni).",
            *(line for step in self.steps for line in _comments(step)),
        ]
        spaces = (self.start, self._present) if self._present is not self.start else (self.start,)
        spec = replace(
            self._derived(spaces, "refined"),
            name=f"{self.study.spec.name}: refined",
            output=str(folder / "refined"),
        )
        folder.mkdir(parents=True, exist_ok=True)
        with written_aside(folder / "refined.toml") as file:
            file.write(study_text(spec, comments).encode())
        return folder / "refined.toml"

    def _planned(self) -> Iterator[Step]:
        """Yield what each principle would do if all those before it were taken."""
        present = self.start
        for principle in PRINCIPLES:
            try:
                step, present = self._explore(present, principle)
            except NothingToDo as problem:
                step = Step(principle=principle, skipped=str(problem))
            yield step

    def _explore(self, present: SpaceDeclaration, principle: Principle) -> tuple[Step, SpaceDeclaration]:
        """Return what the networks that are there suggest, and the space with the principle. Raises: NothingToDo."""
        before = self._space(present)
        refined = principle.refine(present, before, self.study.spec.ranges)
        relation = principle.relation(before.num_stages)
        explored = None
        if relation is not None:
            row, _ = relation_within(relation, self._populations)
            explored = row
        sizes = (before.size(), self._space(refined).size())
        return Step(principle=principle, explored=explored, sizes=sizes), refined

    def _space(self, choice: SpaceDeclaration) -> DesignSpace:
        spec = self._derived((choice,), "size")
        # Of any images: the relations are the same.
        made = spec.design_spaces(num_classes=2, in_channels=1)[choice.name]
        if not isinstance(made, DesignSpace):
            raise InputError(
                f"space {choice.name!r} joins several spaces, as perceptrons of several activations; principles are "
                "for a single one"
            )
        return made

    def _confirming(self, principle: Principle, refined: SpaceDeclaration, data_dir: Path | None) -> Study:
        """Return the study that confirms a principle, drawn with a seed of its own.

        Raises: NothingToDo where fewer than half of its networks would be fresh; as `Study.draw`.
        """
        spec = self._derived((self._present, refined), principle.key)
        spec = replace(
            spec,
            name=f"{self.study.spec.name}: {principle.words}?",
            networks=self.networks,
            comparison=replace(spec.comparison, margin=self.margin, level=self.criteria.level),
        )
        text = study_text(spec, [f"Does it cost anything that {principle.words}? Made by `netspace principles`."])
        parsed = parse_study(text)
        spec = replace(parsed, spaces=tuple(choice.found("") for choice in parsed.spaces))
        of_study = self.study.spec.comparison.once
        content = values.digest(replace(spec, name="any", networks=1, comparison=of_study))
        where = ("principles", f"{principle.key}-{content[:6]}")
        study = Study(spec, text, self.study.folder.joinpath(*where), place=self.study.place.inside(*where))
        if _is_trained(study):
            return study
        try:
            drawn = study.draw(data_dir=data_dir)
        except StudyFileError as problem:  # all else in the file was right before: too few networks in the budget
            raise NothingToDo(str(problem)) from None
        self._check_data(drawn)
        explored = self._explored()
        for name, taken in drawn.samples.items():
            fresh = sum(network.digest not in explored for network in taken.networks)
            if 2 * fresh < self.networks:
                raise NothingToDo(
                    f"only {fresh} of {self.networks} networks of {name} are fresh, and all others were explored"
                )
        return study

    def _explored(self) -> set[str]:
        """Return the digests of all networks that may have suggested a principle."""
        return {network.digest for population in self._populations for network in population.networks}

    def _judged(self, step: Step, study: Study) -> Step:
        """Return a step with what its fresh networks say; from now on they may suggest what comes next."""
        populations, explored, errors = study.populations(), self._explored(), {}
        for population in populations:
            fresh = [population.networks[i].digest not in explored for i in population.trained]
            errors[population.name] = population.errors[fresh]
        present, refined = errors
        verdict = compare(
            errors[present],
            errors[refined],
            margin=self.criteria.margin,
            median_margin=self.criteria.median_margin,
            level=self.criteria.level,
            names=(present, refined),
        )
        decision = decide(verdict)
        self._populations += populations
        undecided = decision.kind is DecisionKind.UNDECIDED
        return replace(
            step,
            folder=study.folder,
            verdict=verdict,
            decision=decision,
            taken=decision.kind is DecisionKind.ACCEPT or (undecided and self.take_undecided),
            networks=sum(len(population.trained) for population in populations),
            seconds=sum(r.seconds for population in populations for r in population.results if r is not None),
        )

    def _check_data(self, drawn: Drawn) -> None:
        with Store.open(self.study.place) as store:
            fingerprint = store.study.get(FINGERPRINT)
        if drawn.data.fingerprint != fingerprint:
            raise StoreError(
                f"data_fingerprint was {fingerprint} when {self.study.place.name!r} was trained, and is "
                f"{drawn.data.fingerprint}; the same data must judge all networks"
            )

    def _derived(self, spaces: tuple[SpaceDeclaration, ...], purpose: str) -> StudySpec:
        """Return the study with other spaces, and draws that no other purpose has."""
        spec = self.study.spec
        names = {name for choice in spaces for name in choice.base().parameter_names}
        hashed = hashlib.sha256(f"{spec.seed}/{purpose}".encode()).digest()
        return replace(
            spec,
            spaces=spaces,
            ranges={name: given for name, given in spec.ranges.items() if name in names},
            seed=int.from_bytes(hashed[:4], "big"),
            output="",
            checks=None,
            rungs=(),
            rung=None,
            comparison=spec.comparison.once,
        )


def _is_trained(study: Study) -> bool:
    """Return whether a step's store says all of it, so that neither data nor a draw is needed."""
    try:
        with Store.open(study.place) as store:
            return store.text == study.text and all(None not in one.results for one in store.populations())
    except StoreError:  # there is none, or the run will say what is wrong with it
        return False


def _comments(step: Step) -> list[str]:
    """Return what the study file of the refined space says of a step."""
    if step.decision is None:
        return [f"- {step.principle.words}: not asked, since {step.skipped}"]
    assert step.verdict is not None
    became = "taken" if step.taken else "not taken"
    return [
        f"- {step.principle.words}: {step.decision.kind} ({step.decision.reason}); {became}.",
        f"  {step.verdict.sentence}",
    ]
