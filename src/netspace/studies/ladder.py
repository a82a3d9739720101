"""What a study file says of rungs: the same networks trained again at another fidelity, the cheapest first.

The study's own recipe is the first rung. At each next one either all networks go on, for their distributions, or a
share of each space does: the best, to find networks, or some of every error, whose distribution is still the space's. A
rung is a schedule of its own, annealed to zero, never a longer one cut short.
Source: Jamieson and Talwalkar 2016, arXiv 1502.07943 (successive halving); Li et al. 2018, arXiv 1603.06560
(Hyperband).
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from netspace.checks import number, one_of, whole
from netspace.errors import DataError, InputError, SpecError, StudyFileError
from netspace.networks.plan import sides
from netspace.networks.spec import NetworkSpec
from netspace.spaces.declaration import SpaceDeclaration
from netspace.training.data import DataChoice, Dataset
from netspace.training.epochs import check_fits
from netspace.training.recipe import TrainingRecipe

FRESH, FORMER = "fresh", "former"
BEST, SPREAD = "best", "spread"
OF_RECIPE = ("epochs", "batch_size", "learning_rate", "warmup_epochs")
OF_DATA = ("training_share", "resolution")


@dataclass(frozen=True, slots=True, kw_only=True)
class RungChoice:
    """One entry of `[[rungs]]`: what differs from the rung before, who goes on, and from which weights.

    Fields of `[recipe]` and `[data]` that are None are those of the rung before. `keep` is the share of each space's
    networks that goes on, by `choose` the "best" by that rung, or with "spread" one at random of each of so many equal
    parts of them, from the best to the worst. `start` "former" begins from the weights at the end of that rung.
    """

    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    warmup_epochs: float | None = None
    training_share: float | None = None
    resolution: int | None = None
    keep: float = 1.0
    choose: str = BEST
    start: str = FRESH

    def __post_init__(self) -> None:
        number(self, "keep", InputError, above=True, maximum=1.0)
        one_of(self, "choose", InputError, (BEST, SPREAD))
        if self.choose == SPREAD and self.keep == 1.0:
            raise InputError(f"choose (={SPREAD!r}) is about a share that goes on: write keep = 0.33 beside it")
        one_of(self, "start", InputError, (FRESH, FORMER))
        if self.resolution is not None:
            whole(self, "resolution", InputError)


@dataclass(frozen=True, slots=True, kw_only=True)
class RungPlace:
    """Which rung of another study a study is: its number, from 2, and how its networks came into it.

    `kept` is the share of each space's networks that were taken for being the best, 1 where none was; `choose` says how
    they were taken from the rung before. `resized` says that its images have another resolution than those for which
    the networks were drawn.
    """

    number: int
    kept: float = 1.0
    choose: str = BEST
    start: str = FRESH
    resized: bool = False

    def __post_init__(self) -> None:
        whole(self, "number", InputError, minimum=2)
        number(self, "kept", InputError, above=True, maximum=1.0)
        one_of(self, "choose", InputError, (BEST, SPREAD))
        one_of(self, "start", InputError, (FRESH, FORMER))

    @property
    def folders(self) -> tuple[str, str]:
        """Where the rung is, inside the folder of its study."""
        return "rungs", str(self.number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How a rung is trained: `networks` of each space by a recipe, on data; `keep` and `start` are its choice's."""

    place: RungPlace
    keep: float
    recipe: TrainingRecipe
    data: DataChoice
    networks: int


def ladder(
    choices: Sequence[RungChoice],
    recipe: TrainingRecipe,
    data: DataChoice,
    networks: int,
    first: RungPlace | None = None,
) -> tuple[Step, ...]:
    """Return the rungs after one of this recipe, data and number of networks of each space: the first, unless said.

    Raises: InputError for a rung that cannot be, or is cheaper than the one before.

    >>> choices = (RungChoice(epochs=4, keep=0.5), RungChoice(epochs=16, keep=0.5, start="former"))
    >>> for rung in ladder(choices, TrainingRecipe(epochs=1), DataChoice(name="digits"), 12):
    ...     print(rung.place.number, rung.recipe.epochs, rung.networks, rung.place.kept)
    2 4 6 0.5
    3 16 3 0.25
    """
    steps: list[Step] = []
    position, kept, resized = (first.number, first.kept, first.resized) if first else (1, 1.0, False)
    for i, choice in enumerate(choices):
        where = f"rungs[{i}]"
        given = {name: value for name in OF_RECIPE if (value := getattr(choice, name)) is not None}
        of_data = {name: value for name in OF_DATA if (value := getattr(choice, name)) is not None}
        try:
            changed = replace(recipe, **given), replace(data, **of_data)
        except (InputError, DataError) as problem:
            raise InputError(f"{where}.{problem}") from None
        if choice.start == FRESH and changed == (recipe, data):
            raise InputError(
                f"{where} trains as the rung before it; give it more, such as epochs = {2 * recipe.epochs}"
            )
        if data.resolution == changed[1].resolution:
            check_cost(where, (recipe, data, 1), (*changed, 1))
        left = math.floor(round(choice.keep * networks + 0.5, 9))
        if left < 1:
            raise InputError(
                f"{where}.keep (={choice.keep:g}) must leave at least one network of each space, and of {networks} it "
                f"leaves none; the nearest is {math.ceil(50 / networks) / 100:g}"
            )
        resized = resized or data.resolution != changed[1].resolution
        recipe, data = changed
        if choice.choose == BEST:
            kept *= left / networks
        position, networks = position + 1, left
        place = RungPlace(number=position, kept=kept, choose=choice.choose, start=choice.start, resized=resized)
        steps.append(Step(place=place, keep=choice.keep, recipe=recipe, data=data, networks=networks))
    return tuple(steps)


def leaves_weights(choices: Sequence[RungChoice]) -> bool:
    """Whether the first of the rungs that follow begins from the weights at the end of this one."""
    return bool(choices) and choices[0].start == FORMER


def check_rungs(rungs: Sequence[Step], spaces: Sequence[SpaceDeclaration], *, backend: str, looks: int | None) -> None:
    """Check rungs against the rest of their study. Raises: InputError."""
    perceptrons = [choice.name for choice in spaces if choice.space == "mlp"]
    if rungs and looks is not None:
        raise InputError(
            f"comparison.looks (={looks}) ends a study between two networks, and rungs begin when all are trained; "
            "leave out one of the two"
        )
    for i, rung in enumerate(rungs):
        if rung.place.start == FORMER and backend != "torch":
            raise InputError(
                f"rungs[{i}].start (={FORMER!r}) must be {FRESH!r} for backend {backend!r}; backend 'torch' has it"
            )
        if rung.place.resized and perceptrons:
            raise InputError(
                f"rungs[{i}].resolution (={rung.data.resolution}) must be left out: a perceptron, as those of "
                f"{perceptrons[0]!r}, has a weight for every pixel, and would be another network"
            )


def check_rungs_fit(
    rungs: Sequence[Step],
    recipe: TrainingRecipe,
    data: Dataset,
    networks: Iterable[NetworkSpec],
    load: Callable[[Step], Dataset],
) -> None:
    """Check rungs against the data of each; recipe and data are the first rung's. Raises: StudyFileError, DataError."""
    networks = tuple(networks)
    for i, rung in enumerate(rungs):
        where, now = f"rungs[{i}]", data if rung.data == data.choice else load(rung)
        try:
            check_fits(rung.recipe, now)
            if now.resolution != data.resolution:
                check_cost(where, (recipe, data.choice, data.resolution), (rung.recipe, rung.data, now.resolution))
                for network in networks:
                    sides(network, now.resolution)
        except SpecError as problem:
            raise StudyFileError(f"{where}.resolution (={now.resolution}): {problem}") from None
        except InputError as problem:
            told = str(problem)
            raise StudyFileError(told if told.startswith(where) else f"{where}: {told}") from None
        recipe, data = rung.recipe, now


def check_cost(
    where: str, before: tuple[TrainingRecipe, DataChoice, int], now: tuple[TrainingRecipe, DataChoice, int]
) -> None:
    """Check that a rung, its images of a side [pixels], takes as many pixels as the one before. Raises: InputError."""
    cost, least = (recipe.epochs * data.training_share * side * side for recipe, data, side in (now, before))
    if cost < least * (1 - 1e-9):
        nearest = math.ceil(round(now[0].epochs * least / cost, 6))
        raise InputError(
            f"{where} is cheaper than the rung before it, by {100 * (1 - cost / least):.0f} % of its pixels (epochs x "
            f"training_share x resolution squared); the nearest is epochs = {nearest}"
        )


def check_sampled(place: RungPlace | None, what: str) -> None:
    """Check that a study's networks are samples of their spaces, which `what` asks for. Raises: InputError."""
    if place is not None and place.kept < 1.0:
        raise InputError(
            f"{what} takes samples of the spaces, and rung {place.number} holds only the best {100 * place.kept:.3g} % "
            "of each, chosen by their errors; take the rung before the first that keeps a share"
        )


def check_equal_rungs(numbers: Mapping[str, int], trainings: Mapping[str, str]) -> None:
    """Check that stores, by their names, are of one rung, and trained alike where that is told in words.

    Raises: InputError.
    """
    ranked = {name: f"of rung {number}" for name, number in numbers.items()}
    trained = {name: f"trained for {words}" for name, words in trainings.items()}
    for told in (ranked, trained):
        if len(set(told.values())) > 1:
            (first, of_first), *others = told.items()
            other, of_other = next((name, its) for name, its in others if its != of_first)
            raise InputError(
                f"{other!r} is {of_other} and {first!r} {of_first}; only equal rungs are compared, for networks that "
                "are trained for longer err less in any space"
            )


def check_alone(place: RungPlace | None) -> None:
    """Check that a study is no rung of another, by which alone a rung is trained. Raises: StudyFileError."""
    if place is not None:
        raise StudyFileError(
            f"rung.number (={place.number}): a rung is trained by its study, whose file lists it under [[rungs]]; run "
            "that file"
        )
