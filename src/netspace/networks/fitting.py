"""How near a network is to the RegNet rule: the parameters whose widths fit it best, and what is left over.

The rule gives block j the exponent round(ln(1 + a j) / ln(w_m)), where a = w_a / w_0. So along a the exponents change
only at a = (w_m^(k - 1/2) - 1) / j, one block by one: for given w_0 and w_m every w_a is tried by adding up, in the
order of those steps, by how much each of them changes the error. What is left to search is a plane.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from netspace.errors import SpecError
from netspace.networks.regnet import WIDTH_STEP, linear_widths
from netspace.networks.spec import FloatArray, IntArray, NetworkSpec

LARGEST_MULTIPLIER = 100.0
"""The largest multiplier of a fit: the grid has a thousand between each whole number and the next."""

MULTIPLIERS = (1.5, 3.0)
"""The multipliers that are tried: those of the paper's RegNet space."""

MOST_BLOCKS, LARGEST_WIDTH = 512, 2**14
"""The most blocks, and the largest width, of a network that is fitted; more would take minutes."""

_PER_UNIT = 1000
# Distances between multipliers that are tried one after the other [1 / _PER_UNIT], and pairs (w_0, w_m) kept between.
_STEPS, _KEPT = (50, 10, 1), 64
# A range of slopes narrower than this, relative to itself, is not told from rounding.
_NARROW = 1e-9
# Pairs that are tried at once; it changes memory, never a fit.
_CHUNK = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class RegNetFit:
    """The parameters of the RegNet rule that fit a network best; `widths` are those of its blocks by the rule.

    `error` is the paper's e_fit: the mean over the blocks of |ln(width by the rule / width of the network)|.
    """

    initial_width: int
    width_slope: float
    width_multiplier: float
    error: float
    widths: tuple[int, ...]


def fit_regnet(network: NetworkSpec | Sequence[int], *, multipliers: tuple[float, float] = MULTIPLIERS) -> RegNetFit:
    """Return the best RegNet parameters of a network, or of the widths of its blocks in order.

    The grid: w_0 over all multiples of 8 up to the largest width, because the rule takes no other; w_m over the closed
    range `multipliers` in steps of 0.001, as the paper's space has it; w_a over all numbers, exactly, as long as no
    block is beyond twice the largest width. Steps of w_m are refined from 0.05 over 0.01 to 0.001 around the 64 best
    pairs (w_0, w_m). Widths of the rule are rounded to multiples of 8, as the rule does, and not adjusted to group
    widths: so a network made by the rule has error 0, and what an adjustment changed is counted as error. Where
    several parameters fit equally well they are one of these, and w_a has as few decimals as it can.

    Raises: SpecError for what is no list of widths or too long a one, and for what is no range of multipliers.
    Source: Radosavovic et al. 2020, arXiv 2003.13678, section 3.3.

    >>> fit_regnet([24] + [56] + [152] * 4 + [368] * 7).error  # the widths of RegNetX-200MF
    0.0
    >>> round(fit_regnet([368] * 7 + [152] * 4 + [56] + [24]).error, 2)  # its widths turned round
    0.63
    """
    observed = _block_widths(network)
    low, high = _range(multipliers)
    depth, logs = len(observed), np.log(observed)
    # Blocks of equal width cost the same at equal exponents.
    levels, stage = np.unique(logs, return_inverse=True)
    powers = math.ceil(math.log(2 * max(1.0, max(observed) / WIDTH_STEP)) / math.log(low / _PER_UNIT))
    first_widths = np.arange(WIDTH_STEP, max(observed) + WIDTH_STEP, WIDTH_STEP)
    tried = np.unique(np.append(np.arange(low, high, _STEPS[0]), high))
    pairs = np.stack(np.meshgrid(first_widths, tried, indexing="ij"), axis=-1).reshape(-1, 2)
    for step, finer in itertools.zip_longest(_STEPS, _STEPS[1:]):
        errors, slopes = _best_slopes(pairs, levels, stage, powers)
        kept = np.argsort(errors, kind="stable")[:_KEPT]
        if finer is None:
            break
        near = pairs[kept][:, None, :] + np.array([[0, offset] for offset in range(-step, step + 1, finer)])
        near[:, :, 1] = np.clip(near[:, :, 1], low, high)
        pairs = np.unique(near.reshape(-1, 2), axis=0)
    best = kept[0]
    first, multiplier = int(pairs[best, 0]), float(pairs[best, 1]) / _PER_UNIT
    slope = _plainest(*(first * slopes[best]))
    rule = linear_widths([depth], [first], [slope], [multiplier], max_stages=depth)
    widths = np.repeat(rule.widths[0], rule.depths[0])
    return RegNetFit(
        initial_width=first,
        width_slope=slope,
        width_multiplier=multiplier,
        error=float(np.abs(np.log(widths / observed)).mean()),
        widths=tuple(widths.tolist()),
    )


def _best_slopes(pairs: IntArray, levels: FloatArray, stage: IntArray, powers: int) -> tuple[FloatArray, FloatArray]:
    """Return the least error of each pair (w_0, w_m), and between which a = w_a / w_0 it is reached.

    Shapes: `pairs` (n, 2), the second in 1 / _PER_UNIT; `levels` (s,) are the distinct logarithms of widths, of which
    block j has `stage[j]`; returned are (n,) and (n, 2). Exponents go up to `powers`.
    """
    depth = len(stage)
    tried, which = np.unique(pairs[:, 1], return_inverse=True)
    block, power = (grid.ravel() for grid in np.mgrid[1:depth, 1 : powers + 1])
    multiplier = tried[:, None] / _PER_UNIT
    rises = (multiplier ** (power - 0.5) - 1.0) / block
    order = np.argsort(rises, axis=1)
    begins = np.concatenate([np.zeros((len(tried), 1)), np.take_along_axis(rises, order, axis=1)], axis=1)
    # Where the last block would go one power too far.
    last = (multiplier ** (powers + 0.5) - 1.0) / max(depth - 1, 1)
    ends = np.minimum(np.concatenate([begins[:, 1:], last], axis=1), last)
    exist = ends > begins * (1 + _NARROW) + 1e-300
    changes = (stage[block] * powers + power - 1)[order]
    errors, slopes = np.empty(len(pairs)), np.empty((len(pairs), 2))
    for start in range(0, len(pairs), _CHUNK):
        rows = slice(start, start + _CHUNK)
        at = which[rows]
        exponents = np.arange(powers + 1, dtype=np.float64)
        unrounded = pairs[rows, :1] * np.power(multiplier[at], exponents)
        by_rule = np.log(np.rint(unrounded / WIDTH_STEP) * WIDTH_STEP)
        cost = np.abs(by_rule[:, None, :] - levels[:, None])
        change = np.diff(cost, axis=2).reshape(len(at), -1)
        flat = cost[:, stage, 0].sum(axis=1, keepdims=True)
        total = np.concatenate([flat, np.take_along_axis(change, changes[at], axis=1)], axis=1).cumsum(axis=1)
        total[~exist[at]] = np.inf
        best = total.argmin(axis=1)
        errors[rows] = total[np.arange(len(at)), best] / depth
        slopes[rows] = np.stack([begins[at, best], ends[at, best]], axis=1)
    return errors, slopes


def _plainest(low: float, high: float) -> float:
    """Return the number between two others that has the fewest decimals; 0 where the lower one is 0."""
    if low == 0:
        return 0.0
    middle = (low + high) / 2
    rounded = (round(middle, digits) for digits in range(17))
    return float(next((number for number in rounded if low < number < high), middle))


def _block_widths(network: Any) -> tuple[int, ...]:
    if not isinstance(network, NetworkSpec) and not isinstance(network, list | tuple | np.ndarray):
        raise SpecError(f"network (={network!r}) must be a NetworkSpec or the widths of its blocks")
    runs: list[tuple[int, Any]] = (
        [(stage.depth, stage.width) for stage in network.stages]
        if isinstance(network, NetworkSpec)
        else [(1, width) for width in network]
    )
    depth = sum(count for count, _ in runs)
    if not 1 <= depth <= MOST_BLOCKS:
        raise SpecError(f"widths of {depth:,} blocks cannot be fitted; a network must have 1 to {MOST_BLOCKS}")
    widths = [width for count, width in runs for _ in range(count)]
    for position, width in enumerate(widths):
        if isinstance(width, bool) or not isinstance(width, int | np.integer) or not 1 <= width <= LARGEST_WIDTH:
            raise SpecError(f"widths[{position}] (={width!r}) must be a whole number from 1 to {LARGEST_WIDTH}")
    return tuple(int(width) for width in widths)


def _range(multipliers: tuple[float, float]) -> tuple[int, int]:
    """Return a range of multipliers in 1 / _PER_UNIT. Raises: SpecError."""
    try:
        low, high = (float(bound) for bound in multipliers)
    except (TypeError, ValueError):
        raise SpecError(f"multipliers (={multipliers!r}) must be two numbers, such as {MULTIPLIERS}") from None
    if not (1 + 1 / _PER_UNIT <= low <= high <= LARGEST_MULTIPLIER):
        raise SpecError(
            f"multipliers (={(low, high)}) must be the right way up, above 1 and at most {LARGEST_MULTIPLIER:g}, "
            f"such as {MULTIPLIERS}"
        )
    return round(low * _PER_UNIT), round(high * _PER_UNIT)
