"""The chapter's design principles, each as one refinement of a declared space, in the order in which it takes them.

The bottleneck ratio is shared, the group width is shared, widths rise, depths rise, widths follow the RegNet rule, and
the bottleneck ratio is 1. Each principle refines what is there when its turn comes, or says why it has nothing to do.
Source: Radosavovic et al. 2020, arXiv 2003.13678, sections 3.2 to 4.
"""

from dataclasses import dataclass, replace
from typing import Any

from netspace import values
from netspace.errors import SpaceError
from netspace.networks.spec import Frame
from netspace.spaces.catalog import space as of_catalogue
from netspace.spaces.declaration import PLAIN, LawChoice, Ranges, SpaceDeclaration
from netspace.spaces.laws import Choice, Law, law_values
from netspace.spaces.parameters import INNER, RULE
from netspace.spaces.relations import Fixed, Increasing, Relation
from netspace.spaces.space import DesignSpace

OF_THE_DATA = ("num_classes", "in_channels", "conv_bias")
"""What a study gives every space's frame."""


class NothingToDo(SpaceError):
    """A principle that does not refine a space; the sentence says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principle:
    """A relation that may be added to a space: `key` is short enough for a folder, `words` for a table.

    `field` of a declaration adds it to `parameter`; `ranges` narrows the ratio to 1, `parameters` means the RegNet
    rule.
    """

    key: str
    words: str
    tag: str
    field: str
    parameter: str

    def relation(self, num_stages: int) -> Relation | None:
        """Return what a network drawn stage by stage may obey by chance; None for the RegNet rule, which none does."""
        if self.field == "ranges":
            return Fixed(parameter=self.parameter, values=(1.0,) * num_stages)
        return replace(PLAIN[self.field], parameter=self.parameter) if self.field in PLAIN else None

    def refine(self, choice: SpaceDeclaration, space: DesignSpace, ranges: Ranges) -> SpaceDeclaration:
        """Return a declaration with this principle, under a name that says so.

        `space` is what the declaration makes in its study, and `ranges` are those that the study has for all spaces.
        Raises: NothingToDo, with the reason.
        """
        name = f"{choice.name} + {self.tag}"
        if self.field == "parameters":
            return _linear(replace(choice, name=name), space, ranges)
        if self.parameter not in space.parameter_names:
            by_rule = space.is_linear and self.parameter not in INNER
            raise NothingToDo(f"{'the RegNet rule gives' if by_rule else 'the space has no'} {_words(self.parameter)}")
        if self.field == "ranges" and 1.0 not in law_values(space.law(self.parameter)):
            raise NothingToDo(f"the space has no {_words(self.parameter)} of 1")
        before = space.chain(self.parameter).count()
        try:
            after = self._of(space).chain(self.parameter).count()
        except SpaceError as problem:
            raise NothingToDo(str(problem)) from None
        if after == before:
            raise NothingToDo("it holds already")
        if self.field == "ranges":
            return replace(choice, name=name, ranges=choice.ranges | {self.parameter: 1.0})
        added: dict[str, Any] = {self.field: (*getattr(choice, self.field), self.parameter)}
        return replace(choice, name=name, **added)

    def _of(self, space: DesignSpace) -> DesignSpace:
        relation = self.relation(space.num_stages)
        assert relation is not None
        return space.narrow(**{self.parameter: 1.0}) if isinstance(relation, Fixed) else space.refine(relation)


PRINCIPLES = (
    Principle(
        key="share-b",
        words="the bottleneck ratio is shared",
        tag="shared b",
        field="share",
        parameter="bottleneck_ratio",
    ),
    Principle(key="share-g", words="the group width is shared", tag="shared g", field="share", parameter="group_width"),
    Principle(key="widths-rise", words="widths never fall", tag="rising w", field="increasing", parameter="width"),
    Principle(key="depths-rise", words="depths never fall", tag="rising d", field="increasing", parameter="depth"),
    Principle(
        key="linear-widths",
        words="widths follow the RegNet rule",
        tag="linear w",
        field="parameters",
        parameter="width",
    ),
    Principle(
        key="b-is-1", words="the bottleneck ratio is 1", tag="b = 1", field="ranges", parameter="bottleneck_ratio"
    ),
)
"""In the chapter's order: each is asked of the space that those before it left."""


def _linear(choice: SpaceDeclaration, space: DesignSpace, ranges: Ranges) -> SpaceDeclaration:
    """Return the declaration with depths and widths by the RegNet rule, and all else that the space has.

    The rule's ranges are those of the study, or follow from the depths and widths that the space had. That depths
    never fall cannot be asked of the rule, which decides them: it takes the place of that relation.
    """
    if space.is_linear:
        raise NothingToDo("it holds already")
    kept: dict[str, Any] = {}
    for relation in space.relations:
        if isinstance(relation, Increasing) and relation.parameter not in INNER:
            continue
        field = next((f for f, plain in PLAIN.items() if replace(plain, parameter=relation.parameter) == relation), "")
        if relation.parameter not in INNER or not field:
            raise NothingToDo(f"{relation.describe()!r} cannot be asked of a space by the RegNet rule")
        kept[field] = (*kept.get(field, ()), relation.parameter)
    rule = of_catalogue("regnetx")
    assert isinstance(rule, DesignSpace)
    inner = [name for name in INNER if name in space.parameter_names]
    laws = {name: rule.law(name) for name in RULE} | {name: space.law(name) for name in inner}
    narrowed = {name: range_ for name, range_ in _rule_ranges(space, rule).items() if name not in ranges}
    narrowed |= {name: ranges[name] for name in RULE if name in ranges}
    frame: dict[str, Any] = values.to_dict(Frame(**space.frame()), without_defaults=True)
    try:
        return SpaceDeclaration(
            name=choice.name,
            parameters={name: _as_choice(law) for name, law in laws.items()},
            num_stages=choice.num_stages,
            stride=choice.stride,
            frame={name: given for name, given in frame.items() if name not in OF_THE_DATA} | choice.frame,
            ranges=narrowed,
            band=choice.band,
            uniform=choice.uniform,
            **kept,
        )
    except SpaceError as problem:
        raise NothingToDo(str(problem)) from None


def _rule_ranges(space: DesignSpace, rule: DesignSpace) -> Ranges:
    """Return the ranges of the rule's parameters that agree with the depths and widths of a space."""
    depths, widths = law_values(space.law("depth")), law_values(space.law("width"))
    wanted = {
        "total_depth": (space.num_stages * depths.min(), space.num_stages * depths.max()),
        "initial_width": (widths.min(), widths.max()),
        "width_slope": (0.0, widths.max()),
    }
    found: Ranges = {}
    for name, (low, high) in wanted.items():
        inside = [float(value) for value in law_values(rule.law(name)) if low <= value <= high]
        if not inside:
            raise NothingToDo(f"no {_words(name)} of the RegNet rule lies in {low:g} to {high:g}")
        found[name] = (inside[0], inside[-1])
    return found


def _as_choice(law: Law) -> LawChoice:
    if isinstance(law, Choice):
        return LawChoice(options=law.options)
    step = getattr(law, "step", None)
    return LawChoice(law=law.kind, low=law.low, high=law.high, step=None if step is None else float(step))


def _words(parameter: str) -> str:
    return parameter.replace("_", " ")
