"""Checks of one field of a value: each stores the cleaned value or raises one sentence.

They are called from `__post_init__` of frozen dataclasses; `error` is the family member to raise.
"""

import math
import operator
from collections.abc import Collection
from typing import Any

from netspace.errors import InputError, did_you_mean

LARGEST = 2**24
"""More than any width, depth or number of classes that a network has, and small enough to multiply."""


def whole(value: Any, field: str, error: type[InputError], *, minimum: int = 1, maximum: int = LARGEST) -> None:
    """Check that a field is an integer from `minimum` to `maximum`, and store it as a Python int."""
    given = getattr(value, field)
    try:
        number = operator.index(given)
    except TypeError:
        raise error(f"{field} (={given!r}) must be a whole number") from None
    if isinstance(given, bool) or number < minimum:
        raise error(f"{field} (={given!r}) must be a whole number of at least {minimum}")
    if number > maximum:
        raise error(f"{field} (={given!r}) must be a whole number of at most {maximum}")
    object.__setattr__(value, field, number)


def number(
    value: Any,
    field: str,
    error: type[InputError],
    *,
    minimum: float = 0.0,
    above: bool = False,
    maximum: float = math.inf,
) -> None:
    """Check that a field is a finite number in [minimum, maximum] (`above`: minimum excluded); store a float."""
    given = getattr(value, field)
    try:
        stored = float(given)
    except (TypeError, ValueError):
        raise error(f"{field} (={given!r}) must be a number") from None
    if not math.isfinite(stored):
        raise error(f"{field} (={given!r}) must be a finite number")
    low = stored > minimum if above else stored >= minimum
    if isinstance(given, bool) or not low or stored > maximum:
        bounds = f"{'above' if above else 'at least'} {minimum:g}"
        if math.isfinite(maximum):
            bounds += f" and at most {maximum:g}"
        raise error(f"{field} (={given!r}) must be {bounds}")
    object.__setattr__(value, field, stored)


def one_of(value: Any, field: str, error: type[InputError], allowed: Collection[Any]) -> None:
    """Check that a field has one of the allowed values."""
    given = getattr(value, field)
    if given not in allowed:
        hint = did_you_mean(given, map(str, allowed)) if isinstance(given, str) else ""
        choices = ", ".join(map(str, allowed))
        raise error(f"{field} (={given!r}) must be one of {choices}" + (hint if "mean" in hint else ""))


def instance(value: Any, field: str, error: type[InputError], kind: type) -> None:
    """Check that a field is a value of a class."""
    given = getattr(value, field)
    if not isinstance(given, kind):
        raise error(f"{field} (={given!r}) must be a {kind.__name__}")
