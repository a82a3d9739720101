"""Relations: what the values of one parameter must satisfy from stage to stage.

A relation reads a network's values stage by stage and remembers one number: the value before, the sum so far. That
makes it a small automaton, and `chains` builds everything else out of automata: exact counts, direct draws,
membership, and the relation's violation. States and values are broadcast against each other; NaN is "forbidden".
"""

import math
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from netspace.errors import SpaceError
from netspace.networks.spec import FloatArray
from netspace.spaces.laws import finite_numbers

BROKEN = math.inf
"""The state of a violation whose relation has been broken."""

FIRST = -math.inf
"""The state before the first stage where the state is the value before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Relation:
    """A relation on the values of `parameter`; this one forbids nothing."""

    parameter: str

    start: ClassVar[float] = FIRST

    def step(self, stage: int, state: FloatArray, value: FloatArray) -> FloatArray:
        """Return the state after a stage's value, NaN where the relation forbids it."""
        return np.where(self.allows(state, value) | (state == FIRST), value, np.nan)

    def allows(self, before: FloatArray, value: FloatArray) -> npt.NDArray[np.bool_]:
        """Return whether a value may follow the one before."""
        raise NotImplementedError

    def accepts(self, state: FloatArray) -> npt.NDArray[np.bool_]:
        """Return whether the values read by the last stage satisfy the relation."""
        return np.ones(np.shape(state), dtype=bool)

    def free(self, num_stages: int) -> int:
        """Return the number of free parameters."""
        return num_stages

    def describe(self) -> str:
        """Return the relation as a person would read it."""
        raise NotImplementedError

    def check(self, num_stages: int) -> None:
        """Check the relation against the number of stages. Raises: SpaceError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Increasing(_Relation):
    """Values that never fall from one stage to the next (`strict`: that rise)."""

    strict: bool = False

    def allows(self, before: FloatArray, value: FloatArray) -> npt.NDArray[np.bool_]:
        """Return whether a value may follow the one before."""
        return value > before if self.strict else value >= before

    def describe(self) -> str:
        """Return the relation as a person would read it."""
        return f"{self.parameter} {'rises' if self.strict else 'never falls'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decreasing(_Relation):
    """Values that never rise from one stage to the next (`strict`: that fall)."""

    strict: bool = False

    def allows(self, before: FloatArray, value: FloatArray) -> npt.NDArray[np.bool_]:
        """Return whether a value may follow the one before."""
        return value < before if self.strict else value <= before

    def describe(self) -> str:
        """Return the relation as a person would read it."""
        return f"{self.parameter} {'falls' if self.strict else 'never rises'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant(_Relation):
    """Values that are equal in all stages: independent stages, conditioned on agreeing."""

    def allows(self, before: FloatArray, value: FloatArray) -> npt.NDArray[np.bool_]:
        """Return whether a value may follow the one before."""
        return np.equal(value, before)

    def free(self, num_stages: int) -> int:
        """Return the number of free parameters."""
        return 1

    def describe(self) -> str:
        """Return the relation as a person would read it."""
        return f"{self.parameter} is constant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Share(Constant):
    """One value for all stages, drawn once by the parameter's law.

    The networks are those of `Constant`. Where all values are equally probable so are the weights; elsewhere
    `Constant` favours probable values, because several stages had to agree on them.
    """

    def describe(self) -> str:
        """Return the relation as a person would read it."""
        return f"{self.parameter} is shared"


@dataclass(frozen=True, slots=True, kw_only=True)
class Different(_Relation):
    """Values that differ, in every stage, from the value of the stage before."""

    def allows(self, before: FloatArray, value: FloatArray) -> npt.NDArray[np.bool_]:
        """Return whether a value may follow the one before."""
        return np.not_equal(value, before)

    def describe(self) -> str:
        """Return the relation as a person would read it."""
        return f"{self.parameter} differs from stage to stage"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio(_Relation):
    """Each stage's value is between `low` and `high` times the value of the stage before (closed)."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_range(self, minimum=0.0)

    def allows(self, before: FloatArray, value: FloatArray) -> npt.NDArray[np.bool_]:
        """Return whether a value may follow the one before."""
        with np.errstate(invalid="ignore"):  # 0 times infinity, where there is no stage before
            # 1.1 * 400 is a little more than 440, and is meant to be 440.
            return (value >= self.low * before * (1 - 1e-9)) & (value <= self.high * before * (1 + 1e-9))

    def describe(self) -> str:
        """Return the relation as a person would read it."""
        times = f"{self.low:g}" if self.low == self.high else f"{self.low:g} to {self.high:g}"
        return f"{self.parameter} is {times} times the stage before"


@dataclass(frozen=True, slots=True, kw_only=True)
class Total(_Relation):
    """The sum over all stages lies in [low, high]: the total depth, where the parameter is depth."""

    low: float
    high: float

    start: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        _check_range(self, minimum=0.0)

    def step(self, stage: int, state: FloatArray, value: FloatArray) -> FloatArray:
        """Return the sum so far, NaN where it is too large."""
        total = state + value
        return np.where(total <= self.high, total, np.nan)

    def accepts(self, state: FloatArray) -> npt.NDArray[np.bool_]:
        """Return whether the sum is large enough."""
        return state >= self.low

    def describe(self) -> str:
        """Return the relation as a person would read it."""
        bounds = f"{self.low:g}" if self.low == self.high else f"{self.low:g} to {self.high:g}"
        return f"{self.parameter} sums to {bounds}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed(_Relation):
    """The value of each stage is given."""

    values: tuple[float, ...]

    start: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", finite_numbers(self.values, self.parameter))

    def step(self, stage: int, state: FloatArray, value: FloatArray) -> FloatArray:
        """Return 0, NaN where the value is another one."""
        return np.where(value == self.values[stage], 0.0 * state, np.nan)

    def free(self, num_stages: int) -> int:
        """Return the number of free parameters."""
        return 0

    def describe(self) -> str:
        """Return the relation as a person would read it."""
        return f"{self.parameter} is {', '.join(f'{value:g}' for value in self.values)}"

    def check(self, num_stages: int) -> None:
        """Check the relation against the number of stages. Raises: SpaceError."""
        if len(self.values) != num_stages:
            raise SpaceError(f"{self.describe()}: {len(self.values)} values for {num_stages} stages")


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation(_Relation):
    """The complement of a relation: its values break it somewhere."""

    relation: "Relation"
    parameter: str = field(init=False)

    def __post_init__(self) -> None:
        if isinstance(self.relation, Violation):
            raise SpaceError(f"{self.describe()!r} is {self.relation.relation.describe()!r}; say that")
        object.__setattr__(self, "parameter", self.relation.parameter)

    @property
    def start(self) -> float:  # type: ignore[override]
        """The state before the first stage: the relation's."""
        return self.relation.start

    def step(self, stage: int, state: FloatArray, value: FloatArray) -> FloatArray:
        """Return the relation's state while it holds, BROKEN from where it does not."""
        after = self.relation.step(stage, state, value)
        return np.where((state == BROKEN) | np.isnan(after), BROKEN, after)

    def accepts(self, state: FloatArray) -> npt.NDArray[np.bool_]:
        """Return whether the relation has been broken by the last stage."""
        return np.equal(state, BROKEN) | ~self.relation.accepts(state)

    def describe(self) -> str:
        """Return the relation as a person would read it."""
        return f"not: {self.relation.describe()}"

    def check(self, num_stages: int) -> None:
        """Check the relation against the number of stages. Raises: SpaceError."""
        self.relation.check(num_stages)


Relation = Share | Constant | Increasing | Decreasing | Different | Ratio | Total | Fixed | Violation


def complement(relation: Relation) -> Relation:
    """Return the relation that holds exactly where this one is broken."""
    return relation.relation if isinstance(relation, Violation) else Violation(relation=relation)


def opposite(relation: Relation) -> Relation:
    """Return the strict opposite of a relation: what rises falls, what is equal differs in every stage.

    Raises: SpaceError where there is none.

    >>> opposite(Increasing(parameter="width")).describe()
    'width falls'
    """
    name = relation.parameter
    if isinstance(relation, Increasing):
        return Decreasing(parameter=name, strict=True)
    if isinstance(relation, Decreasing):
        return Increasing(parameter=name, strict=True)
    if isinstance(relation, Constant):  # and Share
        return Different(parameter=name)
    if isinstance(relation, Different):
        return Constant(parameter=name)
    if isinstance(relation, Violation):
        return relation.relation
    raise SpaceError(f"{relation.describe()!r} has no strict opposite; `violate` gives its complement")


def _check_range(relation: "Ratio | Total", *, minimum: float) -> None:
    for name in ("low", "high"):
        (bound,) = finite_numbers((getattr(relation, name),), f"{relation.parameter}: {name}")
        if bound < minimum:
            raise SpaceError(f"{relation.parameter}: {name} (={bound:g}) must be at least {minimum:g}")
        object.__setattr__(relation, name, bound)
    if relation.low > relation.high:
        turned = replace(relation, low=relation.high, high=relation.low)
        raise SpaceError(f"{relation.describe()}: upside down; the nearest is {turned.describe()}")
