"""How many: draws and distinct networks of a space, exact where they can be counted, else with an interval.

Draws are counted before widths are adjusted to group widths; several draws may become one network. Distinct networks
are words that a nondeterministic automaton accepts (its letters are adjusted stages, its states those of the
parameters' chains), and are counted on the deterministic automaton of its sets of states.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from netspace.networks.spec import FloatArray, IntArray
from netspace.spaces.drawing import realise
from netspace.spaces.laws import law_values
from netspace.spaces.membership import Adjusted, adjusted, count_draws
from netspace.spaces.parameters import PER_STAGE
from netspace.spaces.sample import Draws, wilson_interval

if TYPE_CHECKING:
    from netspace.spaces.space import DesignSpace

ENUMERABLE = 2**15
"""The most draws of a space that are listed one by one to know all its networks."""

MOST_SETS = 20_000
"""The most sets of states after a stage; a space with more has its distinct networks estimated."""

ESTIMATE_DRAWS = 2**15
"""Draws from which the share of existing ones is estimated."""

ESTIMATE_NETWORKS = 400
"""Networks whose draws are counted to estimate how many networks there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number that was estimated: the estimate, and the bounds of its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"about {self.value:.3g} ({self.low:.3g} to {self.high:.3g})"


def size(space: "DesignSpace") -> int | Estimate:
    """Return the number of distinct draws that are networks of a space."""
    total = space.num_draws()
    if not (_is_estimated(space)):
        return total
    listed = everything(space)
    if listed is not None:
        return int(listed.exists.sum())
    exists = space.uniform().draw(0, ESTIMATE_DRAWS).exists
    low, high = wilson_interval(int(exists.sum()), len(exists))
    return Estimate(value=total * float(exists.mean()), low=total * low, high=total * high)


def distinct(space: "DesignSpace") -> int | Estimate:
    """Return the number of distinct networks that a space's draws are adjusted to."""
    listed = everything(space)
    if listed is not None:
        return len(np.unique(listed.networks.table()[listed.exists], axis=0))
    if not (_is_estimated(space)):
        counted = _distinct_stages(adjusted(space))
        if counted is not None:
            return counted * space.chain("depth").count()
    return _estimate_distinct(space)


def _is_estimated(space: "DesignSpace") -> bool:
    return bool(space.is_linear or space.band.bands() or space.outside.bands())


def everything(space: "DesignSpace") -> Draws | None:
    """Return every draw of a space once; None where there are more than ENUMERABLE."""
    total = space.num_draws()
    if total > ENUMERABLE:
        return None
    drawn: dict[str, FloatArray] = {}
    index = np.arange(total)
    for name in space.parameter_names:
        options = space.chain(name).sequences() if name in PER_STAGE else law_values(space.law(name))[:, None]
        rows = options[index % len(options)]
        index = index // len(options)
        keys = [f"{name}[{i}]" for i in range(space.num_stages)] if name in PER_STAGE else [name]
        drawn.update(zip(keys, rows.T, strict=True))
    return realise(space, np.arange(total), drawn)


def _distinct_stages(letters: Adjusted) -> int | None:
    """Return the number of distinct sequences of adjusted stages; None where there are too many sets of states."""
    ways: dict[bytes, int] = {np.zeros(1, dtype=np.int64).tobytes(): 1}
    for stage in range(letters.num_stages):
        after: dict[bytes, int] = {}
        for states, count in ways.items():
            for reached in letters.read_all(stage, np.frombuffer(states, dtype=np.int64)):
                after[reached] = after.get(reached, 0) + count
        if len(after) > MOST_SETS:
            return None
        ways = after
    return sum(ways.values())


def _estimate_distinct(space: "DesignSpace") -> Estimate:
    """Return the number of draws times the mean of 1 / (draws that become the same network).

    The mean is over uniform draws; a draw that is no network counts as 0. The interval is the normal one.
    """
    total = space.num_draws()
    draws = space.uniform().draw(0, ESTIMATE_DRAWS)
    rows = np.flatnonzero(draws.exists)
    share = len(rows) / len(draws.exists)
    chosen: IntArray = rows[:ESTIMATE_NETWORKS]
    weights = np.array([1.0 / count_draws(space, draws.networks[int(row)]) for row in chosen])
    if not len(weights):
        low, high = wilson_interval(0, len(draws.exists))
        return Estimate(value=0.0, low=low, high=total * high)
    mean = float(weights.mean())
    # Two independent sources of doubt, the share and the mean, as relative errors.
    doubt = math.hypot(
        float(weights.std()) / mean / math.sqrt(len(weights)), math.sqrt((1 - share) / share / len(draws.exists))
    )
    value = total * share * mean
    return Estimate(value=value, low=value * max(0.0, 1 - 1.96 * doubt), high=value * (1 + 1.96 * doubt))
