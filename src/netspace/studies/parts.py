"""A part of a study's trials, for one of several machines: a range of them in their order."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from netspace.errors import InputError

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Range `number` (from 1) `of` so many that share a study evenly; they overlap nowhere and leave nothing out."""

    number: int = 1
    of: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            nearest = f"{max(1, min(self.number, self.of))}/{max(1, self.of)}"
            raise InputError(f"part (={self}) must be I/N with I from 1 to N; the nearest is {nearest}")

    @classmethod
    def parse(cls, text: str) -> "Part":
        """Return the part that a text names.

        Raises: InputError.

        >>> Part.parse("2/8")
        Part(number=2, of=8)
        """
        if not re.fullmatch(r"\d{1,9}/\d{1,9}", text, re.ASCII):
            raise InputError(f"part (={text!r}) must be I/N with I from 1 to N, such as 2/8")
        number, of = map(int, text.split("/"))
        return cls(number=number, of=of)

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def among(self, things: Sequence[T]) -> Sequence[T]:
        """Return those of some things that are this part's.

        >>> [Part(number=i, of=3).among("abcdefgh") for i in (1, 2, 3)]
        ['ab', 'cde', 'fgh']
        """
        begin, end = ((self.number - one) * len(things) // self.of for one in (1, 0))
        return things[begin:end]


WHOLE = Part()
