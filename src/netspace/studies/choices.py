"""The tables of a study file that are values of their own: its budget, comparison, checks and limits."""

import math
from dataclasses import dataclass, replace
from typing import Any

from netspace.checks import number, whole
from netspace.errors import InputError, SpaceError
from netspace.networks.complexity import MEASURES
from netspace.spaces.budget import Budget, parse_band
from netspace.stats import Criteria
from netspace.training.checkpoint import CHECKPOINT_SECONDS

FEWEST_CHECKED = 2
"""Networks of each space that a check takes at least."""
MOST_SEEDS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetChoice:
    """Bands as text (`"2M..8M"`) or as two numbers."""

    flops: str | tuple[float, float] | None = None
    params: str | tuple[float, float] | None = None
    activations: str | tuple[float, float] | None = None

    def __post_init__(self) -> None:
        self.budget()

    def budget(self) -> Budget:
        """Return the bands as numbers. Raises: SpaceError, naming the measure."""
        bands = {}
        for measure in MEASURES:
            given = getattr(self, measure)
            try:
                bands[measure] = parse_band(given) if isinstance(given, str) else given
            except SpaceError as problem:
                raise SpaceError(f"{measure}: {problem}") from None
        return Budget(**bands)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonChoice:
    """Margins of the verdicts (share of networks, error in [0, 1]) and the confidence of all together.

    With `looks` the verdicts are judged that many times while the study grows, each time at a stricter level, and the
    study may stop when they are decided; without, once. `assisted` looks besides, each time, which space is better by
    what covariates tell, and takes a pair for decided where that is shown. Of the spaces only `pairs` are compared, and
    share the risk; without, every pair is.
    """

    margin: float = 0.10
    median_margin: float = 0.005
    level: float = 0.95
    looks: int | None = None
    assisted: bool = False
    pairs: tuple[tuple[str, str], ...] | None = None

    def __post_init__(self) -> None:
        Criteria(**self.terms)
        if self.pairs is not None and len(set(map(frozenset, self.pairs))) != max(1, len(self.pairs)):
            raise InputError(f"pairs (={[*map(list, self.pairs)]}) must name at least one pair, and each once")
        if self.looks is not None:
            whole(self, "looks", InputError, minimum=2)
        elif self.assisted:
            raise InputError(
                "assisted (=True) is about planned looks: write `looks = 5` beside it; without, `netspace compare "
                "--assisted` looks once"
            )

    @property
    def terms(self) -> dict[str, Any]:
        """What one verdict is judged by."""
        return {"margin": self.margin, "median_margin": self.median_margin, "level": self.level}

    @property
    def once(self) -> "ComparisonChoice":
        """The same terms for a study of other spaces that is judged once."""
        return replace(self, looks=None, assisted=False, pairs=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChecksChoice:
    """What is trained besides, to check what the comparison takes for granted; each is a study of its own.

    `share` of each space's networks is trained again for `epochs`, and from `seeds` other seeds: the first ones drawn,
    so that they are chosen at random and before any result. As many are drawn anew in another `budget`. Where `spaces`
    names some, only those are checked.
    """

    share: float = 0.25
    epochs: int | None = None
    seeds: int | None = None
    budget: BudgetChoice | None = None
    spaces: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        number(self, "share", InputError, above=True, maximum=1.0)
        if self.epochs is not None:
            whole(self, "epochs", InputError)
        if self.seeds is not None:
            whole(self, "seeds", InputError, maximum=MOST_SEEDS)
        if self.epochs is None and self.seeds is None and self.budget is None:
            raise InputError("epochs: missing, and so are seeds and budget; a check takes at least one of the three")
        if self.budget is not None and not self.budget.budget().bands():
            raise InputError('budget: missing a band; the nearest is one of flops, such as flops = "2M..8M"')

    def networks(self, drawn: int) -> int:
        """Return how many of so many networks of a space are checked, rounded up.

        >>> ChecksChoice(share=0.1, epochs=9).networks(30), ChecksChoice(share=0.1, epochs=9).networks(31)
        (3, 4)
        """
        return math.ceil(round(self.share * drawn, 9))


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsChoice:
    """What one network's training may take; a network that takes more is recorded as failed.

    `minutes` of wall time in one worker, and `memory_gib` of that worker's own memory; None is no limit. A training
    that lasts longer than `checkpoint_minutes` is saved that often, at the end of an epoch.
    """

    minutes: float | None = None
    memory_gib: float | None = None
    checkpoint_minutes: float = CHECKPOINT_SECONDS / 60.0

    def __post_init__(self) -> None:
        if self.minutes is not None:
            number(self, "minutes", InputError, above=True)
        if self.memory_gib is not None:
            number(self, "memory_gib", InputError, above=True)
        number(self, "checkpoint_minutes", InputError)
