"""The parameters that a space may have, by name, and one of them with its law."""

from dataclasses import dataclass

from netspace.spaces.laws import Law

BODY = ("depth", "width")
"""The parameters that every stage has."""

INNER = ("bottleneck_ratio", "group_width")
"""The parameters that a stage of X, Z or own blocks may have besides: without them the ratio is 1, and one group."""

PER_STAGE = (*BODY, *INNER)

RULE = ("total_depth", "initial_width", "width_slope", "width_multiplier")
"""The parameters from which the RegNet rule derives every depth and width."""

WHOLE = ("depth", "width", "group_width", "total_depth", "initial_width")
"""The parameters whose values are whole numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter by name, and the law of its values."""

    name: str
    law: Law
