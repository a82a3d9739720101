"""A study as its TOML file says it, checked at the border into values; unknown keys are refused by path.

All fields of `StudySpec` but those in `NOT_IDENTITY` decide the results, and so make the study's identity. Where looks
are planned, the plan is part of it: what was judged early must not be judged again by other rules.
"""

import itertools
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from netspace import values
from netspace.checks import whole
from netspace.errors import InputError, OwnBlockError, SpaceError, StudyFileError, did_you_mean
from netspace.execution.choice import ExecutionChoice
from netspace.machine import MOST_THREADS
from netspace.networks.spec import Stem
from netspace.spaces.declaration import Ranges, SpaceDeclaration
from netspace.spaces.union import Space
from netspace.stats import planned_looks
from netspace.studies.choices import FEWEST_CHECKED, BudgetChoice, ChecksChoice, ComparisonChoice, LimitsChoice
from netspace.studies.ladder import RungChoice, RungPlace, Step, check_rungs, ladder
from netspace.training.data import DataChoice, Dataset
from netspace.training.device import CPU, check_device
from netspace.training.epochs import check_fits
from netspace.training.recipe import AUTO, TrainingRecipe, named_recipe
from netspace.training.trial import KERNELS, check_kernels

FINGERPRINT = "data_fingerprint"
"""The name of the data in a stored identity."""
NOT_IDENTITY = ("name", "networks", "comparison", "checks", "rungs", "workers", "limits", "execution", "output")
LARGEST_SEED = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySpec:
    """Everything that a study file says.

    `networks` are drawn per space. `stem`, `num_stages` and `conv_bias` hold for every space of convolutions; `ranges`
    narrow every space that has the parameter. `seed` is that of the draws and, where `training_seed` is None, of
    initial weights, order and augmentation. `kernels`, `threads` and `device` are every trial's; where `kernels` or the
    recipe's precision is "auto", it is measured when the study is made. Neither `workers` [processes] nor `execution`,
    which says where, nor `limits` change a result, but that of a network which goes over one. `output` is the study's
    folder, from where the command runs. `rungs` follow the study; `rung` is in the store of one that does.
    """

    name: str
    spaces: tuple[SpaceDeclaration, ...]
    data: DataChoice
    networks: int
    budget: BudgetChoice = BudgetChoice()
    recipe: TrainingRecipe = TrainingRecipe()
    stem: Stem | None = None
    num_stages: int | None = None
    conv_bias: bool = False
    ranges: Ranges = field(default_factory=dict)
    seed: int = 0
    training_seed: int | None = None
    backend: str = "torch"
    kernels: str = "torch"
    threads: int = 1
    device: str = CPU
    comparison: ComparisonChoice = ComparisonChoice()
    checks: ChecksChoice | None = None
    rungs: tuple[RungChoice, ...] = ()
    rung: RungPlace | None = None
    workers: int | str = "auto"
    limits: LimitsChoice = LimitsChoice()
    execution: ExecutionChoice = ExecutionChoice()
    output: str = ""

    def __post_init__(self) -> None:
        whole(self, "networks", InputError)
        if self.num_stages is not None:
            whole(self, "num_stages", InputError)
        whole(self, "seed", InputError, minimum=0, maximum=LARGEST_SEED)
        if self.training_seed is not None:
            whole(self, "training_seed", InputError, minimum=0, maximum=LARGEST_SEED)
        if not self.name.strip():
            raise InputError("name (='') must say what the study is called")
        if not self.spaces:
            raise InputError("spaces must name at least one design space")
        names = [choice.name for choice in self.spaces]
        for position, name in enumerate(names):
            if name in names[:position]:
                raise InputError(f"spaces[{position}].name (={name!r}) is taken; give each space its own name")
        for position, pair in enumerate(self.comparison.pairs or ()):
            if pair[0] == pair[1] or not set(pair) <= set(names):
                told = f"comparison.pairs[{position}] (={list(pair)})"
                raise InputError(f"{told} must be two different spaces of the study, which are {', '.join(names)}")
        check_kernels(self, self.backend, (*KERNELS, AUTO))
        check_device(self.device, backend=self.backend, kernels=self.kernels)
        whole(self, "threads", InputError, maximum=MOST_THREADS)
        if self.workers != "auto" and (not isinstance(self.workers, int) or self.workers < 1):
            raise InputError(f'workers (={self.workers!r}) must be "auto" or a whole number of at least 1')
        if self.comparison.looks is not None:
            try:
                planned_looks(self.networks, self.comparison.looks)
            except InputError as problem:
                raise InputError(f"comparison.{problem}") from None
            if len(self.spaces) < 2:
                raise InputError(
                    f"comparison.looks (={self.comparison.looks}): one space leaves no verdict to look for"
                )
        if self.checks is not None:
            self._check_checks(self.checks)
        check_rungs(self.ladder, self.spaces, backend=self.backend, looks=self.comparison.looks)
        self.design_spaces(num_classes=2, in_channels=1)

    @property
    def unsettled(self) -> bool:
        """Whether precision or kernels are still to be measured."""
        return AUTO in (self.recipe.precision, self.kernels)

    @property
    def trained_from(self) -> int:
        """The seed of initial weights, order and augmentation."""
        return self.seed if self.training_seed is None else self.training_seed

    @property
    def looks(self) -> tuple[int, ...]:
        """After how many networks of each space the verdicts are judged; empty where they are judged once."""
        return () if self.comparison.looks is None else planned_looks(self.networks, self.comparison.looks)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The pairs of spaces that are compared."""
        every = itertools.combinations([choice.name for choice in self.spaces], 2)
        return tuple(every) if self.comparison.pairs is None else self.comparison.pairs

    @property
    def ladder(self) -> tuple[Step, ...]:
        """The rungs that follow."""
        return ladder(self.rungs, self.recipe, self.data, self.networks, self.rung)

    def identity(self, *, without_defaults: bool = True) -> dict[str, Any]:
        """Return all that decides the result of each network, and the plan of the looks, as plain data.

        Defaults are left out, so that a field which a later release adds changes no study of today. Without looks
        `networks` is not part of it, because a larger sample only appends.
        """
        plain: dict[str, Any] = values.to_dict(self, without_defaults=without_defaults)
        return {key: value for key, value in plain.items() if key not in NOT_IDENTITY} | plan_of_looks(plain)

    def check_studies(self) -> "dict[str, StudySpec]":
        """Return the studies that `checks` asks for, by the name of their folder; none of them is checked itself.

        A sample is the first n distinct draws inside the budget, so that fewer networks of the same seed and budget
        are the first of these, and a budget of its own gives networks of its own.
        """
        asked = self.checks
        if asked is None:
            return {}
        checked = tuple(choice for choice in self.spaces if not asked.spaces or choice.name in asked.spaces)
        known = {name for choice in checked for name in choice.base().parameter_names}
        fewer = replace(
            self,
            spaces=checked,
            ranges={name: given for name, given in self.ranges.items() if name in known},
            checks=None,
            rungs=(),
            networks=asked.networks(self.networks),
            comparison=self.comparison.once,
            output="",
        )
        found = {}
        if asked.epochs is not None:
            recipe = replace(self.recipe, epochs=asked.epochs)
            # From a seed of its own: trainings that share initial weights would rank networks more alike than they are.
            found["epochs"] = replace(
                fewer,
                name=f"{self.name}: {asked.epochs} epochs",
                recipe=recipe,
                training_seed=(self.trained_from - 1) % (LARGEST_SEED + 1),
            )
        for i in range(1, 1 + (asked.seeds or 0)):
            seed = (self.trained_from + i) % (LARGEST_SEED + 1)
            found[f"seed_{i}"] = replace(fewer, name=f"{self.name}: trained from seed {seed}", training_seed=seed)
        if asked.budget is not None:
            bands = asked.budget.budget().describe()
            found["budget"] = replace(fewer, name=f"{self.name}: {bands}", budget=asked.budget)
        return found

    def _check_checks(self, asked: ChecksChoice) -> None:
        names = [choice.name for choice in self.spaces]
        for position, name in enumerate(asked.spaces):
            if name not in names:
                told = f"checks.spaces[{position}] (={name!r}) is no space of the study"
                raise InputError(told + did_you_mean(name, names))
            if name in asked.spaces[:position]:
                raise InputError(f"checks.spaces[{position}] (={name!r}) is named twice")
        count = asked.networks(self.networks)
        if count < FEWEST_CHECKED:
            nearest = (
                f"the nearest is {math.ceil(100 * FEWEST_CHECKED / self.networks) / 100:g}"
                if self.networks >= FEWEST_CHECKED
                else f"draw at least {FEWEST_CHECKED} networks"
            )
            raise InputError(
                f"checks.share (={asked.share:g}) must leave at least {FEWEST_CHECKED} networks of each space, and of "
                f"{self.networks} it leaves {count}; {nearest}"
            )
        if asked.epochs is not None and asked.epochs <= self.recipe.epochs:
            raise InputError(
                f"checks.epochs (={asked.epochs}) must be above recipe.epochs (={self.recipe.epochs}); the nearest is "
                f"{self.recipe.epochs + 1}"
            )
        if asked.budget is not None and asked.budget.budget() == self.budget.budget():
            raise InputError(
                f"checks.budget (={asked.budget.budget().describe()}) must be another one than the study's own budget"
            )

    def check_fits(self, data: Dataset) -> None:
        """Check the recipe against the data. Raises: StudyFileError."""
        try:
            check_fits(self.recipe, data)
        except InputError as problem:
            raise StudyFileError(f"recipe.{problem}") from None

    def design_spaces(self, *, num_classes: int, in_channels: int, resolution: int | None = None) -> dict[str, Space]:
        """Return the spaces by name, narrowed and fitted to the data. Raises: SpaceError, naming the field."""
        spaces = {}
        unused = set(self.ranges)
        for position, choice in enumerate(self.spaces):
            base = choice.base(resolution)
            shared = {name: given for name, given in self.ranges.items() if name in base.parameter_names}
            unused -= set(shared)
            try:
                base = base.narrow(**{name: given for name, given in shared.items() if name not in choice.ranges})
            except SpaceError as problem:
                raise SpaceError(f"ranges.{problem}") from None
            frame: dict[str, Any] = {
                "num_classes": num_classes,
                "in_channels": in_channels,
                "conv_bias": self.conv_bias,
            }
            if choice.space != "mlp":
                frame |= {"stem": self.stem} if self.stem is not None else {}
                frame |= {"num_stages": self.num_stages} if self.num_stages is not None else {}
            try:
                spaces[choice.name] = choice.design_space(base.framed(**frame))
            except SpaceError as problem:
                raise SpaceError(f"spaces[{position}].{problem}") from None
        for name in sorted(unused):
            known = {known for choice in self.spaces for known in choice.base().parameter_names}
            raise SpaceError(f"ranges.{name}: no space of this study has it{did_you_mean(name, known)}")
        return spaces


def plan_of_looks(study: dict[str, Any]) -> dict[str, Any]:
    """Return that part of a study's plain data which looks fix for good; empty where none are planned."""
    if study.get("comparison", {}).get("looks") is None:
        return {}
    return {"networks": study["networks"], "comparison": study["comparison"]}


def with_defaults(identity: dict[str, Any]) -> dict[str, Any]:
    """Return a study's identity with the defaults that it left out, so that a difference names both values."""
    plain = {key: value for key, value in identity.items() if key != FINGERPRINT and key not in NOT_IDENTITY}
    plain |= {"name": "any", "networks": 1} | plan_of_looks(identity)
    spec = values.from_dict(StudySpec, plain, where="the stored study")
    return {**spec.identity(without_defaults=False), FINGERPRINT: identity.get(FINGERPRINT)}


def read_study(path: Path) -> tuple[StudySpec, str]:
    """Return the study of a TOML file, and the file's text. Files that it names for blocks are looked for beside it.

    Raises: StudyFileError, one sentence with the file, the path of the field, and the nearest right name.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as problem:
        raise StudyFileError(f"study file {str(path)!r} cannot be read ({problem.strerror})") from None
    except UnicodeDecodeError:
        raise StudyFileError(f"study file {str(path)!r} is not UTF-8 text") from None
    spec, spaces = parse_study(text, str(path)), []
    for position, choice in enumerate(spec.spaces):
        try:
            spaces.append(choice.found(path.parent))
        except OwnBlockError as problem:
            raise StudyFileError(f"{path}: spaces[{position}].frame.own_block: {problem}") from problem
    return replace(spec, spaces=tuple(spaces)), text


def parse_study(text: str, source: str = "study") -> StudySpec:
    """Return the study of a TOML text; `source` names it in errors. Raises: StudyFileError."""
    return values.from_toml(StudySpec, text, source=source, error=StudyFileError, prepare=with_preset)


def with_preset(plain: dict[str, Any]) -> dict[str, Any]:
    """Return a study's plain data with the fields of the recipe's `preset` in its place, unless they stand beside it.

    Raises: StudyFileError where there is no such recipe.
    """
    recipe = plain.get("recipe")
    if not isinstance(recipe, dict) or "preset" not in recipe:
        return plain
    name, backend = str(recipe["preset"]), plain.get("backend", "torch")
    try:
        found = values.to_dict(named_recipe(name, backend), without_defaults=True)
    except InputError as problem:
        raise StudyFileError(f"recipe.preset: {problem}") from None
    return plain | {"recipe": found | {field: given for field, given in recipe.items() if field != "preset"}}
