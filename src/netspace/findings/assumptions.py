"""The four assumptions on which comparing cheap networks stands, each with a verdict and its evidence."""

from dataclasses import dataclass
from enum import StrEnum


class Standing(StrEnum):
    """What the evidence says of an assumption."""

    HOLDS = "holds"
    FAILS = "does not hold"
    NOT_ENOUGH_DATA = "not enough data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption:
    """One assumption: its claim, how it stands, in one sentence why, and the numbers behind it as (what, value)."""

    title: str
    standing: Standing
    sentence: str
    evidence: tuple[tuple[str, str], ...] = ()
