"""A study that grows: more networks of every space than its file says, as many as its store remembers.

A larger sample of the same seed only appends, so that growing touches nothing that stands. How far a study has grown is
among the facts of its store, committed before the first new network: whatever cuts the growth off, the same command
goes on with it, and so does one that does not grow.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from netspace import values
from netspace.errors import InputError, StoreError
from netspace.storage.place import Place
from netspace.storage.store import Store
from netspace.studies.spec import StudySpec

GROWTH = "growth"
"""Among the facts of a study: how it grew last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How many networks of each space a study had `before` it grew, and how many it has `since`."""

    before: int
    since: int

    @property
    def in_words(self) -> str:
        """What a person is told.

        >>> Growth(before=100, since=150).in_words
        '150 of each space, grown from 100 by --add'
        """
        return f"{self.since} of each space, grown from {self.before} by --add"


def last_growth(place: Place) -> Growth | None:
    """Return how a study grew last; None where it never did, or has no store. Raises: StoreError, ExecutionError."""
    if not place.exists():
        return None
    with Store.open(place) as store:
        return growth_among(store.facts)


def growth_among(facts: Mapping[str, Any]) -> Growth | None:
    """Return the growth among the facts of a store."""
    found = facts.get(GROWTH)
    return None if found is None else values.from_dict(Growth, found, where=GROWTH, error=StoreError)


def as_grown(spec: StudySpec, growth: Growth | None) -> StudySpec:
    """Return a study with the networks that it has grown to, unless its file says more."""
    return replace(spec, networks=growth.since) if growth and growth.since > spec.networks else spec


def grown_by(add: int, spec: StudySpec, last: Growth | None, waiting: int) -> Growth:
    """Return how a study grows by `add` networks of each space; as it did `last`, where those still wait.

    `waiting` networks of it and its checks have no result.
    Raises: InputError for no number of networks, and where looks are planned; StoreError where others wait.
    """
    if not isinstance(add, int) or isinstance(add, bool) or add < 1:
        raise InputError(f"add (={add!r}) must be a whole number of networks, at least 1")
    if spec.looks:
        raise InputError(
            f"add (={add}): this study plans its looks at {', '.join(map(str, spec.looks))} networks of each space, "
            "and a plan does not change once results are seen; give a study with more networks another output folder"
        )
    now = Growth(before=spec.networks - add, since=spec.networks)
    if waiting and last != now:
        raise StoreError(
            f"add (={add}): {waiting} networks of the study or its checks still wait for their training; run it "
            "without --add first"
        )
    return now if waiting else Growth(before=spec.networks, since=spec.networks + add)


def still_waiting(spec: StudySpec, place: Place) -> int:
    """Return how many networks of a study have no result, be they in its store or not.

    Raises: StoreError, also where the store holds more of a space than the study has.
    """
    asked = spec.networks * len(spec.spaces)
    if not place.exists():
        return asked
    with Store.open(place) as store:
        table = store.table()
    for space, held in Counter(table["space"]).items():
        if held > spec.networks:
            raise StoreError(
                f"networks (={spec.networks}) must be at least {held}, as many of {space!r} as {place.name!r} holds"
            )
    return asked - len(table["status"]) + table["status"].count("waiting")


def with_growth(facts: dict[str, Any], growth: Growth | None) -> dict[str, Any]:
    """Return the facts of a study and how it has grown, for its store and for its page."""
    if growth is None:
        return facts
    return facts | {"rows": facts.get("rows", {}) | {"Networks": growth.in_words}, GROWTH: values.to_dict(growth)}


def remember(store: Store, growth: Growth | None) -> None:
    """Commit how a study grows, before its first new network."""
    if growth is not None and growth_among(store.facts) != growth:
        store.describe(text=store.text, facts=with_growth(store.facts, growth))
