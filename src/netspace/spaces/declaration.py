"""A design space as a file declares it: one of the catalogue, a union, or parameters of its own; then refined.

Everything is plain data, so that a study file can hold it; `design_space` turns it into the value.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from operator import methodcaller
from pathlib import Path
from typing import Any

from netspace import values
from netspace.checks import whole
from netspace.errors import SpaceError, did_you_mean
from netspace.networks.complexity import LARGEST_SIDE, MEASURES, check_resolution
from netspace.networks.spec import Frame
from netspace.spaces.budget import Budget
from netspace.spaces.catalog import MADE_FOR, space
from netspace.spaces.laws import Choice, Law, LogUniform, PowersOfTwo, Uniform
from netspace.spaces.parameters import Parameter
from netspace.spaces.relations import Constant, Decreasing, Different, Fixed, Increasing, Ratio, Relation, Share, Total
from netspace.spaces.space import DesignSpace
from netspace.spaces.union import Space, SpaceUnion

Ranges = dict[str, float | tuple[float, ...]]
Names = tuple[str, ...]

LAWS: dict[str, Callable[..., Law]] = {law.kind: law for law in (Uniform, LogUniform, PowersOfTwo)}
"""The laws of a range, by the names that files use."""


PLAIN: dict[str, Relation] = {
    "share": Share(parameter=""),
    "constant": Constant(parameter=""),
    "different": Different(parameter=""),
    "increasing": Increasing(parameter=""),
    "decreasing": Decreasing(parameter=""),
    "rising": Increasing(parameter="", strict=True),
    "falling": Decreasing(parameter="", strict=True),
}
"""The relations that need no more than a parameter, by the names of their fields."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LawChoice:
    """A law: `options`, each with the same probability; or a `law` from `low` to `high` in steps of `step`."""

    law: str = ""
    low: float | None = None
    high: float | None = None
    step: float | None = None
    options: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        self.value()

    def value(self) -> Law:
        """Return the law. Raises: SpaceError."""
        given = {name: bound for name in ("low", "high", "step") if (bound := getattr(self, name)) is not None}
        if self.options:
            if self.law or given:
                raise SpaceError("options: must be all that is said of a law; leave out law, low, high and step")
            return Choice(options=self.options)
        if self.law not in LAWS:
            raise SpaceError(f"law (={self.law!r}) must be one of {', '.join(LAWS)}, or give options")
        needed = ("low", "high") if self.law == PowersOfTwo.kind else ("low", "high", "step")
        for name in needed[:2]:
            if name not in given:
                raise SpaceError(f"{name}: missing, and it has no default")
        if set(given) - set(needed):
            raise SpaceError(f"step: {self.law} has none")
        return LAWS[self.law](**given)


@dataclass(frozen=True, slots=True, kw_only=True)
class BandChoice:
    """Bands of complexity as text (`"2M..8M"`) or two numbers, at a `resolution` [pixels]."""

    flops: str | tuple[float, float] | None = None
    params: str | tuple[float, float] | None = None
    activations: str | tuple[float, float] | None = None
    resolution: int = MADE_FOR

    def __post_init__(self) -> None:
        check_resolution(self.resolution)
        Budget(**self.bands())

    def bands(self) -> dict[str, Any]:
        """Return the bands that are given."""
        return {measure: band for measure in MEASURES if (band := getattr(self, measure)) is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceDeclaration:
    """A design space in plain data.

    It begins as `space`, a name of the catalogue (for `num_stages` stages and images of side `image_side` [pixels],
    where given); as the `union` of several; or as `parameters` with laws of their own. `frame` changes what all its
    networks share, `stride` that of every stage. Then `ranges` narrow it, and each other field adds the relation of
    its name; `violate` and `reverse` name parameters whose relation becomes its complement, or its strict opposite.
    `band` keeps the networks of some complexity, and `uniform` gives every draw the same probability.
    """

    space: str = ""
    name: str = ""
    union: Names = ()
    parameters: dict[str, LawChoice] = field(default_factory=dict)
    num_stages: int | None = None
    stride: int | None = None
    image_side: int | None = None
    frame: dict[str, Any] = field(default_factory=dict)
    ranges: Ranges = field(default_factory=dict)
    share: Names = ()
    constant: Names = ()
    different: Names = ()
    increasing: Names = ()
    decreasing: Names = ()
    rising: Names = ()
    falling: Names = ()
    ratio: dict[str, tuple[float, float]] = field(default_factory=dict)
    total: dict[str, tuple[float, float]] = field(default_factory=dict)
    fixed: dict[str, tuple[float, ...]] = field(default_factory=dict)
    violate: Names = ()
    reverse: Names = ()
    band: BandChoice | None = None
    uniform: bool = False

    def __post_init__(self) -> None:
        begun = [name for name in ("space", "union", "parameters") if getattr(self, name)]
        if len(begun) != 1:
            raise SpaceError(
                "space: a space begins with one of space, union and parameters, "
                f"and this has {' and '.join(begun) or 'none of them'}"
            )
        if self.image_side is not None:
            whole(self, "image_side", SpaceError, maximum=LARGEST_SIDE)
            if self.parameters:
                raise SpaceError(
                    f"image_side (={self.image_side}) scales spaces of the catalogue; narrow the parameters' own ranges"
                )
        if not self.name:
            if not self.space:
                raise SpaceError("name: missing; a space of your own needs one")
            object.__setattr__(self, "name", self.space)
        if not self.name.isprintable():
            raise SpaceError(f"name (={self.name!r}) must be letters that can be printed")
        self.base()

    def base(self, image_side: int | None = None) -> Space:
        """Return the space before it is refined, for `image_side` where the declaration says nothing of it."""
        side = self.image_side or (image_side if self.space == "mlp" else None)
        made: Space
        if self.parameters:
            laws = tuple(Parameter(name=name, law=choice.value()) for name, choice in self.parameters.items())
            made = DesignSpace(name=self.name, parameters=laws, **self._frame())
        elif self.union:
            made = SpaceUnion.of(*(space(name, image_side=side) for name in self.union)).framed(**self._frame())
        else:
            made = space(self.space, image_side=side).framed(**self._frame())
        return made

    def design_space(self, base: Space | None = None) -> Space:
        """Return the space. `base` stands for `base()`. Raises: SpaceError, naming the field."""
        made = self.base() if base is None else base
        try:
            made = made.narrow(**self.ranges)
        except SpaceError as problem:
            raise SpaceError(f"ranges.{problem}") from None
        for where, step in self._steps():
            if not isinstance(made, DesignSpace):
                raise SpaceError(f"{where}: {made.name} is a union, and relations are for a single space")
            try:
                made = step(made)
            except SpaceError as problem:
                raise SpaceError(f"{where}: {problem}") from None
        if self.band is not None:
            made = made.within(resolution=self.band.resolution, **self.band.bands())
        return replace(made.uniform() if self.uniform else made, name=self.name)

    def found(self, folder: str | Path) -> "SpaceDeclaration":
        """Return the declaration with the file of its own block, where it has one, looked for from `folder`, and read.

        Raises: OwnBlockError.
        """
        block = self._frame().get("own_block")
        return self if block is None else replace(self, frame={**self.frame, "own_block": block.found(folder)})

    def _frame(self) -> dict[str, Any]:
        known = [one.name for one in fields(Frame)]
        for name in self.frame:
            if name not in known:
                raise SpaceError(f"frame.{name}: unknown key{did_you_mean(name, known)}")
        checked = values.from_dict(Frame, values.to_dict(self.frame), where="frame", error=SpaceError)
        stages = {"num_stages": self.num_stages, "stride": self.stride}
        return {name: getattr(checked, name) for name in self.frame} | {
            name: given for name, given in stages.items() if given is not None
        }

    def _steps(self) -> Iterator[tuple[str, Callable[[DesignSpace], DesignSpace]]]:
        """Yield (field, change) for everything that refines the space, in order."""
        for where, relation in self._relations():
            yield where, methodcaller("refine", relation)
        for where in ("violate", "reverse"):
            for name in getattr(self, where):
                yield where, methodcaller(where, name)

    def _relations(self) -> Iterator[tuple[str, Relation]]:
        """Yield (field, relation) for every relation that is declared."""
        for where, relation in PLAIN.items():
            for name in getattr(self, where):
                yield where, replace(relation, parameter=name)
        for name, (low, high) in self.ratio.items():
            yield "ratio", Ratio(parameter=name, low=low, high=high)
        for name, (low, high) in self.total.items():
            yield "total", Total(parameter=name, low=low, high=high)
        for name, given in self.fixed.items():
            yield "fixed", Fixed(parameter=name, values=given)
