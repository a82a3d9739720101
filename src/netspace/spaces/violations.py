"""Whether one space violates one relation of another and keeps all else, as the VioNets do."""

from collections.abc import Iterable
from dataclasses import replace

from netspace.errors import SpaceError
from netspace.spaces.relations import Relation, Violation, complement, opposite
from netspace.spaces.space import DesignSpace
from netspace.spaces.union import Space


def violated_relation(holds: Space, violates: Space) -> Relation | None:
    """Return the one relation of a space that the other has the opposite or the complement of; None otherwise.

    >>> from netspace.spaces.catalog import space
    >>> violated_relation(space("anynetx_e"), space("vionet_width")).describe()
    'width never falls'
    """
    if not (isinstance(holds, DesignSpace) and isinstance(violates, DesignSpace)):
        return None
    if _without_relations(holds) != _without_relations(violates):
        return None
    lost = _left(holds.relations, violates.relations)
    gained = _left(violates.relations, holds.relations)
    if len(lost) != 1 or len(gained) != 1 or isinstance(lost[0], Violation):
        return None
    return lost[0] if gained[0] in _reversals(lost[0]) else None


def _without_relations(space: DesignSpace) -> DesignSpace:
    return replace(space, name="", source="", relations=())


def _left(relations: Iterable[Relation], others: Iterable[Relation]) -> list[Relation]:
    """Return the relations that the others do not hold."""
    return [relation for relation in dict.fromkeys(relations) if relation not in tuple(others)]


def _reversals(relation: Relation) -> tuple[Relation, ...]:
    try:
        return complement(relation), opposite(relation)
    except SpaceError:  # not every relation has a strict opposite
        return (complement(relation),)
