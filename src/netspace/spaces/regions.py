"""Where in a space a budget can be met: the share of raw draws that were accepted, by total depth and largest width."""

from dataclasses import dataclass

import numpy as np

from netspace.networks.complexity import complexity
from netspace.networks.spec import FloatArray, IntArray
from netspace.spaces.sample import BATCH, Sample
from netspace.spaces.union import Space

MOST_DRAWS = 2**18
"""The most raw draws that are looked at."""

MOST_BINS = 8
"""Bins of each of the two numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Regions:
    """Raw draws by region: depths from `depths[i]` up to but not including `depths[i + 1]`, widths likewise.

    `num_draws` raw draws were looked at; `networks` (depths - 1, widths - 1) of them are networks of the space (where
    the RegNet rule gives another number of stages they are not), `accepted` of those met the budget.
    """

    num_draws: int
    depths: IntArray
    widths: IntArray
    networks: IntArray
    accepted: IntArray


def regions(space: Space, sample: Sample) -> Regions:
    """Return the regions of the raw draws of a sample's space, up to its last network."""
    num_draws = min(sample.draws, MOST_DRAWS)
    # A band of the space's own is part of the sample's budget, and leaves draws out as the budget does.
    source, budget = space.with_budget(sample.budget, sample.resolution)
    columns = []
    for start in range(0, num_draws, BATCH):
        for draws in source.batches(start, min(start + BATCH, num_draws), seed=sample.seed):
            stages = draws.networks.stages
            depth = np.sum([stage.depth for stage in stages], axis=0)
            width = np.max([stage.width for stage in stages], axis=0)
            met = budget.meets(complexity(draws.networks, sample.resolution))
            columns.append(np.stack([depth, width, met.astype(np.int64)], axis=1)[draws.exists])
    depth, width, met = np.concatenate(columns).T
    depths = _edges(depth, np.linspace(depth.min(), depth.max() + 1, MOST_BINS + 1))
    widths = _edges(width, np.geomspace(width.min(), width.max() + 1, MOST_BINS + 1))
    networks, accepted = (
        np.histogram2d(depth[chosen], width[chosen], bins=(depths, widths))[0].astype(np.int64)
        for chosen in (slice(None), met == 1)
    )
    return Regions(num_draws=num_draws, depths=depths, widths=widths, networks=networks, accepted=accepted)


def _edges(seen: IntArray, wished: FloatArray) -> IntArray:
    """Return edges near the wished ones, each at a value that was seen, so that no bin is empty by its place alone."""
    values = np.append(np.unique(seen), seen.max() + 1)
    edges: IntArray = np.unique(values[np.minimum(np.searchsorted(values, wished - 1e-9), len(values) - 1)])
    return edges
