"""What was drawn of each parameter, beside what its law and relations say: shares of a few bins.

The exact law of a stage's value is that of the parameter's chain: a pass forward through its states.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from netspace.networks.spec import FloatArray, IntArray
from netspace.spaces.chains import DEAD
from netspace.spaces.laws import Uniform, law_values, probabilities
from netspace.spaces.parameters import PER_STAGE
from netspace.spaces.relations import Constant
from netspace.spaces.sample import Sample
from netspace.spaces.space import DesignSpace
from netspace.spaces.union import Space, SpaceUnion

MOST_BINS = 16
"""A parameter with more values than this has them put together in so many bins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marginal:
    """The shares of one parameter, of `stage` or (None) of the whole network, in b bins.

    Bin i holds the values from `lows[i]` to `highs[i]`, one value where they are equal. `sampled` (b,) are the shares
    of a sample's networks, `drawn` (b,) those of raw draws: the law under the relations, before a budget, the RegNet
    rule or a repetition leaves a draw out. `shared` says that it is the same in all stages.
    """

    name: str
    stage: int | None
    shared: bool
    lows: FloatArray
    highs: FloatArray
    sampled: FloatArray
    drawn: FloatArray


def marginals(space: Space, sample: Sample) -> tuple[Marginal, ...]:
    """Return the marginals of every parameter that has more than one value, in the order of the parameters."""
    members = space.members if isinstance(space, SpaceUnion) else (space,)
    found = []
    for name in space.parameter_names:
        owners = [member for member in members if name in member.parameter_names]
        shared = name in PER_STAGE and all(_is_shared(member, name) for member in owners)
        laws = [stage_laws(member, name) for member in owners]
        num_stages = 1 if shared else max(len(shares) for _, shares in laws)
        for stage in range(num_stages):
            values, chances = _mixture([(v, shares[stage]) for v, shares in laws if stage < len(shares)])
            if (chances > 0).sum() < 2:
                continue
            key = f"{name}[{stage}]" if name in PER_STAGE else name
            taken = np.array([row[key] for row in sample.drawn if key in row], dtype=np.float64)
            even = all(isinstance(member.law(name), Uniform) for member in owners)
            bins = _bins(values, even=even)
            number = bins[np.searchsorted(values, taken)]
            count = int(bins[-1]) + 1
            first = np.searchsorted(bins, np.arange(count))
            last = np.searchsorted(bins, np.arange(count), side="right") - 1
            found.append(
                Marginal(
                    name=name,
                    stage=stage if name in PER_STAGE and not shared else None,
                    shared=shared,
                    lows=values[first],
                    highs=values[last],
                    sampled=np.bincount(number, minlength=count) / max(1, len(taken)),
                    drawn=np.bincount(bins, weights=chances, minlength=count).astype(np.float64),
                )
            )
    return tuple(found)


def stage_laws(space: DesignSpace, name: str) -> tuple[FloatArray, FloatArray]:
    """Return the values of a parameter (v,) and their exact probabilities in each stage of a raw draw (stages, v).

    A parameter that belongs to no stage has one row.

    >>> from netspace.spaces.laws import PowersOfTwo
    >>> from netspace.spaces.catalog import space
    >>> _, shares = stage_laws(space("anynetx_a").narrow(group_width=(1, 2)).increasing("group_width"), "group_width")
    >>> shares.round(2).tolist()
    [[0.8, 0.2], [0.6, 0.4], [0.4, 0.6], [0.2, 0.8]]
    """
    if name not in PER_STAGE:
        return law_values(space.law(name)), probabilities(space.law(name))[None, :]
    chain = space.chain(name)
    rows = []
    state: FloatArray = np.ones(1)
    for position, (step, inverse) in enumerate(zip(chain.steps, chain.inverses, strict=True)):
        cumulative = np.minimum(inverse.cumulative.reshape(len(step), -1), 1.0)
        joint = state[:, None] * np.diff(cumulative, axis=1, prepend=0.0)
        rows.append(joint.sum(axis=0))
        if position + 1 < len(chain.steps):
            alive = step != DEAD
            weights = np.bincount(step[alive], weights=joint[alive], minlength=len(chain.steps[position + 1]))
            state = weights.astype(np.float64)
    return chain.values, np.stack(rows)


def _is_shared(space: DesignSpace, name: str) -> bool:
    return any(isinstance(relation, Constant) for relation in space.relations_of(name))


def _mixture(laws: Sequence[tuple[FloatArray, FloatArray]]) -> tuple[FloatArray, FloatArray]:
    """Return values and probabilities of laws that are equally probable."""
    values: FloatArray = np.unique(np.concatenate([values for values, _ in laws]))
    chances = np.zeros(len(values))
    for own, shares in laws:
        chances[np.searchsorted(values, own)] += shares / len(laws)
    return values, chances


def _bins(values: FloatArray, *, even: bool) -> IntArray:
    """Return the bin of each value, rising by 1: equal steps of the value, or of its logarithm; none is empty."""
    if len(values) <= MOST_BINS:
        return np.arange(len(values))
    scale = values if even else np.log(values)
    place = (scale - scale[0]) / (scale[-1] - scale[0]) * MOST_BINS
    _, number = np.unique(np.minimum(place.astype(np.int64), MOST_BINS - 1), return_inverse=True)
    bins: IntArray = number.astype(np.int64)
    return bins
